"""Event handlers: the callbacks of the official SDK, as Rx observers.

Which callbacks an event causes is decided in one place, the pure function ``calls``; the two
handlers only call or await them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import (
    isasyncgenfunction,
    iscoroutine,
    iscoroutinefunction,
    isfunction,
    isgeneratorfunction,
)
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from weakref import ref

from reactivex import Notification, abc
from reactivex.notification import OnCompleted, OnError, OnNext

from rxassist.errors import APITimeoutError
from rxassist.events import (
    Event,
    MessageEvent,
    RunEvent,
    RunStepEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepInProgress,
)
from rxassist.growing import Keyed
from rxassist.kinds import GrowingCall, GrowingPart
from rxassist.models import (
    SETTLED,
    ImageFile,
    ImageFileContentBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageDelta,
    Run,
    RunStep,
    RunStepDelta,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    ToolCall,
    ToolCallDelta,
    ToolCallDeltaObject,
    ToolCallsStepDetails,
)
from rxassist.snapshots import (
    Snapshot,
    _MessageState,
    _StepState,
    fold,
    required_calls,
)

if TYPE_CHECKING:
    from rxassist.consumers import LoopObservable
    from rxassist.loop import RunningLoop, ThreadLoop

# --- which callbacks an event causes -------------------------------------------------------


class Call(NamedTuple):
    """A callback, by its name, and what it is called with."""

    name: str
    arguments: tuple[object, ...] = ()


def calls(event: Event, before: Snapshot, after: Snapshot) -> tuple[Call, ...]:
    """The callbacks that an event causes, in order, ``on_event`` first.

    ``before`` and ``after`` are the snapshots around the event. Over a stream, each object is
    created once, when it is spoken of first, and done once, when it can no longer change: a part
    of a message when the next part begins or the message ends; a tool call when the next call of
    its step begins, its step ends, or the run waits or ends. A step that is spoken of first by its
    end began in an earlier stream, which told of its calls: it is only done. A delta that comes
    after the end of its object causes the callbacks for deltas, if it fills something there.
    """
    caused: Iterator[Call] = iter(())
    if isinstance(event, ThreadMessageDelta | MessageEvent):
        caused = _of_message(event, before, after)
    elif isinstance(event, ThreadRunStepDelta | RunStepEvent):
        caused = _of_step(event, before, after)
    elif isinstance(event, RunEvent) and event.data.status in SETTLED:
        caused = _of_settled_run(event.data, before)
    return (Call("on_event", (event,)), *caused)


def _grown(
    old: Keyed[GrowingPart], new: Keyed[GrowingPart], last: GrowingPart | None, index: int | None
) -> tuple[GrowingPart | None, GrowingPart | None]:
    """The part at an index if it has just begun, and the one before it, which ended thereby."""
    begun = new.get(index)
    if begun is None or old.get(index) is not None:
        return None, None
    return begun, last and new.get(last.index)


# --- messages ---


def _of_message(
    event: ThreadMessageDelta | MessageEvent, before: Snapshot, after: Snapshot
) -> Iterator[Call]:
    old, new = before._messages.get(event.data.id), after._messages.get(event.data.id)
    if new is None:
        return
    message = new.build()
    if old is not None and old.finished:
        if isinstance(event, ThreadMessageDelta) and new is not old:
            yield from _of_late_parts(message, event.data.delta.content)
            yield Call("on_message_delta", (event.data.delta, message))
        return
    if old is None:
        yield Call("on_message_created", (message,))
        old = _MessageState(message)
    if isinstance(event, ThreadMessageDelta):
        yield from _of_parts(old, new, event.data.delta.content)
        yield Call("on_message_delta", (event.data.delta, message))
    elif isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete):
        yield from _of_last_parts(old, event.data.content)
        yield Call("on_message_done", (message,))
    else:
        yield from _of_parts(old, new, [part.index for part in new.parts])


def _of_parts(
    old: _MessageState,
    new: _MessageState,
    deltas: tuple[MessageContentDelta, ...] | list[int | None],
) -> Iterator[Call]:
    """What deltas, or the mere indexes of parts, tell of the parts of a message."""
    parts, last = old.parts, old.parts.last
    for delta in deltas:
        index = delta if isinstance(delta, int | None) else delta.index
        begun, ended = _grown(parts, new.parts, last, index)
        if ended is not None:
            yield from _part_done(ended.build())
        if begun is not None:
            yield from _part_created(begun.build())
            parts, last = parts.put(index, begun), begun
        part = new.parts.get(index)
        if isinstance(delta, TextDeltaBlock) and delta.text is not None and part is not None:
            yield from _text_grew(delta.text, part.build())


def _of_last_parts(old: _MessageState, content: tuple[MessageContent, ...]) -> Iterator[Call]:
    """The part that began last is done, and so is each that no delta spoke of."""
    last, whole = old.parts.last, dict(enumerate(content))
    if last is not None:
        yield from _part_done(whole.get(last.index or 0) or last.build())
    known = {part.index or 0 for part in old.parts}  # some servers say null for 0
    for index, part in whole.items():
        if index not in known:
            yield from _part_created(part)
            yield from _part_done(part)


def _of_late_parts(message: Message, deltas: tuple[MessageContentDelta, ...]) -> Iterator[Call]:
    for delta in deltas:
        place = delta.index or 0  # some servers say null for 0
        if isinstance(delta, TextDeltaBlock) and delta.text and place < len(message.content):
            yield from _text_grew(delta.text, message.content[place])


def _part_created(part: MessageContent) -> Iterator[Call]:
    if isinstance(part, TextContentBlock):
        yield Call("on_text_created", (part.text,))


def _text_grew(delta: TextDelta, part: MessageContent) -> Iterator[Call]:
    if isinstance(part, TextContentBlock):
        yield Call("on_text_delta", (delta, part.text))


def _part_done(part: MessageContent) -> Iterator[Call]:
    if isinstance(part, TextContentBlock):
        yield Call("on_text_done", (part.text,))
    elif isinstance(part, ImageFileContentBlock):
        yield Call("on_image_file_done", (part.image_file,))


# --- run steps and tool calls ---


def _of_step(
    event: ThreadRunStepDelta | RunStepEvent, before: Snapshot, after: Snapshot
) -> Iterator[Call]:
    step_id = event.data.id
    old, new = before._steps.get(step_id), after._steps.get(step_id)
    if new is None:
        return
    step, required = new.build(), before._required
    is_over = old is not None and old.finished
    settled = before._steps.place(step_id) < before._settled  # its calls were done before
    if isinstance(event, ThreadRunStepDelta):
        if is_over and new is old:
            return
        if old is None:
            yield Call("on_run_step_created", (step,))
            old = _StepState(step)
        details = event.data.delta.step_details
        deltas = details.tool_calls if isinstance(details, ToolCallDeltaObject) else ()
        if is_over:
            yield from _of_late_calls(new, deltas)
        else:
            last = None if settled else old.calls.last
            yield from _of_calls(old, new, deltas, last, required)
        yield Call("on_run_step_delta", (event.data.delta, step))
    elif is_over:
        return
    elif isinstance(event, ThreadRunStepCreated | ThreadRunStepInProgress):
        if old is None:
            yield Call("on_run_step_created", (step,))
            old = _StepState(step)
        yield from _of_calls(old, new, new.calls.by_index(), old.calls.last, required)
    else:
        if old is not None and not settled:
            yield from _of_last_calls(old, event.data, required)
        yield Call("on_run_step_done", (step,))


def _of_calls(
    old: _StepState,
    new: _StepState,
    deltas: Sequence[ToolCallDelta | GrowingCall],
    last: GrowingCall | None,
    required: frozenset[str],
) -> Iterator[Call]:
    """What deltas, or whole calls as they begin, tell of the tool calls of a step.

    Those that the run waited for were created and done then.
    """
    begun = set[object]()
    for delta in deltas:
        key = new.calls.key(delta.index, delta.id)
        call = new.calls.get(key)
        if call is None:
            continue
        if old.calls.get(key) is None and key not in begun:
            ended = last and new.calls.call(last.index, last.id)
            if ended and ended.id not in required:
                yield Call("on_tool_call_done", (ended.build(),))
            if call.id not in required:
                yield Call("on_tool_call_created", (call.build(),))
            begun.add(key)
            last = call
        if not isinstance(delta, GrowingCall):
            yield Call("on_tool_call_delta", (delta, call.build()))


def _of_late_calls(new: _StepState, deltas: Sequence[ToolCallDelta]) -> Iterator[Call]:
    for delta in deltas:
        call = new.call(delta.index, delta.id)
        if call is not None:
            yield Call("on_tool_call_delta", (delta, call))


def _of_last_calls(old: _StepState, step: RunStep, required: frozenset[str]) -> Iterator[Call]:
    """The call that began last is done, and so is each that no delta spoke of."""
    details, last = step.step_details, old.calls.last
    whole = details.tool_calls if isinstance(details, ToolCallsStepDetails) else ()
    if last is not None and last.id not in required:
        final = last.build()
        place = last.index or 0  # some servers say null for 0
        by_place = whole[place] if 0 <= place < len(whole) else final
        found = next((call for call in whole if call.id and call.id == final.id), by_place)
        yield Call("on_tool_call_done", (found,))
    began = old.calls.by_index()
    ids = {call.id for call in began if call.id} | required
    places = {call.index or 0 for call in began}
    for place, call in enumerate(whole):
        if call.id not in ids and place not in places:
            yield from _whole_call(call)


def _of_settled_run(run: Run, before: Snapshot) -> Iterator[Call]:
    """The run waits or has ended: no call changes, and those that it waits for are whole."""
    required, known = required_calls(run), set(before._required)
    for place, step in enumerate(before._steps):
        calls = [] if step.finished else [call.id for call in step.calls.by_index()]
        last = step.calls.last
        if calls and last is not None and place >= before._settled and last.id not in known:
            yield Call("on_tool_call_done", (required.get(last.id, last.build()),))
        known.update(calls)
    for call_id, call in required.items():
        if call_id not in known:
            yield from _whole_call(call)


def _whole_call(call: ToolCall) -> Iterator[Call]:
    yield Call("on_tool_call_created", (call,))
    yield Call("on_tool_call_done", (call,))


def _at_end(error: Exception | None) -> tuple[Call, ...]:
    """The callbacks before ``on_end`` that the end of a stream causes."""
    if error is None:
        return ()
    late = isinstance(error, APITimeoutError) or isinstance(error.__cause__, APITimeoutError)
    timeout = (Call("on_timeout"),) if late else ()
    return (*timeout, Call("on_exception", (error,)))


_ON_END = Call("on_end")


# --- one stream that is told ---------------------------------------------------------------


class Telling:
    """One stream that a handler is told of, and where it stands.

    ``source`` is the Observable, ``failure`` the exception that a callback raised. ``begun`` and
    ``over`` say whether there is more to come: over is when ``on_end`` has returned.
    """

    def __init__(self, handler: Any, source: object = None) -> None:  # noqa: ANN401 -- of its kind
        self.source: object = source
        self.snapshot: Snapshot = Snapshot()
        self.failure: Exception | None = None
        self.begun: bool = False
        self.over: bool = False
        self._handler = handler
        self._class: type[object] = handler.__class__
        self._busy = False
        self._ended = False
        self._waiting: list[Callable[[], object]] = []

    def has_own(self, name: str) -> bool:
        """Whether its handler has an attribute that is not one of every handler."""
        return (
            hasattr(self._handler, name)
            and not hasattr(AssistantEventHandler, name)
            and not hasattr(AsyncAssistantEventHandler, name)
        )

    def own(self, name: str) -> object:
        """An attribute of its handler."""
        return getattr(self._handler, name)

    def when_over(self, call: Callable[[], object]) -> None:
        """Call something when there is no more to come, at once if that is so; maybe twice."""
        self._waiting.append(call)
        if self.over:
            call()

    def _fail(self, error: Exception) -> None:
        self.failure = error

    def _finish(self) -> None:
        self.over = True
        for call in tuple(self._waiting):
            call()

    @contextmanager
    def _current(self) -> Generator[None]:
        """Inside, this is the stream that the handler speaks of."""
        self._handler._told = self
        token = _current.set(self)
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            _current.reset(token)

    def _calls(self, event: Event) -> tuple[Call, ...]:
        before, self.snapshot = self.snapshot, fold(self.snapshot, event)
        return calls(event, before, self.snapshot)


_current: ContextVar[Telling | None] = ContextVar("rxassist_telling", default=None)


def current_telling() -> Telling | None:
    """The stream of which a callback of a handler is being told, if this is inside one."""
    return _current.get()


class SyncTelling(Telling):
    """One stream that an ``AssistantEventHandler`` is told of."""

    def tell(self, told: Notification[Event]) -> Notification[Event]:
        """Call what an event or the end causes, and give it back. Raises what a callback raises."""
        if not self._ended:
            with self._current():
                try:
                    self._tell(told)
                except Exception as error:
                    self._fail(error)
                    raise
        return told

    def leave(self) -> None:
        """The stream is told no further: ``on_end``, unless it has ended."""
        if not self._ended:
            with self._current():
                self._end(None)

    def _tell(self, told: Notification[Event]) -> None:
        if not isinstance(told, OnNext):
            self._end(told.exception if isinstance(told, OnError) else None)
            return
        try:
            self._call(self._calls(told.value))
        except Exception as error:
            self._end(error)
            raise

    def _end(self, error: Exception | None) -> None:
        self._ended = True
        try:
            self._call(_at_end(error))
        finally:
            try:
                self._call((_ON_END,))
            finally:
                self._finish()

    def _call(self, calls: tuple[Call, ...]) -> None:
        for name, arguments in calls:
            returned = getattr(self._handler, name)(*arguments)
            if returned is not None and iscoroutine(returned):
                returned.close()
                raise TypeError(_is_async(self._class, name))


class AsyncTelling(Telling):
    """One stream that an ``AsyncAssistantEventHandler`` is told of."""

    async def tell(self, told: Notification[Event]) -> Notification[Event]:
        """As ``SyncTelling.tell``, awaited. Where it is cancelled, ``on_end`` comes at once."""
        if not self._ended:
            with self._current():
                try:
                    await self._tell(told)
                except Exception as error:
                    self._fail(error)
                    raise
        return told

    async def leave(self) -> None:
        """The stream is told no further: ``on_end``, unless it has ended or is about to."""
        if not self._ended and not self._busy:
            with self._current():
                await self._end(None)

    async def _tell(self, told: Notification[Event]) -> None:
        if not isinstance(told, OnNext):
            await self._end(told.exception if isinstance(told, OnError) else None)
            return
        try:
            await self._await(self._calls(told.value))
        except BaseException as error:  # where it is cancelled, nobody waits for more
            await self._end(error if isinstance(error, Exception) else None)
            raise

    async def _end(self, error: Exception | None) -> None:
        self._ended = True
        try:
            await self._await(_at_end(error))
        finally:
            try:
                await self._await((_ON_END,))
            finally:
                self._finish()

    async def _await(self, calls: tuple[Call, ...]) -> None:
        for name, arguments in calls:
            returned = getattr(self._handler, name)(*arguments)
            if returned is None:
                raise TypeError(_is_plain(self._class, name))
            await returned


# --- the handlers --------------------------------------------------------------------------


class _Handler(abc.ObserverBase[Event]):
    """What both handlers have: where the stream stands that they are told of."""

    _told: Telling | None = None  # on the class: who inherits need not call __init__
    _heard: Callable[[], object] | None = None  # the stream, which holds its handler

    def _stream_heard(self) -> Any:  # noqa: ANN401 -- of the kind that the handler is for
        stream = None if self._heard is None else self._heard()
        if stream is None:
            msg = "this handler has no stream: pass it as event_handler=, and keep that stream"
            raise RuntimeError(msg)
        return stream

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise ``TypeError`` for a callback that would not be called, or not awaited."""
        super().__init_subclass__(**options)
        if cls.__module__ != __name__:
            _check_callbacks(cls)

    @property
    def _snapshot(self) -> Snapshot:
        current = _current.get()
        told = current if current is not None and current._handler is self else self._told
        return Snapshot() if told is None else told.snapshot

    @property
    def current_event(self) -> Event | None:
        """The event that is told, or was told last.

        In a callback this and its kin speak of the stream that the callback is about, also where
        the handler is told of several at once; outside of the one that was told of last.
        """
        return self._snapshot.event

    @property
    def current_run(self) -> Run | None:
        """The run as it was last told."""
        return self._snapshot.run

    @property
    def current_message_snapshot(self) -> Message | None:
        """The message that was spoken of last, as far as it has come."""
        return self._snapshot.message

    @property
    def current_run_step_snapshot(self) -> RunStep | None:
        """The step that was spoken of last, as far as it has come."""
        return self._snapshot.run_step


