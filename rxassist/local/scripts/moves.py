"""The moves of scripts: what a script can do in a run."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from attrs import field, frozen

from rxassist.local.scripts.pieces import Piece
from rxassist.local.server.durations import check_duration
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


class Found(Protocol):
    """A file that a search found, such as a ``FileSearchResult``."""

    @property
    def file_id(self) -> str:
        """The id of the file."""
        ...

    @property
    def file_name(self) -> str:
        """The name of the file."""
        ...

    @property
    def score(self) -> float | None:
        """How well the file fits."""
        ...

    @property
    def content(self) -> Sequence[Any]:
        """The parts of the file that fit, each with a ``text``."""
        ...


@frozen
class Search:
    """Show a step of the file search."""

    results: tuple[Found, ...] = ()


@frozen
class WebSearch:
    """Show a search on the web."""

    query: str
    urls: tuple[str, ...] = ()


@frozen
class Think:
    """Think, piece by piece: ``raw``, or as a summary."""

    pieces: tuple[str, ...]
    raw: bool = False


@frozen
class CustomCall:
    """Request the call of a tool that takes text."""

    name: str
    input: str = ""


@frozen
class Together:
    """Make several moves at once, a piece of each in turn."""

    moves: tuple[Move, ...]


@frozen
class Reset:
    """Throw away all items but the first ones."""

    keep: int = 0


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


Move: TypeAlias = (
    Say
    | Call
    | CustomCall
    | Mcp
    | Think
    | Code
    | Search
    | WebSearch
    | Together
    | Reset
    | Wait
    | Fail
    | Incomplete
    | Expire
)
"""One step of a script."""

Moves: TypeAlias = Generator[
    Move | Sequence[Call] | Sequence[Mcp] | Sequence[CustomCall], Any, None
]
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


def search(*results: Found) -> Search:
    """Show a step of the file search, with its results."""
    return Search(results)


def web_search(query: str, *urls: str) -> WebSearch:
    """Show a search on the web, and the pages that it found; only in the Responses protocol."""
    return WebSearch(query, urls)


def think(*pieces: str, raw: bool = False) -> Think:
    """Think: one text in tokens, several texts as exactly these pieces.

    Only in the Responses protocol. Clients get a summary or, with ``raw``, the thoughts themselves.
    """
    return Think(tokens(pieces[0]) if len(pieces) == 1 else pieces, raw)


def custom_call(name: str, input: str = "") -> CustomCall:  # noqa: A002 -- the field's name
    """Request the call of a tool that takes text, and wait for its output, as ``call`` does.

    Only in the Responses protocol.
    """
    return CustomCall(name, input)


def together(*moves: Say | Call | CustomCall | Think | Code | Search | WebSearch | Mcp) -> Together:
    """Make several moves at once: their items overlap, a piece of each in turn.

    Only in the Responses protocol. If some of the moves are calls, the script continues with the
    list of their outputs, in the order of the calls.
    """
    return Together(moves)


def reset(keep: int = 0) -> Reset:
    """Throw away all items but the first ``keep``, as hosted agents of Azure do after a crash.

    Only in the Responses protocol: ``response.in_progress`` says what is left.
    """
    if keep < 0:
        msg = f"keep must not be negative, got {keep}"
        raise ValueError(msg)
    return Reset(keep)


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
    "CustomCall",
    "Expire",
    "Fail",
    "Found",
    "Incomplete",
    "Mcp",
    "Move",
    "Moves",
    "Reset",
    "Say",
    "Search",
    "Think",
    "Together",
    "Wait",
    "WebSearch",
    "call",
    "code",
    "custom_call",
    "expire",
    "fail",
    "incomplete",
    "mcp",
    "reset",
    "say",
    "search",
    "think",
    "together",
    "tokens",
    "wait",
    "web_search",
]
