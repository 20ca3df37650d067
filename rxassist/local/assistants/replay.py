"""A service that replays the recorded stream of a run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from rxassist.local.assistants.addresses import MESSAGES, RUN, STEPS, STREAMED
from rxassist.local.server.faults import Asked, Fault, Faults, answer
from rxassist.local.server.resources import list_object
from rxassist.models import Message, RunStep
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.protocols.assistants.snapshots import Snapshot, fold
from rxassist.wire.json import to_json
from rxassist.wire.structure import unstructure


def replay(stream: bytes) -> Faults:
    """Reply like the service from which the stream of a run was recorded."""
    decoder = EventDecoder()
    snapshot = reduce(fold, (*decoder.feed(stream), *decoder.flush()), Snapshot())
    streamed = answer(stream, "text/event-stream; charset=utf-8")
    run = None if snapshot.run is None else _reply(unstructure(snapshot.run))
    steps, messages = _Pages(snapshot.run_steps), _Pages(snapshot.messages)

    def faults(asked: Asked) -> Fault | None:
        if asked.method == "POST":
            return streamed if STREAMED.fullmatch(asked.path) else None
        if RUN.fullmatch(asked.path):
            return run
        if STEPS.fullmatch(asked.path):
            return steps.of(asked)
        return messages.of(asked) if MESSAGES.fullmatch(asked.path) else None

    return faults


class _Pages:
    """A whole list as one page, in either order."""

    def __init__(self, items: Sequence[RunStep] | Sequence[Message]) -> None:
        plain = [unstructure(item) for item in items]
        self._ascending, self._descending = whole_page(plain), whole_page(plain[::-1])

    def of(self, asked: Asked) -> Fault:
        return self._ascending if "order=asc" in asked.query.split("&") else self._descending


def whole_page(items: Sequence[dict[str, object]]) -> Fault:
    """A whole list as one page."""
    return _reply(list_object(items, has_more=False))


def _reply(plain: object) -> Fault:
    return answer(to_json(plain), "application/json")


__all__ = ["replay", "whole_page"]
