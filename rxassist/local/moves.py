"""What a script may do: the moves it yields, and what it is told before it begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from rxassist.codec import to_json
from rxassist.local.durations import check_duration
from rxassist.models import Assistant, FileSearchResult, Message, Run, TextContentBlock, Thread

_TOKEN = re.compile(r"\s*\w{1,12}|\s*[^\w\s]|\s+")


def tokens(text: str) -> tuple[str, ...]:
    """Cut a text into pieces of about a word, as a model would stream it; nothing is lost."""
    return tuple(_TOKEN.findall(text))


@frozen
class Say:
    """Write a message, piece by piece."""

    pieces: tuple[str, ...]
    refusal: bool = False


@frozen
class Call:
    """Ask for a function to be called; ``arguments`` is JSON text."""

    name: str
    arguments: str = "{}"


@frozen
class Code:
    """Show a step of the code interpreter."""

    input: str
    logs: str | None = None
    image_file_id: str | None = None


@frozen
class Search:
    """Show a step of the file search."""

    results: tuple[FileSearchResult, ...] = ()


@frozen
class Wait:
    """Do nothing for a while."""

    seconds: float


@frozen
class Fail:
    """End the run as ``failed``."""

    code: str
    message: str


@frozen
class Incomplete:
    """End the run as ``incomplete``."""

    reason: str


@frozen
class Expire:
    """End the run as ``expired``."""


Move: TypeAlias = Say | Call | Code | Search | Wait | Fail | Incomplete | Expire
"""One thing that a script does."""

Moves: TypeAlias = Generator[Move | Sequence[Call], Any, None]
"""What a script written as a generator function returns."""


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
                parts = message.content
                return "".join(
                    part.text.value for part in parts if isinstance(part, TextContentBlock)
                )
        return ""


Script: TypeAlias = Callable[[Turn], Iterable[Move | Sequence[Call]]]
"""Says what happens in a run, move by move.

Mostly a generator function. It runs on the service's only thread: to pause it yields
``wait(seconds)``, and never sleeps itself.
"""


def say(*pieces: str, refusal: bool = False) -> Say:
    """Write a message of its own: one text in tokens, several as exactly these pieces.

    With ``refusal`` the message says that the model will not answer.
    """
    return Say(tokens(pieces[0]) if len(pieces) == 1 else pieces, refusal)


def call(name: str, arguments: Mapping[str, Any] | str | None = None) -> Call:
    """Ask for a function to be called, and wait for its output.

    The script goes on with it: ``output = yield call("get_weather", {"city": "Lima"})``. A list
    of calls is asked for at once and gives a list of outputs. ``arguments`` that are text are sent
    as they are, JSON or not.
    """
    if isinstance(arguments, str):
        return Call(name, arguments)
    return Call(name, to_json(dict(arguments or {})).decode())


def code(source: str, *, logs: str | None = None, image_file_id: str | None = None) -> Code:
    """Show a step of the code interpreter: the code, what it printed, the image it drew.

    Nothing is executed: the script says what came out.
    """
    return Code(source, logs, image_file_id)


def search(*results: FileSearchResult) -> Search:
    """Show a step of the file search, with what it found."""
    return Search(results)


def wait(seconds: float) -> Wait:
    """Do nothing for a while; the service goes on with everything else."""
    check_duration("seconds", seconds)
    return Wait(seconds)


def fail(code: str = "server_error", message: str = "The script failed the run.") -> Fail:
    """End the run as ``failed``; ``code`` and ``message`` become its ``last_error``."""
    return Fail(code, message)


def incomplete(reason: str = "max_completion_tokens") -> Incomplete:
    """End the run as ``incomplete``; ``reason`` goes into its ``incomplete_details``."""
    return Incomplete(reason)


def expire() -> Expire:
    """End the run as ``expired``."""
    return Expire()


__all__ = [
    "Call",
    "Code",
    "Expire",
    "Fail",
    "Incomplete",
    "Move",
    "Moves",
    "Say",
    "Script",
    "Search",
    "Turn",
    "Wait",
    "call",
    "code",
    "expire",
    "fail",
    "incomplete",
    "say",
    "search",
    "tokens",
    "wait",
]
