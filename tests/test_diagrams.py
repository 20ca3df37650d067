"""The marble diagrams in the docstrings are executed, in virtual time.

A diagram is two aligned lines, ``source`` and ``result``. What its letters stand for is said in
words above it, and here in values.
"""

import asyncio
import re
import selectors

import pytest
from attrs import frozen
from reactivex import Subject
from reactivex import operators as ops

from rxassist import consumers, operators
from rxassist.codec import decode_event, encode_event, to_json
from rxassist.events import ThreadMessageDelta
from rxassist.operators import _kernel
from rxassist.sse import ServerSentEvent, encode
from rxassist.testing import Marbles

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


def bytes_of(*events):
    return b"".join(encode(encode_event(event)) for event in events)


DONE = said("done")
QUEUED = run("queued")
WORKING = run("in_progress")
COMPLETED = run("completed")
ANSWER = message("completed", "ABC")
STEP = step("completed")
TWO_CALLS = calls(call(0, "f"), call(1, "g"))


# --- the diagrams --------------------------------------------------------------------------


@frozen
class Diagram:
    """How to execute one: the operator, what it is piped into, and the letters."""

    operator: object
    letters: dict[str, object]
    then: object = None


def begin_of_choose_each():
    return (lambda item: (item, item)), (lambda: ("Z",))


DIAGRAMS = {
    "accumulate_snapshots": Diagram(
        operators.accumulate_snapshots(),
        {"t": text("A"), "u": text("B"), "T": "A", "U": "AB"},
        then=ops.map(lambda snapshot: snapshot.text),
    ),
    "check_ending": Diagram(operators.check_ending(), {"p": WORKING, "t": text("A")}),
    "choose": Diagram(operators.choose({"a": "A", "c": "C"}.get), {}),
    "choose_each": Diagram(_kernel.choose_each(begin_of_choose_each), {}),
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
    "of_type": Diagram(
        operators.of_type(ThreadMessageDelta),
        {"q": QUEUED, "t": text("A"), "u": text("B"), "d": DONE},
    ),
    "raise_for_status": Diagram(
        operators.raise_for_status(), {"p": WORKING, "f": run("failed"), "d": DONE}
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
    documented = getattr(operators, name, None) or getattr(_kernel, name)
    source, result = lines_of(documented)
    diagram = DIAGRAMS[name]
    marbles = Marbles(**diagram.letters)
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
    source, result = map(frames_of, lines_of(consumers.map_async))
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        assert runner.run(seen_in_loop(consumers.map_async(taking_its_time), source)) == result


def frames_of(diagram):
    """The symbols of a diagram with their ticks."""
    marbles, frames = Marbles(), []

    def see(symbol):
        frames.append((marbles.scheduler.clock, symbol))

    marbles.run(marbles.cold(diagram).pipe(ops.do_action(see, None, lambda: see("|"))))
    return frames
