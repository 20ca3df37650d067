"""What the tests of the Responses protocol use: recorded streams, and events in short."""

from pathlib import Path

import pytest
import reactivex

from rxassist.protocols.responses.codec import EventDecoder
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent, encode

STREAMS = sorted((Path(__file__).parents[1] / "wire" / "responses").glob("*.sse"))


def pytest_generate_tests(metafunc):
    if "path" in metafunc.fixturenames:
        metafunc.parametrize("path", [pytest.param(path, id=path.stem) for path in STREAMS])


@pytest.fixture(scope="session")
def decode():
    """The events of a body, which comes in some chunks."""

    def decoded(*chunks, response_id=""):
        decoder = EventDecoder(response_id=response_id)
        events = [event for chunk in chunks for event in decoder.feed(chunk)]
        return events + list(decoder.flush())

    return decoded


@pytest.fixture(scope="session")
def body():
    """The bytes of events that are given as their JSON, or as text as it is."""

    def written(*events):
        lines = [
            encode(ServerSentEvent(event["type"], to_json(event).decode()))
            if isinstance(event, dict)
            else event.encode()
            for event in events
        ]
        return b"".join(lines)

    return written


@pytest.fixture(scope="session")
def told(decode, body):
    """The events that are given as their JSON, decoded."""

    def events(*sent, **options):
        return decode(body(*sent), **options)

    return events


@pytest.fixture(scope="session")
def short_streams():
    return [path for path in STREAMS if path.stat().st_size < 30_000]


@pytest.fixture
def recorded(path, decode):
    return decode(path.read_bytes())


@pytest.fixture(scope="session")
def emitted():
    """All that an operator emits for some events, and the error that it ends with."""

    def collect(operator, events):
        values, errors = [], []
        reactivex.from_iterable(events).pipe(operator).subscribe(values.append, errors.append)
        return values, errors

    return collect
