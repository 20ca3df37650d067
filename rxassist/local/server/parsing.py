"""Requests: their bodies and queries, checked, and the models that they describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from starlette.requests import Request
from starlette.types import Message

from rxassist.errors import DecodeError
from rxassist.local.server.limits import Check, anything, within
from rxassist.local.server.plain import as_list, as_object
from rxassist.local.server.problems import (
    Problem,
    invalid_type,
    invalid_value,
    missing,
    no_json,
    too_large,
)
from rxassist.local.server.store import PageRequest
from rxassist.wire.json import from_json
from rxassist.wire.structure import structure

_T = TypeVar("_T")

Body: TypeAlias = Mapping[str, Any]
"""A request's JSON object."""

_LIMIT, _MAX_LIMIT = 20, 100
_LARGEST_JSON = 25 * 1024 * 1024  # bytes


async def body_of(request: Request) -> Body:
    """The JSON object of a request, empty if the request has no body."""
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
    """The request, but reading a body of more than so many bytes raises ``Problem``.

    The rest is read and dropped: a client that is still sending would miss the reply.
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


def required(body: Body, name: str) -> Any:  # noqa: ANN401 -- JSON is anything
    """A required parameter."""
    value = body.get(name)
    if value is None:
        raise missing(param=name)
    return value


def text(body: Body, name: str) -> str:
    """A required parameter that is a text."""
    value = required(body, name)
    if not isinstance(value, str):
        raise invalid_type(value, name, "a string")
    return value


def objects(body: Body, name: str) -> list[Body]:
    """An optional parameter that is a list of objects."""
    value = body.get(name)
    if value is None:
        return []
    values = as_list(value)
    items = [item for item in map(as_object, values or ()) if item is not None]
    if values is None or len(items) < len(values):
        raise invalid_type(value, name, "an array of objects")
    return items


def flag(body: Body, name: str) -> bool:
    """An optional parameter that is true or false, false by default."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_type(value, name, "a boolean")
    return bool(value)


def bounded(value: int, param: str, least: int, most: int) -> int:
    """The number, unless it is too small or too large."""
    within(value, param, least, most)
    return value


def texts(body: Body, name: str) -> list[str]:
    """An optional parameter that is a list of texts."""
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
    """The part of a list in a query: ``limit`` objects by default, at most ``most``."""
    query = request.query_params
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise invalid_value(order, "order", "asc", "desc")
    limit = _limit(query.get("limit", str(limit)), most)
    after, before = query.get("after"), query.get("before")
    return PageRequest(limit, order == "desc", after, before, where or {})


def fields_of(body: Body, checks: Mapping[str, Check], also: Iterable[str] = ()) -> dict[str, Any]:
    """The fields of a request, without nulls, checked; a field that is not known is an error."""
    known = {*checks, *also}
    for name in body:
        if name not in known:
            message = f"Unknown parameter: '{name}'."
            raise Problem(message, param=name, code="unknown_parameter")
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        checks.get(name, anything)(value, name)
    return given


def model_of(kind: type[_T], plain: Mapping[str, Any]) -> _T:
    """The model of plain data, some of which comes from a request."""
    try:
        return structure(plain, kind)
    except DecodeError as error:
        param = error.path.removeprefix("$.")
        raise Problem(str(error), param=param, code="invalid_type") from None


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
    "body_of",
    "bounded",
    "fields_of",
    "flag",
    "limited",
    "model_of",
    "objects",
    "page_of",
    "required",
    "text",
    "texts",
]