class AssistantEventHandler(_Handler):
    """Callbacks for what happens in a run: override those that you need.

    An Rx observer of events, ``stream.subscribe(MyHandler())``, and what ``event_handler=`` takes
    on a ``Client``. It may be told of several streams, one after the other or at once: each keeps
    a state of its own. (Of plain Observables one after the other: see ``observer``.)

    A class with a method that is meant as a callback and is none (``on_text_dleta``, an ``async
    def``, a ``yield``) raises ``TypeError`` when it is made.

    An exception in a callback goes to ``on_exception``, closes the stream, and is raised by whoever
    waits for it. ``on_end`` is the last callback in any case, also when the stream is left early.
    """

    def on_event(self, event: Event) -> None:
        """Called for every event, before what else it causes."""

    def on_run_step_created(self, run_step: RunStep) -> None:
        """Called once when a step begins."""

    def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> None:
        """Called when a step grows: what was added, and the step as far as it has come."""

    def on_run_step_done(self, run_step: RunStep) -> None:
        """Called once when a step ends, however: its ``status`` and ``usage`` are final."""

    def on_message_created(self, message: Message) -> None:
        """Called once when a message begins."""

    def on_message_delta(self, delta: MessageDelta, snapshot: Message) -> None:
        """Called when a message grows: what was added, and the message as far as it has come."""

    def on_message_done(self, message: Message) -> None:
        """Called once when a message ends, ``completed`` or ``incomplete``."""

    def on_text_created(self, text: Text) -> None:
        """Called once when a text of a message begins, with what it begins with."""

    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        """Called for each piece of a text: the piece, and the text as far as it has come."""

    def on_text_done(self, text: Text) -> None:
        """Called once when the next part of the message begins, or the message ends."""

    def on_image_file_done(self, image_file: ImageFile) -> None:
        """Called once for an image, when the next part begins or the message ends."""

    def on_tool_call_created(self, tool_call: ToolCall) -> None:
        """Called once when a tool call begins, with what it begins with."""

    def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        """Called for each piece of a tool call: the piece, and the call as far as it has come."""

    def on_tool_call_done(self, tool_call: ToolCall) -> None:
        """Called once when a tool call can no longer change.

        That is when the next call of its step begins, its step ends, or the run waits or ends.
        """

    # --- the end ---

    def on_timeout(self) -> None:
        """Called before ``on_exception`` when the service did not answer in time."""

    def on_exception(self, exception: Exception) -> None:
        """Called when the stream fails, or a callback raises."""

    def on_end(self) -> None:
        """Called last, once, however the stream ends."""

    # --- the stream, as the official SDK's handlers have it ---

    def close(self) -> None:
        """Close the stream that this handler is the ``event_handler`` of, as all of these."""
        self._stream_heard().close()

    def until_done(self) -> None:
        """Wait until the stream has ended. Raises what it fails with."""
        self._stream_heard().until_done()

    def get_final_run(self) -> Run:
        """Wait for the end and return the run as it ended."""
        run: Run = self._stream_heard().get_final_run()
        return run

    def get_final_messages(self) -> list[Message]:
        """Wait for the end and return the messages of the run."""
        messages: list[Message] = self._stream_heard().get_final_messages()
        return messages

    def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        steps: list[RunStep] = self._stream_heard().get_final_run_steps()
        return steps

    @property
    def text_deltas(self) -> LoopObservable[str, ThreadLoop]:
        """The assistant's text as it grows."""
        deltas: LoopObservable[str, ThreadLoop] = self._stream_heard().text_deltas
        return deltas

    def __iter__(self) -> Iterator[Event]:
        """The events of the stream, for a blocking ``for``."""
        events: Iterator[Event] = iter(self._stream_heard())
        return events

    # --- as an observer ---

    _own: _Observer | None = None

    def observer(self) -> abc.ObserverBase[Event]:
        """A new observer for one subscription, with a state of its own.

        ``subscribe(handler)`` is enough on everything that a client gives. This is for plain
        Observables of events to which one handler is subscribed at once.
        """
        return _Observer(self)

    def on_next(self, value: Event) -> None:
        """Be told of an event of a plain Observable."""
        if self._own is None or self._own.telling.over:
            self._own = _Observer(self)
        self._own.on_next(value)

    def on_error(self, error: Exception) -> None:
        """Be told that a plain Observable failed."""
        own, self._own = self._own or _Observer(self), None
        own.on_error(error)

    def on_completed(self) -> None:
        """Be told that a plain Observable completed."""
        own, self._own = self._own or _Observer(self), None
        own.on_completed()


