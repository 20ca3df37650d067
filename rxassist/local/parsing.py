"""Requests: bodies and queries, checked as far as the protocol says what they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from starlette.requests import Request

from rxassist.codec import from_json
from rxassist.errors import DecodeError
from rxassist.local.plain import as_list, as_object
from rxassist.local.problems import invalid_type, invalid_value, missing, no_json, out_of_range
from rxassist.local.store import PageRequest

Body: TypeAlias = Mapping[str, Any]
"""A request's JSON object."""

_MAX_LIMIT = 100


async def body_of(request: Request) -> Body:
    """The JSON object of a request, empty where it has no body."""
    content = await request.body()
    if not content.strip():
        return {}
    try:
        value = from_json(content)
    except DecodeError:
        raise no_json() from None
    body = as_object(value)
    if body is None:
        raise no_json()
    return body


def required(body: Body, name: str) -> Any:  # noqa: ANN401 -- whatever it is
    """A parameter that must be there."""
    value = body.get(name)
    if value is None:
        raise missing(param=name)
    return value


def text(body: Body, name: str) -> str:
    """A parameter that must be there, and must be text."""
    value = required(body, name)
    if not isinstance(value, str):
        raise invalid_type(value, name, "a string")
    return value


def objects(body: Body, name: str) -> list[Body]:
    """A parameter that is a list of objects, or not there."""
    value = body.get(name)
    if value is None:
        return []
    values = as_list(value)
    items = [item for item in map(as_object, values or ()) if item is not None]
    if values is None or len(items) < len(values):
        raise invalid_type(value, name, "an array of objects")
    return items


def flag(body: Body, name: str) -> bool:
    """A parameter that is true or false, false where it is not there."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_type(value, name, "a boolean")
    return bool(value)


def page_of(request: Request) -> PageRequest:
    """Which part of a list the query asks for."""
    query = request.query_params
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise invalid_value(order, "order", "asc", "desc")
    limit = _limit(query.get("limit", "20"))
    return PageRequest(limit, order == "desc", query.get("after"), query.get("before"))


def _limit(given: str) -> int:
    try:
        limit = int(given)
    except ValueError:
        raise invalid_type(given, "limit", "an integer") from None
    if limit < 1:
        raise out_of_range(limit, "limit", "below minimum", ">= 1")
    if limit > _MAX_LIMIT:
        raise out_of_range(limit, "limit", "above maximum", f"<= {_MAX_LIMIT}")
    return limit


__all__ = [
    "Body",
    "as_list",
    "as_object",
    "body_of",
    "flag",
    "objects",
    "page_of",
    "required",
    "text",
]
