"""The values that a parameter can have: bounds, lengths, and known types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rxassist.local.server.plain import as_list, as_object
from rxassist.local.server.problems import (
    invalid_type,
    invalid_value,
    missing,
    out_of_range,
    too_long,
)

Check: TypeAlias = Callable[[Any, str], None]
"""Raises ``Problem`` if a parameter of this name cannot have this value.

A value of another shape than expected passes: it fails later, where the object is made.
"""

_MOST_PROPERTIES, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512


def anything(_: object, __: str) -> None:
    """Accept any value."""


def text_within(most: int) -> Check:
    """Accept a text of at most so many characters."""

    def check(value: object, param: str) -> None:
        if isinstance(value, str) and len(value) > most:
            raise too_long(param, "string", most, len(value))

    return check


def decimal(least: float, most: float) -> Check:
    """Accept a number within bounds."""

    def check(value: object, param: str) -> None:
        if isinstance(value, int | float):
            within(value, param, least, most, kind="decimal")

    return check


def at_least(least: int) -> Check:
    """Accept a whole number that is not below a bound."""

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
    """Accept one of these texts, or an object of one of these types."""

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
    """Accept an object with few keys and short values, which the service stores as it is."""
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
    """Accept properties that are texts."""
    properties(value, param)
    for key, each in (as_object(value) or {}).items():
        if not isinstance(each, str):
            raise invalid_type(each, f"{param}.{key}", "a string")


def short_list(most: int) -> Check:
    """Accept a list of at most so many items."""

    def check(value: object, param: str) -> None:
        values = as_list(value) or ()
        if len(values) > most:
            raise too_long(param, "array", most, len(values))

    return check


def items_of(
    value: object, param: str, most: int | None = None
) -> list[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with its path."""
    if most is not None:
        short_list(most)(value, param)
    items: list[tuple[str, Mapping[str, Any]]] = []
    for index, each in enumerate(as_list(value) or ()):
        path, item = f"{param}[{index}]", as_object(each)
        if item is None:
            raise invalid_type(each, path, "an object")
        items.append((path, item))
    return items


__all__ = [
    "Check",
    "anything",
    "at_least",
    "decimal",
    "items_of",
    "metadata",
    "one_of",
    "properties",
    "short_list",
    "text_within",
    "type_of",
    "within",
]
