"""Event handlers of both sides beside each other, and what their callbacks get.

``handler`` overrides ``on_text_delta(delta, snapshot)`` alone, which reads the text so far;
``handler-all`` overrides every callback: the others count how often they are called. Both sides
pass the handler as ``event_handler`` and wait with ``until_done()``.

openai has no handlers of responses. There its side is what users write instead: a loop over the
events of its helper, which calls functions of the same names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from benchmarks.bodies import TAIL
from benchmarks.delivery import Delivered
from benchmarks.responses import REQUEST

_RUN = {"thread_id": "thread_1", "assistant_id": "asst_1"}
_CALLBACKS = (
    *("on_event", "on_end", "on_exception", "on_timeout", "on_image_file_done"),
    *("on_message_created", "on_message_delta", "on_message_done"),
    *("on_run_step_created", "on_run_step_delta", "on_run_step_done"),
    *("on_text_created", "on_text_done"),
    *("on_tool_call_created", "on_tool_call_delta", "on_tool_call_done"),
)
"""All callbacks but ``on_text_delta``."""


class _Heard:
    """What callbacks got: the characters of all texts, the last ones, and the other calls.

    They keep no text: Python appends to one in place only if no other code holds it.
    """

    def __init__(self) -> None:
        super().__init__()  # of the handler that this is mixed into
        self.tail = ""
        self.read = 0
        self.called: Counter[str] | None = None

    def delivered(self) -> Delivered:
        """What both sides must agree on."""
        heard: Delivered = {"tail": self.tail, "read": self.read}
        return heard if self.called is None else {**heard, "called": dict(self.called)}


class _Value(_Heard):
    def on_text_delta(self, _: object, snapshot: Any) -> None:
        text = snapshot.value
        self.read += len(text)
        self.tail = text[-TAIL:]


class _AwaitedValue(_Heard):
    async def on_text_delta(self, _: object, snapshot: Any) -> None:
        text = snapshot.value
        self.read += len(text)
        self.tail = text[-TAIL:]


class _Text(_Heard):
    def on_text_delta(self, _: object, snapshot: Any) -> None:
        text = snapshot.text
        self.read += len(text)
        self.tail = text[-TAIL:]


class _AwaitedText(_Heard):
    async def on_text_delta(self, _: object, snapshot: Any) -> None:
        text = snapshot.text
        self.read += len(text)
        self.tail = text[-TAIL:]


class _ByHand(_Heard):
    """The functions that a loop over openai's events calls."""

    def on_text_delta(self, _: object, snapshot: str) -> None:
        self.read += len(snapshot)
        self.tail = snapshot[-TAIL:]


def _counting(name: str, *, awaited: bool) -> Callable[..., Any]:
    """A callback that counts how often it is called."""

    def count(self: Any, *_: object) -> None:
        self.called[name] += 1

    async def count_later(self: Any, *_: object) -> None:
        self.called[name] += 1

    return count_later if awaited else count


@cache
def _class(
    heard: type[_Heard], base: type[object], names: tuple[str, ...], *, awaited: bool
) -> Any:
    """A handler with the callback of ``heard``, and with others that count."""
    return type("Handler", (heard, base), {n: _counting(n, awaited=awaited) for n in names})


def _handler(heard: type[_Heard], base: type[object], *, every: bool, awaited: bool = False) -> Any:
    """A handler with one callback, or with ``every`` one that its base has."""
    names = tuple(name for name in _CALLBACKS if every and hasattr(base, name))
    handler = _class(heard, base, names, awaited=awaited)()
    handler.called = Counter() if every else None
    return handler


# --- runs of assistants --------------------------------------------------------------------


def _runs(side: str, client: Any) -> tuple[Any, Any, Any]:
    """The runs of a client, and the two handlers that its library has for them."""
    if side == "openai":
        import openai

        runs = client.beta.threads.runs
        return runs, openai.AssistantEventHandler, openai.AsyncAssistantEventHandler
    import rxassist

    runs = client.threads.runs
    return runs, rxassist.AssistantEventHandler, rxassist.AsyncAssistantEventHandler


