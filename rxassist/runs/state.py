"""What a run of any protocol is: its id, how it stands, and what it used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from rxassist.errors import APIConnectionError, RunOutcomeUnknown, StreamClosed, StreamTruncated
from rxassist.wire.values import Model

FINISHED: frozenset[str] = frozenset({"completed", "failed", "cancelled", "expired", "incomplete"})
"""The statuses of a run that has ended."""

SETTLED: frozenset[str] = FINISHED | {"requires_action"}
"""The statuses in which a run does nothing more by itself: it has ended, or waits."""


@frozen
class AnyRun(Model):
    """A run of any protocol; each protocol has a class of its own with more fields."""

    id: str

    @property
    def status(self) -> str:
        """How the run stands, such as ``completed``."""
        raise NotImplementedError

    @property
    def thread_id(self) -> str:
        """The id of the thread of the run; empty in a protocol without threads."""
        return ""


class AnyToolCall:
    """A tool call of any protocol; each protocol has its own classes for them."""

    __slots__ = ()


@frozen
class Usage(Model):
    """Tokens that a run or a step used. ``None`` where the service said nothing, never 0."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_token_details: Mapping[str, Any] | None = None
    completion_tokens_details: Mapping[str, Any] | None = None

    @property
    def input_tokens(self) -> int | None:
        """The prompt tokens, as the Responses protocol calls them."""
        return self.prompt_tokens

    @property
    def output_tokens(self) -> int | None:
        """The completion tokens, as the Responses protocol calls them."""
        return self.completion_tokens

    @property
    def input_tokens_details(self) -> Mapping[str, Any] | None:
        """The kinds of prompt tokens, as the Responses protocol calls them."""
        return self.prompt_token_details

    @property
    def output_tokens_details(self) -> Mapping[str, Any] | None:
        """The kinds of completion tokens, as the Responses protocol calls them."""
        return self.completion_tokens_details


class AnySnapshot:
    """How a run of any protocol stands; by itself, one of which nothing is known yet."""

    __slots__ = ()

    shown: ClassVar[tuple[str, ...]] = ("run", "messages", "run_steps")
    """What is written of a snapshot for a browser."""

    if not TYPE_CHECKING:  # each protocol has its own types for these
        event = run = message = run_step = None
        messages = run_steps = ()
        text = ""


def has_settled(run: AnyRun) -> bool:
    """Whether a run has ended, or waits."""
    return run.status in SETTLED


def is_lost(error: Exception) -> bool:
    """Whether an error says nothing of the run, only that nobody heard it."""
    if isinstance(error, RunOutcomeUnknown):
        return False
    return isinstance(error, StreamTruncated) or (
        isinstance(error, APIConnectionError) and error.sent
    )


def leaves_waiting(error: Exception) -> bool:
    """Whether a run that waited before this error still does, and nobody will go on with it."""
    return not is_lost(error) and not isinstance(error, StreamClosed)


__all__ = [
    "FINISHED",
    "SETTLED",
    "AnyRun",
    "AnySnapshot",
    "AnyToolCall",
    "Usage",
    "has_settled",
    "is_lost",
    "leaves_waiting",
]
