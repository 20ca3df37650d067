"""The items of one response as events: messages, thoughts and calls, from start to end."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import evolve

from rxassist.local.scripts.moves import (
    Call,
    Code,
    CustomCall,
    Found,
    Mcp,
    Say,
    Search,
    Think,
    WebSearch,
    tokens,
)
from rxassist.local.scripts.pieces import Cite, Image, Link, Piece, Source
from rxassist.local.scripts.playback import Timeline
from rxassist.local.server.identity import new_id
from rxassist.protocols.responses.events import (
    AnnotationAdded,
    CallDelta,
    CallDone,
    Event,
    ItemProgress,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    PartAdded,
    PartDone,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    RefusalDone,
)
from rxassist.protocols.responses.models import (
    Annotation,
    CodeInterpreterCall,
    ContainerFileCitation,
    ContentPart,
    CustomToolCall,
    FileCitation,
    FileSearchCall,
    FunctionCall,
    MCPApprovalRequest,
    MCPCall,
    OutputItem,
    OutputMessage,
    OutputText,
    Reasoning,
    ReasoningText,
    Refusal,
    ResponseUsage,
    SummaryText,
    URLCitation,
    WebSearchCall,
)
from rxassist.wire.structure import unstructure

_Part: TypeAlias = Generator[Event | float, None, ContentPart]
"""The events of a part of a message; the generator returns the part."""


def usage_of(read: int, written: int, thought: int) -> ResponseUsage:
    """The usage object of these numbers of tokens, with the fields that the real service sends."""
    cached = {"cached_tokens": 0, "cache_write_tokens": 0}
    reasoning = {"reasoning_tokens": thought}
    return ResponseUsage(read, written, read + written, cached, reasoning)


class Items:
    """Plays the moves of one response that are items.

    Each move has a timeline of its own, which takes a place in the output when it begins. So
    several can be played at once. ``include`` is the parameter of the request.
    """

    def __init__(
        self, question: str, input_tokens: int, token_delay: float, include: frozenset[str]
    ) -> None:
        self._question = question
        self._input_tokens = input_tokens
        self._token_delay = token_delay
        self._include = include
        self._next_place = 0
        self._written = 0
        self._thought = 0
        self._plays: Mapping[type, Callable[[Any], Timeline[Event]]] = {
            Say: self.say,
            Think: self.think,
            Call: self.call,
            CustomCall: self.custom_call,
            Mcp: self.ask_approval,
            Code: self.code,
            Search: self.search,
            WebSearch: self.web_search,
        }

    @property
    def usage(self) -> ResponseUsage:
        """The tokens so far."""
        return usage_of(self._input_tokens, self._written, self._thought)

    def timeline(self, move: object) -> Timeline[Event] | None:
        """The events of a move, ``None`` if it is no item of this protocol."""
        if isinstance(move, Mcp) and not move.approval:
            return self.mcp(move)
        if isinstance(move, Say) and any(isinstance(piece, Image) for piece in move.pieces):
            return None  # a message has no images
        play = self._plays.get(type(move))
        return None if play is None else play(move)

    # --- messages ----------------------------------------------------------------------

    def say(self, move: Say) -> Timeline[Event]:
        """Write a message."""
        at, message = self._place(), OutputMessage(new_id("msg"), status="in_progress")
        yield OutputItemAdded(output_index=at, item=message)
        write = self._refusal if move.refusal else self._text
        part = yield from write(at, message.id, move.pieces)
        yield _done(at, evolve(message, status="completed", content=(part,)))

    def _text(self, at: int, item_id: str, pieces: Sequence[Piece]) -> _Part:
        """The part of a message that is text, with what it cites."""
        yield PartAdded(output_index=at, item_id=item_id, content_index=0, part=OutputText())
        text, annotations = "", list[Annotation]()
        for piece in pieces:
            yield from self._pause()
            start, added = len(text), _text_of(piece)
            text += added
            if added:
                yield OutputTextDelta(output_index=at, item_id=item_id, delta=added)
            annotation = _annotation(piece, start, len(text))
            if annotation is not None:
                yield AnnotationAdded(
                    output_index=at,
                    item_id=item_id,
                    content_index=0,
                    annotation_index=len(annotations),
                    annotation=annotation,
                )
                annotations.append(annotation)
        yield OutputTextDone(output_index=at, item_id=item_id, content_index=0, text=text)
        part = OutputText(text, tuple(annotations))
        yield PartDone(output_index=at, item_id=item_id, content_index=0, part=part)
        return part

    def _refusal(self, at: int, item_id: str, pieces: Sequence[Piece]) -> _Part:
        """The part of a message that is a refusal."""
        yield PartAdded(output_index=at, item_id=item_id, content_index=0, part=Refusal())
        for piece in pieces:
            yield from self._pause()
            yield RefusalDelta(
                output_index=at, item_id=item_id, content_index=0, delta=_text_of(piece)
            )
        part = Refusal("".join(map(_text_of, pieces)))
        yield RefusalDone(output_index=at, item_id=item_id, content_index=0, refusal=part.refusal)
        yield PartDone(output_index=at, item_id=item_id, content_index=0, part=part)
        return part

    # --- thoughts ----------------------------------------------------------------------

    def think(self, move: Think) -> Timeline[Event]:
        """Think: the thoughts themselves, or a summary."""
        at, thought = self._place(), Reasoning(new_id("rs"))
        yield OutputItemAdded(output_index=at, item=thought)
        where: dict[str, Any] = {"output_index": at, "item_id": thought.id}
        where["content_index" if move.raw else "summary_index"] = 0
        kind, cls = ("content", ReasoningText) if move.raw else ("reasoning_summary", SummaryText)
        written = "response.reasoning" + ("_text" if move.raw else "_summary_text")
        yield PartAdded(**where, part=cls(), type=_named(f"response.{kind}_part.added"))
        for piece in move.pieces:
            self._thought += 1
            yield from self._pause()
            yield ReasoningDelta(**where, delta=piece, type=_named(f"{written}.delta"))
        text = "".join(move.pieces)
        yield ReasoningDone(**where, text=text, type=_named(f"{written}.done"))
        part: ContentPart = cls(text)
        yield PartDone(**where, part=part, type=_named(f"response.{kind}_part.done"))
        encrypted = None
        if "reasoning.encrypted_content" in self._include:
            encrypted = b64encode(text.encode()).decode()
        whole: dict[str, Any] = {
            "content" if move.raw else "summary": (part,),
            "encrypted_content": encrypted,
        }
        yield _done(at, evolve(thought, **whole))

    # --- calls -------------------------------------------------------------------------

    def call(self, move: Call) -> Timeline[Event]:
        """Request the call of a function."""
        call = FunctionCall(new_id("call"), move.name, "", new_id("fc"), "in_progress")
        yield from self._written_call(
            call, call.id or "", "function_call_arguments", move.arguments
        )

    def custom_call(self, move: CustomCall) -> Timeline[Event]:
        """Request the call of a tool that takes text."""
        call = CustomToolCall(new_id("call"), move.name, "", new_id("ctc"), "in_progress")
        yield from self._written_call(call, call.id or "", "custom_tool_call_input", move.input)

    def _written_call(
        self, call: FunctionCall | CustomToolCall, item_id: str, name: str, text: str
    ) -> Timeline[Event]:
        at, field = self._place(), name.rpartition("_")[2]
        yield OutputItemAdded(output_index=at, item=call)
        yield from self._grow(at, item_id, name, tokens(text))
        yield _whole(at, item_id, name, text)
        changes: dict[str, Any] = {field: text, "status": "completed"}
        yield _done(at, evolve(call, **changes))

    def ask_approval(self, move: Mcp) -> Timeline[Event]:
        """Ask whether a tool of an MCP server may be called."""
        at = self._place()
        asked = MCPApprovalRequest(new_id("mcpr"), move.server_label, move.name, move.arguments)
        yield OutputItemAdded(output_index=at, item=asked)
        yield from self._pause()
        yield _done(at, asked)

    def mcp(self, move: Mcp, request_id: str | None = None) -> Timeline[Event]:
        """Call a tool of an MCP server, maybe as a client has approved."""
        at = self._place()
        call = MCPCall(
            new_id("mcp"),
            move.server_label,
            move.name,
            status="in_progress",
            approval_request_id=request_id,
        )
        yield OutputItemAdded(output_index=at, item=call)
        yield _progress(at, call.id, "mcp_call.in_progress")
        yield from self._grow(at, call.id, "mcp_call_arguments", (move.arguments,))
        yield _whole(at, call.id, "mcp_call_arguments", move.arguments)
        yield _progress(at, call.id, "mcp_call.completed")
        made = evolve(call, arguments=move.arguments, output=move.output, status="completed")
        yield _done(at, made)

    def code(self, move: Code) -> Timeline[Event]:
        """Write code, and its outputs."""
        at = self._place()
        call = CodeInterpreterCall(new_id("ci"), "in_progress", "", new_id("cntr"))
        yield OutputItemAdded(output_index=at, item=call)
        yield _progress(at, call.id, "code_interpreter_call.in_progress")
        yield from self._grow(at, call.id, "code_interpreter_call_code", tokens(move.input))
        yield _whole(at, call.id, "code_interpreter_call_code", move.input)
        yield _progress(at, call.id, "code_interpreter_call.interpreting")
        yield _progress(at, call.id, "code_interpreter_call.completed")
        outputs: list[dict[str, Any]] = []
        if move.logs is not None:
            outputs.append({"type": "logs", "logs": move.logs})
        if move.image_file_id is not None:
            outputs.append({"type": "image", "url": f"/files/{move.image_file_id}/content"})
        yield _done(at, evolve(call, status="completed", code=move.input, outputs=tuple(outputs)))

    def search(self, move: Search) -> Timeline[Event]:
        """Search files; the results come only if the request includes them."""
        at, call = self._place(), FileSearchCall(new_id("fs"), "in_progress")
        yield from self._searched(at, call, "file_search_call")
        results: tuple[dict[str, Any], ...] = ()
        if "file_search_call.results" in self._include:
            results = tuple(map(_found, move.results))
        queries = (self._question,) if self._question else ()
        yield _done(at, evolve(call, status="completed", queries=queries, results=results))

    def web_search(self, move: WebSearch) -> Timeline[Event]:
        """Search on the web."""
        action = {"type": "search"}
        at, call = self._place(), WebSearchCall(new_id("ws"), "in_progress", action)
        yield from self._searched(at, call, "web_search_call")
        done: dict[str, Any] = {**action, "query": move.query, "queries": [move.query]}
        if "web_search_call.action.sources" in self._include:
            done["sources"] = [{"type": "url", "url": url} for url in move.urls]
        yield _done(at, evolve(call, status="completed", action=done))

    def _searched(
        self, at: int, call: FileSearchCall | WebSearchCall, name: str
    ) -> Timeline[Event]:
        yield OutputItemAdded(output_index=at, item=call)
        for status in ("in_progress", "searching", "completed"):
            yield from self._pause()
            yield _progress(at, call.id, f"{name}.{status}")

    def restart(self, place: int) -> None:
        """Continue at a place: the items from there on were thrown away."""
        self._next_place = place

    # --- the parts of an item ----------------------------------------------------------

    def _place(self) -> int:
        self._next_place += 1
        return self._next_place - 1

    def _pause(self) -> Iterator[float]:
        self._written += 1
        if self._token_delay:
            yield self._token_delay

    def _grow(self, at: int, item_id: str, name: str, pieces: Iterable[str]) -> Timeline[Event]:
        for piece in pieces:
            yield from self._pause()
            yield CallDelta(
                output_index=at, item_id=item_id, delta=piece, type=_named(f"response.{name}.delta")
            )


def _whole(at: int, item_id: str, name: str, text: str) -> Event:
    said: dict[str, Any] = {name.rpartition("_")[2]: text}
    return CallDone(output_index=at, item_id=item_id, type=_named(f"response.{name}.done"), **said)


def _progress(at: int, item_id: str, name: str) -> Event:
    return ItemProgress(output_index=at, item_id=item_id, type=_named(f"response.{name}"))


def _done(at: int, item: OutputItem) -> Event:
    return OutputItemDone(output_index=at, item=item)


def _named(name: str) -> Any:  # noqa: ANN401 -- one of the names that the class has
    return name


def _text_of(piece: Piece) -> str:
    """What a piece adds to the text: nothing, if it only cites a file."""
    if isinstance(piece, str):
        return piece
    return piece.text if isinstance(piece, Link | Source) else ""


def _annotation(piece: Piece, start: int, end: int) -> Annotation | None:
    match piece:
        case Cite():
            return FileCitation(piece.file_id, "", end)
        case Source():
            return URLCitation(piece.url, piece.title, start, end)
        case Link():
            name = piece.text.rpartition("/")[2]
            return ContainerFileCitation("cntr_local", piece.file_id, name, start, end)
        case _:
            return None


def _found(result: Found) -> dict[str, Any]:
    """A file that was found, as the service shows it."""
    text = "\n".join(str(part.text or "") for part in result.content)
    attributes = unstructure(getattr(result, "attributes", None))
    return {
        "file_id": result.file_id,
        "filename": result.file_name,
        "score": result.score,
        "text": text,
        "attributes": attributes,
    }


__all__ = ["Items", "usage_of"]
