"""Plays responses, saves them, and keeps their events for later requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from attrs import define, evolve, frozen
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import StreamClosed
from rxassist.local.responses.creation import Request
from rxassist.local.responses.input import Item
from rxassist.local.responses.items import Items
from rxassist.local.responses.scripted_response import ScriptedResponse
from rxassist.local.responses.stored import ConversationItem, InputItem
from rxassist.local.responses.waiting import Played, WaitingRoom
from rxassist.local.responses.writing import plain_item
from rxassist.local.scripts.moves import Approval, Mcp
from rxassist.local.scripts.playback import Pace
from rxassist.local.scripts.turn import Script, moves_of
from rxassist.local.server.identity import new_id
from rxassist.local.server.problems import Problem
from rxassist.local.server.store import Store
from rxassist.local.server.watch import Watch
from rxassist.protocols.responses.events import Event, ResponseEvent
from rxassist.protocols.responses.models import Response
from rxassist.reactive.log import Log
from rxassist.runs.state import FINISHED
from rxassist.wire.structure import unstructure
from rxassist.wire.values import LastError

_logger = logging.getLogger("rxassist.local")


@define(eq=False)
class Playing:
    """A response that is played, or was: its log has all its events."""

    request: Request
    scripted: ScriptedResponse
    began: float
    log: Log[Event]
    finished: bool = False

    @property
    def response(self) -> Response:
        """The response, as it is now."""
        return self.scripted.response


@frozen
class Rules:
    """How long events are kept, in seconds, of how many responses, and whose manners apply."""

    window: float
    logs: int
    foundry: bool


class Runner:
    """Plays responses.

    A background response continues without clients: its log has one reader that never leaves. Any
    other response is stopped when its only client leaves, and is not stored.
    """

    def __init__(
        self,
        script: Script,
        store: Store,
        watch: Watch,
        loop: asyncio.AbstractEventLoop,
        pace: Pace,
        rules: Rules,
    ) -> None:
        self._script = script
        self._store = store
        self._watch = watch
        self._loop = loop
        self._pace = pace
        self._rules = rules
        self._playing: dict[str, Playing] = {}  # until it ends
        self._kept: dict[str, Playing] = {}  # of background responses, in their order
        self._waiting = WaitingRoom()

    def begin(self, request: Request) -> Playing:
        """Begin a response. Raises ``Problem`` if another one still uses its conversation."""
        self.check_free(request.conversation_id)
        response = request.response
        scripted = self._scripted(request)
        source: Observable[Event] = scripted.events.pipe(
            ops.do_action(partial(self._save_event, response.id)),
            ops.finally_action(lambda: self._end(playing)),
        )
        log = Log(source, post=self._loop.call_soon, report=_report, read_ahead=None)
        playing = Playing(request, scripted, self._loop.time(), log)
        self._playing[response.id] = playing
        self._watch.run_began(response.id)
        if response.background:
            self._store.save(response)
            self._save_input(playing)
            self._keep(playing)
            log.subscribe(on_error=lambda error: self._fail(playing, error))
        return playing

    def check_free(self, conversation_id: str | None) -> None:
        """Raise ``Problem`` if a response still uses this conversation."""
        if conversation_id is not None and any(
            each.request.conversation_id == conversation_id for each in self._playing.values()
        ):
            msg = (
                "Another process is currently operating on this conversation. Please retry in a few"
                " seconds."
            )
            status = 409 if self._rules.foundry else 400
            raise Problem(msg, status=status, code="conversation_locked")

    def is_known(self, response_id: str) -> bool:
        """Whether a response of this id is being played."""
        return response_id in self._playing

    def events(self, response: Response, after: int) -> Observable[Event]:
        """The events of a background response after a number, also those that are yet to come.

        Raises ``Problem`` if they cannot be streamed.
        """
        if not response.background:
            msg = (
                f"Response '{response.id}' cannot be streamed because it was not created with"
                " background=true."
            )
            raise Problem(msg, param="stream")
        playing = self._kept.get(response.id)
        if playing is None:
            msg = f"The events of response '{response.id}' are older than the oldest retained one."
            raise Problem(msg, status=409, param="starting_after", code="events_evicted")
        if self._loop.time() - playing.began > self._rules.window:
            minutes = f"{self._rules.window / 60:g}"
            msg = (
                f"Response '{response.id}' cannot be streamed because it is more than {minutes}"
                " minutes old."
            )
            raise Problem(msg, param="stream")
        return playing.log.pipe(ops.filter(partial(_comes_after, after)))

    def cancel(self, response: Response) -> Response:
        """Cancel a background response, or return it if it was cancelled before.

        Raises ``Problem`` for any other response.
        """
        if not response.background:
            msg = "Cannot cancel a synchronous response."
            raise Problem(msg)
        playing = self._playing.get(response.id)
        if playing is None:
            if response.wire_status == "cancelled":
                return response
            msg = f"Cannot cancel a response with status '{response.wire_status}'."
            raise Problem(msg)
        playing.scripted.cancel(with_event=self._rules.foundry)
        self._store.save(playing.response)
        self._finish(playing)
        return playing.response

    def drop(self, response_id: str) -> None:
        """Stop a response, and forget its events."""
        self._kept.pop(response_id, None)
        playing = self._playing.get(response_id)
        if playing is not None:
            playing.log.close(StreamClosed("the service stopped the response"))

    def close(self) -> None:
        """Stop all responses."""
        for response_id in tuple(self._playing):
            self.drop(response_id)
        self._waiting.close()

    # --- the course of a response ------------------------------------------------------

    def _scripted(self, request: Request) -> ScriptedResponse:
        waiting = self._waiting.find(tuple(request.answers))
        answer: object = None
        approved: dict[str, Mcp] = {}
        if waiting is None:
            turn = request.turn
            played = Played(turn, moves_of(self._script, turn))
        else:
            answers = [request.answers[call_id] for call_id in waiting.calls]
            for (call_id, call), each in zip(waiting.calls.items(), answers, strict=True):
                if isinstance(call, Mcp) and isinstance(each, Approval) and each.approve:
                    approved[call_id] = call
            played, answer = waiting.answered(self._script, answers)
        items = Items(
            played.turn.text, request.input_tokens, self._pace.token_delay, request.include
        )
        return ScriptedResponse(
            request.response, played, answer, items, self._loop, self._pace, approved
        )

    def _save_event(self, response_id: str, event: Event) -> None:
        playing = self._playing.get(response_id)
        if playing is None or not isinstance(event, ResponseEvent):
            return
        finished = event.response.wire_status in FINISHED
        if finished or playing.request.response.background:
            self._store_response(playing, finished=finished)
        if finished:
            self._finish(playing)
        self._watch.run_changed(playing.response.id, finished=finished)

    def _store_response(self, playing: Playing, *, finished: bool) -> None:
        request, response = playing.request, playing.response
        if response.store or response.background:
            self._store.save(response)
            if finished and not response.background:
                self._save_input(playing)
        if finished and request.conversation_id is not None:
            self._add_items(request.conversation_id, request.given)
            output = [plain_item(item) for item in unstructure(response.output)]
            self._add_items(request.conversation_id, output)

    def _save_input(self, playing: Playing) -> None:
        for item in playing.request.given:
            self._store.save(InputItem(str(item["id"]), playing.response.id, item))

    def _add_items(self, conversation_id: str, items: Sequence[Item]) -> None:
        for item in items:
            item_id = str(item.get("id") or new_id("item"))
            self._store.save(ConversationItem(item_id, conversation_id, item))

    def _keep(self, playing: Playing) -> None:
        self._kept[playing.response.id] = playing
        while len(self._kept) > self._rules.logs:
            del self._kept[next(iter(self._kept))]

    def _finish(self, playing: Playing) -> None:
        """Free the conversation of a response that has ended, and keep its script if that waits."""
        if playing.finished:
            return
        playing.finished = True
        self._playing.pop(playing.response.id, None)
        if playing.scripted.waiting is not None:
            self._waiting.add(playing.scripted.waiting)
        self._watch.run_changed(playing.response.id, finished=True)

    def _fail(self, playing: Playing, error: Exception) -> None:
        """Fail a background response whose stream broke, which no script can cause."""
        if isinstance(error, StreamClosed):
            return
        _logger.error("response %s broke", playing.response.id, exc_info=error)
        self._store.save(_failed(playing.response, f"The local service had an error: {error!r}"))

    def _end(self, playing: Playing) -> None:
        self._finish(playing)
        try:
            playing.scripted.close()
        except Exception:
            _logger.exception(
                "the script of response %s raised while it was closed", playing.response.id
            )


def fail_unfinished(store: Store) -> None:
    """Fail what an earlier process left unfinished: its scripts are gone."""
    for response in store.with_status(Response, ("queued", "in_progress")):
        store.save(_failed(response, "The service was restarted."))


def _comes_after(number: int, event: Event) -> bool:
    return (event.sequence_number or 0) > number


def _failed(response: Response, message: str) -> Response:
    changes: dict[str, Any] = {"wire_status": "failed"}
    return evolve(response, error=LastError("server_error", message), **changes)


def _report(error: BaseException) -> None:
    _logger.error("a reader of a response raised", exc_info=error)


__all__ = ["Playing", "Rules", "Runner", "fail_unfinished"]
