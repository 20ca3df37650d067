"""Events of a run, as the service sends them: for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxassist.events import Event
from rxassist.protocols.assistants.codec import decode_event
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent

_Object = dict[str, Any]


class EventBuilder:
    """Makes events: each method makes one, decoded as if it came from the wire.

    The run is ``run_1``, its message ``msg_1``, its step ``step_1``, unless a test changes that.
    Further keyword arguments are fields of the object that an event carries::

        build = EventBuilder()
        events = [
            build.run("queued"),
            build.message_delta("Hel"),
            build.message_delta("lo"),
            build.message("completed", "Hello"),
            build.run("completed", usage={"total_tokens": 3}),
            build.done,
        ]
    """

    def event(self, name: str, data: object) -> Event:
        """Any event: its name, and its data as plain JSON. Raises ``DecodeError``."""
        return decode_event(ServerSentEvent(name, to_json(data).decode()))

    def run(self, status: str, name: str | None = None, **fields: Any) -> Event:
        """The run with a status; ``name`` is the last part of the event's name if it differs."""
        data = {"id": "run_1", "status": status, **fields}
        return self.event(f"thread.run.{name or status}", data)

    def requires_action(self, *calls: tuple[str, str, str], **fields: Any) -> Event:
        """The run waits for the outputs of calls: each is an id, a name and arguments."""
        required = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in calls
        ]
        waits = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": required}}
        return self.run("requires_action", required_action=waits, **fields)

    def message(
        self, status: str, *parts: str | Mapping[str, Any], name: str | None = None, **fields: Any
    ) -> Event:
        """The message as a whole: each part is a text, or an object of the wire."""
        content = [_block(part) if isinstance(part, str) else part for part in parts]
        whole = {"id": "msg_1", "role": "assistant", "status": status, "content": content}
        return self.event(f"thread.message.{name or status}", {**whole, **fields})

    def message_delta(
        self, *parts: str | tuple[int, str] | Mapping[str, Any], to: str = "msg_1"
    ) -> Event:
        """The message grows: a part is a text, an index and a text, or an object of the wire."""
        content = [part if isinstance(part, Mapping) else _growth(part) for part in parts]
        return self.event("thread.message.delta", {"id": to, "delta": {"content": content}})

    def run_step(
        self, status: str, *calls: Mapping[str, Any], name: str | None = None, **fields: Any
    ) -> Event:
        """The step as a whole, with the tool calls that it makes."""
        details = {"type": "tool_calls", "tool_calls": list(calls)}
        data = {"id": "step_1", "status": status, "step_details": details, **fields}
        return self.event(f"thread.run.step.{name or status}", data)

    def run_step_delta(self, *calls: Mapping[str, Any], to: str = "step_1") -> Event:
        """The tool calls of the step grow: pass results of ``function_call`` and ``arguments``."""
        details = {"type": "tool_calls", "tool_calls": list(calls)}
        data = {"id": to, "delta": {"step_details": details}}
        return self.event("thread.run.step.delta", data)

    def function_call(
        self, id_: str, name: str = "f", arguments: str = "", **fields: Any
    ) -> _Object:
        """The call of a function, for a step or a delta of one."""
        function = {"name": name, "arguments": arguments, "output": None}
        return {"id": id_, "type": "function", "function": function, **fields}

    def arguments(self, text: str, index: int = 0) -> _Object:
        """More of the arguments of a call, for a delta of a step."""
        return {"index": index, "type": "function", "function": {"arguments": text}}

    def error(self, message: str = "Sorry.", **fields: Any) -> Event:
        """An error in mid-stream."""
        return self.event("error", {"message": message, **fields})

    @property
    def done(self) -> Event:
        """The end of the stream."""
        return self.event("done", "[DONE]")


def _block(text: str) -> _Object:
    return {"type": "text", "text": {"value": text, "annotations": []}}


def _growth(part: str | tuple[int, str]) -> _Object:
    index, text = (0, part) if isinstance(part, str) else part
    return {"index": index, "type": "text", "text": {"value": text}}


__all__ = ["EventBuilder"]
