"""The bodies of streams, made with a fixed seed, and those that were recorded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

TAIL = 8
"""How many of the last characters of a text are compared where the text is not kept."""

_CHUNK = 16 * 1024
_SEED = 20_261_121
_RUN, _THREAD, _ASSISTANT = "run_4Dxl7g19TOyJEKY24ugcGcLb", "thread_2aSu0PTXBCZB", "asst_oMtGi1mi7O"

_RECORDINGS = Path(__file__).parent.parent / "tests" / "wire" / "assistants"
_RECORDED = (  # those that both sides take whole
    "oa4j-text",
    "oa4j-requires-action",
    "oa4j-code-interpreter-logs",
    "simple-text-v2",
    "dotnet-file-search-1",
    "dotnet-text-1",
    "dotnet-tool-1a-requires-action",
    "llmetry-math-2026-a",
    "otel-math-2024-e",
)


@dataclass(frozen=True)
class Body:
    """The bytes of a stream, event by event, and what a reader must make of them.

    ``text`` is all text, ``lengths`` how many different lengths it has as it grows, ``calls`` the
    arguments or the code of each tool call, ``read`` the characters of all texts that a callback
    of a handler gets as the text grows, ``called`` how often the other callbacks are called;
    ``None`` where a recording does not say.
    """

    events: tuple[bytes, ...]
    text: str | None
    lengths: int | None
    calls: list[str] | None
    read: int | None = None
    called: dict[str, int] | None = None

    @property
    def tail(self) -> str | None:
        """The last characters of the text."""
        return None if self.text is None else self.text[-TAIL:]

    def chunks(self, cut: str) -> list[bytes]:
        """The bytes as they come: ``event``, one event a chunk, or ``16k``."""
        if cut == "event":
            return list(self.events)
        whole = b"".join(self.events)
        return [whole[start : start + _CHUNK] for start in range(0, len(whole), _CHUNK)]


def sse(name: str, data: object) -> bytes:
    """One event as the service writes it."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()


def words(count: int) -> list[str]:
    """Pieces of text of five characters, the same ones each time."""
    random_ = random.Random(_SEED)  # noqa: S311 -- no secret
    return [" " + "".join(random_.choices("abcdefghijklmnopqrstuvwxyz", k=4)) for _ in range(count)]


def make(shape: str, deltas: int) -> list[Body]:
    """The bodies of a shape, with so many deltas in each; ``recorded`` gives the recordings."""
    if shape == "recorded":
        return [_recorded(name) for name in _RECORDED]
    return [_MAKERS[shape](deltas)]


def run(status: str, **changes: object) -> dict[str, Any]:
    """A run, with the fields that the service sends."""
    return {
        "id": _RUN,
        "object": "thread.run",
        "created_at": 1714698080,
        "assistant_id": _ASSISTANT,
        "thread_id": _THREAD,
        "status": status,
        "started_at": None if status == "queued" else 1714698080,
        "expires_at": 1714698680,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": "gpt-4o",
        "instructions": "You answer.",
        "tools": [{"type": "code_interpreter"}],
        "tool_resources": {"code_interpreter": {"file_ids": []}},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": None,
        "response_format": "auto",
        "tool_choice": "auto",
        **changes,
    }


def opening() -> Iterator[bytes]:
    """How the stream of a run begins."""
    yield sse("thread.run.created", run("queued"))
    yield sse("thread.run.queued", run("queued"))
    yield sse("thread.run.in_progress", run("in_progress"))


def ending() -> Iterator[bytes]:
    """How it ends."""
    yield sse("thread.run.completed", run("completed", completed_at=1714698090))
    yield sse("done", "[DONE]")


def _step(number: int, status: str, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"step_{number:024}",
        "object": "thread.run.step",
        "created_at": 1714698081,
        "run_id": _RUN,
        "assistant_id": _ASSISTANT,
        "thread_id": _THREAD,
        "type": details["type"],
        "status": status,
        "cancelled_at": None,
        "completed_at": None,
        "expires_at": 1714698680,
        "failed_at": None,
        "last_error": None,
        "step_details": details,
        "usage": None,
    }


def _message(number: int, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{number:024}",
        "object": "thread.message",
        "created_at": 1714698082,
        "assistant_id": _ASSISTANT,
        "thread_id": _THREAD,
        "run_id": _RUN,
        "status": status,
        "incomplete_details": None,
        "incomplete_at": None,
        "completed_at": None,
        "role": "assistant",
        "content": content,
        "attachments": [],
        "metadata": {},
    }


def text_delta(number: int, piece: str, annotations: list[dict[str, Any]] | None = None) -> bytes:
    """A delta of the text of a message."""
    text = {"value": piece, "annotations": annotations or []}
    delta = {"content": [{"index": 0, "type": "text", "text": text}]}
    data = {"id": f"msg_{number:024}", "object": "thread.message.delta", "delta": delta}
    return sse("thread.message.delta", data)


