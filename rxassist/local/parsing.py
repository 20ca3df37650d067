"""Requests: bodies and queries, checked as far as the protocol says what they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.types import Message

from rxassist.errors import DecodeError
from rxassist.local.limits import within
from rxassist.local.plain import as_list, as_object
from rxassist.local.problems import invalid_type, invalid_value, missing, no_json, too_large
from rxassist.local.store import PageRequest
from rxassist.wire.json import from_json

Body: TypeAlias = Mapping[str, Any]
"""A request's JSON object."""

_LIMIT, _MAX_LIMIT = 20, 100
_LARGEST_JSON = 25 * 1024 * 1024  # bytes


async def body_of(request: Request) -> Body:
    """The JSON object of a request, empty where it has no body."""
    content = await limited(request, _LARGEST_JSON).body()
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


def limited(request: Request, most: int) -> Request:
    """The request, whose body is an error if it has more than so many bytes.

    The rest is read and dropped: a client that is still sending would not hear the answer.
    """
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received <= most and _length(request) <= most:
            return message
        while message.get("more_body"):
            message = await request.receive()
        raise too_large(most)

    return Request(request.scope, receive)


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


def bounded(value: int, param: str, least: int, most: int) -> int:
    """The number, if it is neither too small nor too large."""
    within(value, param, least, most)
    return value


def texts(body: Body, name: str) -> list[str]:
    """A parameter that is a list of texts, or not there."""
    value = body.get(name)
    values = as_list(value) if value is not None else ()
    items = [item for item in values or () if isinstance(item, str)]
    if values is None or len(items) < len(values):
        raise invalid_type(value, name, "an array of strings")
    return items


def page_of(
    request: Request,
    where: Mapping[str, str] | None = None,
    limit: int = _LIMIT,
    most: int = _MAX_LIMIT,
) -> PageRequest:
    """Which part of a list the query asks for, ``limit`` objects by default, and ``most`` ever."""
    query = request.query_params
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise invalid_value(order, "order", "asc", "desc")
    limit = _limit(query.get("limit", str(limit)), most)
    after, before = query.get("after"), query.get("before")
    return PageRequest(limit, order == "desc", after, before, where or {})


def _length(request: Request) -> int:
    return int(request.headers.get("content-length", 0))


def _limit(given: str, most: int) -> int:
    try:
        limit = int(given)
    except ValueError:
        raise invalid_type(given, "limit", "an integer") from None
    return bounded(limit, "limit", 1, most)


__all__ = [
    "Body",
    "as_list",
    "as_object",
    "body_of",
    "bounded",
    "flag",
    "limited",
    "objects",
    "page_of",
    "required",
    "text",
    "texts",
]
