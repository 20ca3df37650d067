"""Checks of the numbers that users pass, and the message about a missing extra."""

from __future__ import annotations

from typing import cast

from rxassist.errors import excerpt


def _check_number(name: str, value: object, *, whole: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        msg = f"{name} must be {'a whole number' if whole else 'a number'}, got {excerpt(value)}"
        raise TypeError(msg)


def check_positive(name: str, value: object, *, whole: bool = False) -> None:
    """Raise unless the value is a number above 0."""
    _check_number(name, value, whole=whole)
    if not cast("float", value) > 0:
        msg = f"{name} must be above 0, got {value}"
        raise ValueError(msg)


def check_not_negative(name: str, value: object, *, whole: bool = False) -> None:
    """Raise unless the value is a number from 0 on."""
    _check_number(name, value, whole=whole)
    if not cast("float", value) >= 0:
        msg = f"{name} must not be negative, got {value}"
        raise ValueError(msg)


def needing(what: str, extra: str, *packages: str) -> str:
    """The message that names the extra to install."""
    return f'{what} needs packages: pip install {" ".join(packages)} (the extra "{extra}")'


__all__ = ["check_not_negative", "check_positive", "needing"]
