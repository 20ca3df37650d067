"""Cancel a run that no code follows any more, and let code wait for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from rxassist.errors import ClientClosed, RxAssistError
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Link
from rxassist.reactive.logger import logger
from rxassist.reactive.loop import Home, parting
from rxassist.reactive.typing import Operator
from rxassist.runs.state import FINISHED, AnyRun, leaves_waiting

_T = TypeVar("_T")

OnDispose = Literal["detach", "cancel"]
"""The choices for the run on the server when its last subscriber leaves before its end."""


def check_on_dispose(given: object) -> None:
    """Raise unless the argument is one of the two choices."""
    if given not in ("detach", "cancel"):
        msg = f'on_dispose must be "detach" or "cancel", got {given!r}'
        raise ValueError(msg)


class Farewell:
    """The cancellation of one run that is left, and the code that waits for it.

    ``cancel(run)`` cancels a run and completes when the run has ended; it has a bound of its own.
    ``run`` is the last known state of the run; before the first event it has an id and no status.
    """

    def __init__(
        self,
        cancel: Callable[[Any], Observable[Any]],
        home: Home,
        run: AnyRun | None = None,
    ) -> None:
        self.run: Any = run  # of any protocol
        self._cancel = cancel
        self._home = home
        self._free: Callable[[], object] | None = None  # set after leaving, until the run is known
        self._left = False
        self._over = False
        self._waiting: list[Callable[[], object]] = []

    @property
    def waits(self) -> bool:
        """Whether the run waits for outputs that only the code that follows it can give."""
        return self.run is not None and self.run.status == "requires_action"

    def told(self, run: AnyRun) -> None:
        """Keep the current state of the run, or of the one that goes on with it after it waited.

        Other runs are ignored.
        """
        if self.run is not None and run.id != self.run.id and not self.waits:
            return
        self.run = run
        if self._free is not None:
            self._begin()

    def leave(self, free: Callable[[], object] = lambda: None) -> None:
        """Cancel the run, now or as soon as it is known; then call ``free``."""
        if self._left:
            free()
            return
        self._left = True
        self._free = free
        if self.run is not None:
            self._begin()

    def stay(self) -> None:
        """Leave the run as it is, whoever leaves from now on: another process follows it."""
        self._left = True
        self._over = True

    def ended(self) -> None:
        """No more states of the run will come."""
        if self._free is not None:
            self._end()

    def when_over(self, call: Callable[[], object]) -> None:
        """Call a function when the cancellation is over; at once if there is none."""
        if self._left and not self._over:
            self._waiting.append(call)
        else:
            call()

    def _begin(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free()
        run = self.run
        if run is None or run.status in FINISHED:
            self._end()
            return

        async def say() -> None:  # one task, so that a client that closes can wait for it
            try:
                await self._cancel(run)
            except (RxAssistError, ValueError) as error:
                logger.info("run %s could not be cancelled: %s", run.id, error)

        with parting():
            task = self._home.spawn(say())
        task.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        self._free = None
        self._over = True
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()


def cancel_when_left(
    farewell: Farewell, home: Home, run_of: Callable[[_T], AnyRun | None]
) -> Operator[_T, _T]:
    """Cancel the run on the server when its stream or poll is left before the end.

    Also if it fails while the run waits: no code would resume the run. A source that is left before
    it has emitted its run stays subscribed until it does, and its items are ignored: the request
    that creates the run was sent, so there is a run.
    """
    return linked(lambda observer, _: _Followed(observer, farewell, home, run_of))


class _Followed(Link[_T, _T]):
    """One subscription of a run that is cancelled when it is left."""

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        farewell: Farewell,
        home: Home,
        run_of: Callable[[_T], AnyRun | None],
    ) -> None:
        super().__init__(observer)
        self._farewell = farewell
        self._home = home
        self._run_of = run_of
        self._held = SingleAssignmentDisposable()
        self._left = False

    def follow(
        self, source: Observable[_T], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        self._home.closing.add(self._client_closes)
        with parting():  # a client that closes waits until the source has emitted its run
            self._held.disposable = source.subscribe(self, scheduler=scheduler)
        return Disposable(self._leave)

    def on_next(self, value: _T) -> None:
        run = self._run_of(value)
        if run is not None:
            self._farewell.told(run)
        if not self._left:
            self.observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        self._over()
        if self._farewell.waits and leaves_waiting(error):
            self._farewell.leave()
        self._farewell.ended()
        self.observer.on_error(error)

    def on_completed(self) -> None:
        self._over()
        self._farewell.ended()
        self.observer.on_completed()

    def _client_closes(self) -> None:
        self._leave()
        self.observer.on_error(ClientClosed())

    def _leave(self) -> None:
        if not (self._left or self._held.is_disposed):
            self._left = True
            self._farewell.leave(self._over)

    def _over(self) -> None:
        self._home.closing.discard(self._client_closes)
        self._held.dispose()


__all__ = ["Farewell", "OnDispose", "cancel_when_left", "check_on_dispose"]
