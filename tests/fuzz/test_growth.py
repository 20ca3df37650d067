"""Work and memory grow no faster than what is sent.

Work is counted in instructions of the interpreter, which is exact; since one of them may copy much,
the time that the process spends is compared too, with a wide margin.
"""

import gc
import sys
import time
import tracemalloc
from contextlib import suppress

import pytest

from rxassist.errors import DecodeError, EventTooLargeError
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.wire.json import from_json
from rxassist.wire.sse import SSEDecoder

DONE = 'event: thread.run.step.completed\ndata: {"id":"s"}\n\n'
ENDED = 'event: thread.message.completed\ndata: {"id":"m"}\n\n'


def event(name, data):
    return f"event: thread.{name}\ndata: {data}\n\n"


def part(text="a", index=0, to="m", **more):
    more = "".join(f',"{key}":{value}' for key, value in more.items())
    content = f'{{"index":{index},"type":"text","text":{{"value":"{text}"{more}}}}}'
    return event("message.delta", f'{{"id":"{to}","delta":{{"content":[{content}]}}}}')


def call(index=0, to="s", kind="function", **more):
    more = more or {"function": '{"arguments":"abcde"}'}
    fields = "".join(f',"{key}":{value}' for key, value in more.items())
    one = f'{{"index":{index},"type":"{kind}"{fields}}}'
    details = f'{{"type":"tool_calls","tool_calls":[{one}]}}'
    return event("run.step.delta", f'{{"id":"{to}","delta":{{"step_details":{details}}}}}')


def mark(index):
    return f'[{{"index":{index},"type":"file_path","text":"x"}}]'


def log(index):
    return f'{{"outputs":[{{"index":{index},"type":"logs","logs":"abcde"}}]}}'


