"""Check users' arguments before any request, and convert them to plain data."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from inspect import iscoroutinefunction, signature
from math import isfinite
from types import FrameType
from typing import Any, TypeVar, cast
from urllib.parse import quote

from attrs import frozen, has
from reactivex import Observable

from rxassist.errors import excerpt
from rxassist.reactive.checks import check_not_negative, check_positive
from rxassist.wire.options import RequestOptions
from rxassist.wire.structure import to_request
from rxassist.wire.transport import CONNECT_TIMEOUT

_T = TypeVar("_T")

_UNPACKED = re.compile(r"Unpack\[(\w+)(?:\[\w+\])?\]")
_ID = re.compile(r"[^\s/?#%\\]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_DOTS = {".", ".."}
_LARGEST_PAGE = 100
_CALLS = ("rxassist.client.", "rxassist.protocols.", "rxassist.wire.")


@frozen
class _Kind:
    """The kind of a parameter, in words and for ``isinstance``; a list is any iterable."""

    expected: str
    types: tuple[type, ...] = ()
    is_list: bool = False
    of_objects: bool = False
    is_id: bool = False
    among: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        if isinstance(value, bool):
            return bool in self.types
        if isinstance(value, self.types):
            return True
        return self.is_list and isinstance(value, Iterable) and not isinstance(value, _NO_LIST)


_NO_LIST = (str, bytes, Mapping)
_TEXT = _Kind("text", (str,))
_NUMBER = _Kind("a number", (int, float))
_INTEGER = _Kind("a whole number", (int,))
_FLAG = _Kind("True or False", (bool,))
_OBJECT = _Kind("a mapping", (Mapping,))
_LIST = _Kind("a list", is_list=True)
_OBJECTS = _Kind("a list of mappings or models", is_list=True, of_objects=True)
_AN_ID = _Kind("an id", (str,), is_id=True)
_FORMAT = _Kind("text or a mapping", (str, Mapping))

_KINDS = {
    "access_programs": _OBJECT,
    "additional_messages": _OBJECTS,
    "after": _AN_ID,
    "assistant_id": _AN_ID,
    "attachments": _OBJECTS,
    "attributes": _OBJECT,
    "background": _FLAG,
    "background_options": _OBJECT,
    "before": _AN_ID,
    "chunking_strategy": _OBJECT,
    "content": _Kind("text or a list of parts", (str,), is_list=True),
    "context_management": _OBJECTS,
    "conversation": _FORMAT,
    "expires_after": _OBJECT,
    "file_id": _AN_ID,
    "file_ids": _Kind("a list of ids", is_list=True, is_id=True),
    "files": _OBJECTS,
    "filters": _OBJECT,
    "image": _OBJECT,
    "include": _LIST,
    "include_obfuscation": _FLAG,
    "input": _Kind("text or a list of items", (str,), is_list=True, of_objects=True),
    "items": _OBJECTS,
    "limit": _INTEGER,
    "max_completion_tokens": _INTEGER,
    "max_num_results": _INTEGER,
    "max_output_tokens": _INTEGER,
    "max_prompt_tokens": _INTEGER,
    "max_tool_calls": _INTEGER,
    "messages": _OBJECTS,
    "metadata": _OBJECT,
    "moderation": _OBJECT,
    "order": _Kind("asc or desc", (str,), among=("asc", "desc")),
    "parallel_tool_calls": _FLAG,
    "previous_response_id": _AN_ID,
    "prompt": _OBJECT,
    "prompt_cache_options": _OBJECT,
    "query": _Kind("text or a list of texts", (str,), is_list=True),
    "ranking_options": _OBJECT,
    "reasoning": _OBJECT,
    "response_format": _FORMAT,
    "rewrite_query": _FLAG,
    "run_id": _AN_ID,
    "starting_after": _INTEGER,
    "store": _FLAG,
    "stream_options": _OBJECT,
    "temperature": _NUMBER,
    "text": _OBJECT,
    "thread": _OBJECT,
    "tool_approvals": _OBJECTS,
    "tool_choice": _FORMAT,
    "tool_outputs": _OBJECTS,
    "tool_resources": _OBJECT,
    "tools": _Kind("a list of functions, mappings or models", is_list=True, of_objects=True),
    "top_logprobs": _INTEGER,
    "top_p": _NUMBER,
    "truncation_strategy": _OBJECT,
}
"""By name, since a name means the same at every endpoint; every other parameter is text."""


_NOT_GIVEN = frozenset({"NotGiven", "Omit"})


def stated(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without those that mean "not given" in code written for the official SDK.

    Compares ``NOT_GIVEN`` and ``omit`` by class name, so that the SDK need not be installed.
    """
    return {key: value for key, value in given.items() if type(value).__name__ not in _NOT_GIVEN}


