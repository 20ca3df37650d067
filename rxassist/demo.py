"""The main job, shown: three runs at once against the local service, merged into one Observable."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import reactivex as rx
from attrs import evolve, frozen
from reactivex import Observable
from reactivex import operators as ops
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rxassist import Client, RunStream, Snapshot, iterate
from rxassist.events import Event, ThreadMessageDelta
from rxassist.local import LocalService
from rxassist.models import (
    CodeInterpreterOutputLogs,
    CodeInterpreterToolCall,
    FunctionToolCall,
    Message,
    RequiredActionFunctionToolCall,
    RequiredActionSubmitToolOutputs,
    Run,
    TextContentBlock,
    ToolCall,
    ToolCallsStepDetails,
)
from rxassist.protocols.assistants.snapshots import fold
from rxassist.wire.values import type_on_wire

_WEATHER = {"Kyoto": "24 °C and clear", "Lima": "19 °C and foggy", "Oslo": "3 °C and snowing"}

_QUESTIONS = {
    "weather": "What is the weather in Lima?",
    "sums": "Please calculate 6 * (3 + 4) with code.",
    "words": "Say something about reactive streams.",
}

_GET_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city, now",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": sorted(_WEATHER)}},
            "required": ["city"],
        },
    },
}


# --- the job -------------------------------------------------------------------------------


def _call(call: RequiredActionFunctionToolCall) -> str:
    """Do what the run waits for: look the weather up."""
    city = json.loads(call.function.arguments).get("city")
    return _WEATHER.get(city, f"no weather is known for {city!r}")


def _outputs(run: Run) -> list[dict[str, str]]:
    action = run.required_action
    if not isinstance(action, RequiredActionSubmitToolOutputs):
        return []
    calls = action.submit_tool_outputs.tool_calls
    return [
        {"tool_call_id": call.id, "output": _call(call)}
        for call in calls
        if isinstance(call, RequiredActionFunctionToolCall)
    ]


def conversation(client: Client, stream: RunStream) -> Observable[Event]:
    """The events of a run to its end: where it waits for tools, they are called in between."""

    def go_on(_: object) -> Observable[Event]:
        run = stream.current_run
        if run is None or run.status != "requires_action":
            return rx.empty()
        submitted = client.threads.runs.submit_tool_outputs_stream(
            thread_id=run.thread_id, run_id=run.id, tool_outputs=_outputs(run)
        )
        return conversation(client, submitted)

    return rx.concat(stream, rx.defer(go_on))


def _start(client: Client, assistant_id: str, question: str) -> Observable[Event]:
    thread = {"messages": [{"role": "user", "content": question}]}
    stream = client.threads.create_and_run_stream(assistant_id=assistant_id, thread=thread)
    return conversation(client, stream)


def _named(name: str, events: Observable[Event]) -> Observable[tuple[str, Event]]:
    return events.pipe(ops.map(lambda event: (name, event)))


# --- what is shown -------------------------------------------------------------------------


@frozen
class Progress:
    """What is known of one run, for the screen and for the table."""

    snapshot: Snapshot = Snapshot()
    events: int = 0
    deltas: int = 0
    first_delta: float | None = None
    last_event: float = 0.0

    def after(self, event: Event, now: float) -> Progress:
        """What is known after an event that came ``now`` seconds after the start."""
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
        """How the run stands."""
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


def _said(message: Message) -> str:
    blocks = message.content
    return "".join(block.text.value for block in blocks if isinstance(block, TextContentBlock))


def _screen(runs: Mapping[str, Progress]) -> Group:
    panels: list[Panel] = []
    for name, progress in runs.items():
        body = Text.assemble(("you        ", "bold"), _QUESTIONS[name], "\n")
        for call in _calls(progress.snapshot):
            body.append("tool       ", "bold yellow").append(_describe(call) + "\n")
        for message in progress.snapshot.messages:
            body.append("assistant  ", "bold green").append(_said(message) + "\n")
        body.rstrip()
        panels.append(Panel(body, title=f"{name}: {progress.status}", title_align="left"))
    return Group(*panels)


def _lines(name: str, before: Snapshot, after: Snapshot) -> list[str]:
    """What is new, as plain lines: statuses, tool calls, and messages when they are whole."""
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
    told = {message.id for message in before.messages if message.status == "completed"}
    for message in after.messages:
        if message.status == "completed" and message.id not in told:
            lines.append(f"[{name}] assistant: {_said(message)}")
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
        assistant = client.assistants.create(
            model="scripted", name="demo", tools=[_GET_WEATHER, {"type": "code_interpreter"}]
        ).run()
        started = time.perf_counter()
        together = rx.merge(
            *(
                _named(name, _start(client, assistant.id, question))
                for name, question in _QUESTIONS.items()
            )
        )
        live = Live(console=console, refresh_per_second=15, get_renderable=lambda: _screen(runs))
        if console.is_terminal:
            live.start()
        try:
            for name, event in iterate(together):
                before = runs[name]
                runs[name] = before.after(event, time.perf_counter() - started)
                if not console.is_terminal:
                    for line in _lines(name, before.snapshot, runs[name].snapshot):
                        console.print(line, markup=False, highlight=False, soft_wrap=True)
        finally:
            live.stop()
    console.print(_table(runs))
    return 0 if all(progress.status == "completed" for progress in runs.values()) else 1
