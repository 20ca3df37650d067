"""Three runs of two protocols at once against the local service, merged and shown live."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from attrs import evolve, frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rxassist import Client, ResponseStream, RunStream, iterate, merge_runs, responses
from rxassist import Snapshot as RunSnapshot
from rxassist.events import Event, ThreadMessageDelta
from rxassist.local import LocalService
from rxassist.models import (
    CodeInterpreterOutputLogs,
    CodeInterpreterToolCall,
    FunctionToolCall,
    ToolCall,
    ToolCallsStepDetails,
)
from rxassist.wire.values import type_on_wire

City = Literal["Kyoto", "Lima", "Oslo"]

_WEATHER: Mapping[City, str] = {
    "Kyoto": "24 °C and clear",
    "Lima": "19 °C and foggy",
    "Oslo": "3 °C and snowing",
}

_QUESTIONS = {
    "weather": "What is the weather in Lima?",
    "sums": "Please calculate 6 * (3 + 4) with code.",
    "words": "Say something about reactive streams.",
}
_RESPONSE = "sums"  # the question that becomes a response; the others become runs on threads

_Snapshot: TypeAlias = RunSnapshot | responses.Snapshot
_Call: TypeAlias = ToolCall | responses.ToolCall


def get_weather(city: City) -> str:
    """The weather of a city, now."""
    return _WEATHER[city]


# --- what is shown -------------------------------------------------------------------------


@frozen
class Progress:
    """The progress of one run, for the screen and for the table."""

    snapshot: _Snapshot | None = None
    events: int = 0
    deltas: int = 0
    first_delta: float | None = None
    last_event: float = 0.0

    def after(self, event: Event | responses.Event, now: float) -> Progress:
        """The progress after an event that came ``now`` seconds after the start."""
        is_delta = isinstance(event, ThreadMessageDelta | responses.OutputTextDelta)
        protocol = event.protocol()
        return evolve(
            self,
            snapshot=protocol.fold(self.snapshot or protocol.nothing, event),
            events=self.events + 1,
            deltas=self.deltas + is_delta,
            first_delta=now if is_delta and self.first_delta is None else self.first_delta,
            last_event=now,
        )

    @property
    def status(self) -> str:
        """The status of the run."""
        run = self.snapshot.run if self.snapshot else None
        return run.status if run else "not started"


def _describe(call: _Call) -> str:
    if isinstance(call, FunctionToolCall):
        result = "…" if call.function.output is None else call.function.output
        return f"{call.function.name}({call.function.arguments}) → {result}"
    if isinstance(call, CodeInterpreterToolCall):
        code = call.code_interpreter
        logs = [o.logs for o in code.outputs if isinstance(o, CodeInterpreterOutputLogs)]
        return _described_code(code.input, logs)
    if isinstance(call, responses.CodeInterpreterCall):
        return _described_code(call.code or "", [str(o.get("logs", "")) for o in call.outputs])
    return type_on_wire(call)


def _described_code(code: str, logs: list[str]) -> str:
    return f"python: {code} → {' '.join(each.strip() for each in logs) or '…'}"


def _calls(snapshot: _Snapshot | None) -> Iterator[tuple[_Call, bool]]:
    """The calls of tools, and whether each has finished."""
    if isinstance(snapshot, responses.Snapshot):
        for item in snapshot.growing_items:
            called = responses.tool_call_of(item.build())
            if called is not None:
                yield called, item.finished
    elif snapshot is not None:
        for step in snapshot.run_steps:
            if isinstance(step.step_details, ToolCallsStepDetails):
                for call in step.step_details.tool_calls:
                    yield call, step.status == "completed"


def _screen(runs: Mapping[str, Progress]) -> Group:
    panels: list[Panel] = []
    for name, progress in runs.items():
        body = Text.assemble(("you        ", "bold"), _QUESTIONS[name], "\n")
        for call, _ in _calls(progress.snapshot):
            body.append("tool       ", "bold yellow").append(_describe(call) + "\n")
        for message in progress.snapshot.messages if progress.snapshot else ():
            body.append("assistant  ", "bold green").append(message.text + "\n")
        body.rstrip()
        title = f"{name}, {_kind(name)}: {progress.status}"
        panels.append(Panel(body, title=title, title_align="left"))
    return Group(*panels)


def _kind(name: str) -> str:
    return "response" if name == _RESPONSE else "run"


def _lines(name: str, before: Progress, after: Progress) -> list[str]:
    """The news as plain lines: statuses, completed tool calls, completed messages."""
    lines: list[str] = []
    if after.status != before.status:
        lines.append(f"[{name}] {_kind(name)}: {after.status}")
    shown = _finished(before.snapshot)
    new = {key: line for key, line in _finished(after.snapshot).items() if key not in shown}
    return lines + [f"[{name}] {line}" for line in new.values()]


def _finished(snapshot: _Snapshot | None) -> dict[str, str]:
    """The calls and messages that have finished, by their ids."""
    lines = {call.id or "": f"tool: {_describe(call)}" for call, done in _calls(snapshot) if done}
    for message in snapshot.messages if snapshot else ():
        if message.status == "completed":
            lines[message.id] = f"assistant: {message.text}"
    return lines


def _table(runs: Mapping[str, Progress]) -> Table:
    table = Table(title="three runs at once", box=SIMPLE_HEAD)
    for column in ("run", "final status"):
        table.add_column(column)
    for column in ("events", "text deltas", "characters", "time to first delta", "total time"):
        table.add_column(column, justify="right", min_width=max(map(len, column.split())))
    for name, progress in runs.items():
        first = "none" if progress.first_delta is None else f"{progress.first_delta:.2f} s"
        table.add_row(
            name,
            progress.status,
            str(progress.events),
            str(progress.deltas),
            str(len(progress.snapshot.text if progress.snapshot else "")),
            first,
            f"{progress.last_event:.2f} s",
        )
    return table


def _streams(client: Client) -> dict[str, RunStream | ResponseStream]:
    """Each question as a run of an assistant on a thread of its own, and one as a response."""
    assistant = client.assistants.create(model="scripted", name="demo").run()
    streams: dict[str, RunStream | ResponseStream] = {}
    for name, question in _QUESTIONS.items():
        if name == _RESPONSE:
            streams[name] = client.responses.stream(
                model="scripted",
                input=question,
                tools=[get_weather, {"type": "code_interpreter", "container": {"type": "auto"}}],
                include=["code_interpreter_call.outputs"],
            )
        else:
            streams[name] = client.threads.create_and_run_stream(
                assistant_id=assistant.id,
                thread={"messages": [{"role": "user", "content": question}]},
                tools=[get_weather, {"type": "code_interpreter"}],
            )
    return streams


def demo(console: Console | None = None) -> int:
    """Run the demonstration; 0 if every run completed."""
    console = console or Console()
    runs = dict.fromkeys(_QUESTIONS, Progress())
    with LocalService(token_delay=0.03) as service, Client(base_url=service.base_url) as client:
        console.print(f"local service (its answers are scripted) on {service.base_url}")
        streams = _streams(client)
        started = time.perf_counter()
        live = Live(console=console, refresh_per_second=15, get_renderable=lambda: _screen(runs))
        if console.is_terminal:
            live.start()
        try:
            for item in iterate(merge_runs(streams, delay_errors=False)):
                if item.event is None:
                    continue
                name, before = item.key, runs[item.key]
                runs[name] = before.after(item.event, time.perf_counter() - started)
                if not console.is_terminal:
                    for line in _lines(name, before, runs[name]):
                        console.print(line, markup=False, highlight=False, soft_wrap=True)
        finally:
            live.stop()
    console.print(_table(runs))
    return 0 if all(progress.status == "completed" for progress in runs.values()) else 1