def checked(given: Mapping[str, object], parameters: Any) -> dict[str, Any]:  # noqa: ANN401 -- a TypedDict
    """Check arguments against a class of parameters, and return them as plain data.

    Raises ``TypeError`` for a parameter that is unknown, missing or of the wrong kind, and
    ``ValueError`` for a required one that is empty; both name it.
    """
    required: frozenset[str] = parameters.__required_keys__
    if not given.keys() <= parameters.__annotations__.keys():
        refuse_unknown(given.keys() - parameters.__annotations__.keys(), *_called())
    for name in sorted(required - given.keys()):
        raise missing(name)
    plain: dict[str, Any] = {}
    for name, value in given.items():
        kind = _KINDS.get(name, _TEXT)
        if value is None and name not in required:
            plain[name] = None
            continue
        if not kind.accepts(value):
            msg = f"{name} must be {kind.expected}, got {_shown(value)}"
            raise TypeError(msg)
        plain[name] = _plain(name, kind, value, required=name in required)
    return plain


def missing(name: str) -> TypeError:
    """The error for a call that lacks a required parameter."""
    return TypeError(f"{name} is missing: {_called()[0]} needs it")


def refuse_unknown(given: Iterable[str], call: str, known: Iterable[str]) -> None:
    """Raise ``TypeError`` for a name that a call does not know, and suggest the nearest one."""
    allowed = set(known)
    for name in sorted(set(given) - allowed):
        near = get_close_matches(name, sorted(allowed), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        msg = f"{name} is not a parameter of {call}{hint}"
        raise TypeError(msg)


def _called() -> tuple[str, list[str]]:
    """The method of a resource that was called, and the names of all its parameters."""
    frame: FrameType | None = sys._getframe(1)
    call, names = "this call", list[str]()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_CALLS):
        resource, name = frame.f_locals.get("self"), frame.f_code.co_name
        if resource is not None and not name.startswith("_"):
            kind = type(cast("object", resource))
            call, names = f"{kind.__name__}.{name}()", _names_of(getattr(kind, name))
        frame = frame.f_back
    return call, names


def _names_of(method: Callable[..., object]) -> list[str]:
    """The names of a method's parameters, also of those typed by an unpacked mapping."""
    names: list[str] = []
    for name, parameter in signature(method).parameters.items():
        unpacked = _UNPACKED.fullmatch(str(parameter.annotation))
        module: object = sys.modules[method.__module__]
        known: object = None if unpacked is None else getattr(module, unpacked[1])
        names += getattr(known, "__annotations__", [name])
    return names


def request_options(given: Mapping[str, object]) -> dict[str, Any]:
    """The request options among the arguments, checked."""
    options: dict[str, Any] = {k: given[k] for k in RequestOptions.__annotations__ if k in given}
    for name in ("extra_headers", "extra_query", "extra_body"):
        if options.get(name) is None:
            options.pop(name, None)
        elif not isinstance(options[name], Mapping):
            msg = f"{name} must be a mapping, got {excerpt(options[name])}"
            raise TypeError(msg)
    if "extra_headers" in options:
        options["extra_headers"] = header_mapping("extra_headers", options["extra_headers"])
    if "timeout" in options:
        options["timeout"] = timeouts(options["timeout"])
    if "max_retries" in options:
        check_not_negative("max_retries", options["max_retries"], whole=True)
    told = options.get("on_response")
    if told is not None and (not callable(told) or iscoroutinefunction(told)):
        msg = f"on_response must be a plain function, not an async def, got {excerpt(told)}"
        raise TypeError(msg)
    return options


@frozen
class Timeouts:
    """Seconds for an answer, and for connecting; ``None`` is no bound."""

    answer: float | None
    connect: float | None = CONNECT_TIMEOUT


def timeouts(value: Any) -> Timeouts:  # noqa: ANN401 -- of a user
    """Read a timeout: a number of seconds, ``None``, or an ``httpx.Timeout``."""
    if all(hasattr(value, name) for name in ("connect", "read", "write", "pool")):
        return Timeouts(value.read, value.connect)
    if value is not None:
        check_positive("timeout", value)
    return Timeouts(value)


def listed(name: str, value: Iterable[_T]) -> list[_T]:
    """The items of an iterable. Refuses text, bytes, mappings and open files."""
    given: object = value
    if not _LIST.accepts(given) or hasattr(given, "read"):
        msg = f"{name} must be a list, got {excerpt(given)}"
        raise TypeError(msg)
    return list(value)


