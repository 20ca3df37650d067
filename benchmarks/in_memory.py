"""CPU per event, from bytes in memory to a subscriber or a handler.

Both sides are whole clients over a transport that hands out the chunks (``clients.py``): a
request, its answer, and the library's own stream. ``text`` subscribes a callback to
``stream.text_deltas`` where openai iterates its ``text_deltas``; ``iterated`` iterates on both
sides. Where openai has an event handler with ``on_text_delta``, ``subscribed`` subscribes to
``stream.text_deltas``, ``read`` and ``kept`` to ``stream.snapshots``; ``views`` subscribes to text,
tool calls and snapshots of one stream where openai's handler has the callbacks for them.
``handler`` and ``handler-all`` are handlers on both sides (``handlers.py``). ``operators`` is
``from_iterable(chunks)`` piped through ``decode()`` and ``text_deltas()``, without a client.

Views that begin with ``responses-`` are of the Responses API (``responses.py`` has openai's side).
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import bodies, clients, handlers, responses
from benchmarks.delivery import Delivered, checksum

_EVENTS = 10_000  # about as many in each process, however long a body is
_RUN = {"thread_id": "thread_1", "assistant_id": "asst_1"}


def measure(
    side: str,
    *,
    view: str,
    mode: str,
    deltas: int,
    shape: str = "text",
    cut: str = "event",
    repeats: int | None = None,
) -> dict[str, Any]:
    """CPU and wall seconds per event, after a pass that is not counted."""
    made = bodies.make(shape, deltas)
    events = sum(len(body.events) for body in made)
    repeats = repeats or max(1, _EVENTS // max(1, deltas))
    cpu, wall, delivered = passes(side, view, mode, made, cut, repeats)
    return {
        "cpu": cpu / events,
        "wall": wall / events,
        "events": events,
        "delivered": checksum(delivered),
    }


def passes(
    side: str, view: str, mode: str, made: list[bodies.Body], cut: str, repeats: int
) -> tuple[float, float, list[Delivered]]:
    """CPU and wall seconds of one pass over the bodies, and what was delivered in the last one."""
    return asyncio.run(_passes(side, view, mode, made, cut, repeats))


async def _passes(
    side: str, view: str, mode: str, made: list[bodies.Body], cut: str, repeats: int
) -> tuple[float, float, list[Delivered]]:
    client, transport = clients.in_memory(side, mode)
    read = reader(side, mode, view)
    chunked = [body.chunks(cut) for body in made]
    if view == "operators":
        read = partial(read, transport)

    async def one_pass() -> list[Delivered]:
        delivered = list[Delivered]()
        for chunks in chunked:
            transport.chunks = chunks
            got = read(client)
            delivered.append(await got if inspect.isawaitable(got) else got)
        return delivered

    for body, delivered in zip(made, await one_pass(), strict=True):
        check(body, delivered)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        last = await one_pass()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for body, delivered in zip(made, last, strict=True):
        check(body, delivered)
    closed = client.close()
    if inspect.isawaitable(closed):
        await closed
    return cpu / repeats, wall / repeats, last


def reader(side: str, mode: str, view: str) -> Callable[..., Any]:
    """The function that has one run with a client, and gives or awaits what was delivered."""
    return _READERS[side, mode, view]


def check(body: bodies.Body, delivered: Delivered) -> None:
    """What a reader got is what the body holds. Raises ``ValueError``."""
    for name, value in delivered.items():
        expected = getattr(body, name)
        if expected is not None and value != expected:
            msg = f"{name}: expected {expected!r:.80}, delivered {value!r:.80}"
            raise ValueError(msg)


# --- ours ----------------------------------------------------------------------------------


class _Views:
    """Subscriptions to views, and what they got. ``end()`` is called when all have completed."""

    def __init__(
        self, view: str, end: Callable[[], object], fail: Callable[[Exception], object]
    ) -> None:
        self._view = view
        self._end = end
        self._fail = fail
        self._open = 0
        self._texts = list[str]()
        self._lengths = set[int]()
        self._calls = list[Any]()
        self._kept = list[Any]()
        self._last: Any = None

    def subscribe(self, stream: Any) -> None:
        all_views: dict[str, list[tuple[str, Callable[[Any], object]]]] = {
            "text": [("text_deltas", self._texts.append)],
            "read": [("snapshots", self._on_snapshot)],
            "kept": [("snapshots", self._kept.append)],
            "views": [
                ("text_deltas", self._texts.append),
                ("tool_calls", self._calls.append),
                ("snapshots", self._on_last),
            ],
        }
        views = all_views[self._view]
        self._open = len(views)
        for name, on_next in views:
            getattr(stream, name).subscribe(on_next, self._fail, self._on_completed)

    def _on_snapshot(self, snapshot: Any) -> None:
        text = snapshot.text
        self._lengths.add(len(text))
        self._last = snapshot

    def _on_last(self, snapshot: Any) -> None:
        self._last = snapshot

    def _on_completed(self) -> None:
        self._open -= 1
        if not self._open:
            self._end()

    def delivered(self) -> Delivered:
        """What all of them got."""
        if self._view == "text":
            return {"text": "".join(self._texts)}
        if self._view == "read":
            return {"text": self._last.text, "lengths": len(self._lengths - {0})}
        if self._view == "kept":
            return {"text": self._kept[-1].text}
        if self._last.text != "".join(self._texts):
            msg = "the last snapshot holds another text than was streamed"
            raise ValueError(msg)
        return {"text": "".join(self._texts), "calls": _inputs(self._calls)}


def _inputs(calls: list[Any]) -> list[str]:
    return [
        call.function.arguments if call.type == "function" else call.code_interpreter.input
        for call in calls
    ]


def _run(client: Any) -> Any:
    return client.threads.runs.stream(**_RUN)


def _response(client: Any) -> Any:
    return client.responses.stream(**responses.REQUEST)


async def _ours_async(view: str, begin: Callable[[Any], Any], client: Any) -> Delivered:
    ended = asyncio.get_running_loop().create_future()
    views = _Views(view, lambda: ended.set_result(None), ended.set_exception)
    views.subscribe(begin(client))
    await ended
    return views.delivered()


def _ours_sync(view: str, begin: Callable[[Any], Any], client: Any) -> Delivered:
    ended, errors = threading.Event(), list[Exception]()

    def fail(error: Exception) -> None:
        errors.append(error)
        ended.set()

    views = _Views(view, ended.set, fail)
    views.subscribe(begin(client))
    ended.wait()
    if errors:
        raise errors[0]
    return views.delivered()


async def _ours_iterated_async(begin: Callable[[Any], Any], client: Any) -> Delivered:
    return {"text": "".join([text async for text in begin(client).text_deltas])}


def _ours_iterated_sync(begin: Callable[[Any], Any], client: Any) -> Delivered:
    with begin(client) as stream:
        return {"text": "".join(stream.text_deltas)}


def _ours_operators(transport: Any, _: object) -> Delivered:
    import reactivex

    from rxassist import operators

    texts, errors = list[str](), list[Exception]()
    source = reactivex.from_iterable(transport.chunks)
    source.pipe(operators.decode(), operators.text_deltas()).subscribe(texts.append, errors.append)
    if errors:
        raise errors[0]
    return {"text": "".join(texts)}


# --- openai's ------------------------------------------------------------------------------


class _Got:
    """What the callbacks of an event handler got."""

    def __init__(self, view: str) -> None:
        self._view = view
        self._texts = list[str]()
        self._lengths = set[int]()
        self._calls = dict[str, Any]()  # it tells of some twice
        self._kept = list[Any]()
        self._last: Any = None
        noting = {
            "subscribed": self._take,
            "read": self._read,
            "kept": self._keep,
            "views": self._follow,
        }
        self.on_text_delta: Callable[[Any, Any], None] = noting[view]

    def _take(self, delta: Any, _: object) -> None:
        self._texts.append(delta.value)

    def _read(self, _: object, snapshot: Any) -> None:
        text = snapshot.value
        self._lengths.add(len(text))
        self._last = snapshot

    def _keep(self, _: object, snapshot: Any) -> None:
        self._kept.append(snapshot)

    def _follow(self, delta: Any, snapshot: Any) -> None:
        self._texts.append(delta.value)
        self._last = snapshot

    def on_tool_call_done(self, tool_call: Any) -> None:
        self._calls[tool_call.id] = tool_call

    def delivered(self) -> Delivered:
        """What all of them got."""
        if self._view == "subscribed":
            return {"text": "".join(self._texts)}
        text = self._last.value if self._last is not None else ""
        if self._view == "read":
            return {"text": text, "lengths": len(self._lengths)}
        if self._view == "kept":
            return {"text": self._kept[-1].value}
        if text != "".join(self._texts):
            msg = "the last snapshot holds another text than was streamed"
            raise ValueError(msg)
        return {"text": text, "calls": _inputs(list(self._calls.values()))}


def _sync_handler(got: _Got) -> Any:
    import openai

    class Handler(openai.AssistantEventHandler):
        def on_text_delta(self, delta: object, snapshot: object) -> None:
            got.on_text_delta(delta, snapshot)

        def on_tool_call_done(self, tool_call: object) -> None:
            got.on_tool_call_done(tool_call)

    return Handler()


def _async_handler(got: _Got) -> Any:
    import openai

    class Handler(openai.AsyncAssistantEventHandler):
        async def on_text_delta(self, delta: object, snapshot: object) -> None:
            got.on_text_delta(delta, snapshot)

        async def on_tool_call_done(self, tool_call: object) -> None:
            got.on_tool_call_done(tool_call)

    return Handler()


async def _openai_async(view: str, client: Any) -> Delivered:
    got = _Got(view)
    runs = client.beta.threads.runs
    async with runs.stream(**_RUN, event_handler=_async_handler(got)) as stream:
        await stream.until_done()
    return got.delivered()


def _openai_sync(view: str, client: Any) -> Delivered:
    got = _Got(view)
    runs = client.beta.threads.runs
    with runs.stream(**_RUN, event_handler=_sync_handler(got)) as stream:
        stream.until_done()
    return got.delivered()


async def _openai_iterated_async(client: Any) -> Delivered:
    async with client.beta.threads.runs.stream(**_RUN) as stream:
        return {"text": "".join([text async for text in stream.text_deltas])}


def _openai_iterated_sync(client: Any) -> Delivered:
    with client.beta.threads.runs.stream(**_RUN) as stream:
        return {"text": "".join(stream.text_deltas)}


_READERS: dict[tuple[str, str, str], Callable[..., Any]] = {
    ("rxassist", "async", "operators"): _ours_operators,
    ("openai", "async", "iterated"): _openai_iterated_async,
    ("openai", "sync", "iterated"): _openai_iterated_sync,
    ("openai", "async", "text"): _openai_iterated_async,
    ("openai", "sync", "text"): _openai_iterated_sync,
    **responses.READERS,
    **handlers.READERS,
    ("rxassist", "async", "subscribed"): partial(_ours_async, "text", _run),
    ("rxassist", "sync", "subscribed"): partial(_ours_sync, "text", _run),
}
for _view in ("text", "read", "kept", "views"):
    for _prefix, _begin in (("", _run), ("responses-", _response)):
        _READERS["rxassist", "async", _prefix + _view] = partial(_ours_async, _view, _begin)
        _READERS["rxassist", "sync", _prefix + _view] = partial(_ours_sync, _view, _begin)
        _READERS["rxassist", "async", f"{_prefix}iterated"] = partial(_ours_iterated_async, _begin)
        _READERS["rxassist", "sync", f"{_prefix}iterated"] = partial(_ours_iterated_sync, _begin)
for _view in ("subscribed", "read", "kept", "views"):
    _READERS["openai", "async", _view] = partial(_openai_async, _view)
    _READERS["openai", "sync", _view] = partial(_openai_sync, _view)
