"""A response that exists already, of which the first events may be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from rxassist.protocols.responses.events import Event
from rxassist.runs.state import SETTLED


@frozen
class Known:
    """What is known of a run that exists already: for a program that follows it after another one.

    - ``events``: the first events of its stream, of all its responses. What is emitted begins after
      them.
    - ``response_id``: the id of its newest response, unless the events have it.
    - ``number``: the number of the last event that was received, if the events are not known.
    - ``outputs``: replies to its tool calls, by the ids of the calls: these are not made again.
    """

    events: Sequence[Event] = ()
    response_id: str | None = None
    number: int | None = None
    outputs: Mapping[str, str] = field(factory=dict[str, str])

    @property
    def newest(self) -> Sequence[Event]:
        """The events of the newest response."""
        places = enumerate(self.events)
        ours = (place for place, event in places if event.response_id in {self.id, None, ""})
        return self.events[next(ours, 0) :]

    @property
    def id(self) -> str | None:
        """The id of the newest response, if it is known."""
        known = (event.response_id for event in reversed(self.events) if event.response_id)
        return next(known, self.response_id)

    @property
    def end(self) -> Event | None:
        """The event with which the newest response ended, if it is known."""
        ends = (event for event in self.newest if event.run_status() in SETTLED)
        return next(ends, None)


__all__ = ["Known"]
