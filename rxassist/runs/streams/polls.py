"""Follow a run that is polled: to its end, to its deadline, or until nobody listens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxassist.errors import PollTimeout
from rxassist.reactive.loop import Home
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.state import AnyRun
from rxassist.runs.streams.leaving import Farewell, cancel_when_left
from rxassist.runs.streams.pipeline import FollowOptions

_RunT = TypeVar("_RunT", bound=AnyRun)


def follow_polled(
    runs: Observable[_RunT],
    farewell: Farewell,
    home: Home,
    options: FollowOptions,
    late: Callable[[float], PollTimeout],
    *,
    has_tools: bool,
) -> Observable[_RunT]:
    """Follow a run, which is subscribed only once, at each of its changes.

    The deadline includes the time before the run exists; ``late(deadline)`` is the error for it. A
    run that waits for tools then is cancelled, as no code would go on with it.
    """
    if options.on_dispose == "cancel":
        left: Operator[_RunT, _RunT] = cancel_when_left(farewell, home, _same)
        runs = runs.pipe(left)
    else:
        runs = runs.pipe(ops.do_action(farewell.told))
    if options.deadline is None:
        return runs
    deadline = options.deadline

    def too_late() -> Exception:
        if has_tools and farewell.waits:
            farewell.leave()
        return late(deadline)

    in_time: Operator[_RunT, _RunT] = operators.deadline(deadline, late=too_late)
    return runs.pipe(in_time, ops.catch(partial(_when_cancelled, farewell)))


def _same(run: _RunT) -> _RunT:
    return run


def _when_cancelled(farewell: Farewell, error: Exception, _: object) -> Observable[Any]:
    """Report an error; the error of a deadline only after the cancellation that it began."""
    if not isinstance(error, PollTimeout) or farewell.run is None:
        return rx.throw(error)

    def subscribe(
        observer: abc.ObserverBase[Any], _: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        farewell.when_over(lambda: observer.on_error(error))
        return Disposable()

    return Observable(subscribe)


__all__ = ["follow_polled"]
