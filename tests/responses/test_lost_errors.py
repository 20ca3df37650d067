"""An error that waits for the next event is not lost when none comes."""

import asyncio

import httpx
import pytest
import reactivex as rx

from rxassist import AsyncClient, operators
from rxassist.errors import (
    APIConnectionError,
    APIError,
    DecodeError,
    EventTooLargeError,
    StreamTruncated,
)
from rxassist.protocols.responses.codec import EventDecoder
from rxassist.protocols.responses.events import ErrorEvent, ResponseCreated
from rxassist.wire.transport import Request

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
ERROR = {"type": "error", "error": {"code": "server_error", "message": "Sorry."}}
WRONG = {"type": "response.completed", "response": 3}
LARGE = {"type": "keepalive", "more": "x" * 1000}


def decoded(*chunks, error=None, **options):
    """What ``decode`` emits for chunks that end, or break with an error."""
    source = rx.from_iterable(chunks)
    if error is not None:
        source = rx.concat(source, rx.throw(error))
    events, errors = [], []
    decode = operators.decode(protocol="responses", **options)
    source.pipe(decode).subscribe(events.append, errors.append)
    return events, errors


def test_a_connection_that_breaks_does_not_lose_the_error(body):
    lost = APIConnectionError("reset by peer")
    events, errors = decoded(body(CREATED, ERROR), error=lost)
    assert [type(event) for event in events] == [ResponseCreated, ErrorEvent]
    assert errors == [lost]


def test_nothing_is_emitted_twice_when_the_connection_breaks(body):
    events, _ = decoded(body(CREATED, ERROR), body(CREATED), error=LookupError())
    assert [type(event) for event in events] == [ResponseCreated, ErrorEvent, ResponseCreated]


@pytest.mark.parametrize(
    ("after", "raised"), [(WRONG, DecodeError), (LARGE, EventTooLargeError)], ids=["wrong", "large"]
)
@pytest.mark.parametrize("apart", [True, False])
def test_a_next_event_that_is_wrong_does_not_lose_the_error(body, after, raised, apart):
    chunks = [body(CREATED, ERROR), body(after)]
    events, (error,) = decoded(*(chunks if apart else [b"".join(chunks)]), max_event_bytes=500)
    assert [type(event) for event in events] == [ResponseCreated, ErrorEvent]
    assert isinstance(error, raised)


def test_a_body_that_is_cut_in_the_next_event_does_not_lose_the_error(body):
    events, (error,) = decoded(body(CREATED, ERROR), body(CREATED)[:40])
    assert [type(event) for event in events] == [ResponseCreated, ErrorEvent]
    assert isinstance(error, StreamTruncated)


def test_a_body_that_ends_wrong_does_not_lose_the_error(body):
    events, (error,) = decoded(body(CREATED, ERROR), body(WRONG).rstrip())
    assert [type(event) for event in events] == [ResponseCreated, ErrorEvent]
    assert isinstance(error, DecodeError)


def test_the_error_of_the_service_is_what_ended_the_stream(body):
    source = rx.concat(rx.of(body(CREATED, ERROR)), rx.throw(APIConnectionError("reset by peer")))
    errors = []
    decode = operators.decode(protocol="responses")
    source.pipe(decode, operators.check_ending()).subscribe(on_error=errors.append)
    assert [(type(error), error.code) for error in errors] == [(APIError, "server_error")]


# --- over the transport --------------------------------------------------------------------


class Breaking(httpx.AsyncByteStream):
    """A body of some chunks, after which the connection breaks."""

    def __init__(self, *chunks):
        self.chunks = chunks

    async def __aiter__(self):
        for each in self.chunks:
            yield each
        raise httpx.ReadError(str(self.chunks))


async def collect(client, events):
    request = Request("POST", "/responses")
    async for batch in client._connection.transport.stream(request, EventDecoder):
        events += batch


@pytest.mark.parametrize("sent", [[CREATED, ERROR], [CREATED]])
def test_a_connection_that_breaks_under_the_transport(body, sent):
    def answer(_):
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=Breaking(body(*sent)))

    async def main():
        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        async with AsyncClient(base_url="http://memory/v1", http_client=http) as client:
            events = []
            with pytest.raises(APIConnectionError):
                await collect(client, events)
            return [event.name for event in events]

    assert asyncio.run(main()) == [event["type"] for event in sent]
