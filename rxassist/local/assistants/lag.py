"""A store that lags: the first reads of an object miss the last writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rxassist.local.assistants.addresses import MESSAGES, RUN, STEPS
from rxassist.local.assistants.replay import whole_page
from rxassist.local.server.faults import Asked, Edit, Fault, Faults, edited
from rxassist.local.server.plain import as_list, as_object
from rxassist.wire.json import from_json, to_json


def lagging(
    reads: int,
    *,
    run: Fault | None = None,
    steps: Fault | None = None,
    messages: Fault | None = None,
) -> Faults:
    """A fault for the first so many reads of each run, each list of steps, each of messages.

    ``lagging(2, run=refuse(404), messages=empty())``: a run that the service does not know yet, and
    messages that it does not list yet. Reads are counted separately for each address.
    """
    if reads < 0:
        msg = f"reads must not be negative, got {reads}"
        raise ValueError(msg)
    lags = ((RUN, run), (STEPS, steps), (MESSAGES, messages))

    def faults(asked: Asked) -> Fault | None:
        if asked.method != "GET" or asked.attempt > reads:
            return None
        return next((fault for pattern, fault in lags if pattern.fullmatch(asked.path)), None)

    return faults


def empty() -> Fault:
    """An empty list."""
    return whole_page([])


def shorten(length: int) -> Fault:
    """Each text of the listed messages has only its first so many characters."""
    if length < 0:
        msg = f"length must not be negative, got {length}"
        raise ValueError(msg)

    def begin() -> Edit:
        body = bytearray()

        def edit(piece: bytes | None) -> Iterable[bytes]:
            if piece is None:
                return (to_json(_shortened(from_json(bytes(body)), length)),)
            body.extend(piece)
            return ()

        return edit

    return edited(begin)


def _shortened(value: Any, length: int) -> Any:  # noqa: ANN401 -- JSON is anything
    """The same with shorter texts, without the annotations of the rest."""
    items, described = as_list(value), as_object(value)
    if items is not None:
        return [_shortened(item, length) for item in items]
    if described is None:
        return value
    text = as_object(described.get("text"))
    if text is None or not isinstance(text.get("value"), str):
        return {name: _shortened(each, length) for name, each in described.items()}
    kept = [each for each in text.get("annotations", ()) if (each.get("end_index") or 0) <= length]
    return {**described, "text": {**text, "value": text["value"][:length], "annotations": kept}}


__all__ = ["empty", "lagging", "shorten"]
