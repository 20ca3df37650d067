"""The marble diagrams in the docstrings are executed, in virtual time.

A diagram is two aligned lines, ``source`` and ``result``. What its letters stand for is said in
words above it, and here in values.
"""

import asyncio
import re
import selectors

import pytest
import reactivex as rx
from attrs import evolve, frozen
from reactivex import Subject
from reactivex import operators as ops
from reactivex.scheduler import ImmediateScheduler

from rxassist import operators
from rxassist.errors import APIConnectionError
from rxassist.events import (
    DoneEvent,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunInProgress,
    ThreadRunQueued,
    ThreadRunRequiresAction,
)
from rxassist.models import (
    FunctionCall,
    RequiredActionFunctionToolCall,
    RequiredActionSubmitToolOutputs,
    Run,
    SubmitToolOutputs,
)
from rxassist.protocols.assistants.codec import decode_event, encode_event
from rxassist.reactive import kernel, observable
from rxassist.runs.streams import merging
from rxassist.runs.tools import Toolbox
from rxassist.testing import Marbles, ResponseEventBuilder
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent, encode

_DIAGRAM = re.compile(r"^( *source +)(\S+)\n( *result +)(\S+)$", re.MULTILINE)

# --- what the letters stand for ------------------------------------------------------------


def said(name, **data):
    return decode_event(ServerSentEvent(name, to_json(data).decode()))


def run(status, name=None):
    return said(f"thread.run.{name or status}", id="run_1", status=status)


def message(status, text="", name=None):
    content = [{"type": "text", "text": {"value": text}}]
    return said(f"thread.message.{name or status}", id="msg_1", status=status, content=content)


def text(value):
    content = [{"index": 0, "type": "text", "text": {"value": value}}]
    return said("thread.message.delta", id="msg_1", delta={"content": content})


def step(status, name=None):
    return said(f"thread.run.step.{name or status}", id="step_1", status=status)


def calls(*deltas):
    details = {"type": "tool_calls", "tool_calls": list(deltas)}
    return said("thread.run.step.delta", id="step_1", delta={"step_details": details})


def call(index, name=None, arguments=""):
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": name, "type": "function", "function": function}


def using(name, tokens, **more):
    """A run or a step that is completed and used some tokens."""
    return said(name, status="completed", usage={"total_tokens": tokens}, **more)


def bytes_of(*events):
    return b"".join(encode(encode_event(event)) for event in events)


OF_RESPONSE = ResponseEventBuilder()
DONE = said("done")
QUEUED = run("queued")
WORKING = run("in_progress")
COMPLETED = run("completed")
ANSWER = message("completed", "ABC")
STEP = step("completed")
ACTION = ThreadRunRequiresAction(
    Run(
        "run_1",
        status="requires_action",
        required_action=RequiredActionSubmitToolOutputs(
            SubmitToolOutputs((RequiredActionFunctionToolCall("call_1", FunctionCall("nap")),))
        ),
    )
)
FOUND = Run("run_1", thread_id="thread_1", status="completed", started_at=1)
BEGUN = ThreadRunCreated(evolve(FOUND, status="queued", started_at=None))
BEGUN_TO_WORK = ThreadRunInProgress(evolve(FOUND, status="in_progress"))
ENDED = ThreadRunCompleted(FOUND)
TWO_CALLS = calls(call(0, "f"), call(1, "g"))


END_OF_RUN = merging.MergedEvent(1, None, None, merging.RunSummary(1))


def of_run(key, event):
    return merging.MergedEvent(key, event)


def stored(*items):
    """What the service has: a function of ids that gives it at once."""
    return lambda *_: rx.from_iterable(items, ImmediateScheduler())


def nap() -> str:
    """A tool."""
    return "rested"


def in_two_ticks(function):
    return rx.timer(2).pipe(ops.map(lambda _: function()))


def submitted(*events):
    """What submits, in two ticks, the only output that there is."""

    def submit(_, submission):
        assert submission == {"tool_outputs": [{"tool_call_id": "call_1", "output": "rested"}]}
        return rx.timer(2).pipe(ops.flat_map(lambda _: rx.from_iterable(events)))

    return submit


# --- the diagrams --------------------------------------------------------------------------


@frozen
class Diagram:
    """How to execute one: the operator, what it is piped into, and the letters."""

    operator: object
    letters: dict[str, object]
    then: object = None
    error: Exception | None = None


def begin_of_choose_each():
    return (lambda item: (item, item)), (lambda: ("Z",))


