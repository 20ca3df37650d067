"""Events and snapshots of responses as plain data, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from attrs import evolve

from rxassist.errors import DecodeError
from rxassist.protocols.responses.codec import EventDecoder, data_of
from rxassist.protocols.responses.events import Event, FailureAnnounced
from rxassist.protocols.responses.models import (
    Annotation,
    OutputItem,
    OutputMessage,
    Reasoning,
    Response,
)
from rxassist.protocols.responses.snapshots import Item, Snapshot, item_of, snapshot_of
from rxassist.runs.growing import NOTHING_YET, Keyed, plain_text
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent
from rxassist.wire.structure import structure, unstructure

_LISTS: Mapping[type, tuple[str, ...]] = {
    OutputMessage: ("content",),
    Reasoning: ("summary", "content"),
}
"""The lists of parts that an item has, in the order in which a growing item is made of them."""


def event_to_dict(event: Event) -> dict[str, Any]:
    """An event: its name, its data as on the wire, and the id that its decoder stamped on it."""
    said = {"event": event.name, "data": data_of(event), "response_id": event.response_id}
    return {**said, "announces": True} if isinstance(event, FailureAnnounced) else said


def event_of(data: Mapping[str, Any]) -> Event:
    """The event of what ``event_to_dict`` gave. Raises ``DecodeError``."""
    name, sent = data.get("event"), data.get("data")
    if not isinstance(name, str):
        expected = "an object with the name of an event as 'event'"
        raise DecodeError("event", "$", data, expected)  # noqa: EM101 -- what it is called
    text = sent if isinstance(sent, str) and name == "done" else to_json(sent).decode()
    response_id = str(data.get("response_id") or "")
    decoder = EventDecoder(response_id=response_id)
    (event,) = *decoder.decode(ServerSentEvent(name, text)), *decoder.let_go()
    if data.get("announces"):
        event = FailureAnnounced(event.sequence_number, response_id, cast("Any", event).data)
    return event if event.response_id == response_id else evolve(event, response_id=response_id)


def snapshot_to_dict(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot: its response, its event, its items, and what they need to grow further."""
    event, key = snapshot.event, snapshot.current_key
    return {
        "event": None if event is None else event_to_dict(event),
        "run": unstructure(snapshot.run),
        "items": [_item_to_dict(item) for item in snapshot.growing_items],
        "current": None if key is None else list(key),
    }


def snapshot_from_dict(data: Mapping[str, Any]) -> Snapshot:
    """The snapshot of what ``snapshot_to_dict`` gave. Raises ``DecodeError``."""
    event, run, current = data.get("event"), data.get("run"), data.get("current")
    return snapshot_of(
        None if event is None else event_of(event),
        None if run is None else structure(run, Response),
        map(_item_of, cast("Iterable[Mapping[str, Any]]", data.get("items") or ())),
        None if current is None else (str(current[0]), int(current[1])),
    )


def _item_to_dict(item: Item) -> dict[str, Any]:
    response_id, output_index = item.key
    lists = _LISTS.get(type(item.whole), ())
    known = [part for part in item.parts if part.key[0] in lists]
    parts = sorted(known, key=lambda part: (lists.index(part.key[0]), part.key[1]))
    return {
        "response_id": response_id,
        "output_index": output_index,
        "item": unstructure(item.build()),
        "text": plain_text(item.text),
        "parts": [[*part.key, part.finished, part.annotations.keys()] for part in parts],
        "finished": item.finished,
    }


def _item_of(data: Mapping[str, Any]) -> Item:
    whole: Any = structure(data.get("item"), cast("type[OutputItem]", OutputItem), "item")
    key = str(data.get("response_id") or ""), int(data.get("output_index") or 0)
    finished = bool(data.get("finished"))
    item = item_of(key, whole, finished=finished)
    if finished or type(whole) not in _LISTS:
        return evolve(item, text=str(data.get("text") or ""))
    kept = cast("Sequence[tuple[Any, int, bool, list[int]]]", data.get("parts") or ())
    parts, item = tuple(item.parts), evolve(item, parts=NOTHING_YET)
    for built, (where, place, is_whole, indexes) in zip(parts, kept, strict=False):
        annotations: Keyed[Annotation] = NOTHING_YET
        for index, annotation in zip(indexes, built.annotations, strict=False):
            annotations = annotations.put(index, annotation)
        part = evolve(built, key=(where, place), annotations=annotations, finished=is_whole)
        item = item.with_part(part)
    return item


__all__ = ["event_of", "event_to_dict", "snapshot_from_dict", "snapshot_to_dict"]