class _Observer(abc.ObserverBase[Event]):
    """Tells a handler of one stream, whatever Observable it is."""

    def __init__(self, handler: AssistantEventHandler) -> None:
        self.telling = SyncTelling(handler)

    def on_next(self, value: Event) -> None:
        self.telling.tell(OnNext(value))

    def on_error(self, error: Exception) -> None:
        if error is self.telling.failure:  # RxPY tells what is raised inside of subscribe
            raise error
        self.telling.tell(OnError(error))

    def on_completed(self) -> None:
        self.telling.tell(OnCompleted())


_NOT_AWAITED = (
    "an AsyncAssistantEventHandler must be awaited, which this Observable cannot do: subscribe it "
    "to the stream of a client, or to what is piped from it, or pass it as event_handler= of an "
    "AsyncClient; elsewhere use an AssistantEventHandler"
)


class AsyncAssistantEventHandler(_Handler):
    """As ``AssistantEventHandler``, with callbacks that are awaited, one after the other.

    While one runs, the stream is paused. It is subscribed to streams of a client and to what is
    piped from them, ``stream.subscribe(MyHandler())``, and is what ``event_handler=`` takes on an
    ``AsyncClient``. When the stream is left early, a callback that runs is cancelled.
    """

    async def on_event(self, event: Event) -> None:
        """Called for every event, before what else it causes."""

    async def on_run_step_created(self, run_step: RunStep) -> None:
        """Called once when a step begins."""

    async def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> None:
        """Called when a step grows: what was added, and the step as far as it has come."""

    async def on_run_step_done(self, run_step: RunStep) -> None:
        """Called once when a step ends, however: its ``status`` and ``usage`` are final."""

    async def on_message_created(self, message: Message) -> None:
        """Called once when a message begins."""

    async def on_message_delta(self, delta: MessageDelta, snapshot: Message) -> None:
        """Called when a message grows: what was added, and the message as far as it has come."""

    async def on_message_done(self, message: Message) -> None:
        """Called once when a message ends, ``completed`` or ``incomplete``."""

    async def on_text_created(self, text: Text) -> None:
        """Called once when a text of a message begins, with what it begins with."""

    async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        """Called for each piece of a text: the piece, and the text as far as it has come."""

    async def on_text_done(self, text: Text) -> None:
        """Called once when the next part of the message begins, or the message ends."""

    async def on_image_file_done(self, image_file: ImageFile) -> None:
        """Called once for an image, when the next part begins or the message ends."""

    async def on_tool_call_created(self, tool_call: ToolCall) -> None:
        """Called once when a tool call begins, with what it begins with."""

    async def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        """Called for each piece of a tool call: the piece, and the call as far as it has come."""

    async def on_tool_call_done(self, tool_call: ToolCall) -> None:
        """Called once when a tool call can no longer change.

        That is when the next call of its step begins, its step ends, or the run waits or ends.
        """

    # --- the end ---

    async def on_timeout(self) -> None:
        """Called before ``on_exception`` when the service did not answer in time."""

    async def on_exception(self, exception: Exception) -> None:
        """Called when the stream fails, or a callback raises."""

    async def on_end(self) -> None:
        """Called last, once, however the stream ends."""

    # --- the stream, as the official SDK's handlers have it ---

    async def close(self) -> None:
        """Close the stream that this handler is the ``event_handler`` of, as all of these."""
        await self._stream_heard().close()

    async def until_done(self) -> None:
        """Wait until the stream has ended. Raises what it fails with."""
        await self._stream_heard().until_done()

    async def get_final_run(self) -> Run:
        """Wait for the end and return the run as it ended."""
        run: Run = await self._stream_heard().get_final_run()
        return run

    async def get_final_messages(self) -> list[Message]:
        """Wait for the end and return the messages of the run."""
        messages: list[Message] = await self._stream_heard().get_final_messages()
        return messages

    async def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        steps: list[RunStep] = await self._stream_heard().get_final_run_steps()
        return steps

    @property
    def text_deltas(self) -> LoopObservable[str, RunningLoop]:
        """The assistant's text as it grows."""
        deltas: LoopObservable[str, RunningLoop] = self._stream_heard().text_deltas
        return deltas

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events of the stream, for an ``async for``."""
        events: AsyncIterator[Event] = aiter(self._stream_heard())
        return events

    # --- as an observer ---

    def on_next(self, value: Event) -> NoReturn:  # noqa: ARG002 -- refused
        """Refuse to be told by who cannot await."""
        raise TypeError(_NOT_AWAITED)

    def on_error(self, error: Exception) -> NoReturn:
        """Refuse to be told by who cannot await."""
        raise TypeError(_NOT_AWAITED) from error

    def on_completed(self) -> NoReturn:
        """Refuse to be told by who cannot await."""
        raise TypeError(_NOT_AWAITED)


# --- handlers that people write ------------------------------------------------------------

_OF_OBSERVERS = {"on_next", "on_error", "on_completed"}


_NEARLY = 0.8  # of 1: on_text_dleta is, on_click is not


def _check_callbacks(cls: type[_Handler]) -> None:
    """Raise ``TypeError`` for a method of a class that is meant as a callback and is none."""
    awaited = issubclass(cls, AsyncAssistantEventHandler)
    handler = AsyncAssistantEventHandler if awaited else AssistantEventHandler
    callbacks = [name for name in vars(handler) if name.startswith("on_")]
    for name, given in vars(cls).items():
        method: object = getattr(given, "__func__", given)  # of a static or class method
        if not name.startswith("on_") or not callable(method):
            continue
        if name in callbacks and name not in _OF_OBSERVERS:
            _check_kind(cls, name, method, awaited=awaited)
        elif not any(name in vars(base) for base in cls.__mro__[1:]):
            _check_name(cls, name, [each for each in callbacks if each not in _OF_OBSERVERS])


def _check_kind(
    cls: type[_Handler], name: str, method: Callable[..., object], *, awaited: bool
) -> None:
    """Raise ``TypeError`` for a callback that is not of the kind that its handler calls."""
    if isgeneratorfunction(method) or isasyncgenfunction(method):
        msg = f"{cls.__qualname__}.{name} has a yield in it, so its body would never run"
        raise TypeError(msg)
    if not awaited and iscoroutinefunction(method):
        raise TypeError(_is_async(cls, name))
    is_wrapped = hasattr(method, "__wrapped__")  # what it returns shows when it is called
    if awaited and isfunction(method) and not is_wrapped and not iscoroutinefunction(method):
        raise TypeError(_is_plain(cls, name))


def _check_name(cls: type[_Handler], name: str, callbacks: list[str]) -> None:
    """Raise ``TypeError`` for a name that is nearly that of a callback."""
    from difflib import get_close_matches  # noqa: PLC0415 -- for mistakes alone

    for nearest in get_close_matches(name, callbacks, n=1, cutoff=_NEARLY):
        msg = (
            f"{cls.__qualname__}.{name} is no callback, so nothing would call it; did you mean "
            f"{nearest}? A method of your own needs a name that is less like it"
        )
        raise TypeError(msg)


def _is_async(cls: type[object], name: str) -> str:
    return (
        f"{cls.__qualname__}.{name} is an async def, which an AssistantEventHandler never awaits; "
        "write def, or inherit from AsyncAssistantEventHandler and use an AsyncClient"
    )


def _is_plain(cls: type[object], name: str) -> str:
    return (
        f"{cls.__qualname__}.{name} is a plain def, and an AsyncAssistantEventHandler awaits its "
        f"callbacks; write async def {name}"
    )


def telling_of(
    handler: AssistantEventHandler | AsyncAssistantEventHandler, source: object
) -> SyncTelling | AsyncTelling:
    """A new stream that a handler is told of, in the way of its kind."""
    handler._heard = ref(source)
    if isinstance(handler, AssistantEventHandler):
        return SyncTelling(handler, source)
    return AsyncTelling(handler, source)


__all__ = [
    "AssistantEventHandler",
    "AsyncAssistantEventHandler",
    "AsyncTelling",
    "Call",
    "SyncTelling",
    "calls",
    "current_telling",
    "telling_of",
]