DIAGRAMS = {
    "accumulate_snapshots": Diagram(
        operators.accumulate_snapshots(),
        {"t": text("A"), "u": text("B"), "T": "A", "U": "AB"},
        then=ops.map(lambda snapshot: snapshot.text),
    ),
    "as_assistant_events": Diagram(
        operators.as_assistant_events(),
        {
            "k": OF_RESPONSE.response("in_progress", name="created"),
            "t": OF_RESPONSE.text_delta("A"),
            "c": OF_RESPONSE.response("completed"),
            "K": "thread.run.created",
            "m": "thread.message.created",
            "p": "thread.message.in_progress",
            "T": "thread.message.delta",
            "n": "thread.message.completed",
            "C": "thread.run.completed",
            "d": "done",
        },
        then=ops.map(lambda event: event.name),
    ),
    "check_ending": Diagram(operators.check_ending(), {"p": WORKING, "t": text("A")}),
    "choose": Diagram(operators.choose({"a": "A", "c": "C"}.get), {}),
    "choose_each": Diagram(operators.choose_each(begin_of_choose_each), {}),
    "citations": Diagram(
        operators.citations(), {"t": text("A【4:0"), "u": text("†source】B"), "d": DONE}
    ),
    "deadline": Diagram(operators.deadline(5), {}),
    "debounce_snapshots": Diagram(operators.debounce_snapshots(3), {}),
    "decode": Diagram(
        operators.decode(),
        {
            "1": bytes_of(QUEUED)[:20],
            "2": bytes_of(QUEUED)[20:],
            "3": bytes_of(WORKING, DONE),
            "q": QUEUED,
            "p": WORKING,
            "d": DONE,
        },
    ),
    "final_run": Diagram(
        operators.final_run(),
        {"p": WORKING, "t": text("A"), "c": COMPLETED, "d": DONE, "C": COMPLETED.data},
    ),
    "group_by_run": Diagram(
        operators.group_by_run(),
        {"a": of_run(0, "a"), "t": of_run(0, "t"), "b": of_run(1, "b"), "A": 0, "B": 1},
        then=ops.map(lambda group: group.key),
    ),
    "json_snapshots": Diagram(
        operators.json_snapshots(),
        {"a": '{"n": "x', "b": "y", "c": '"}', "A": {"n": "x"}, "B": {"n": "xy"}},
    ),
    "latest_snapshots": Diagram(
        operators.latest_snapshots(),
        {
            "t": of_run(0, text("A")),
            "u": of_run(0, text("B")),
            "v": of_run(1, text("C")),
            "T": {0: "A"},
            "U": {0: "AB"},
            "V": {0: "AB", 1: "C"},
        },
        then=ops.map(lambda latest: {key: latest[key].text for key in latest}),
    ),
    "lines": Diagram(
        operators.lines(), {"A": "A", "C": "C", "a": "A", "b": "\n\nB\n", "c": "C", "e": ""}
    ),
    "messages": Diagram(
        operators.messages(),
        {
            "m": message("in_progress", name="created"),
            "t": text("A"),
            "n": ANSWER,
            "d": DONE,
            "N": ANSWER.data,
        },
    ),
    "of_run": Diagram(
        operators.of_run(1),
        {"a": of_run(0, "A"), "t": of_run(1, "T"), "u": of_run(1, "U"), "e": END_OF_RUN},
    ),
    "of_type": Diagram(
        operators.of_type(ThreadMessageDelta),
        {"q": QUEUED, "t": text("A"), "u": text("B"), "d": DONE},
    ),
    "raise_for_status": Diagram(
        operators.raise_for_status(), {"p": WORKING, "f": run("failed"), "d": DONE}
    ),
    "recover": Diagram(
        operators.recover(stored(FOUND), stored(), stored()),
        {
            "k": BEGUN,
            "q": ThreadRunQueued(BEGUN.data),
            "p": BEGUN_TO_WORK,
            "c": ENDED,
            "d": DoneEvent(),
        },
        error=APIConnectionError("reset by peer"),
    ),
    "retry_run": Diagram(
        operators.retry_run(), {"q": QUEUED, "p": WORKING, "t": text("A"), "c": COMPLETED}
    ),
    "run_steps": Diagram(
        operators.run_steps(),
        {
            "s": step("in_progress", "created"),
            "t": text("A"),
            "z": STEP,
            "d": DONE,
            "Z": STEP.data,
        },
    ),
    "run_tools": Diagram(
        operators.run_tools(Toolbox([nap]), submitted(WORKING, COMPLETED, DONE), call=in_two_ticks),
        {"q": QUEUED, "a": ACTION, "p": WORKING, "c": COMPLETED, "d": DONE},
    ),
    "run_summaries": Diagram(
        operators.run_summaries(),
        {"t": of_run(1, text("A")), "e": END_OF_RUN, "E": END_OF_RUN.summary},
    ),
    "runs": Diagram(
        operators.runs(),
        {
            "k": run("queued", "created"),
            "q": QUEUED,
            "p": WORKING,
            "t": text("A"),
            "c": COMPLETED,
            "d": DONE,
            "K": QUEUED.data,
            "P": WORKING.data,
            "C": COMPLETED.data,
        },
    ),
    "sentences": Diagram(
        operators.sentences(),
        {"a": "It is 3.", "b": "14. N", "c": "ew", "A": "It is 3.14.", "N": "New"},
    ),
    "smooth": Diagram(
        operators.smooth(1),
        {"p": "A B C ", "q": "D E", "A": "A ", "B": "B ", "C": "C ", "D": "D "},
    ),
    "text_deltas": Diagram(
        operators.text_deltas(),
        {
            "m": message("in_progress", name="created"),
            "t": text("A"),
            "u": text("B"),
            "n": ANSWER,
            "d": DONE,
        },
    ),
    "text_snapshots": Diagram(
        operators.text_snapshots(),
        {"t": text("A"), "p": WORKING, "u": text("B"), "d": DONE, "T": "A", "U": "AB"},
    ),
    "timings": Diagram(
        operators.timings(),
        {"p": WORKING, "t": text("A"), "d": DONE, "T": (1, 3, 2)},
        then=ops.map(lambda told: (told.first_event, told.first_delta, told.between_deltas)),
    ),
    "tool_call_deltas": Diagram(
        operators.tool_call_deltas(),
        {
            "s": step("in_progress", "created"),
            "x": TWO_CALLS,
            "d": DONE,
            "X": TWO_CALLS.data.delta.step_details.tool_calls[0],
            "Y": TWO_CALLS.data.delta.step_details.tool_calls[1],
        },
    ),
    "tool_calls": Diagram(
        operators.tool_calls(),
        {
            "s": step("in_progress", "created"),
            "x": calls(call(0, "f", "{")),
            "y": calls(call(1, "g", "{")),
            "a": run("requires_action"),
            "d": DONE,
            "X": ("f", "{{"),
            "Y": ("g", "{{"),
        },
        then=ops.map(lambda call: (call.id, call.function.arguments)),
    ),
    "until_done": Diagram(
        operators.until_done(), {"p": WORKING, "t": text("A"), "c": COMPLETED, "d": DONE}
    ),
    "usage": Diagram(
        operators.usage(),
        {
            "y": using("thread.run.step.completed", 1, id="step_1"),
            "z": using("thread.run.step.completed", 2, id="step_2"),
            "c": using("thread.run.completed", 3, id="run_1"),
            "d": DONE,
        },
        then=ops.map(lambda used: str(used.total_tokens)),
    ),
}


