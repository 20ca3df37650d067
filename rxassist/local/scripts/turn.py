"""A script as the service sees it: what it knows when its run begins, and its moves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from rxassist.local.scripts.moves import Call, Mcp, Move
from rxassist.models import Assistant, Message, Run, Thread


@frozen
class Turn:
    """What a script knows when its run begins; ``messages`` are the thread's, oldest first."""

    assistant: Assistant
    thread: Thread
    messages: tuple[Message, ...]
    run: Run

    @property
    def text(self) -> str:
        """The text of the user's last message, empty if there is none."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text
        return ""


Script: TypeAlias = Callable[[Turn], Iterable[Move | Sequence[Call] | Sequence[Mcp]]]
"""Returns what happens in a run, move by move.

Mostly a generator function. It runs on the service's only thread: to pause it yields
``wait(seconds)``, and never sleeps.
"""


def moves_of(script: Script, turn: Turn) -> Generator[object, Any, None]:
    """The moves of a script, even if it returns just a list of them."""
    moves = script(turn)
    if isinstance(moves, Generator):
        yield from moves
    else:
        for move in moves:  # noqa: UP028 -- ``yield from`` would send the outputs to the list
            yield move


__all__ = ["Script", "Turn", "moves_of"]
