"""Events as bytes, with the empty fields that the real service sends."""

from __future__ import annotations

from typing import Any

from rxassist.events import ErrorEvent, Event, ThreadMessageDelta, ThreadRunStepDelta
from rxassist.models import ErrorObject, ToolCallDeltaObject, UnknownDelta
from rxassist.protocols.assistants.codec import encode_event
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent, encode
from rxassist.wire.structure import unstructure

_EMPTY: dict[str, dict[str, Any]] = {
    "function": {"output": None},
    "code_interpreter": {"outputs": []},
    "file_search": {"results": []},
}
"""The fields that the first delta of a tool call has although they are empty."""


class EventWriter:
    """Writes the events of one stream.

    A delta has only the fields that it adds, and the codec writes it so. But the first delta of a
    message or of a tool call also has the fields that are still empty: clients of the real service
    rely on them.
    """

    def __init__(self) -> None:
        self._begun: set[str] = set()

    def write(self, event: Event) -> bytes:
        """The bytes of the stream's next event."""
        if isinstance(event, ThreadMessageDelta) and event.data.id not in self._begun:
            self._begun.add(event.data.id)
            return _encoded(event, _first_of_message(unstructure(event.data)))
        if isinstance(event, ThreadRunStepDelta) and _opens_call(event):
            return _encoded(event, _first_of_calls(unstructure(event.data)))
        return encode(encode_event(event))

    def write_error(self, message: str) -> bytes:
        """The bytes of an ``error`` event."""
        return self.write(ErrorEvent(ErrorObject(message, "server_error")))


def _encoded(event: Event, plain: dict[str, Any]) -> bytes:
    return encode(ServerSentEvent(event.event, to_json(plain).decode()))


def _first_of_message(plain: dict[str, Any]) -> dict[str, Any]:
    for part in plain["delta"].get("content", ()):
        if "text" in part:
            part["text"].setdefault("annotations", [])
    return plain


def _opens_call(event: ThreadRunStepDelta) -> bool:
    details = event.data.delta.step_details
    return isinstance(details, ToolCallDeltaObject) and any(
        not isinstance(call, UnknownDelta) and call.id is not None for call in details.tool_calls
    )


def _first_of_calls(plain: dict[str, Any]) -> dict[str, Any]:
    for call in plain["delta"]["step_details"]["tool_calls"]:
        kind = call["type"]
        call[kind] = {**_EMPTY.get(kind, {}), **call.get(kind, {})}
    return plain


__all__ = ["EventWriter"]