def lines_of(documented):
    """The two lines of the diagram that something has in its docstring."""
    diagrams = _DIAGRAM.findall(documented.__doc__ or "")
    assert len(diagrams) == 1, f"{documented.__name__} has {len(diagrams)} diagrams, not one"
    ((source_margin, source, result_margin, result),) = diagrams
    assert len(source_margin) == len(result_margin), f"{documented.__name__}: not aligned"
    return source, result


def test_every_public_operator_has_a_diagram_that_is_executed():
    assert set(DIAGRAMS) == {*operators.__all__, "choose_each"}


@pytest.mark.parametrize("name", DIAGRAMS)
def test_the_diagram_of(name):
    documented = getattr(operators, name, None) or getattr(kernel, name)
    source, result = lines_of(documented)
    diagram = DIAGRAMS[name]
    marbles = Marbles(diagram.error, **diagram.letters)
    piped = marbles.cold(source).pipe(diagram.operator)
    assert marbles.run(piped if diagram.then is None else piped.pipe(diagram.then)) == result


# --- the one with coroutines ---------------------------------------------------------------


class _VirtualSelector(selectors.SelectSelector):
    """Does not wait: the clock jumps to what is due next."""

    now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is left to wait for"
            self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, one second a tick."""

    def __init__(self):
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self):
        return self._virtual.now


TICKS = {"a": 2, "b": 0}
"""How long the coroutine of a letter takes."""


async def taking_its_time(letter):
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(TICKS[letter], passed.set_result, None)
    await passed
    return letter


async def seen_in_loop(operator, frames):
    """What comes out, and when, where each of the frames is sent at its tick."""
    loop, seen, ended = asyncio.get_running_loop(), [], asyncio.Event()

    def see(symbol):
        seen.append((loop.time(), symbol))

    def end():
        see("|")
        ended.set()

    subject = Subject()
    subject.pipe(operator).subscribe(see, None, end)
    for tick, symbol in frames:
        send = (
            subject.on_completed if symbol == "|" else lambda letter=symbol: subject.on_next(letter)
        )
        loop.call_at(tick, send)
    await ended.wait()
    return seen


def test_the_diagram_of_map_async():
    source, result = map(frames_of, lines_of(observable.map_async))
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        assert runner.run(seen_in_loop(observable.map_async(taking_its_time), source)) == result


def frames_of(diagram):
    """The symbols of a diagram with their ticks."""
    marbles, frames = Marbles(), []

    def see(symbol):
        frames.append((marbles.scheduler.clock, symbol))

    marbles.run(marbles.cold(diagram).pipe(ops.do_action(see, None, lambda: see("|"))))
    return frames
