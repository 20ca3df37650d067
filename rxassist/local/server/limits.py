"""What the service takes as the value of a parameter: bounds, lengths, and known types."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rxassist.local.server.plain import as_list, as_object
from rxassist.local.server.problems import (
    invalid_type,
    invalid_value,
    missing,
    no_match,
    out_of_range,
    too_long,
)

Check: TypeAlias = Callable[[Any, str], None]
"""Raises ``Problem`` if a parameter of this name cannot have this value.

A value of another shape than expected passes: it fails where the object is made.
"""

_MOST_PROPERTIES, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512
_MOST_ATTACHMENTS = 10
_LONGEST_CONTENT = 256_000
_MOST_CODE_FILES, _MOST_STORES = 20, 1
_MOST_SEARCH_RESULTS = 50

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOLS = ("code_interpreter", "file_search", "function", "mcp")  # the last one in Foundry
_ATTACHMENT_TOOLS = ("code_interpreter", "file_search")
_CONTENT = ("text", "image_file", "image_url")


def anything(_: object, __: str) -> None:
    """Take any value."""


def text_within(most: int) -> Check:
    """Take a text of at most so many characters."""

    def check(value: object, param: str) -> None:
        if isinstance(value, str) and len(value) > most:
            raise too_long(param, "string", most, len(value))

    return check


def decimal(least: float, most: float) -> Check:
    """Take a number within bounds."""

    def check(value: object, param: str) -> None:
        if isinstance(value, int | float):
            within(value, param, least, most, kind="decimal")

    return check


def at_least(least: int) -> Check:
    """Take a whole number from a bound on."""

    def check(value: object, param: str) -> None:
        if isinstance(value, int) and value < least:
            raise out_of_range(value, param, "below minimum", f">= {least}")

    return check


def within(value: float, param: str, least: float, most: float, *, kind: str = "integer") -> None:
    """Raise ``Problem`` if a number is too small or too large."""
    if value < least:
        raise out_of_range(value, param, "below minimum", f">= {least}", kind)
    if value > most:
        raise out_of_range(value, param, "above maximum", f"<= {most}", kind)


def one_of(*values: str, types: tuple[str, ...] = ()) -> Check:
    """Take one of some texts, or an object whose type is one of some others."""

    def check(value: object, param: str) -> None:
        described = as_object(value)
        if isinstance(value, str) and value not in values:
            raise invalid_value(value, param, *values)
        if described is not None:
            type_of(described, param, *types)

    return check


def type_of(value: Mapping[str, Any], param: str, *types: str) -> str:
    """The type of an object, which must be one of these."""
    given = value.get("type")
    if given is None:
        raise missing(param=f"{param}.type")
    if given not in types:
        raise invalid_value(given, f"{param}.type", *types)
    return str(given)


def properties(value: object, param: str) -> None:
    """Take an object with few keys and short values, which the service stores as it is."""
    given = as_object(value)
    if given is None:
        return
    if len(given) > _MOST_PROPERTIES:
        raise too_long(param, "object", _MOST_PROPERTIES, len(given))
    for key, each in given.items():
        if len(key) > _LONGEST_KEY:
            raise too_long(param, "string", _LONGEST_KEY, len(key))
        text_within(_LONGEST_VALUE)(each, f"{param}.{key}")


def metadata(value: object, param: str) -> None:
    """Take properties that are texts."""
    properties(value, param)
    for key, each in (as_object(value) or {}).items():
        if not isinstance(each, str):
            raise invalid_type(each, f"{param}.{key}", "a string")


def tools(most: int) -> Check:
    """Take a list of tools of known types."""

    def check(value: object, param: str) -> None:
        for place, tool in _items(value, param, most):
            kind = type_of(tool, place, *_TOOLS)
            described = as_object(tool.get(kind)) or {}
            if kind == "function":
                _function(described, f"{place}.function")
            elif kind == "file_search":
                results = described.get("max_num_results")
                if isinstance(results, int):
                    within(results, f"{place}.max_num_results", 1, _MOST_SEARCH_RESULTS)

    return check


def tool_resources(value: object, param: str) -> None:
    """Take a few files for the code interpreter, and a vector store to search in."""
    given = as_object(value) or {}
    for tool, name, most in (
        ("code_interpreter", "file_ids", _MOST_CODE_FILES),
        ("file_search", "vector_store_ids", _MOST_STORES),
        ("file_search", "vector_stores", _MOST_STORES),
    ):
        short_list(most)((as_object(given.get(tool)) or {}).get(name), f"{param}.{tool}.{name}")


def attachments(value: object, param: str) -> None:
    """Take a few files, each with the tools that may read it."""
    for place, attachment in _items(value, param, _MOST_ATTACHMENTS):
        for name in ("file_id", "tools"):
            if attachment.get(name) is None:
                raise missing(param=f"{place}.{name}")
        for tool_place, tool in _items(attachment["tools"], f"{place}.tools"):
            type_of(tool, tool_place, *_ATTACHMENT_TOOLS)


def content(value: object, param: str) -> None:
    """Take a text, or parts of known types that hold what their type says."""
    text_within(_LONGEST_CONTENT)(value, param)
    for place, part in _items(value, param):
        kind = type_of(part, place, *_CONTENT)
        if part.get(kind) is None:
            raise missing(param=f"{place}.{kind}")
        if kind == "text" and not isinstance(part["text"], str):
            raise invalid_type(part["text"], f"{place}.text", "a string")


def short_list(most: int) -> Check:
    """Take a list of at most so many items."""

    def check(value: object, param: str) -> None:
        values = as_list(value) or ()
        if len(values) > most:
            raise too_long(param, "array", most, len(values))

    return check


def _items(
    value: object, param: str, most: int | None = None
) -> list[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with its place."""
    if most is not None:
        short_list(most)(value, param)
    items: list[tuple[str, Mapping[str, Any]]] = []
    for index, each in enumerate(as_list(value) or ()):
        place, item = f"{param}[{index}]", as_object(each)
        if item is None:
            raise invalid_type(each, place, "an object")
        items.append((place, item))
    return items


def _function(described: Mapping[str, Any], place: str) -> None:
    name = described.get("name")
    if name is None:
        raise missing(param=f"{place}.name")
    if isinstance(name, str) and not _FUNCTION_NAME.fullmatch(name):
        raise no_match(name, f"{place}.name", f"^{_FUNCTION_NAME.pattern}$")


__all__ = [
    "Check",
    "anything",
    "at_least",
    "attachments",
    "content",
    "decimal",
    "metadata",
    "one_of",
    "properties",
    "short_list",
    "text_within",
    "tool_resources",
    "tools",
    "within",
]
