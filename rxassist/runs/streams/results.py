"""The results of the tool calls of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import reactivex as rx
from reactivex import Observable, Subject
from reactivex import operators as ops

from rxassist.reactive.log import Log
from rxassist.reactive.loop import Home
from rxassist.reactive.typing import Operator
from rxassist.runs.tools import ToolResult
from rxassist.runs.tools.calls import OnResult

_T = TypeVar("_T")


class Results:
    """The results of the calls of a run, for readers that subscribe at any time."""

    keep: Callable[[ToolResult], Observable[Any]] | None = None
    """Writes a result down; the run goes on with it only when that has completed."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._told: Subject[ToolResult] = Subject()
        self._log = Log(self._told, post=home.post, report=home.report, read_ahead=None)

    def _ended(self, result: ToolResult) -> Observable[Any] | None:
        self._told.on_next(result)
        return None if self.keep is None else self.keep(result)

    def told_by(self, tools: Callable[[OnResult], Operator[_T, _T]]) -> Operator[_T, _T]:
        """The operator that calls the tools; it reports its results here."""

        def begin(events: Observable[_T]) -> Observable[_T]:
            self._log.subscribe()  # a reader that stays, so that the log keeps all for later ones
            return events.pipe(ops.finally_action(self._told.on_completed))

        def operator(source: Observable[_T]) -> Observable[_T]:
            events = source.pipe(tools(self._ended))
            return rx.defer(lambda _: begin(events))

        return operator

    def beside(self, run: Observable[Any]) -> Observable[ToolResult]:
        """The results, beginning with the first; begins and ends with the run."""
        kept = rx.defer(lambda _: self._log.recorded() if self._home.closed else self._log)
        return rx.merge(kept, run.pipe(ops.ignore_elements()))


__all__ = ["Results"]