def check_encodable(name: str, value: object) -> None:
    """Raise for text that cannot be sent: half of a surrogate pair is no character."""
    if not _is_encodable(str(value)):
        msg = f"{name} must be text that UTF-8 can encode: it holds half of a surrogate pair"
        raise ValueError(msg)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_mapping(name: str, value: object) -> dict[str, str]:
    """A mapping of text to text, or nothing. No message here shows a value of it."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        msg = f"{name} must be a mapping, got {type(value).__name__}"
        raise TypeError(msg)
    given = cast("Mapping[object, object]", value)
    for key, item in given.items():
        if not isinstance(key, str) or not isinstance(item, str):
            msg = f"{name} must hold text only, got {type(item).__name__} at {excerpt(key)}"
            raise TypeError(msg)
        check_encodable(f"a name in {name}", key)
        check_encodable(f"{name}, at {excerpt(key)},", item)
    return {str(key): str(item) for key, item in given.items()}


def header_mapping(name: str, value: object) -> dict[str, str]:
    """Headers, or nothing. Raises for text that no header can hold, before any request."""
    given = text_mapping(name, value)
    for key, item in given.items():
        if not _HEADER_NAME.fullmatch(key):
            msg = f"{name} must hold names of letters, digits and hyphens, got {excerpt(key)}"
            raise ValueError(msg)
        if not item.isascii() or not item.replace("\t", " ").isprintable():
            msg = f"{name} must hold printable ASCII only; the value at {excerpt(key)} is not"
            raise ValueError(msg)
    return given


def _plain(name: str, kind: _Kind, value: object, *, required: bool) -> object:
    """A value of the right kind as plain data. Raises if its content is invalid."""
    if isinstance(value, str):
        _check_text(name, kind, value, required=required)
        return value
    if isinstance(value, float) and not isfinite(value):
        msg = f"{name} must be a finite number, got {value}"
        raise ValueError(msg)
    if kind.is_list and isinstance(value, Iterable):
        value = list(cast("Iterable[object]", value))  # read once, here
        for item in value if kind.is_id else ():
            _refuse_no_id(name, item)
        for item in value if kind.of_objects else ():
            if not isinstance(item, Mapping) and not has(type(item)):
                msg = f"{name} must be {kind.expected}, got {excerpt(item)} in it"
                raise TypeError(msg)
            given: Mapping[str, object] = {}
            if isinstance(item, Mapping):
                given = cast("Mapping[str, object]", item)
            if "tool_call_id" in given:
                _refuse_no_id("tool_call_id", given["tool_call_id"])
    try:
        return to_request(value)
    except TypeError as error:
        msg = f"{name}: {error}"
        raise TypeError(msg) from None


def _check_text(name: str, kind: _Kind, value: str, *, required: bool) -> None:
    if required and not value.strip():
        msg = f"{name} must not be empty"
        raise ValueError(msg)
    if kind.is_id:
        _refuse_no_id(name, value)
    if kind.among and value not in kind.among:
        msg = f"{name} must be {kind.expected}, got {excerpt(value)}"
        raise ValueError(msg)


def _shown(value: object) -> str:
    """A value for an error; for a call that has not run, with advice."""
    kind: type = type(value)
    if issubclass(kind, Observable):
        return f"{kind.__name__}; call .run() or await it first"
    return excerpt(value)


def _refuse_no_id(name: str, value: object) -> None:
    if not isinstance(value, str):
        msg = f"{name} must be text, got {_shown(value)}"
        raise TypeError(msg)
    if not _ID.fullmatch(value) or value in _DOTS or not _is_encodable(value):
        expected = "an id, not empty, without slashes or spaces"
        msg = f"{name} must be {expected}, got {excerpt(value)}"
        raise ValueError(msg)


def query(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A query from plain data: a list becomes several ``name[]``."""
    limit = parameters.get("limit")
    if limit is not None and not 1 <= limit <= _LARGEST_PAGE:
        msg = f"limit must be from 1 to {_LARGEST_PAGE}, got {limit}"
        raise ValueError(msg)
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if isinstance(value, list):
            items = cast("list[object]", value)
            pairs.extend((f"{name}[]", str(item)) for item in items)
        elif value is not None:
            pairs.append((name, str(value)))
    for name, value in pairs:
        check_encodable("a name in a query", name)
        check_encodable(name, value)
    return pairs


def path(template: str, **ids: object) -> str:
    """A path with ids in it. Raises for an invalid id: no text, empty, or with a slash."""
    for name, value in ids.items():
        _refuse_no_id(name, value)
    return template.format(**{name: quote(str(value), safe="") for name, value in ids.items()})
