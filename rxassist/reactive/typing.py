"""The one shape that every operator has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from reactivex import Observable

_A = TypeVar("_A")
_B = TypeVar("_B")

Operator: TypeAlias = Callable[[Observable[_A]], Observable[_B]]
"""A function from an Observable of ``A`` to an Observable of ``B``, made for ``pipe``."""

__all__ = ["Operator"]
