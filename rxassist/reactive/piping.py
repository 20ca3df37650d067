"""The types of ``pipe`` on an Observable of a client."""

# ruff: noqa: D102 -- RxPY documents these methods
# mypy: disable-error-code="overload-overlap, override"
# pyright: reportOverlappingOverload=false, reportIncompatibleMethodOverride=false
# The result of the operator decides: the first overload that fits is the most exact one.

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from reactivex import ConnectableObservable, Observable, abc, typing

from rxassist.reactive.iteration import IterableObservable
from rxassist.reactive.loop import HomeT
from rxassist.reactive.typing import Operator

if TYPE_CHECKING:
    from rxassist.reactive.observable import LoopObservable

_T = TypeVar("_T")
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_E = TypeVar("_E")
_F = TypeVar("_F")
_X = TypeVar("_X")


class PipedObservable(IterableObservable[_T], Generic[_T, HomeT]):
    """An Observable whose pipes live on the event loop of its client, as it does.

    RxPY types ``pipe`` as the result of the last operator, an ``Observable``. Here it is a
    ``LoopObservable`` again, unless the operator gives something else, such as a Future. The same
    holds for the methods that stand for operators.
    """

    if TYPE_CHECKING:

        @overload
        def pipe(
            self, a: Callable[[Observable[_T]], ConnectableObservable[_X]], /
        ) -> ConnectableObservable[_X]: ...
        @overload
        def pipe(
            self, a: Operator[_T, _A], b: Callable[[Observable[_A]], ConnectableObservable[_X]], /
        ) -> ConnectableObservable[_X]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Callable[[Observable[_B]], ConnectableObservable[_X]],
            /,
        ) -> ConnectableObservable[_X]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Callable[[Observable[_C]], ConnectableObservable[_X]],
            /,
        ) -> ConnectableObservable[_X]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Callable[[Observable[_D]], ConnectableObservable[_X]],
            /,
        ) -> ConnectableObservable[_X]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Operator[_D, _E],
            f: Callable[[Observable[_E]], ConnectableObservable[_X]],
            /,
        ) -> ConnectableObservable[_X]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Operator[_D, _E],
            f: Operator[_E, _F],
            g: Callable[[Observable[_F]], ConnectableObservable[_X]],
            /,
        ) -> ConnectableObservable[_X]: ...
        @overload
        def pipe(self, a: Operator[_T, _X], /) -> LoopObservable[_X, HomeT]: ...
        @overload
        def pipe(
            self, a: Operator[_T, _A], b: Operator[_A, _X], /
        ) -> LoopObservable[_X, HomeT]: ...
        @overload
        def pipe(
            self, a: Operator[_T, _A], b: Operator[_A, _B], c: Operator[_B, _X], /
        ) -> LoopObservable[_X, HomeT]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _X],
            /,
        ) -> LoopObservable[_X, HomeT]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Operator[_D, _X],
            /,
        ) -> LoopObservable[_X, HomeT]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Operator[_D, _E],
            f: Operator[_E, _X],
            /,
        ) -> LoopObservable[_X, HomeT]: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Operator[_D, _E],
            f: Operator[_E, _F],
            g: Operator[_F, _X],
            /,
        ) -> LoopObservable[_X, HomeT]: ...
        @overload
        def pipe(self, a: Callable[[Observable[_T]], _X], /) -> _X: ...
        @overload
        def pipe(self, a: Operator[_T, _A], b: Callable[[Observable[_A]], _X], /) -> _X: ...
        @overload
        def pipe(
            self, a: Operator[_T, _A], b: Operator[_A, _B], c: Callable[[Observable[_B]], _X], /
        ) -> _X: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Callable[[Observable[_C]], _X],
            /,
        ) -> _X: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Callable[[Observable[_D]], _X],
            /,
        ) -> _X: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Operator[_D, _E],
            f: Callable[[Observable[_E]], _X],
            /,
        ) -> _X: ...
        @overload
        def pipe(
            self,
            a: Operator[_T, _A],
            b: Operator[_A, _B],
            c: Operator[_B, _C],
            d: Operator[_C, _D],
            e: Operator[_D, _E],
            f: Operator[_E, _F],
            g: Callable[[Observable[_F]], _X],
            /,
        ) -> _X: ...
        def pipe(self, *operators: Callable[[Any], Any]) -> Any: ...

        def map(self, mapper: typing.Mapper[_T, _A]) -> LoopObservable[_A, HomeT]: ...
        def flat_map(
            self, mapper: typing.Mapper[_T, Observable[_A]]
        ) -> LoopObservable[_A, HomeT]: ...
        def filter(self, predicate: typing.Predicate[_T]) -> LoopObservable[_T, HomeT]: ...
        def first(
            self, predicate: typing.Predicate[_T] | None = None
        ) -> LoopObservable[_T, HomeT]: ...
        def last(
            self, predicate: typing.Predicate[_T] | None = None
        ) -> LoopObservable[_T, HomeT]: ...
        def observe_on(self, scheduler: abc.SchedulerBase) -> LoopObservable[_T, HomeT]: ...
        def take(self, count: int) -> LoopObservable[_T, HomeT]: ...
        def to_list(self) -> LoopObservable[list[_T], HomeT]: ...

    else:

        def __class_getitem__(cls, kinds):  # noqa: ANN001, ANN204 -- as Generic
            """``LoopObservable[str]`` is one of any client."""
            kinds = kinds if isinstance(kinds, tuple) else (kinds,)
            missing = len(cls.__parameters__) - len(kinds)
            return super().__class_getitem__((*kinds, *[Any] * missing))


__all__ = ["PipedObservable"]
