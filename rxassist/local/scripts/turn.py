"""A script as the service sees it: what it knows when its run begins, and its moves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from rxassist.local.scripts.moves import Call, CustomCall, Mcp, Move


@frozen
class Function:
    """A function that a script can call; ``parameters`` is the JSON Schema of its arguments."""

    name: str
    parameters: Mapping[str, Any] | None = None


@frozen
class Output:
    """The output of a call that came with the request; ``name`` is empty if nobody knows it."""

    call_id: str
    text: str
    name: str = ""


@frozen
class Turn:
    """What a script knows when its run begins, in words that every protocol has.

    ``messages`` are all so far, oldest first: each has a ``role`` and a ``text``. ``run`` is the
    run of the Assistants protocol or the response of the Responses protocol, as it was created.
    ``tools`` are the types of the tools, ``functions`` those of them that are functions.
    ``tool_choice`` is ``auto``, ``none``, ``required``, or the type of the tool to use; then
    ``chosen`` is the name of the function to call. ``parallel`` says whether several calls may be
    requested at once. ``outputs`` came with the request, for calls that no script waits for.
    ``schema`` is the JSON Schema that the text must fit, if it must be JSON.
    """

    _assistant: Any = field(alias="assistant")
    _thread: Any = field(alias="thread")
    messages: tuple[Any, ...]
    run: Any
    instructions: str = ""
    tools: frozenset[str] = frozenset()
    functions: tuple[Function, ...] = ()
    tool_choice: str = "auto"
    chosen: str | None = None
    parallel: bool = True
    outputs: tuple[Output, ...] = ()
    schema: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """The text of the user's last message, empty if there is none."""
        for message in reversed(self.messages):
            if message.role == "user":
                return str(message.text)
        return ""

    @property
    def assistant(self) -> Any:  # noqa: ANN401 -- the scripts know no protocol
        """The assistant of the run. Raises ``LookupError`` in a response, which has none."""
        return _present(self._assistant, "assistant")

    @property
    def thread(self) -> Any:  # noqa: ANN401 -- the scripts know no protocol
        """The thread of the run. Raises ``LookupError`` in a response, which has none."""
        return _present(self._thread, "thread")


def _present(value: Any, name: str) -> Any:  # noqa: ANN401 -- as above
    if value is None:
        msg = f"a response has no {name}; use turn.messages, turn.instructions, turn.run"
        raise LookupError(msg)
    return value


Script: TypeAlias = Callable[
    [Turn], Iterable[Move | Sequence[Call] | Sequence[Mcp] | Sequence[CustomCall]]
]
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


__all__ = ["Function", "Output", "Script", "Turn", "moves_of"]
