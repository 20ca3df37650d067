"""The moves of scripts: what a script can do in a run."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from rxassist.local.scripts.pieces import Piece
from rxassist.local.server.durations import check_duration
from rxassist.models import FileSearchResult
from rxassist.wire.json import to_json

_TOKEN = re.compile(r"\s*\w{1,12}|\s*[^\w\s]|\s+")


def tokens(text: str) -> tuple[str, ...]:
    """Cut a text into pieces of about a word, as a model streams it; nothing is lost."""
    return tuple(_TOKEN.findall(text))


@frozen
class Say:
    """Write a message, piece by piece."""

    pieces: tuple[Piece, ...]
    refusal: bool = False


@frozen
class Call:
    """Request the call of a function; ``arguments`` is JSON text."""

    name: str
    arguments: str = "{}"


@frozen
class Mcp:
    """Call a tool of an MCP server after an approval; ``arguments`` is JSON text."""

    name: str
    arguments: str
    server_label: str
    output: str
    approval: bool


@frozen
class Approval:
    """What a client decided about a call, and the headers that it sent for it."""

    approve: bool
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)  # they may hold a key


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


Move: TypeAlias = Say | Call | Mcp | Code | Search | Wait | Fail | Incomplete | Expire
"""One step of a script."""

Moves: TypeAlias = Generator[Move | Sequence[Call] | Sequence[Mcp], Any, None]
"""The return type of a script that is a generator function."""


def say(*pieces: Piece, refusal: bool = False) -> Say:
    """Write a message: one text in tokens, several texts as exactly these pieces.

    Pieces can also be citations, links to files, and images (``cite``, ``link``, ``image``):
    ``say("Cake is good", cite("file-1"), ".", image("file-2"))``. With ``refusal`` the message
    says that the model will not answer; then all pieces are texts. Each ``say`` writes a message
    of its own.
    """
    if refusal and not all(isinstance(piece, str) for piece in pieces):
        msg = f"a refusal is written of texts only, got {pieces!r}"
        raise ValueError(msg)
    first = pieces[0] if len(pieces) == 1 else None
    return Say(tokens(first) if isinstance(first, str) else pieces, refusal)


def call(name: str, arguments: Mapping[str, Any] | str | None = None) -> Call:
    """Request the call of a function, and wait for its output.

    The script continues with the output: ``output = yield call("get_weather", {"city": "Lima"})``.
    A list of calls requests them at once, and returns a list of outputs. ``arguments`` that are a
    text are sent as they are, JSON or not.
    """
    return Call(name, _json(arguments))


def mcp(
    name: str,
    arguments: Mapping[str, Any] | str | None = None,
    *,
    server_label: str = "server",
    output: str = "",
    approval: bool = True,
) -> Mcp:
    """Call a tool of an MCP server, as agents of Azure AI Foundry do, and show its ``output``.

    The run waits for the client's approval, and the script continues with it:
    ``decided = yield mcp("search", {"query": "tea"})``, then ``decided.approve`` is true or false,
    and ``decided.headers`` are the headers that the client sent. A call without approval has no
    output. A list of calls requests them at once, and returns a list. Without ``approval`` the call
    is made at once, and the script continues with ``None``. Nothing is really called.
    """
    return Mcp(name, _json(arguments), server_label, output, approval)


def _json(arguments: Mapping[str, Any] | str | None) -> str:
    return arguments if isinstance(arguments, str) else to_json(dict(arguments or {})).decode()


def code(source: str, *, logs: str | None = None, image_file_id: str | None = None) -> Code:
    """Show a step of the code interpreter: the code, what it printed, the image it drew.

    Nothing is executed: the script gives the results.
    """
    return Code(source, logs, image_file_id)


def search(*results: FileSearchResult) -> Search:
    """Show a step of the file search, with its results."""
    return Search(results)


def wait(seconds: float) -> Wait:
    """Do nothing for a while; the service continues with everything else."""
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
    "Approval",
    "Call",
    "Code",
    "Expire",
    "Fail",
    "Incomplete",
    "Mcp",
    "Move",
    "Moves",
    "Say",
    "Search",
    "Wait",
    "call",
    "code",
    "expire",
    "fail",
    "incomplete",
    "mcp",
    "say",
    "search",
    "tokens",
    "wait",
]
