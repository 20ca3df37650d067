"""A lost connection is not a lost response: the rest is streamed, or made of the stored one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Self

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops

from rxassist.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    NotFoundError,
    RxAssistError,
    StreamClosed,
    StreamDiverged,
    StreamTruncated,
)
from rxassist.protocols.responses.events import Event, ResponseEvent
from rxassist.protocols.responses.missing import missing_events
from rxassist.protocols.responses.models import Response
from rxassist.protocols.responses.snapshots import NOTHING, Snapshot, fold
from rxassist.reactive.kernel import choose, linked
from rxassist.reactive.links import Rescue, clock_of, link
from rxassist.reactive.logger import logger
from rxassist.reactive.polling import PATIENCE, is_passing
from rxassist.reactive.tally import count_recovery
from rxassist.reactive.typing import Operator
from rxassist.runs.operators.lifetime import Ending, check_ending
from rxassist.runs.state import has_settled, is_lost

INTERVAL = 1.0
"""Seconds between two attempts to reach the service."""

QUEUE_PATIENCE = 600.0
"""Seconds for which a response may stay queued after its stream was lost, by default."""

_OUT_OF_REACH = frozenset({408, 429, 500, 502, 503, 504})


@frozen
class Recovery:
    """How the rest of a response is had after its stream was lost.

    - ``resume(response_id, number)`` streams the events after a number; ``None``: all events.
    - ``settled(response_id)`` polls the response until it has ended or waits.
    - ``fetch(response_id)`` reads it once.
    - ``response_id`` is known before the first event, if the response exists already.
    - ``number``: the number of the last event that was received elsewhere, before this stream.
    - ``background``: whether the response goes on when nobody listens, unless it says so itself.
    - ``patience``: seconds for which the service may be out of reach.
    - ``queue_patience``: seconds for which the response may stay ``queued``.
    """

    resume: Callable[[str, int | None], Observable[Event]]
    settled: Callable[[str], Observable[Response]]
    fetch: Callable[[str], Observable[Response]]
    response_id: str | None = None
    number: int | None = None
    background: bool = False
    patience: float = PATIENCE
    queue_patience: float = QUEUE_PATIENCE


def recovering(
    how: Callable[[], Recovery],
    *,
    keeps_events: bool,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[Event, Event]:
    """Emit every event of a response, also those that its connection lost.

    Checks the ending of the source as ``check_ending`` does, and calls ``how`` after a loss: most
    streams lose nothing. A response in the background is streamed on from the number of its last
    event; where that cannot be, it is polled to its end, and the missing events are made of what is
    stored. Any other response ended with its connection: it is read once, in case that it had
    ended before. ``keeps_events`` keeps the events until they are needed, which is cheaper than
    folding each, for sources whose events are kept in any case.

    Sends to ``on_error``: ``StreamDiverged`` if the stored response does not continue the stream;
    ``StreamTruncated`` if nothing goes on; the error of the source, with a note, if the response
    cannot be found again; all other errors at once.
    """
    return linked(
        lambda observer, given: _Hearing(observer, given, how, scheduler, keeps_events=keeps_events)
    )


class _Heard:
    """What came of a response so far."""

    def __init__(self, *, keeps_events: bool) -> None:
        self.count: int = 0
        self.number: int | None = None  # of the last event that has one
        self.first_name = "response.created"
        self.response_id: str | None = None
        self.run: Response | None = None
        self._keeps_events = keeps_events
        self._events: list[Event] = []
        self._snapshot = NOTHING

    def take(self, event: Event) -> Event:
        """Keep an event."""
        if not self.count and event.sequence_number == 0:
            self.first_name = event.name
        self.count += 1
        if event.sequence_number is not None:
            self.number = event.sequence_number
        if not event.is_delta:
            self.response_id = event.response_id or self.response_id
            if isinstance(event, ResponseEvent):
                self.run = event.run()
        if self._keeps_events:
            self._events.append(event)
        else:
            self._snapshot = fold(self._snapshot, event)
        return event

    def snapshot(self) -> Snapshot:
        """How the response stood after the last event."""
        for event in self._events:
            self._snapshot = fold(self._snapshot, event)
        self._events.clear()
        return self._snapshot


class _Hearing(Rescue[Event]):
    """One subscription: the events so far, and those that follow if the source is lost."""

    __slots__ = ("_clock", "_heard", "_how")

    def __init__(
        self,
        observer: abc.ObserverBase[Event],
        scheduler: abc.SchedulerBase | None,
        how: Callable[[], Recovery],
        clock: abc.SchedulerBase | None,
        *,
        keeps_events: bool,
    ) -> None:
        super().__init__(observer, scheduler)
        self._clock = clock
        self._how = how
        self._heard = _Heard(keeps_events=keeps_events)

    def follow(self, source: Observable[Event], scheduler: abc.SchedulerBase | None) -> Self:
        """Subscribe to the source, with its ending checked."""
        return self.hold_source(link(source, Ending(self), scheduler))

    def on_next(self, value: Event) -> None:
        """Keep an event, and pass it on."""
        self.observer.on_next(self._heard.take(value))

    def instead(self, error: Exception) -> Observable[Event]:
        """The missing events if the connection was lost; else the error."""
        how = self._how()
        response_id = self._heard.response_id or how.response_id
        if response_id is None or not is_lost(error):
            return rx.throw(error)
        logger.info("response %s: the stream was lost (%s); recovering", response_id, error)
        count_recovery()
        clock = clock_of(self._clock, self.scheduler)
        return _Rest(how, response_id, self._heard, error, clock).events()


def existing(
    how: Recovery,
    response_id: str,
    scheduler: abc.SchedulerBase | None = None,
    known: Sequence[Event] = (),
) -> Observable[Event]:
    """The events of a response that exists, after ``how.number``, to its end.

    Or after its first events, if they are ``known``: then it may be any response. Otherwise sends
    the error of a request to ``on_error`` if the service cannot be reached for ``how.patience``
    seconds, or refuses; also ``NotFoundError``, at once.
    """

    def begin(given: abc.SchedulerBase) -> Observable[Event]:
        heard = _Heard(keeps_events=False)
        heard.number = how.number
        for event in known:
            heard.take(event)
        clock = clock_of(scheduler, given)
        if not known:
            return _Rest(how, response_id, heard, None, clock).streamed()
        lost = StreamTruncated("the response exists, and has no stream here")
        return _Rest(how, response_id, heard, lost, clock).events()

    return rx.defer(begin)


class _Rest:
    """What a response does after its stream was lost, with ``error``.

    ``None``: no stream was lost. Only the id is known, and perhaps there is no such response.
    """

    def __init__(
        self,
        how: Recovery,
        response_id: str,
        heard: _Heard,
        error: Exception | None,
        clock: abc.SchedulerBase,
    ) -> None:
        self._how = how
        self._response_id = response_id
        self._heard = heard
        self._error = error
        self._clock = clock
        self._lost_since: datetime | None = None  # while the service is out of reach

    def events(self) -> Observable[Event]:
        """The missing events."""
        run = self._heard.run
        said = None if run is None else run.background
        background = self._how.background if said is None else said
        if not background:
            return self._looked()
        return self._polled() if self._heard.number is None else self.streamed()

    # --- in the background: by number ---

    def streamed(self) -> Observable[Event]:
        """The events after the last number, of one connection after the other."""
        heard, before, number = self._heard, self._heard.count, self._heard.number

        def lost(error: Exception, _: object) -> Observable[Event]:
            if heard.count > before:
                self._lost_since = None
                if not is_lost(error):
                    return rx.throw(error)
                self._error = self._error or error
                return self.streamed()
            return self._again(error) if _is_out_of_reach(error) else self._refused(error)

        continued: Operator[Event, Event] = choose(_Continued(number, heard.first_name).check)
        heard_now: Operator[Event, Event] = choose(heard.take)
        events = self._how.resume(self._response_id, number).pipe(continued, heard_now)
        checked: Operator[Event, Event] = check_ending()
        return events.pipe(checked, ops.catch(lost))

    def _again(self, error: Exception) -> Observable[Event]:
        """Try again, unless the service has been out of reach for too long."""
        now = self._clock.now
        self._lost_since = self._lost_since or now
        if (now - self._lost_since).total_seconds() >= self._how.patience:
            return rx.throw(self._unrecovered(error))
        pause: Observable[object] = rx.timer(INTERVAL, scheduler=self._clock)
        return pause.pipe(ops.flat_map(lambda _: self.streamed()))

    def _refused(self, error: Exception) -> Observable[Event]:
        """Poll, because the rest cannot be streamed."""
        if isinstance(error, StreamClosed) or not isinstance(error, RxAssistError):
            return rx.throw(error)
        if self._error is not None:
            return self._stored(error)

        def unsaid(why: Exception, _: object) -> Observable[object]:
            """Go on, unless the service says that there is no such response, or not for us."""
            is_said = isinstance(why, NotFoundError) or not is_passing(why)
            return rx.throw(why) if is_said else rx.of(None)

        looked: Observable[object] = self._how.fetch(self._response_id)
        return looked.pipe(ops.catch(unsaid), ops.flat_map(lambda _: self._stored(error)))

    def _stored(self, refusal: Exception) -> Observable[Event]:
        logger.info("response %s cannot be streamed on (%s); polling", self._response_id, refusal)
        return self._polled(refusal)

    # --- in the background: by what is stored ---

    def _polled(self, refusal: Exception | None = None) -> Observable[Event]:
        """The missing events, when the response has settled."""
        if self._how.number is not None and not self._heard.count:
            msg = (
                f"response {self._response_id} cannot be streamed from number "
                f"{self._how.number} on ({refusal}), and what came before that is not known here: "
                "resume it without after, or retrieve it"
            )
            return rx.throw(StreamTruncated(msg))
        states = self._how.settled(self._response_id).pipe(
            ops.map(self._while_queued), ops.switch_latest()
        )
        stored = states.pipe(ops.filter(has_settled), ops.take(1))
        return stored.pipe(ops.flat_map(self._missing), ops.catch(self._failed))

    def _while_queued(self, response: Response) -> Observable[Response]:
        """A state, and an error after it if it stays ``queued``."""
        if response.status != "queued":
            return rx.of(response)
        seconds = self._how.queue_patience

        def give_up(_: object) -> Observable[Response]:
            msg = f"response {self._response_id} has been queued for {seconds:g} seconds"
            return rx.throw(RxAssistError(msg))

        late: Observable[object] = rx.timer(seconds, scheduler=self._clock)
        return rx.concat(rx.of(response), late.pipe(ops.flat_map(give_up)))

    def _missing(self, stored: Response) -> Observable[Event]:
        missing = missing_events(self._heard.snapshot(), stored, self._response_id)
        return rx.from_iterable(list(missing))

    def _failed(self, error: Exception, _: object) -> Observable[Event]:
        return rx.throw(self._unrecovered(error))

    def _unrecovered(self, why: Exception) -> Exception:
        """The error for the subscriber if the recovery fails, too."""
        if isinstance(why, StreamClosed | StreamDiverged) or not isinstance(why, RxAssistError):
            return why
        if self._error is None:  # nothing was lost: this is the only failure
            return why
        self._error.add_note(f"the recovery failed, too: {why}")
        return self._error

    # --- in the foreground ---

    def _looked(self) -> Observable[Event]:
        """The missing events if the response had ended before its connection broke."""

        def missing(stored: Response) -> Observable[Event]:
            if has_settled(stored):
                return self._missing(stored)
            return rx.throw(self._ended(f"it is stored as {stored.status!r}"))

        def failed(error: Exception, _: object) -> Observable[Response]:
            passes = isinstance(error, RxAssistError) and not isinstance(error, StreamClosed)
            return rx.throw(self._ended(str(error)) if passes else error)

        looked = self._how.fetch(self._response_id).pipe(ops.catch(failed))
        return looked.pipe(ops.flat_map(missing))

    def _ended(self, why: str) -> StreamTruncated:
        error = self._error
        if not isinstance(error, StreamTruncated):
            error = StreamTruncated(f"the connection was lost ({error})")
            error.__cause__ = self._error
        error.add_note(
            "a response that does not run in the background ends with its connection: "
            f"it was read once, {why}; background=True goes on"
        )
        return error


class _Continued:
    """Checks that events go on after a number: smaller numbers were received before.

    Unless they begin anew with 0 at each connection: then number 0 is another event than it was.
    """

    def __init__(self, number: int | None, first_name: str) -> None:
        self._number = number
        self._first_name = first_name
        self._continues = number is None

    def check(self, event: Event) -> Event | None:
        """The event, unless it came before. Raises if events are missing, or have no numbers."""
        number = event.sequence_number
        if self._continues or event.is_done or self._number is None:
            return event
        if number is None or number > self._number + 1:
            msg = f"the service does not go on after number {self._number}: it sent {number}"
            raise StreamTruncated(msg)
        if number == 0 and event.name != self._first_name:
            msg = f"the service does not go on after number {self._number}: it began with 0 again"
            raise StreamTruncated(msg)
        if number <= self._number:
            return None
        self._continues = True
        return event


def _is_out_of_reach(error: Exception) -> bool:
    """Whether the service may be reached later; a stream that stays silent is another case."""
    if isinstance(error, APIStatusError):
        return error.status_code in _OUT_OF_REACH
    return isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError)


__all__ = ["QUEUE_PATIENCE", "Recovery", "existing", "recovering"]
