"""What the service says, in short."""

from pathlib import Path

import pytest
import reactivex

from rxassist.codec import EventDecoder, decode_event, to_json
from rxassist.sse import ServerSentEvent
from rxassist.testing import Marbles


class Said:
    """Each method makes one event, as it comes off the wire."""

    def event(self, name, data):
        return decode_event(ServerSentEvent(name, to_json(data).decode()))

    def run(self, status, name=None, **more):
        return self.event(f"thread.run.{name or status}", {"id": "run_1", "status": status, **more})

    def action(self, *calls, **more):
        """The run requires action: each call is an id, a name and arguments."""
        required = [
            {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call, name, arguments in calls
        ]
        waits = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": required}}
        return self.run("requires_action", required_action=waits, **more)

    def message(self, status, *texts, name=None, **more):
        content = [
            {"type": "text", "text": {"value": text, "annotations": []}}
            if isinstance(text, str)
            else text
            for text in texts
        ]
        data = {"id": "msg_1", "role": "assistant", "status": status, "content": content, **more}
        return self.event(f"thread.message.{name or status}", data)

    def delta(self, *parts, to="msg_1"):
        """A message grows: a part is a text, or a part's index and text, or a whole part."""
        content = [
            {"index": 0, "type": "text", "text": {"value": part}}
            if isinstance(part, str)
            else {"index": part[0], "type": "text", "text": {"value": part[1]}}
            if isinstance(part, tuple)
            else part
            for part in parts
        ]
        return self.event("thread.message.delta", {"id": to, "delta": {"content": content}})

    def step(self, status, *calls, name=None, **more):
        """A step as a whole, which calls tools if there are any."""
        details = {"type": "tool_calls", "tool_calls": list(calls)}
        data = {"id": "step_1", "status": status, "step_details": details, **more}
        return self.event(f"thread.run.step.{name or status}", data)

    def call(self, call, name="f", arguments="", **more):
        """A call of a function, in a step or in a delta."""
        function = {"name": name, "arguments": arguments, "output": None}
        return {"id": call, "type": "function", "function": function, **more}

    def more(self, arguments, index=0):
        """A function's arguments grow."""
        return {"index": index, "type": "function", "function": {"arguments": arguments}}

    def calls(self, *deltas, to="step_1"):
        """Tool calls of a step grow."""
        details = {"type": "tool_calls", "tool_calls": list(deltas)}
        data = {"id": to, "delta": {"step_details": details}}
        return self.event("thread.run.step.delta", data)

    def error(self, message="Sorry.", **more):
        return self.event("error", {"message": message, **more})

    @property
    def done(self):
        return self.event("done", "[DONE]")


@pytest.fixture(scope="session")
def said():
    return Said()


@pytest.fixture(scope="session")
def emitted():
    """All that an operator emits for some items; an error is raised at the end."""

    def collect(operator, *items):
        values, errors = [], []
        reactivex.from_iterable(items).pipe(operator).subscribe(values.append, errors.append)
        for error in errors:
            raise error
        return values

    return collect


@pytest.fixture
def flows():
    """Three aligned strings: in, out, subscription window. Gives the error that came out."""

    def check(operator, source, result, subscribed=None, *, window="^", error=None, **letters):
        marbles = Marbles(error, **letters)
        cold = marbles.cold(source)
        assert marbles.run(cold.pipe(operator), window) == result
        assert subscribed in {None, *cold.subscriptions}
        assert len(cold.subscriptions) == 1
        return marbles.errors[0] if marbles.errors else None

    return check


@pytest.fixture
def recorded(wire):
    """The events of a recorded body."""

    def events(name):
        decoder = EventDecoder()
        body = (wire / "assistants" / name).read_bytes()
        return [*decoder.feed(body), *decoder.flush()]

    return events


def pytest_generate_tests(metafunc):
    """``recording`` is the name of each recording that has events."""
    if "recording" in metafunc.fixturenames:
        folder = Path(__file__).parents[1] / "wire" / "assistants"
        names = {path.name for path in folder.iterdir()} - {"php-no-blank-lines.sse"}
        metafunc.parametrize("recording", sorted(names))
