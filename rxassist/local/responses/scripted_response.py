"""One response, played from a script: moves in, typed events out, in the order of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import evolve
from reactivex import Observable

from rxassist.local.responses.items import Items
from rxassist.local.responses.waiting import Asking, Played, Waiting, asking_of
from rxassist.local.scripts.moves import (
    Expire,
    Fail,
    Incomplete,
    Mcp,
    Reset,
    Say,
    Together,
    Wait,
)
from rxassist.local.scripts.playback import Pace, Playback, Timeline
from rxassist.local.server.identity import now
from rxassist.local.server.plain import as_list
from rxassist.protocols.responses.events import (
    ErrorEvent,
    Event,
    OutputItemDone,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
)
from rxassist.protocols.responses.models import (
    CustomToolCall,
    FunctionCall,
    IncompleteDetails,
    MCPApprovalRequest,
    OutputItem,
    Response,
)
from rxassist.protocols.responses.snapshots import NOTHING, fold
from rxassist.wire.values import ErrorObject, LastError

_Together: TypeAlias = Generator[Event | float, None, dict[int, OutputItem]]
"""The events of several moves; the generator returns the items, by the places of their moves."""


class ScriptedResponse:
    """A response whose events come from a script.

    ``response`` is its current state. ``waiting`` is the script if it waits for outputs after the
    end. ``approved`` are the calls of an MCP server that the client has approved, by the ids of the
    requests for approval: they are made first.
    """

    def __init__(
        self,
        response: Response,
        played: Played,
        answer: object,
        items: Items,
        loop: asyncio.AbstractEventLoop,
        pace: Pace,
        approved: Mapping[str, Mcp],
    ) -> None:
        self.response: Response = response
        self.waiting: Waiting | None = None
        self._played = played
        self._answer = answer
        self._items = items
        self._pace = pace
        self._approved = approved
        self._number = 0
        self._snapshot = NOTHING
        self._playback: Playback[Event] = Playback(self._numbered(self._begin()), loop)

    @property
    def events(self) -> Observable[Event]:
        """The events, to be subscribed once."""
        return self._playback

    def cancel(self, *, with_event: bool) -> None:
        """Stop, and keep the items so far; the stream ends, ``with_event`` or without one."""
        output = tuple(map(_stopped, self._snapshot.output))
        self.response = evolve(
            self.response, wire_status="cancelled", output=output, usage=self._items.usage
        )
        event = ResponseFailed(response=self.response)
        self._playback.switch_to(self._numbered(iter((event,) if with_event else ())))

    def close(self) -> None:
        """Close the script, so that it can clean up, unless it waits for outputs."""
        if self.waiting is None:
            self._played.moves.close()

    # --- the course of a response ------------------------------------------------------

    def _numbered(self, timeline: Timeline[Event]) -> Timeline[Event]:
        """Number the events, and fold them as a client would."""
        for item in timeline:
            if isinstance(item, float | int):
                yield item
                continue
            event = evolve(item, sequence_number=self._number, response_id=self.response.id)
            self._number += 1
            self._snapshot = fold(self._snapshot, event)
            yield event

    def _begin(self) -> Timeline[Event]:
        yield ResponseCreated(response=self.response)
        if self.response.background:
            yield ResponseQueued(response=self.response)
        self.response = evolve(self.response, wire_status="in_progress")
        yield ResponseInProgress(response=self.response)
        for request_id, call in self._approved.items():
            yield from self._items.mcp(call, request_id)
        yield from self._play(self._answer)

    def _play(self, answer: object) -> Timeline[Event]:
        """Play the moves of the script until it waits or ends."""
        while True:
            try:
                move = self._played.moves.send(answer)
            except StopIteration:
                yield self._end(ResponseCompleted, wire_status="completed", completed_at=now())
                return
            except Exception as error:  # noqa: BLE001 -- the script's; it becomes the response's
                yield from self._fail(f"The script raised {type(error).__name__}: {error}")
                return
            answer = None
            match move:
                case Wait():
                    yield float(move.seconds)
                case Reset():
                    left = self._snapshot.output[: move.keep]
                    self._items.restart(len(left))
                    yield ResponseInProgress(response=evolve(self.response, output=left))
                case Fail():
                    yield from self._fail(move.message, move.code)
                    return
                case Incomplete():
                    yield self._incomplete(move)
                    return
                case _ if (moves := self._item_moves(move)) is None:
                    known = isinstance(move, Say | Expire)
                    which = "the Responses protocol does not have" if known else "is no move"
                    yield from self._fail(f"The script yielded {move!r}, which {which}")
                    return
                case _:
                    done = yield from self._together(moves, overlap=isinstance(move, Together))
                    if asking_of(move):
                        yield self._wait(move, moves, done)
                        return

    def _item_moves(self, move: object) -> tuple[object, ...] | None:
        """The moves in a move that are items; ``None`` if the protocol has no such move."""
        if isinstance(move, Together):
            moves: Sequence[object] = move.moves
        elif (listed := as_list(move)) is not None:
            moves = listed
            if not moves or not all(asking_of(each) for each in moves):
                return None
        else:
            moves = (move,)
        known = all(self._items.timeline(each) is not None for each in moves)
        return tuple(moves) if known else None

    def _together(self, moves: Iterable[object], *, overlap: bool) -> _Together:
        """Play several moves: one after the other, or a piece of each in turn."""
        done: dict[int, OutputItem] = {}
        timelines = [(index, self._items.timeline(move)) for index, move in enumerate(moves)]
        while timelines:
            index, timeline = timelines[0]
            item = None if timeline is None else next(timeline, None)
            if item is None:
                del timelines[0]
                continue
            if isinstance(item, OutputItemDone):
                done[index] = item.item
            yield item
            if overlap:
                timelines.append(timelines.pop(0))
        return done

    def _wait(self, move: object, moves: Sequence[object], done: Mapping[int, OutputItem]) -> Event:
        """End the response, and let the script wait for outputs."""
        calls: dict[str, Asking] = {}
        for index, each in enumerate(moves):
            for asking in asking_of(each):
                calls[_id_of(done[index])] = asking
        self.waiting = Waiting(self._played, calls, isinstance(move, Asking))
        return self._end(ResponseCompleted, wire_status="completed", completed_at=now())

    def _incomplete(self, move: Incomplete) -> Event:
        reason = _REASONS.get(move.reason, move.reason)
        details = IncompleteDetails(reason)
        return self._end(ResponseIncomplete, wire_status="incomplete", incomplete_details=details)

    def _fail(self, message: str, code: str = "server_error") -> Iterator[Event]:
        yield ErrorEvent(data=ErrorObject(message, code, code))
        error = LastError(code, message)
        yield self._end(ResponseFailed, wire_status="failed", error=error)

    def _end(self, cls: Callable[..., Event], **changes: Any) -> Event:
        output = self._snapshot.output
        changes = {**changes, "output": output, "usage": self._items.usage}
        self.response = evolve(self.response, **changes)
        return cls(response=self.response)


_REASONS = {
    "max_completion_tokens": "max_output_tokens",
    "max_prompt_tokens": "max_output_tokens",
}
"""Why a run ends early, in the words of this protocol."""


def _id_of(item: OutputItem) -> str:
    """The id by which a client answers a call."""
    if isinstance(item, FunctionCall | CustomToolCall):
        return item.call_id
    return item.id if isinstance(item, MCPApprovalRequest) else ""


def _stopped(item: OutputItem) -> OutputItem:
    unfinished: Any = item
    if getattr(item, "status", None) != "in_progress":
        return item
    stopped: OutputItem = evolve(unfinished, status="incomplete")
    return stopped


__all__ = ["ScriptedResponse"]
