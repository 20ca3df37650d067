"""How a run comes to be: exactly one, on a thread that is free.

Flows that take functions, not clients: what asks for a run, and what looks for one, are cold
Observables of whoever binds them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler

from rxassist.errors import (
    APIConnectionError,
    APIError,
    BadRequestError,
    ConflictError,
    DecodeError,
    InternalServerError,
    RunOutcomeUnknown,
    StreamTruncated,
    ThreadBusyError,
)
from rxassist.events import ThreadCreated
from rxassist.links import Rescue, link
from rxassist.logger import logger
from rxassist.models import (
    FINISHED,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    Run,
)
from rxassist.typing import Operator

_T = TypeVar("_T")

_OVER = FINISHED | {"cancelling"}

IfBusy: TypeAlias = Literal["fail", "wait", "cancel"]
"""What a new run or message does on a thread with a run that works or waits."""


# --- exactly one ---------------------------------------------------------------------------


@frozen
class Search(Generic[_T]):
    """How a run is looked for that may exist: by what it was given, so that it can be told.

    ``find()`` emits it if there is one; what was asked for goes on with it as ``found(run)`` does.
    """

    find: Callable[[], Observable[Run]]
    found: Callable[[Run], Observable[_T]]
    pause: float = 1.0
    retries: int = 2


def one_run(
    thread_id: str | None, begins: Callable[[_T], bool], search: Search[_T] | None = None
) -> Operator[_T, _T]:
    """Never ask twice for a run that may exist.

    The source asks for it when it is subscribed; ``begins`` is true of its first item that says
    that there is a run. If its connection breaks before that, nobody knows. Without a ``search``
    it sends ``RunOutcomeUnknown`` to ``on_error``. With one it looks for the run, ``pause`` seconds
    later, and goes on with what is found; if there is none, the source is subscribed again,
    ``retries`` times. Everything else passes.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        left = search.retries if search else 0

        def subscribe(
            observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            first = _Try(source, thread_id, begins, search, left)
            return link(first.events(), observer, scheduler)

        return Observable(subscribe)

    return operator


def _asking(
    source: Observable[_T],
    begins: Callable[[_T], bool],
    lost: Callable[[Exception], Observable[_T]],
) -> Observable[_T]:
    """A source that asks for something when it is subscribed.

    What ``lost`` gives follows on an error before the answer has begun, as ``begins`` says of its
    items; behind that, errors pass. A source that ends before that fails with ``StreamTruncated``.
    """

    def subscribe(
        observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        asking = _Asking(observer, scheduler, begins, lost)
        return asking.hold_source(link(source, asking, scheduler))

    return Observable(subscribe)


class _Asking(Rescue[_T]):
    """One subscription, which keeps what asked until it is answered, and no longer."""

    __slots__ = ("_begins", "_lost")

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None,
        begins: Callable[[_T], bool],
        lost: Callable[[Exception], Observable[_T]],
    ) -> None:
        super().__init__(observer, scheduler)
        self._begins: Callable[[_T], bool] | None = begins
        self._lost: Callable[[Exception], Observable[_T]] | None = lost

    def on_next(self, value: _T) -> None:
        if self._begins is not None and self._begins(value):
            self._begins = self._lost = None
        self.observer.on_next(value)

    def on_completed(self) -> None:
        if self._begins is None:
            self.observer.on_completed()
        else:
            self.on_error(StreamTruncated("the body ended before it told of a run"))

    def instead(self, error: Exception) -> Observable[_T]:
        return rx.throw(error) if self._lost is None else self._lost(error)


class _Try(Generic[_T]):
    """One request for a run, and what follows where its connection breaks."""

    def __init__(
        self,
        source: Observable[_T],
        thread_id: str | None,
        begins: Callable[[_T], bool],
        search: Search[_T] | None,
        left: int,
    ) -> None:
        self._source = source
        self._thread_id = thread_id
        self._begins = begins
        self._search = search
        self._left = left
        self._told_thread: str | None = None  # where the answer began with that of a new one

    def events(self) -> Observable[_T]:
        return _asking(self._source, self._begun, self._failed)

    def _begun(self, item: _T) -> bool:
        if isinstance(item, ThreadCreated):
            self._told_thread = item.data.id
        return self._begins(item)

    def _failed(self, error: Exception) -> Observable[_T]:
        if not self._leaves_open(error):
            return rx.throw(error)
        unknown = RunOutcomeUnknown(self._thread_id or self._told_thread, str(error))
        unknown.__cause__ = error
        return rx.throw(unknown) if self._search is None else self._look(self._search, unknown)

    def _leaves_open(self, error: Exception) -> bool:
        """Whether nobody knows, after this error, if there is a run."""
        if isinstance(error, APIConnectionError):
            return error.sent
        if self._search is None:
            return isinstance(error, StreamTruncated)
        if isinstance(error, ThreadBusyError):  # perhaps with the run of the try before
            return self._left < self._search.retries
        return isinstance(error, StreamTruncated | InternalServerError)

    def _look(self, search: Search[_T], unknown: RunOutcomeUnknown) -> Observable[_T]:
        def go_on(runs: list[Run]) -> Observable[_T]:
            if runs:
                return search.found(runs[0])
            if isinstance(unknown.__cause__, ThreadBusyError):  # with a run of somebody else
                return rx.throw(unknown.__cause__)
            if not self._left:
                return rx.throw(unknown)
            left = self._left - 1
            return _Try(self._source, self._thread_id, self._begins, search, left).events()

        def look(left: int) -> Observable[list[Run]]:
            def failed(error: Exception, _: Observable[list[Run]]) -> Observable[list[Run]]:
                if left and isinstance(error, APIConnectionError | InternalServerError):
                    return look(left - 1)
                return rx.throw(unknown if isinstance(error, APIError) else error)

            found = rx.timer(search.pause).pipe(ops.flat_map(lambda _: search.find()))
            return found.pipe(ops.to_list(), ops.catch(failed))

        logger.info("it is unknown if a run exists (%s); looking for it", unknown.__cause__)
        return look(search.retries).pipe(ops.flat_map(go_on))


# --- a free thread -------------------------------------------------------------------------


class Waiting:
    """What a call that needs a free thread waits for, until it may begin."""

    def __init__(self) -> None:
        self.turns: deque[_Turn[Any]] = deque()  # with this one, until it has begun
        self.busy: ThreadBusyError | None = None  # names the run that it waits for itself

    @property
    def in_the_way(self) -> ThreadBusyError | None:
        """The error that names the run which works or waits there, if it is known."""
        return self.turns[0].waiting.busy if self.turns else None

    def __str__(self) -> str:
        """Why the call has not begun; empty if it has, or may have."""
        busy = self.in_the_way
        if busy is not None:
            return f"the run never began: run {busy.run_id} is in its way"
        if self.turns and self.turns[0].waiting is not self:
            return "the run never began: others of this client came first"
        return ""


def when_free(
    settled: Callable[[str], Observable[Run]], waiting: Waiting | None = None
) -> Operator[_T, _T]:
    """Where the thread is busy, wait and try again.

    ``settled(run_id)`` completes when the run that works there has ended. ``waiting`` is told what
    is waited for. Everything else passes.
    """
    waiting = waiting or Waiting()

    def operator(source: Observable[_T]) -> Observable[_T]:
        def busy(error: Exception, _: Observable[_T]) -> Observable[_T]:
            if not isinstance(error, ThreadBusyError) or error.run_id is None:
                return rx.throw(error)
            waiting.busy = error
            ended = settled(error.run_id).pipe(ops.to_list())
            return ended.pipe(ops.flat_map(lambda _: attempt()))

        def attempt() -> Observable[_T]:
            waiting.busy = None
            return source.pipe(ops.catch(busy))

        return rx.defer(lambda _: attempt())

    return operator


class Queues:
    """Who wants to start a run, in the order in which they came, for each thread."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Turn[Any]]] = {}

    def in_turn(self, thread_id: str, waiting: Waiting | None = None) -> Operator[_T, _T]:
        """Subscribe the source when it is its turn, and let the next have it at its first item.

        That is when its run exists. Also at its end, and when it is disposed. ``waiting`` is told
        of the queue.
        """

        def operator(source: Observable[_T]) -> Observable[_T]:
            def subscribe(
                observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                turn = _Turn(
                    source, observer, scheduler, waiting, lambda: self._leave(thread_id, turn)
                )
                queue = self._queues.setdefault(thread_id, deque())
                queue.append(turn)
                turn.waiting.turns = queue
                if queue[0] is turn:
                    turn.begin()
                return Disposable(turn.dispose)

            return Observable(subscribe)

        return operator

    def _leave(self, thread_id: str, turn: _Turn[Any]) -> None:
        queue = self._queues[thread_id]
        first = queue[0] is turn
        queue.remove(turn)
        turn.waiting.turns = deque()
        if not queue:
            del self._queues[thread_id]
        elif first:
            queue[0].begin_soon()


class _Turn(Generic[_T]):
    """One place in a queue."""

    def __init__(
        self,
        source: Observable[_T],
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None,
        waiting: Waiting | None,
        leave: Callable[[], None],
    ) -> None:
        self.waiting: Waiting = waiting or Waiting()
        self._source = source
        self._observer = observer
        self._scheduler = scheduler
        self._leave_queue = leave
        self._waits = True
        self._held = SerialDisposable()

    def begin(self, *_: object) -> None:
        held = SingleAssignmentDisposable()  # in place before an item comes
        self._held.disposable = held
        held.disposable = self._source.subscribe(
            self._on_next, self._on_error, self._on_completed, scheduler=self._scheduler
        )

    def begin_soon(self) -> None:
        """Begin behind what is going on, so that a long queue does not nest."""
        scheduler = self._scheduler or CurrentThreadScheduler.singleton()
        self._held.disposable = scheduler.schedule(self.begin)

    def dispose(self) -> None:
        self._held.dispose()
        self._leave()

    def _on_next(self, item: _T) -> None:
        self._leave()
        self._observer.on_next(item)

    def _on_error(self, error: Exception) -> None:
        self._leave()
        self._observer.on_error(error)

    def _on_completed(self) -> None:
        self._leave()
        self._observer.on_completed()

    def _leave(self) -> None:
        if self._waits:
            self._waits = False
            self._leave_queue()


# --- outputs -------------------------------------------------------------------------------


def outputs_once(
    fetch: Callable[[], Observable[Run]],
    calls: Collection[str],
    *,
    retries: int = 2,
    follow: bool = False,
) -> Operator[_T, _T]:
    """Never submit outputs twice that were taken.

    The source submits them when it is subscribed. If its connection breaks before its first item,
    ``fetch()`` says whether the run still waits for these ``calls``: then they were not taken, and
    the source is subscribed again, ``retries`` times, and after them an ``APIConnectionError`` that
    is not ``sent`` goes to ``on_error``. A run that does not wait any more has taken them: what
    goes to ``on_error`` is the lost connection.

    An answer that says nothing of the outputs is looked at in the same way, and never followed by
    another try: a server's error, one that cannot be decoded, and a refusal of what was submitted
    before, as that may have come late. With ``follow`` so is every refusal: where the run has ended
    meanwhile, or is about to, what goes to ``on_error`` is a lost connection, behind which that end
    is found. Everything else passes.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attempt(left: int, before: Exception | None = None) -> Observable[_T]:
            def failed(error: Exception) -> Observable[_T]:
                lost = _lost_answer(error, before, follow=follow)
                if lost is None:
                    return rx.throw(error)

                def go_on(run: Run) -> Observable[_T]:
                    if before is None and _is_refusal(error) and run.status not in _OVER:
                        return rx.throw(error)
                    if not awaits(run, calls):
                        return rx.throw(lost)
                    if not isinstance(error, APIConnectionError | StreamTruncated):
                        return rx.throw(error)
                    return attempt(left - 1, lost) if left else rx.throw(_not_taken(error))

                looked = fetch().pipe(ops.catch(lambda _, __: rx.throw(before or error)))
                return looked.pipe(ops.flat_map(go_on))

            return _asking(source, _anything, failed)

        return rx.defer(lambda _: attempt(retries))

    return operator


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, BadRequestError | ConflictError)


