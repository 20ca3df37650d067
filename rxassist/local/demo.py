"""Three runs at once against the local service, merged into one Observable and shown live."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from attrs import evolve, frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rxassist import Client, Snapshot, iterate, merge_runs
from rxassist.events import Event, ThreadMessageDelta
from rxassist.local import LocalService
from rxassist.models import (
    CodeInterpreterOutputLogs,
    CodeInterpreterToolCall,
    FunctionToolCall,
    Message,
    TextContentBlock,
    ToolCall,
    ToolCallsStepDetails,
)
from rxassist.protocols.assistants.snapshots import fold
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


def get_weather(city: City) -> str:
    """The weather of a city, now."""
    return _WEATHER[city]


# --- what is shown -------------------------------------------------------------------------


@frozen
class Progress:
    """The progress of one run, for the screen and for the table."""

    snapshot: Snapshot = Snapshot()
    events: int = 0
    deltas: int = 0
    first_delta: float | None = None
    last_event: float = 0.0

    def after(self, event: Event, now: float) -> Progress:
        """The progress after an event that came ``now`` seconds after the start."""
        is_delta = isinstance(event, ThreadMessageDelta)
        return evolve(
            self,
            snapshot=fold(self.snapshot, event),
            events=self.events + 1,
            deltas=self.deltas + is_delta,
            first_delta=now if is_delta and self.first_delta is None else self.first_delta,
            last_event=now,
        )

    @property
    def status(self) -> str:
        """The status of the run."""
        return self.snapshot.run.status if self.snapshot.run else "not started"


def _describe(call: ToolCall) -> str:
    if isinstance(call, FunctionToolCall):
        result = "…" if call.function.output is None else call.function.output
        return f"{call.function.name}({call.function.arguments}) → {result}"
    if isinstance(call, CodeInterpreterToolCall):
        code = call.code_interpreter
        logs = [o.logs.strip() for o in code.outputs if isinstance(o, CodeInterpreterOutputLogs)]
        return f"python: {code.input} → {' '.join(logs) or '…'}"
    return type_on_wire(call)


def _calls(snapshot: Snapshot) -> list[ToolCall]:
    details = [step.step_details for step in snapshot.run_steps]
    return [c for d in details if isinstance(d, ToolCallsStepDetails) for c in d.tool_calls]


def _text(message: Message) -> str:
    blocks = message.content
    return "".join(block.text.value for block in blocks if isinstance(block, TextContentBlock))


def _screen(runs: Mapping[str, Progress]) -> Group:
    panels: list[Panel] = []
    for name, progress in runs.items():
        body = Text.assemble(("you        ", "bold"), _QUESTIONS[name], "\n")
        for call in _calls(progress.snapshot):
            body.append("tool       ", "bold yellow").append(_describe(call) + "\n")
        for message in progress.snapshot.messages:
            body.append("assistant  ", "bold green").append(_text(message) + "\n")
        body.rstrip()
        panels.append(Panel(body, title=f"{name}: {progress.status}", title_align="left"))
    return Group(*panels)


def _lines(name: str, before: Snapshot, after: Snapshot) -> list[str]:
    """The news as plain lines: statuses, completed tool calls, completed messages."""
    lines: list[str] = []
    if after.run is not None and (before.run is None or before.run.status != after.run.status):
        lines.append(f"[{name}] run: {after.run.status}")
    old = {step.id for step in before.run_steps if step.status == "completed"}
    for step in after.run_steps:
        if step.id in old or step.status != "completed":
            continue
        if isinstance(step.step_details, ToolCallsStepDetails):
            calls = step.step_details.tool_calls
            lines += [f"[{name}] tool: {_describe(call)}" for call in calls]
    shown = {message.id for message in before.messages if message.status == "completed"}
    for message in after.messages:
        if message.status == "completed" and message.id not in shown:
            lines.append(f"[{name}] assistant: {_text(message)}")
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
            str(len(progress.snapshot.text)),
            first,
            f"{progress.last_event:.2f} s",
        )
    return table


def demo(console: Console | None = None) -> int:
    """Run the demonstration; 0 if every run completed."""
    console = console or Console()
    runs = dict.fromkeys(_QUESTIONS, Progress())
    with LocalService(token_delay=0.03) as service, Client(base_url=service.base_url) as client:
        console.print(f"local service (its answers are scripted) on {service.base_url}")
        assistant = client.assistants.create(model="scripted", name="demo").run()
        streams = {
            name: client.threads.create_and_run_stream(
                assistant_id=assistant.id,
                thread={"messages": [{"role": "user", "content": question}]},
                tools=[get_weather, {"type": "code_interpreter"}],
            )
            for name, question in _QUESTIONS.items()
        }
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
                    for line in _lines(name, before.snapshot, runs[name].snapshot):
                        console.print(line, markup=False, highlight=False, soft_wrap=True)
        finally:
            live.stop()
    console.print(_table(runs))
    return 0 if all(progress.status == "completed" for progress in runs.values()) else 1
