"""Sort the arguments of a call by their purpose, once, at the beginning of the call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast
from uuid import uuid4

from attrs import Factory, field, frozen

from rxassist.reactive.calling import calling
from rxassist.reactive.checks import check_positive
from rxassist.reactive.loop import Home, HomeT
from rxassist.runs.operators.resets import OnReset
from rxassist.runs.streams.creation import SEARCH_PATIENCE, IfBusy
from rxassist.runs.streams.options import StartOptions, StreamOptions, ToolOptions
from rxassist.runs.streams.pipeline import FollowOptions
from rxassist.runs.tools import Toolbox
from rxassist.runs.tools.calls import Calls
from rxassist.runs.tools.rounds import MAX_ROUNDS
from rxassist.runs.tools.tool import functions_in
from rxassist.wire.calls import Connection
from rxassist.wire.options import PollOptions, RequestOptions

ParametersClass: TypeAlias = Any
"""A ``TypedDict`` of parameters: type checkers have no type for such classes."""

_OPTIONS = {
    name
    for kind in (StartOptions, StreamOptions, ToolOptions, PollOptions)
    for name in kind.__annotations__
} - RequestOptions.__annotations__.keys()
_FLAGS = ("idempotent", "recover", "replay")


@frozen
class Start:
    """How a run or a message is added to a thread, as ``StartOptions`` says.

    ``mark`` is a random text by which an ``idempotent`` run is found again; others have none.
    """

    if_busy: IfBusy = "fail"
    idempotent: bool = False
    patience: float | None = SEARCH_PATIENCE
    mark: str | None = field(
        init=False,
        default=Factory(lambda self: uuid4().hex if self.idempotent else None, takes_self=True),
    )

    def __attrs_post_init__(self) -> None:
        if self.if_busy not in ("fail", "wait", "cancel"):
            msg = f'if_busy must be "fail", "wait" or "cancel", got {self.if_busy!r}'
            raise ValueError(msg)
        if self.patience is not None:
            check_positive("patience", self.patience)


@frozen
class Tooling:
    """How the tools of a run are called."""

    calls: Calls
    max_rounds: int


@frozen
class Given:
    """The arguments of a call.

    - ``asked``: the parameters that are sent, and the options of the call's own request.
    - ``carried``: those options that are also for the other requests of the call.
    - ``start``, ``follow``, ``polls``: how its run is started, followed and polled.
    - ``tooling``: how tools are called; ``None`` if there is nothing to call.
    """

    asked: Mapping[str, object]
    carried: RequestOptions
    start: Start
    follow: FollowOptions
    polls: PollOptions
    tooling: Tooling | None

    @classmethod
    def of(
        cls,
        connection: Connection[HomeT],
        given: Mapping[str, object],
        takes: ParametersClass,
        on_reset: OnReset = "raise",
    ) -> Given:
        """Sort the arguments of a call with these parameters. Raises for wrong options."""
        names = takes.__annotations__.keys()
        options = {key: given[key] for key in given if key in _OPTIONS and key in names}
        asked = {key: given[key] for key in given if key not in options}
        for name in _FLAGS:
            if not isinstance(options.get(name, True), bool):
                msg = f"{name} must be True or False, got {options[name]!r}"
                raise TypeError(msg)
        tooling: Tooling | None = None
        if ToolOptions.__annotations__.keys() <= names:
            chosen = cast("ToolOptions[Any, Any]", _chosen(options, ToolOptions))
            tooling = _tooling(connection.home, asked, chosen)
        follow: dict[str, Any] = {
            "idle_timeout": connection.idle_timeout,
            "on_reset": on_reset,
            **_chosen(options, StreamOptions),
        }
        carried = _chosen(asked, RequestOptions)
        carried.pop("extra_body", None)
        return cls(
            asked,
            cast("RequestOptions", carried),
            Start(**_chosen(options, StartOptions)),
            FollowOptions(**follow),
            cast("PollOptions", _chosen(options, PollOptions)),
            tooling,
        )


def _chosen(given: Mapping[str, object], kind: ParametersClass) -> dict[str, Any]:
    return {key: given[key] for key in given if key in kind.__annotations__}


def _tooling(
    home: Home, asked: dict[str, object], options: ToolOptions[Any, Any]
) -> Tooling | None:
    """Prepare the calls of the tools among the parameters; keeps only those that are sent."""
    tools = asked.get("tools")
    if tools is None and not options:
        return None
    toolbox = Toolbox([])
    if isinstance(tools, Toolbox):
        toolbox = tools
        del asked["tools"]
    elif isinstance(tools, Iterable) and not isinstance(tools, str | bytes | Mapping):
        listed = list(cast("Iterable[object]", tools))
        toolbox, asked["tools"] = functions_in(listed), listed
    max_rounds = options.get("max_rounds", MAX_ROUNDS)
    check_positive("max_rounds", max_rounds, whole=True)
    calls = Calls(
        toolbox,
        calling(home),
        options.get("approve"),
        options.get("on_tool_error", "tell"),
        options.get("tool_timeout"),
        options.get("max_concurrent_tools"),
    )
    return Tooling(calls, max_rounds) if toolbox or calls.approve is not None else None


__all__ = ["Given", "ParametersClass", "Start", "Tooling"]
