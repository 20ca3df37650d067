"""Requests: bodies and queries, checked as far as the protocol says what they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from starlette.requests import Request

from rxassist.codec import from_json
from rxassist.errors import DecodeError
from rxassist.local.problems import Problem, invalid_type, invalid_value, missing, no_json
from rxassist.local.store import PageRequest

Body: TypeAlias = dict[str, Any]
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
    if not isinstance(value, dict):
        raise no_json()
    return value


def required(body: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 -- whatever it is
    """A parameter that must be there."""
    value = body.get(name)
    if value is None:
        raise missing(name)
    return value


def text(body: Mapping[str, Any], name: str) -> str:
    """A parameter that must be there, and must be text."""
    value = required(body, name)
    if not isinstance(value, str):
        raise invalid_type(name, "a string", value)
    return value


def objects(body: Mapping[str, Any], name: str) -> list[Body]:
    """A parameter that is a list of objects, or not there."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid_type(name, "an array of objects", value)
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """A parameter that is true or false, false where it is not there."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_type(name, "a boolean", value)
    return bool(value)


def page_of(request: Request) -> PageRequest:
    """Which part of a list the query asks for."""
    query = request.query_params
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise invalid_value("order", order, "asc", "desc")
    limit = _limit(query.get("limit", "20"))
    return PageRequest(limit, order == "desc", query.get("after"), query.get("before"))


def _limit(given: str) -> int:
    try:
        limit = int(given)
    except ValueError:
        raise invalid_type("limit", "an integer", given) from None
    bound = ">= 1" if limit < 1 else f"<= {_MAX_LIMIT}"
    which = "below minimum" if limit < 1 else "above maximum"
    if 1 <= limit <= _MAX_LIMIT:
        return limit
    message = f"Invalid 'limit': integer {which} value. Expected a value {bound}, but got {limit} instead."
    code = "integer_below_min_value" if limit < 1 else "integer_above_max_value"
    raise Problem(message, param="limit", code=code)


__all__ = ["Body", "body_of", "flag", "objects", "page_of", "required", "text"]
