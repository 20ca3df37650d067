"""The one shape that every operator has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from reactivex import Observable

_A = TypeVar("_A")
_B = TypeVar("_B")

Operator: TypeAlias = Callable[[Observable[_A]], Observable[_B]]
"""A function from an Observable of ``A`` to an Observable of ``B``, made for ``pipe``.

For mypy, a function whose type variables are only in its result gives a generic function if that
result is written as a ``Callable``, and not if it is written with this alias. So operators for any
items, such as ``deadline``, have a ``Callable``: only then do they fit in the middle of a pipe.
"""

__all__ = ["Operator"]
