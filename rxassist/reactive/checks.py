"""Checks of the numbers that users pass, and the message about a missing extra."""

from __future__ import annotations

from typing import cast

from rxassist.errors import excerpt


def _check_number(name: str, value: object, rest: str = "", *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        msg = f"{name} must be {kind}{rest}, got {excerpt(value)}"
        raise TypeError(msg)


def check_positive(name: str, value: object, *, whole: bool = False, none: str = "") -> None:
    """Raise unless the value is a number above 0.

    ``none`` says what ``None`` is good for (``"for no bound"``); without it, ``None`` is refused.
    """
    if none and value is None:
        return
    rest = f", or None {none}" if none else ""
    _check_number(name, value, rest, whole=whole)
    if not cast("float", value) > 0:
        msg = f"{name} must be {'at least 1' if whole else 'above 0'}{rest}, got {value}"
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
