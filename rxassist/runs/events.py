"""What an event of any protocol answers.

Operators ask events, and know none of their classes. An event that does not know an answer gives
nothing. Facts that need a state are not here: they are in the ``Protocol`` of the event.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

from rxassist.errors import APIError, excerpt
from rxassist.runs.state import AnyRun, Usage

if TYPE_CHECKING:
    from rxassist.runs.protocol import Protocol

Piece = tuple[Hashable, int, str | None]
"""The key of a message, the index of a part of it, and what its text grows by.

If the service may begin a run anew, the keys of its messages are tuples that begin with its id.
"""


class Texts(NamedTuple):
    """The texts of a whole message, by their places in it.

    ``finished`` says that they do not grow any more, ``is_input`` that the message is not an
    answer.
    """

    key: Hashable
    texts: Mapping[int, str]
    finished: bool
    is_input: bool


class Used(NamedTuple):
    """The tokens that a run used so far, or a step of it; ``None`` while nobody has counted."""

    run_id: str
    step_id: str | None
    usage: Usage | None


class AnyEvent:
    """The base of the events of all protocols."""

    __slots__ = ()

    is_delta: ClassVar[bool] = False
    """Whether something grows: nine events in ten do, so operators ask this first."""
    is_done: ClassVar[bool] = False
    """Whether the event is the last one of its stream."""
    begins: ClassVar[bool] = False
    """Whether the event only says that something begins: another attempt would say it again."""
    begins_run: ClassVar[bool] = False
    """Whether a run that the event carries is the next one of a chain, if one came before."""

    @property
    def name(self) -> str:
        """The name on the wire, also of an ``UnknownEvent``."""
        name: str = cast("Any", self).event
        return name

    def piece(self) -> Piece | None:
        """What a delta adds, if that is one piece of text and nothing else."""
        return None

    def pieces(self) -> Iterable[Piece]:
        """The pieces of text that a delta adds."""
        return ()

    def texts(self) -> tuple[Texts, ...]:
        """The texts of the whole messages that the event carries."""
        return ()

    def run(self) -> AnyRun | None:
        """The run that the event carries."""
        return None

    def resets(self) -> str | None:
        """The id of a run that begins anew with this event, if it had begun before."""
        return None

    def run_status(self) -> str:
        """The status of that run, or what the name of the event says of it."""
        run = self.run()
        return "" if run is None else run.status

    def used(self) -> Used | None:
        """The tokens that a run or a step used."""
        return None

    def error(self) -> APIError | None:
        """What went wrong, as the service says it."""
        return None

    def protocol(self) -> Protocol | None:
        """What the protocol of the event knows that needs a state."""
        return None


AnyEventT = TypeVar("AnyEventT", bound=AnyEvent)


def check_event(item: object, name: str, *, takes: str = "the events of one run") -> None:
    """Raise ``TypeError`` unless the item is an event of a run: ``name`` is what received it."""
    if isinstance(item, AnyEvent):
        return
    merged = ""
    if hasattr(item, "key") and hasattr(item, "summary"):
        merged = (
            " of merge_runs; one run of those is of_run(key), and each of them is what "
            "group_by_run() emits"
        )
    msg = f"{name} takes {takes}, got {excerpt(item)}{merged}"
    raise TypeError(msg)


def run_of(event: AnyEvent) -> Any:  # noqa: ANN401 -- a run of its protocol
    """The run that an event carries."""
    check_event(event, "run_tools")
    return event.run()


def protocol_of(event: AnyEvent, name: str) -> Protocol:
    """The protocol of an event. Raises ``TypeError`` if the event has none."""
    check_event(event, name)
    protocol = event.protocol()
    if protocol is None:
        msg = f"{name} cannot add up {excerpt(event)}: its class says nothing of its protocol"
        raise TypeError(msg)
    return protocol


__all__ = [
    "AnyEvent",
    "AnyEventT",
    "Piece",
    "Texts",
    "Used",
    "check_event",
    "protocol_of",
    "run_of",
]
