"""What the service says, in short."""

from pathlib import Path

import pytest
import reactivex

from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.testing import EventBuilder, Marbles


class Said(EventBuilder):
    """The builder, in short."""

    action = EventBuilder.requires_action
    delta = EventBuilder.message_delta
    step = EventBuilder.run_step
    calls = EventBuilder.run_step_delta
    call = EventBuilder.function_call
    more = EventBuilder.arguments


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
