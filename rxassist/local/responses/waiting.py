"""Scripts that wait for outputs, which another request brings after the response has ended."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

from attrs import define

from rxassist.local.scripts.moves import Approval, Call, CustomCall, Mcp, Together
from rxassist.local.scripts.turn import Script, Turn, moves_of
from rxassist.local.server.plain import as_list

Asking: TypeAlias = Call | CustomCall | Mcp
"""A move that asks the client for something."""

Answer: TypeAlias = str | Approval

Moves: TypeAlias = Generator[object, Any, None]

_MOST = 4096  # calls that wait; the oldest is closed


def asking_of(move: object) -> tuple[Asking, ...]:
    """The calls of a move that the client must answer; empty if the script continues at once."""
    if isinstance(move, Together):
        return tuple(each for each in move.moves if _asks(each))
    given = (move,) if isinstance(move, Asking) else as_list(move) or ()
    return tuple(each for each in given if _asks(each))


def _asks(move: object) -> TypeGuard[Asking]:
    return isinstance(move, Call | CustomCall) or (isinstance(move, Mcp) and move.approval)


@define(eq=False)
class Played:
    """A script that is being played: its moves, and the answers that it had so far."""

    turn: Turn
    moves: Moves
    answers: tuple[object, ...] = ()


@define(eq=False)
class Waiting:
    """A script that waits for the answers to these calls, by the ids that the client knows.

    The first request that brings the answers continues the moves. For another one, such as a
    second attempt, the script is played again up to here, with the same answers.
    """

    played: Played
    calls: Mapping[str, Asking]
    single: bool
    taken: bool = False

    def answered(self, script: Script, answers: Sequence[Answer]) -> tuple[Played, object]:
        """The script to continue, and the answer to send to it."""
        sent: object = answers[0] if self.single else list(answers)
        before = self.played
        moves = _played_again(script, before) if self.taken else before.moves
        self.taken = True
        return Played(before.turn, moves, (*before.answers, sent)), sent


def _played_again(script: Script, played: Played) -> Moves:
    """The script from its beginning to where it waits, with the answers that it had before."""
    moves = moves_of(script, played.turn)
    answers = iter(played.answers)
    answer: object = None
    try:
        while True:
            if not asking_of(moves.send(answer)):
                answer = None
            elif (answer := next(answers, None)) is None:
                return moves
    except StopIteration:
        return _raising(RuntimeError("it asked for less than the first time"))
    except Exception as error:  # noqa: BLE001 -- the script's; it becomes the response's
        return _raising(error)


def _raising(error: Exception) -> Moves:
    """Moves that raise an error when they are continued."""

    def moves() -> Moves:
        yield None
        raise error

    raising = moves()
    next(raising)
    return raising


class WaitingRoom:
    """The scripts that wait, by the ids of their calls."""

    def __init__(self) -> None:
        self._by_call: dict[str, Waiting] = {}

    def add(self, waiting: Waiting) -> None:
        """A script waits."""
        for call_id in waiting.calls:
            self._by_call[call_id] = waiting
        while len(self._by_call) > _MOST:
            oldest = self._by_call.pop(next(iter(self._by_call)))
            _close(oldest)

    def find(self, call_ids: Sequence[str]) -> Waiting | None:
        """The script that waits for the last of these calls, if all its calls are among these."""
        waiting = self._by_call.get(call_ids[-1]) if call_ids else None
        return waiting if waiting and waiting.calls.keys() <= set(call_ids) else None

    def close(self) -> None:
        """Close all scripts."""
        for waiting in tuple(self._by_call.values()):
            _close(waiting)
        self._by_call.clear()


def _close(waiting: Waiting) -> None:
    if not waiting.taken:
        waiting.taken = True
        waiting.played.moves.close()


__all__ = ["Answer", "Asking", "Played", "Waiting", "WaitingRoom", "asking_of"]
