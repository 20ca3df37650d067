"""Models, events and snapshots to plain data or JSON, and back: for databases and web routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast, overload

from rxassist.errors import DecodeError, excerpt
from rxassist.protocols.assistants.codec import event_of
from rxassist.protocols.assistants.events import EVENTS, Event
from rxassist.protocols.assistants.models import Message, Run, RunStep
from rxassist.protocols.assistants.snapshots import Snapshot, SnapshotRecord, recorded, restored
from rxassist.protocols.responses import records as responses
from rxassist.protocols.responses.events import EVENTS as RESPONSE_EVENTS
from rxassist.protocols.responses.events import Event as ResponseEvent
from rxassist.protocols.responses.snapshots import Snapshot as ResponseSnapshot
from rxassist.wire.json import from_json as decoded
from rxassist.wire.json import to_json as encoded
from rxassist.wire.structure import structure, unstructure
from rxassist.wire.values import Model, Page, Unknown

_T = TypeVar("_T")


_Value = Model | Unknown | Event | Snapshot | ResponseEvent | ResponseSnapshot
"""What can be written: of either protocol."""


def to_dict(value: _Value) -> dict[str, Any]:
    """The plain data of a model, an event or a snapshot: ``from_dict`` makes it again.

    A model is as the service writes it, with what no field is there for (``extra``). An event has
    ``event``, its name, and ``data``; one of a response also the ``response_id`` that its decoder
    stamped on it. A snapshot has ``run``, ``messages`` and ``run_steps`` (that of a response
    ``items``), the ``event`` it stood after, and what it needs to grow further. Raises
    ``TypeError`` for anything else.
    """
    if isinstance(value, RESPONSE_EVENTS):  # they are models, too
        return responses.event_to_dict(value)
    if isinstance(value, Model | Unknown):
        return dict(unstructure(value))
    if isinstance(value, Snapshot):
        return _snapshot_to_dict(recorded(value))
    if isinstance(value, ResponseSnapshot):
        return responses.snapshot_to_dict(value)
    if isinstance(cast("object", value), EVENTS):
        return _event_to_dict(value)
    msg = f"expected a model, an event or a Snapshot of rxassist, got {excerpt(value)}"
    raise TypeError(msg)


@overload
def from_dict(kind: type[_T], data: Mapping[str, Any]) -> _T: ...
@overload
def from_dict(kind: Any, data: Mapping[str, Any]) -> Any: ...  # noqa: ANN401 -- a union
def from_dict(kind: Any, data: Mapping[str, Any]) -> Any:
    """Make a model, an event or a snapshot of what ``to_dict`` gave, or the service sent.

    ``kind`` is its class, or a union such as ``Event`` or ``ToolCall``. Raises ``DecodeError``
    with the place of what does not fit.
    """
    if kind is Snapshot:
        return restored(_snapshot_record(data))
    if kind is ResponseSnapshot:
        return responses.snapshot_from_dict(data)
    if kind == Event or kind in EVENTS:
        return _checked(_event_of(data), kind, EVENTS, data)
    if kind == ResponseEvent or kind in RESPONSE_EVENTS:
        return _checked(responses.event_of(data), kind, RESPONSE_EVENTS, data)
    return structure(data, kind)


def _checked(event: _T, kind: Any, classes: tuple[type, ...], data: object) -> _T:  # noqa: ANN401
    """The event. Raises ``DecodeError`` unless it is of its class, if one was asked for."""
    if kind in classes and not isinstance(event, kind):
        raise DecodeError(kind.__name__, "$", data, f"an event ({kind.__name__})")
    return event


def to_json(value: _Value) -> str:
    """The JSON text of what ``to_dict`` gives."""
    return encoded(to_dict(value)).decode()


@overload
def from_json(kind: type[_T], text: str | bytes) -> _T: ...
@overload
def from_json(kind: Any, text: str | bytes) -> Any: ...  # noqa: ANN401 -- a union
def from_json(kind: Any, text: str | bytes) -> Any:
    """Make of JSON text what ``from_dict`` makes of its data. Raises ``DecodeError``."""
    return from_dict(kind, decoded(text, getattr(kind, "__name__", "body")))


def _event_to_dict(event: Event) -> dict[str, Any]:
    return {"event": event.name, "data": unstructure(event.data)}


def _event_of(data: Mapping[str, Any]) -> Event:
    name = data.get("event")
    if not isinstance(name, str):
        expected = "an object with the name of an event as 'event'"
        raise DecodeError("event", "$", data, expected)  # noqa: EM101 -- what it is called
    return event_of(name, data.get("data"))


def _snapshot_to_dict(record: SnapshotRecord) -> dict[str, Any]:
    return {
        "event": None if record.event is None else _event_to_dict(record.event),
        "run": unstructure(record.run),
        "messages": [unstructure(message) for message in record.messages],
        "run_steps": [unstructure(step) for step in record.run_steps],
        "current_message_id": record.current_message_id,
        "current_run_step_id": record.current_run_step_id,
        "finished": sorted(record.finished),
        "indexes": {key: [list(place) for place in told] for key, told in record.indexes.items()},
        "settled": record.settled,
        "required": sorted(record.required),
        "named": sorted(record.named),
    }


def _snapshot_record(data: Mapping[str, Any]) -> SnapshotRecord:
    event, run = data.get("event"), data.get("run")
    indexes: Mapping[str, list[int | list[int]]] = data.get("indexes") or {}
    messages = structure({"data": data.get("messages")}, Page[Message], "messages")
    steps = structure({"data": data.get("run_steps")}, Page[RunStep], "run_steps")
    return SnapshotRecord(
        event=None if event is None else _event_of(event),
        run=None if run is None else structure(run, Run),
        messages=messages.data,
        run_steps=steps.data,
        current_message_id=data.get("current_message_id"),
        current_run_step_id=data.get("current_run_step_id"),
        finished=frozenset(data.get("finished") or ()),
        indexes={key: tuple(map(_place, told)) for key, told in indexes.items()},
        settled=data.get("settled") or 0,
        required=frozenset(data.get("required") or ()),
        named=frozenset(data.get("named") or ()),
    )


def _place(told: int | list[int]) -> tuple[int, ...]:
    """The index of a part, and those inside it, if it was kept with them."""
    return tuple(told) if isinstance(told, list) else (told,)


__all__ = ["from_dict", "from_json", "to_dict", "to_json"]