def _delivered_by_run(side: str, handler: Any) -> Delivered:
    """What a handler got, but for ``on_event`` with ``done``, which openai does not pass on."""
    if handler.called and side == "rxassist":
        handler.called.subtract(on_event=1)
    return dict(handler.delivered())


def _of_run_sync(side: str, client: Any, *, every: bool) -> Delivered:
    runs, base, _ = _runs(side, client)
    handler = _handler(_Value, base, every=every)
    with runs.stream(**_RUN, event_handler=handler) as stream:
        stream.until_done()
    return _delivered_by_run(side, handler)


async def _of_run_async(side: str, client: Any, *, every: bool) -> Delivered:
    runs, _, base = _runs(side, client)
    handler = _handler(_AwaitedValue, base, every=every, awaited=True)
    async with runs.stream(**_RUN, event_handler=handler) as stream:
        await stream.until_done()
    return _delivered_by_run(side, handler)


# --- responses -----------------------------------------------------------------------------


def _of_response_sync(client: Any, *, every: bool) -> Delivered:
    import rxassist

    handler = _handler(_Text, rxassist.ResponseEventHandler, every=every)
    with client.responses.stream(**REQUEST, event_handler=handler) as stream:
        stream.until_done()
    return dict(handler.delivered())


async def _of_response_async(client: Any, *, every: bool) -> Delivered:
    import rxassist

    base = rxassist.AsyncResponseEventHandler
    handler = _handler(_AwaitedText, base, every=every, awaited=True)
    async with client.responses.stream(**REQUEST, event_handler=handler) as stream:
        await stream.until_done()
    return dict(handler.delivered())


class _Functions:
    """The functions that a loop over openai's events calls for a response with one text."""

    on_event = on_end = object()
    on_message_created = on_message_delta = on_message_done = object()
    on_text_created = on_text_done = object()


def _call_one(handler: Any, event: Any) -> None:
    """What code that follows the text does with an event of openai's helper."""
    if event.type == "response.output_text.delta":
        handler.on_text_delta(event, event.snapshot)


def _call_every(handler: Any, event: Any) -> None:
    """The same for all functions."""
    handler.on_event(event)
    kind = event.type
    if kind == "response.output_text.delta":
        handler.on_text_delta(event, event.snapshot)
        handler.on_message_delta(event, event.snapshot)
    elif kind == "response.output_item.added":
        handler.on_message_created(event.item)
    elif kind == "response.content_part.added":
        handler.on_text_created(event.part)
    elif kind == "response.content_part.done":
        handler.on_text_done(event.part)
    elif kind == "response.output_item.done":
        handler.on_message_done(event.item)
    elif kind == "response.completed":
        handler.on_end()


def _by_hand_sync(client: Any, *, every: bool) -> Delivered:
    handler = _handler(_ByHand, _Functions, every=every)
    call = _call_every if every else _call_one
    with client.responses.stream(**REQUEST) as stream:
        for event in stream:
            call(handler, event)
    return dict(handler.delivered())


async def _by_hand_async(client: Any, *, every: bool) -> Delivered:
    handler = _handler(_ByHand, _Functions, every=every)
    call = _call_every if every else _call_one
    async with client.responses.stream(**REQUEST) as stream:
        async for event in stream:
            call(handler, event)
    return dict(handler.delivered())


READERS: dict[tuple[str, str, str], Callable[..., Any]] = {}
"""By side, mode and view."""

for _view, _every in (("handler", False), ("handler-all", True)):
    for _side in ("rxassist", "openai"):
        READERS[_side, "sync", _view] = partial(_of_run_sync, _side, every=_every)
        READERS[_side, "async", _view] = partial(_of_run_async, _side, every=_every)
    _view = f"responses-{_view}"
    READERS["rxassist", "sync", _view] = partial(_of_response_sync, every=_every)
    READERS["rxassist", "async", _view] = partial(_of_response_async, every=_every)
    READERS["openai", "sync", _view] = partial(_by_hand_sync, every=_every)
    READERS["openai", "async", _view] = partial(_by_hand_async, every=_every)