STREAMS = {
    "text": lambda n: [part() for _ in range(n)],
    "parts": lambda n: [part(index=i) for i in range(n)],
    "parts in turn": lambda n: [part(index=i % (n // 4)) for i in range(n)],
    "parts backwards": lambda n: [part(index=n - i) for i in range(n)],
    "messages": lambda n: [part(to=f"m{i}") for i in range(n)],
    "messages in turn": lambda n: [part(to=f"m{i % (n // 4)}") for i in range(n)],
    "annotations": lambda n: [part(annotations=mark(i)) for i in range(n)],
    "annotations in turn": lambda n: [part(annotations=mark(i % (n // 4))) for i in range(n)],
    "arguments": lambda n: [call() for _ in range(n)],
    "calls": lambda n: [call(i) for i in range(n)],
    "calls in turn": lambda n: [call(i % (n // 4)) for i in range(n)],
    "calls of one index": lambda n: [call(id=f'"c{i}"') for i in range(n)],
    "calls of one index in turn": lambda n: [call(id=f'"c{i % (n // 4)}"') for i in range(n)],
    "calls after the end": lambda n: [DONE, *(call(i) for i in range(n))],
    "a call after the end": lambda n: [DONE, *(call(0) for _ in range(n))],
    "parts after the end": lambda n: [ENDED, *(part(index=i) for i in range(n))],
    "a part after the end": lambda n: [ENDED, *(part() for _ in range(n))],
    "calls that end often": lambda n: [*(call(i) for i in range(n)), *([DONE] * n)],
    "steps in turn": lambda n: [call(to=f"s{i % (n // 4)}") for i in range(n)],
    "logs": lambda n: [call(kind="code_interpreter", code_interpreter=log(i)) for i in range(n)],
    "logs in turn": lambda n: [
        call(kind="code_interpreter", code_interpreter=log(i % (n // 4))) for i in range(n)
    ],
    "an unknown call": lambda n: [
        call(kind="hum", hum='{"tune":"abcde","notes":[1]}') for _ in range(n)
    ],
    "an unknown part": lambda n: [
        event("message.delta", '{"id":"m","delta":{"content":[{"type":"hum","hum":"abcde"}]}}')
        for _ in range(n)
    ],
    "unknown details": lambda n: [
        event("run.step.delta", '{"id":"s","delta":{"step_details":{"type":"hum","hum":["a"]}}}')
        for _ in range(n)
    ],
    "messages told again": lambda n: [
        event(f"message.{name}", '{"id":"m","content":[{"type":"text","text":{"value":"a"}}]}')
        for name in ("created", "completed")
        for _ in range(n)
    ],
}

# Text as a whole is not among what is read: to be told it at every event costs its length.
FOLD = ["accumulate_snapshots"]
OPERATORS = ["messages", "run_steps", "text_deltas", "tool_calls"]


def bytewise(body):
    decoder = SSEDecoder()
    for place in range(len(body)):
        for _ in decoder.feed(body[place : place + 1]):
            pass


def at_once(body):
    for _ in SSEDecoder().feed(body):
        pass


def as_json(text):
    with suppress(DecodeError):
        from_json(text)


BODIES = {
    "an endless line": lambda n: b"data: " + b"a" * n,
    "tiny lines of data": lambda n: b"data\n" * n,
    "comments": lambda n: b":\n" * n,
    "blank lines": lambda n: b"\n" * n,
    "carriage returns": lambda n: b"data:\r" * n,
    "names": lambda n: b"event: a\n" * n,
    "events": lambda n: b"event: a\ndata: b\n\n" * n,
}

TEXTS = {
    "lists": lambda n: "[" * n,
    "digits": lambda n: "9" * n,
    "closing brackets": lambda n: "[]" + "]" * n + "1",
    "items": lambda n: "[" + "[]," * n,
    "spaces": lambda n: " " * n,
    "escapes": lambda n: '"' + "\\ud83d" * n,
}


WORKS = [
    *((f"{name}, folded", make, "fold") for name, make in STREAMS.items()),
    *((f"{name}, read", make, "read") for name, make in STREAMS.items()),
    *((f"{name}, byte by byte", make, bytewise) for name, make in BODIES.items()),
    *((f"{name}, at once", make, at_once) for name, make in BODIES.items()),
    *((f"{name}, as JSON", make, as_json) for name, make in TEXTS.items()),
]


@pytest.fixture(params=[pytest.param((make, do), id=name) for name, make, do in WORKS])
def work(request, read):
    """A function of a size, which gives a function that does work of that size."""
    make, do = request.param

    def prepare(size):
        made = make(size)
        if callable(do):
            return lambda: do(made)
        events = list(EventDecoder().feed("".join(made).encode()))
        return lambda: read(events, FOLD if do == "fold" else OPERATORS)

    return prepare


def instructions_of(function):
    count = 0

    def trace(frame, event, _):
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # or Python 3.12 traces none the first time
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def test_work_grows_with_the_input(work):
    small, large = instructions_of(work(40)), instructions_of(work(320))
    assert large <= 8 * 1.2 * small


def seconds_of(function):
    """The least of a few times, which others that use the machine disturb least."""

    def once():
        begin = time.process_time()
        function()
        return time.process_time() - begin

    return min(once() for _ in range(3))


@pytest.fixture
def without_collections():
    """The collector of garbage has its own times, which are not those of the work."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collections")
def test_time_grows_with_the_input(work):
    """Sixteen times the input: had something grown with the square, 256 times the time."""
    size = 60
    while (small := seconds_of(work(size))) < 0.001 and size < 50_000:
        size *= 4
    assert seconds_of(work(16 * size)) < 16 * 4 * small + 0.05


@pytest.mark.parametrize(
    "chunk",
    [b"aa", b"data: aa\n", b"data\n", b"data: a\n", b"event: a\n: b\nid: c\n"],
    ids=["a line", "lines of data", "empty lines of data", "short lines of data", "other lines"],
)
def test_memory_is_bounded_by_the_size_of_an_event(chunk):
    limit = 50_000
    decoder = SSEDecoder(limit)
    tracemalloc.start()
    try:
        with suppress(EventTooLargeError):  # what is forgotten may go on for ever
            for _ in range(limit):
                assert list(decoder.feed(chunk)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * limit
