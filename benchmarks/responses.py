"""openai's side of the rows for the Responses API: its helper, and its raw stream (``openai-raw``).

``text`` and ``iterated`` take the pieces of text from the events of either. ``read`` and ``kept``
take the text so far, which the helper's events have as ``snapshot``; the raw stream has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks.delivery import Delivered

REQUEST = {"model": "gpt-4o-mini", "input": "Say hello."}

_DELTA = "response.output_text.delta"


def _delivered(view: str, told: list[str]) -> Delivered:
    """What was got: pieces of text, or for ``read`` and ``kept`` the text at each delta."""
    if view == "text":
        return {"text": "".join(told)}
    if view == "kept":
        return {"text": told[-1]}
    return {"text": told[-1], "lengths": len({len(text) for text in told})}


def _taken(view: str, events: Iterable[Any]) -> list[str]:
    name = "delta" if view == "text" else "snapshot"
    return [getattr(event, name) for event in events if event.type == _DELTA]


async def _taken_later(view: str, events: Any) -> list[str]:
    name = "delta" if view == "text" else "snapshot"
    return [getattr(event, name) async for event in events if event.type == _DELTA]


async def _helper_async(view: str, client: Any) -> Delivered:
    async with client.responses.stream(**REQUEST) as stream:
        return _delivered(view, await _taken_later(view, stream))


def _helper_sync(view: str, client: Any) -> Delivered:
    with client.responses.stream(**REQUEST) as stream:
        return _delivered(view, _taken(view, stream))


async def _raw_async(client: Any) -> Delivered:
    stream = await client.responses.create(**REQUEST, stream=True)
    return _delivered("text", await _taken_later("text", stream))


def _raw_sync(client: Any) -> Delivered:
    return _delivered("text", _taken("text", client.responses.create(**REQUEST, stream=True)))


READERS: dict[tuple[str, str, str], Callable[..., Any]] = {}
"""By side, mode and view."""

for _view, _taking in (("text", "text"), ("iterated", "text"), ("read", "read"), ("kept", "kept")):
    READERS["openai", "async", f"responses-{_view}"] = partial(_helper_async, _taking)
    READERS["openai", "sync", f"responses-{_view}"] = partial(_helper_sync, _taking)
for _view in ("text", "iterated"):
    READERS["openai-raw", "async", f"responses-{_view}"] = _raw_async
    READERS["openai-raw", "sync", f"responses-{_view}"] = _raw_sync
