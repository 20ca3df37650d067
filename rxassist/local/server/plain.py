"""Plain JSON values, with their types checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard


def as_object(value: object) -> Mapping[str, Any] | None:
    """The value if it is an object, else ``None``."""
    return value if _is_object(value) else None


def as_list(value: object) -> Sequence[Any] | None:
    """The value if it is a list, else ``None``."""
    return value if _is_list(value) else None


def _is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


__all__ = ["as_list", "as_object"]
