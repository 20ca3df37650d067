"""What a log tells a successor of its producer: the events, and the results of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from attrs import frozen

from rxassist.errors import CursorUnavailable, RunOutcomeUnknown
from rxassist.protocols.assistants.events import ThreadCreated
from rxassist.protocols.assistants.known import Known
from rxassist.protocols.responses.known import Known as KnownResponse
from rxassist.redis.following import Course, Item, decoder_of
from rxassist.redis.store import Claim, Store
from rxassist.runs.state import AnyRun
from rxassist.wire.json import from_json

_DIED = "its producer was lost"


@frozen
class Story:
    """What is known of a run: all of its log.

    ``number`` is that of the last thing in it, ``size`` how many bytes it has.
    """

    meta: Mapping[str, Any]
    events: Sequence[Any]
    outputs: Mapping[str, str]
    number: int
    size: int

    @property
    def is_of_responses(self) -> bool:
        """Whether the run is of the Responses API."""
        return bool(self.meta.get("protocol") == "responses")

    @property
    def thread_id(self) -> str | None:
        """The id of the thread, if it is known."""
        created = (event.data.id for event in self.events if isinstance(event, ThreadCreated))
        found: str | None = self.meta.get("thread_id") or next(created, None)
        return found

    @property
    def last_run(self) -> AnyRun | None:
        """The run, as the events last had it."""
        runs = (event.run() for event in reversed(self.events) if not event.is_delta)
        return next((run for run in runs if run is not None), None)

    def run(self) -> Known:
        """What is known of a run of an assistant.

        Raises ``RunOutcomeUnknown`` if nothing tells whether there is one.
        """
        known = Known(self.events, self.meta.get("run_id"), self.meta.get("mark"), self.outputs)
        if self.thread_id is None or (known.id is None and known.mark is None):
            raise RunOutcomeUnknown(self.thread_id, _DIED)
        return known

    def response(self) -> KnownResponse:
        """What is known of a response, or of a chain of them.

        Raises ``RunOutcomeUnknown`` if nothing tells whether there is one.
        """
        response_id = self.meta.get("run_id") or self.meta.get("mark")
        known = KnownResponse(self.events, response_id, outputs=self.outputs)
        if known.id is None:
            advice = "no list of responses exists in which to look for it; request it again"
            raise RunOutcomeUnknown(None, _DIED, advice=advice)
        return known


async def story_of(store: Store, claim: Claim) -> Story:
    """All that a log tells up to the beginning of a producer, which has just taken it.

    Raises ``CursorUnavailable`` if something in it is missing.
    """
    items: list[Item] = []
    course, cursor, meta, size = Course(claim.key), None, b"{}", 0
    while cursor != f"{claim.epoch}-0":
        page = await store.read(claim.key, cursor, 0)
        if not page.entries:
            raise CursorUnavailable(claim.key, "its log is gone: it was deleted, or lost")
        if cursor is None:
            meta = page.meta
        for entry in page.entries:
            items.extend(course.items(entry))
            size += len(entry.data)
        cursor = page.entries[-1].id
    if course.first not in {None, 1}:
        raise CursorUnavailable(claim.key, f"its log begins with number {course.first} now")
    said = cast("dict[str, Any]", from_json(meta, "the meta of a log"))
    return Story(said, _events(said, items), _outputs(items), _last(items), size)


def _events(meta: Mapping[str, Any], items: Sequence[Item]) -> list[Any]:
    decoder = decoder_of(meta)
    chunks = (item.data for item in items if item.kind == "events")
    return [*(event for chunk in chunks for event in decoder.feed(chunk)), *decoder.let_go()]


def _outputs(items: Sequence[Item]) -> dict[str, str]:
    results = (from_json(item.data, "a result") for item in items if item.kind == "result")
    return {str(result["call_id"]): str(result["output"]) for result in results}


def _last(items: Sequence[Item]) -> int:
    return max((item.place[1] for item in items), default=0)


__all__ = ["Story", "story_of"]