def _over(error: Exception) -> APIConnectionError:
    told = APIConnectionError(f"the run ended before it was given the outputs: {error}")
    told.__cause__ = error
    return told


def _lost_answer(error: Exception, before: Exception | None, *, follow: bool) -> Exception | None:
    """How the answer was lost, if the run went on or ended; ``None`` where it cannot have.

    ``before`` is how the answer to an earlier try was lost.
    """
    if isinstance(error, APIConnectionError | StreamTruncated):
        return before or error
    if _is_refusal(error):
        return before or (_over(error) if follow else None)
    if not isinstance(error, InternalServerError | DecodeError):
        return None
    lost = APIConnectionError(f"the outputs were taken, but their answer was lost: {error}")
    lost.__cause__ = error
    return before or lost


def _not_taken(error: Exception) -> APIConnectionError:
    """Nothing happened at the service: there is nothing to recover."""
    told = APIConnectionError(f"the outputs were not taken: {error}", sent=False)
    told.__cause__ = error
    return told


def _anything(_: object) -> bool:
    return True


def awaits(run: Run, calls: Collection[str]) -> bool:
    """Whether a run waits for the outputs of all these calls."""
    return run.status == "requires_action" and _awaited(run) >= set(calls)


def _awaited(run: Run) -> set[str]:
    action = run.required_action
    calls: Iterable[object] = ()
    if isinstance(action, RequiredActionSubmitToolOutputs):
        calls = action.submit_tool_outputs.tool_calls
    elif isinstance(action, RequiredActionSubmitToolApproval):
        calls = action.submit_tool_approval.tool_calls
    return {getattr(call, "id", "") for call in calls}


__all__ = [
    "IfBusy",
    "Queues",
    "Search",
    "Waiting",
    "awaits",
    "one_run",
    "outputs_once",
    "when_free",
]
