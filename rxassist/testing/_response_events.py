"""Events of a response, as the service sends them: for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxassist.protocols.responses.codec import EventDecoder
from rxassist.protocols.responses.events import Event
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent

_Object = dict[str, Any]


class ResponseEventBuilder:
    """Makes events of the Responses protocol, as ``EventBuilder`` makes those of a run.

    The response is ``resp_1``, its message ``msg_1`` at place 0 of the output, unless a test
    changes that. Further keyword arguments are fields of the object that an event carries::

        build = ResponseEventBuilder()
        events = [
            build.response("in_progress", name="created"),
            build.text_delta("Hel"),
            build.text_delta("lo"),
            build.item_done(build.message("Hello")),
            build.response("completed", build.message("Hello")),
        ]
    """

    def __init__(self, response_id: str = "resp_1") -> None:
        self.response_id: str = response_id
        """The id of the response: another builder makes the events of another one."""

    def event(self, name: str, **fields: Any) -> Event:
        """Any event: its name, and the fields of its JSON. Raises ``DecodeError``."""
        return self._decoded(name, {"type": name, **fields})

    def response(
        self, status: str, *items: Mapping[str, Any], name: str | None = None, **fields: Any
    ) -> Event:
        """The response with a status and its output; ``name`` ends the event's if it differs."""
        data = {"id": self.response_id, "status": status, "output": list(items), **fields}
        return self.event(f"response.{name or status}", response=data)

    def requires_action(self, *calls: Mapping[str, Any], **fields: Any) -> Event:
        """The response waits for the outputs of calls; its service says that it is completed."""
        return self.response("completed", *calls, **fields)

    def text_delta(self, text: str, index: int = 0, part: int = 0, **fields: Any) -> Event:
        """The text of a message grows, at a place of the output."""
        where = {"item_id": "msg_1", "output_index": index, "content_index": part}
        return self.event("response.output_text.delta", **where, delta=text, **fields)

    def arguments_delta(self, text: str, index: int = 0, **fields: Any) -> Event:
        """The arguments of a call of a function grow, at a place of the output."""
        where = {"item_id": "fc_1", "output_index": index}
        return self.event("response.function_call_arguments.delta", **where, delta=text, **fields)

    def annotation(
        self, annotation: Mapping[str, Any], index: int = 0, part: int = 0, number: int = 0
    ) -> Event:
        """The text of a message has an annotation, an object of the wire: the ``number``-th."""
        where = {"item_id": "msg_1", "output_index": index, "content_index": part}
        name = "response.output_text.annotation.added"
        return self.event(name, **where, annotation_index=number, annotation=annotation)

    def item_added(self, item: Mapping[str, Any], index: int = 0) -> Event:
        """An item begins: a result of ``message`` or ``function_call``, or an object."""
        return self.event("response.output_item.added", output_index=index, item=item)

    def item_done(self, item: Mapping[str, Any], index: int = 0) -> Event:
        """An item is whole."""
        return self.event("response.output_item.done", output_index=index, item=item)

    def message(self, *parts: str | Mapping[str, Any], **fields: Any) -> _Object:
        """A message, for an item or the output: each part is a text, or an object of the wire."""
        content = [_part(part) if isinstance(part, str) else part for part in parts]
        whole = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        return {**whole, "content": content, **fields}

    def function_call(
        self, call_id: str, name: str = "f", arguments: str = "{}", **fields: Any
    ) -> _Object:
        """The call of a function, for an item or the output."""
        call = {"type": "function_call", "id": "fc_1", "status": "completed"}
        return {**call, "call_id": call_id, "name": name, "arguments": arguments, **fields}

    def error(self, message: str = "Sorry.", **fields: Any) -> Event:
        """An error in mid-stream that no failed response follows."""
        return self.event("error", error={"message": message, **fields})

    @property
    def done(self) -> Event:
        """The end of the stream, on servers that send it."""
        return self._decoded("done", None)

    def _decoded(self, name: str, data: object) -> Event:
        text = "[DONE]" if data is None else to_json(data).decode()
        decoder = EventDecoder(response_id=self.response_id)
        (event,) = *decoder.decode(ServerSentEvent(name, text)), *decoder.let_go()
        return event


def _part(text: str) -> _Object:
    return {"type": "output_text", "text": text, "annotations": []}


__all__ = ["ResponseEventBuilder"]