def message_opening(number: int) -> Iterator[bytes]:
    """How a message begins, and its step."""
    creation = {
        "type": "message_creation",
        "message_creation": {"message_id": f"msg_{number:024}"},
    }
    for name in ("created", "in_progress"):
        yield sse(f"thread.run.step.{name}", _step(number, "in_progress", creation))
    for name in ("created", "in_progress"):
        yield sse(f"thread.message.{name}", _message(number, "in_progress", []))


def message_ending(
    number: int, text: str, annotations: list[dict[str, Any]] | None = None
) -> Iterator[bytes]:
    """How it ends."""
    block = {"type": "text", "text": {"value": text, "annotations": annotations or []}}
    content = [block] if text else []
    creation = {
        "type": "message_creation",
        "message_creation": {"message_id": f"msg_{number:024}"},
    }
    yield sse("thread.message.completed", _message(number, "completed", content))
    yield sse("thread.run.step.completed", _step(number, "completed", creation))


def _said(number: int, pieces: list[str]) -> Iterator[bytes]:
    yield from message_opening(number)
    for piece in pieces:
        yield text_delta(number, piece)
    yield from message_ending(number, "".join(pieces))


def _called(number: int, deltas: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """A step of tool calls that begins, and each delta of its only call."""
    empty: dict[str, Any] = {"type": "tool_calls", "tool_calls": []}
    for name in ("created", "in_progress"):
        yield sse(f"thread.run.step.{name}", _step(number, "in_progress", empty))
    for call in deltas:
        details = {"type": "tool_calls", "tool_calls": [call]}
        delta = {"step_details": details}
        yield sse(
            "thread.run.step.delta",
            {"id": f"step_{number:024}", "object": "thread.run.step.delta", "delta": delta},
        )


def _call_done(number: int, status: str, calls: list[dict[str, Any]]) -> bytes:
    details = {"type": "tool_calls", "tool_calls": calls}
    return sse("thread.run.step.completed", _step(number, status, details))


def _text(deltas: int) -> Body:
    pieces = words(deltas)
    events = (*opening(), *_said(0, pieces), *ending())
    begun = ("message", "run_step", "text") if pieces else ("message", "run_step")
    called = _called_by_text(len(events) - 1, deltas, *begun)  # openai's not for `done`
    return Body(events, "".join(pieces), deltas, [], _read(pieces), called)


def _read(pieces: list[str]) -> int:
    """The characters of all texts that there are as a text grows."""
    return sum(accumulate(map(len, pieces)))


def _called_by_text(events: int, deltas: int, *objects: str) -> dict[str, int]:
    """How often each callback is called for one text, and for the objects around it."""
    called = {"on_event": events, "on_end": 1}
    for name in objects:
        called[f"on_{name}_created"] = called[f"on_{name}_done"] = 1
    return {**called, "on_message_delta": deltas} if deltas else called


def _messages(deltas: int) -> Body:
    """Messages of ten deltas each."""
    pieces = words(deltas)
    said = [
        event
        for start in range(0, deltas, 10)
        for event in _said(start // 10, pieces[start : start + 10])
    ]
    return Body((*opening(), *said, *ending()), "".join(pieces), deltas, [])


def _annotations(deltas: int) -> Body:
    """A citation with every tenth delta."""
    pieces, deltas_, told = words(deltas), list[bytes](), list[dict[str, Any]]()
    for place, piece in enumerate(pieces):
        cited: list[dict[str, Any]] = []
        if place % 10 == 9:  # noqa: PLR2004 -- every tenth
            citation = {
                "type": "file_citation",
                "text": piece,
                "start_index": 5 * place,
                "end_index": 5 * place + 5,
                "file_citation": {"file_id": "file-CyHtsk7XAWdRabQUBYRjCu", "quote": ""},
            }
            cited = [{"index": len(told), **citation}]
            told.append(citation)
        deltas_.append(text_delta(0, piece, cited))
    text = "".join(pieces)
    said = (*message_opening(0), *deltas_, *message_ending(0, text, told))
    return Body((*opening(), *said, *ending()), text, deltas, [])


def _code_events(number: int, pieces: list[str]) -> Iterator[bytes]:
    def deltas() -> Iterator[dict[str, Any]]:
        first: dict[str, Any] = {"id": "call_DY4lH7hPDJpvx2pzBXUwrQY7"}
        for piece in pieces:
            code = {"input": piece, **({"outputs": []} if first else {})}
            yield {"index": 0, **first, "type": "code_interpreter", "code_interpreter": code}
            first = {}

    yield from _called(number, deltas())
    whole = {"input": "".join(pieces), "outputs": []}
    call = {
        "id": "call_DY4lH7hPDJpvx2pzBXUwrQY7",
        "type": "code_interpreter",
        "code_interpreter": whole,
    }
    yield _call_done(number, "completed", [call] if pieces else [])


def _code(deltas: int) -> Body:
    pieces = words(deltas)
    calls = ["".join(pieces)] if pieces else []
    return Body((*opening(), *_code_events(1, pieces), *ending()), "", 0, calls)


def _mixed(deltas: int) -> Body:
    """Half of the deltas are code, half are text."""
    code, text = words(deltas)[: deltas // 2], words(deltas)[deltas // 2 :]
    events = (*opening(), *_code_events(1, code), *_said(2, text), *ending())
    return Body(events, "".join(text), len(text), ["".join(code)] if code else [])


def _logs(deltas: int) -> Body:
    """One call of the code interpreter that prints many times."""
    call_id, printed = "call_DY4lH7hPDJpvx2pzBXUwrQY7", words(deltas)

    def calls() -> Iterator[dict[str, Any]]:
        code: dict[str, Any] = {"input": "loop()", "outputs": []}
        yield {"index": 0, "id": call_id, "type": "code_interpreter", "code_interpreter": code}
        for place, logs in enumerate(printed):
            code = {"outputs": [{"index": place, "type": "logs", "logs": logs}]}
            yield {"index": 0, "type": "code_interpreter", "code_interpreter": code}

    outputs = [{"type": "logs", "logs": logs} for logs in printed]
    whole = {"input": "loop()", "outputs": outputs}
    call = {"id": call_id, "type": "code_interpreter", "code_interpreter": whole}
    events = (*opening(), *_called(1, calls()), _call_done(1, "completed", [call]), *ending())
    return Body(events, "", 0, ["loop()"])


def _arguments(deltas: int) -> Body:
    """Ten functions are called, side by side."""
    pieces = words(deltas)
    share = -(-deltas // 10)
    each = [pieces[start : start + share] for start in range(0, deltas, share or 1)]

    def deltas_() -> Iterator[dict[str, Any]]:
        for index, arguments in enumerate(each):
            said = {"name": "look_up", "arguments": "", "output": None}
            yield {"index": index, "id": f"call_{index}", "type": "function", "function": said}
            for piece in arguments:
                yield {"index": index, "type": "function", "function": {"arguments": piece}}

    calls = ["".join(arguments) for arguments in each]
    required = [
        {"id": f"call_{index}", "type": "function", "function": {"name": "look_up", "arguments": a}}
        for index, a in enumerate(calls)
    ]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": required}}
    waits = sse("thread.run.requires_action", run("requires_action", required_action=action))
    events = (*opening(), *_called(1, deltas_()), waits, sse("done", "[DONE]"))
    return Body(events, "", 0, calls)


def _recorded(name: str) -> Body:
    whole = (_RECORDINGS / f"{name}.sse").read_bytes()
    events = tuple(event + b"\n\n" for event in whole.strip().split(b"\n\n"))
    return Body(events, None, None, None)


# --- the Responses API -----------------------------------------------------------------------


def response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    """A response, with the fields that the service sends."""
    ended = status == "completed"
    usage = {"input_tokens": 11, "output_tokens": 9, "total_tokens": 20}
    return {
        "id": "resp_0976c6df58902d6a0068c9ef349f8881968e62cd0dd40b45bf",
        "object": "response",
        "created_at": 1758064436,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "gpt-4o-mini-2024-07-18",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "auto",
        "usage": usage if ended else None,
        "metadata": {},
    }


def _response_events(pieces: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a response that says one text, without their numbers."""
    item_id = "msg_0976c6df58902d6a0068c9ef3537f48196a252a62ce5661cef"
    random_ = random.Random(_SEED)  # noqa: S311 -- no secret
    text = "".join(pieces)
    part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": []}
    item: dict[str, Any] = {"id": item_id, "type": "message", "role": "assistant"}
    at: dict[str, Any] = {"item_id": item_id, "output_index": 0, "content_index": 0}
    done = {**item, "status": "completed", "content": [{**part, "text": text}]}
    for name in ("created", "in_progress"):
        yield name, {"response": response("in_progress", [])}
    begun = {**item, "status": "in_progress", "content": []}
    yield "output_item.added", {"output_index": 0, "item": begun}
    yield "content_part.added", {**at, "part": {**part, "text": ""}}
    for piece in pieces:
        noise = "".join(random_.choices("abcdefghijklmnopqrstuvwxyzABC", k=16 - len(piece)))
        yield "output_text.delta", {**at, "delta": piece, "logprobs": [], "obfuscation": noise}
    yield "output_text.done", {**at, "text": text, "logprobs": []}
    yield "content_part.done", {**at, "part": {**part, "text": text}}
    yield "output_item.done", {"output_index": 0, "item": done}
    yield "completed", {"response": response("completed", [done])}


def _response(deltas: int) -> Body:
    """A response of the Responses API, with the obfuscation that hides the lengths of deltas."""
    pieces = words(deltas)
    events = tuple(
        sse(f"response.{name}", {"type": f"response.{name}", "sequence_number": number, **data})
        for number, (name, data) in enumerate(_response_events(pieces))
    )
    called = _called_by_text(len(events), deltas, "message", "text")
    return Body(events, "".join(pieces), deltas, [], _read(pieces), called)


_MAKERS: dict[str, Callable[[int], Body]] = {
    "response": _response,
    "text": _text,
    "messages": _messages,
    "annotations": _annotations,
    "code": _code,
    "mixed": _mixed,
    "logs": _logs,
    "arguments": _arguments,
}
