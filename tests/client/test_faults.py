"""Faults over real sockets: how each ends, in how long, and that nothing is left behind."""

import asyncio
import gc
import json
import logging
import threading
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from starlette.datastructures import MutableHeaders

from rxassist import (
    APIError,
    APITimeoutError,
    AsyncClient,
    Client,
    ClientClosed,
    InternalServerError,
    RateLimitError,
    RunOutcomeUnknown,
    StreamClosed,
    StreamDiverged,
    StreamTruncated,
    ThreadBusyError,
)
from rxassist.errors import DecodeError, EventTooLargeError
from rxassist.local import (
    Fault,
    answer,
    call,
    cut,
    drop,
    duplicate,
    framing,
    garble,
    hang_up,
    insert,
    refuse,
    say,
    stall,
    swap,
    trickle,
    truncate,
    wait,
)
from rxassist.wire.sse import ServerSentEvent

WORDS = tuple(f"{number} " for number in range(30))
TEXT = "".join(WORDS)
MIDDLE = 6_000  # a byte in the middle of a delta: 16 events came before
DELTA = 15  # an event in the middle of the text
LONG = 5.0  # seconds; nothing here takes as long
KEY = "sk-this-is-secret-0123456789"


def numbers(_):
    yield say(*WORDS)


def endless(_):
    yield say("word")
    yield wait(60)


# --- how a fault is injected, and a stream followed to its end -----------------------------


def starts(fault, *, times=1):
    """What creates a run meets a fault, so many times; nothing else does."""

    def faults(asked):
        creates = asked.method == "POST" and asked.path.endswith("/runs")
        return fault if creates and asked.attempt <= times else None

    return faults


def and_reads(fault, then, *, times=10**9, of=""):
    """What creates a run meets a fault, and what reads it (``of`` a kind) meets another one."""
    begins = starts(fault)

    def faults(asked):
        if asked.method == "GET":
            last = asked.path.rpartition("/")[2]
            return then if asked.attempt <= times and last.startswith(of) else None
        return begins(asked)

    return faults


def of_another_type(content_type):
    """The service's own answer, as something else."""

    def around(app):
        async def renaming(scope, receive, send):
            async def send_renamed(message):
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message)["content-type"] = content_type
                await send(message)

            await app(scope, receive, send_renamed)

        return renaming

    return Fault(around)


class Ended(NamedTuple):
    """What the subscribers of a stream were told, and how long it took."""

    text: str
    names: list
    error: Exception | None
    snapshot: object
    seconds: float


class Told:
    """Listens to a stream, twice."""

    def __init__(self, stream):
        self.began = time.monotonic()
        self.stream, self.text, self.names, self.errors = stream, [], [], []
        self.over, self.first_text = threading.Event(), threading.Event()
        self.text_too = stream.text_deltas.subscribe(self._say, lambda _: None)
        self.all_events = stream.subscribe(
            lambda event: self.names.append(event.event), self._fail, self.over.set
        )

    def _say(self, text):
        self.text.append(text)
        self.first_text.set()

    def _fail(self, error):
        self.errors.append(error)
        self.over.set()

    def ended(self):
        assert self.over.wait(2 * LONG), "the stream did not end"
        seconds = time.monotonic() - self.began
        error = self.errors[0] if self.errors else None
        return Ended("".join(self.text), self.names, error, self.stream.snapshot, seconds)


class Sync:
    """A ``Client`` in a test."""

    def __init__(self, service, **options):
        self.service = service
        self.client = Client(base_url=service.base_url, **options)

    def do(self, function, *given, **named):
        """Call a function where the client belongs."""
        return function(*given, **named)

    def get(self, observable):
        return observable.run()

    def close(self):
        self.client.close()

    @property
    def loop(self):
        return self.client._home._loop

    def place(self):
        """Where a run can be, as keyword arguments."""
        assistant = self.get(self.client.assistants.create(model="m"))
        thread = self.get(self.client.threads.create())
        return {"thread_id": thread.id, "assistant_id": assistant.id}

    def listen(self, begin, *given, **named):
        """Listen to what a function returns."""
        return self.do(lambda: Told(begin(*given, **named)))

    def is_idle(self):
        """No task and no stream is left."""
        asyncio.run_coroutine_threadsafe(nothing_is_left(), self.loop).result(2 * LONG)
        self.service.wait_for(lambda: not self.service.open_streams)


class Async(Sync):
    """An ``AsyncClient`` in a test, on an event loop in another thread."""

    loop = None

    def __init__(self, service, **options):
        self.service = service
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.client = AsyncClient(base_url=service.base_url, **options)

    def do(self, function, *given, **named):
        async def call():
            return function(*given, **named)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(LONG)

    def get(self, observable):
        async def ask():
            return await observable

        return asyncio.run_coroutine_threadsafe(ask(), self.loop).result(LONG)

    def close(self):
        closing = self.client.close()
        asyncio.run_coroutine_threadsafe(closing, self.loop).result(2 * LONG)

    def end(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


async def nothing_is_left():
    """Every task of the loop has ended, whatever a stream was doing."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=LONG)
    assert not left, left


@pytest.fixture(params=[Sync, Async], ids=["Client", "AsyncClient"])
def connect(request):
    """A client of each kind for a service: ``connect(service, **options)``."""
    with ExitStack() as stack:

        def connect(service, **options):
            connected = request.param(service, **options)
            if request.param is Async:
                stack.callback(connected.end)
            stack.callback(connected.close)
            return connected

        yield connect


@pytest.fixture
def follow(connect):
    """Follow a stream to its end: ``follow(service, begin, **options)``."""

    def follow(service, begin, **options):
        connected = connect(service, **options)
        place = connected.place()
        ended = connected.listen(begin, connected.client, **place).ended()
        connected.is_idle()
        return ended

    return follow


@pytest.fixture
def perform(serve, follow):
    """A run of numbers that meets faults: what its subscribers are told, and the service."""

    def perform(faults, script=numbers, **options):
        service = serve(script, faults=faults)

        def begin(client, **place):
            return client.threads.runs.stream(**place, **options)

        return follow(service, begin), service

    return perform


def _open_files():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.fixture(autouse=True)
def _no_file_is_left_open():
    before = _open_files()
    yield
    if _open_files() > before:
        gc.collect()
    assert _open_files() <= before


# --- the table -----------------------------------------------------------------------------


def is_whole(ended):
    """Each character came exactly once, and the stream completed."""
    assert ended.error is None
    assert (ended.text, ended.snapshot.text) == (TEXT, TEXT)
    assert ended.snapshot.run.status == "completed"
    assert ended.seconds < LONG


def carries_what_is_known(ended, service):
    """An error says of which run it speaks, and how far that had come."""
    error = ended.error
    assert (error.run_id, error.last_event) == (service.runs[0], ended.names[-1])
    assert error.thread_id.startswith("thread_")
    assert error.snapshot.text == ended.text == TEXT[: len(ended.text)]
    assert f"run {error.run_id}" in "".join(traceback.format_exception(error))
    assert ended.seconds < LONG


LOST = {
    "closed early": cut(900),
    "closed in the text": cut(MIDDLE),
    "reset early": cut(900, reset=True),
    "reset in the text": cut(MIDDLE, reset=True),
    "truncated": truncate(MIDDLE),
    "stalled": stall(MIDDLE),
    "run events dropped, and done": drop("thread.run.completed", "done"),
    "closed between two letters of a chunk": framing(chunk=1) | cut(MIDDLE + 1),
    "closed in comments, CRLF and a BOM": framing(line_end="\r\n", comments=True, bom=True)
    | cut(MIDDLE),
}


def patience_for(fault):
    """Seconds of silence: only where the service is silent may a busy machine matter."""
    return 0.2 if fault is LOST["stalled"] else LONG


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_lost_stream_is_recovered(perform, fault):
    ended, service = perform(starts(fault), idle_timeout=patience_for(fault))
    is_whole(ended)
    assert ended.names[-2:] == ["thread.run.completed", "done"]
    assert len(service.runs) == 1
    assert ("GET", f"/v1/threads/{ended.snapshot.run.thread_id}/messages") in service.requests


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_lost_stream_is_an_error_without_recovery(perform, fault):
    ended, service = perform(starts(fault), idle_timeout=patience_for(fault), recover=False)
    silent = fault is LOST["stalled"]
    assert type(ended.error) is (APITimeoutError if silent else StreamTruncated)
    carries_what_is_known(ended, service)


HARMLESS = {
    "closed at its end": cut(None),
    "done never comes": drop("done"),
    "done never comes, and the connection stays open": drop("done") | stall(None),
    "CRLF": framing(line_end="\r\n"),
    "CR": framing(line_end="\r"),
    "comments between and inside events": framing(comments=True),
    "a BOM": framing(bom=True),
    "a chunk for each byte": framing(chunk=1),
    "all of these": framing(line_end="\r", comments=True, bom=True) | framing(chunk=3),
    "a wrong content type": of_another_type("text/html"),
    "garbage before the first event": garble(0, b"\0\xff\xfe\x01\n\n"),
    "garbage behind done": garble(12_000, b"\0\xff\xfe\x01"),
    "trickling": trickle(11_000, every=0.0002),
    "whole objects twice": duplicate("thread.run.created", "thread.message.created"),
    "the end twice": duplicate("thread.run.completed", "done"),
    "created behind in_progress": swap(5),
    "created never comes": drop("thread.run.created", "thread.message.created"),
    "429 twice, with Retry-After": refuse(429, {"retry-after": "0.01"}),
    "503 twice": refuse(503, {"retry-after": "0.01"}),
}


@pytest.mark.parametrize("fault", HARMLESS.values(), ids=HARMLESS)
def test_what_is_harmless_changes_nothing(perform, fault):
    refused = fault in (HARMLESS["429 twice, with Retry-After"], HARMLESS["503 twice"])
    ended, service = perform(starts(fault, times=2 if refused else 1), idle_timeout=0.5)
    is_whole(ended)
    assert len(service.runs) == 1
    paths = [path for method, path in service.requests if method == "GET"]
    assert not paths, "it was no reason for a recovery"


def test_a_delta_that_comes_twice_or_late_is_told_so_and_the_end_is_right(perform):
    for fault in (duplicate(DELTA), swap(DELTA), drop(DELTA)):
        ended, _ = perform(starts(fault))
        assert ended.error is None
        assert ended.text != TEXT
        assert ended.snapshot.text == TEXT


ERROR = '{"message": "it broke", "type": "server_error", "code": "broken"}'
WRAPPED = f'{{"error": {ERROR}}}'
DEEP = '{"id": "m", "delta": ' + "[" * 1_000 + "]" * 1_000 + "}"
LARGE = '{"id": "m", "delta": ' + "1" * 1_000_000 + "}"


def instead(data, name="thread.message.delta"):
    return insert(ServerSentEvent(name, data), at=DELTA)


ERRORS = {
    "an error event": (instead(ERROR, "error"), APIError, "it broke"),
    "a wrapped error event": (instead(WRAPPED, "error"), APIError, "it broke"),
    "garbage in an event": (garble(MIDDLE, b"\0\xff\xfe"), DecodeError, "expected JSON"),
    "garbage lines": (garble(MIDDLE, b"\r\n\n<html>\n\n"), DecodeError, "expected JSON"),
    "a wrong type": (instead('{"id": [], "delta": 7}'), DecodeError, r"at \$\.id expected text"),
    "JSON a thousand deep": (instead(DEEP), DecodeError, "expected JSON"),
    "a number of a million digits": (instead(LARGE), DecodeError, "expected JSON"),
    "an endless line": (
        trickle(MIDDLE, every=0, piece=b"x" * 60_000),
        EventTooLargeError,
        "max_event_bytes=16777216",
    ),
    "an endless event": (
        trickle(MIDDLE, every=0, piece=b"x" * 60_000 + b"\ndata: "),
        EventTooLargeError,
        "max_event_bytes=16777216",
    ),
    "a byte a minute": (
        trickle(MIDDLE, every=60),
        APITimeoutError,
        "no end within the deadline of 1 s",
    ),
}


@pytest.mark.parametrize(("fault", "kind", "said"), ERRORS.values(), ids=ERRORS)
def test_what_is_wrong_is_an_error_that_says_where_the_run_stood(perform, fault, kind, said):
    ended, service = perform(starts(fault), deadline=1)
    assert type(ended.error) is kind
    with pytest.raises(kind, match=said):
        raise ended.error
    carries_what_is_known(ended, service)
    assert len(str(ended.error)) < 500


def test_an_error_event_keeps_what_it_says(perform):
    for data in (ERROR, WRAPPED):
        ended, _ = perform(starts(instead(data, "error")))
        error = ended.error
        assert (error.code, error.type, ended.names[-1]) == ("broken", "server_error", "error")


def test_any_byte_is_a_sign_of_life(perform):
    drips = trickle(MIDDLE, every=0.02, piece=b"\n: ping")
    ended, service = perform(starts(drips), idle_timeout=0.4, deadline=1)
    assert type(ended.error) is APITimeoutError
    assert "deadline of 1 s" in str(ended.error)
    assert ended.seconds > 0.9
    carries_what_is_known(ended, service)


# --- before the first event ----------------------------------------------------------------

PAGE = "<html><h1>Bad gateway</h1></html>"
ANSWERS = {
    "an HTML page": (answer(PAGE), RunOutcomeUnknown, "no event stream but text/html.*Bad gateway"),
    "an HTML page with 502": (answer(PAGE, status=502), RunOutcomeUnknown, "HTTP 502.*Bad gate"),
    "JSON": (
        answer('{"id": "run_1"}', "application/json"),
        RunOutcomeUnknown,
        "no event stream but app",
    ),
    "500": (refuse(500), RunOutcomeUnknown, "HTTP 500"),
    "503 for good": (refuse(503, {"retry-after": "0.01"}), InternalServerError, "HTTP 503"),
    "429 for good": (refuse(429, {"retry-after": "0.01"}), RateLimitError, "HTTP 429"),
    "an endless header": (
        answer("", "text/event-stream", headers={"x-long": "x" * 3_000_000}),
        RunOutcomeUnknown,
        "Receive buffer too long|more than 65536 bytes",  # httpx's words, and aiohttp's
    ),
    "garbage": (answer(b"\0\xff" * 300, "text/event-stream"), RunOutcomeUnknown, "body ended"),
    "nothing": (answer(b"", "text/event-stream"), RunOutcomeUnknown, "body ended"),
    "silence": (stall(0), RunOutcomeUnknown, "no answer in time"),
    "closed behind a byte": (cut(1), RunOutcomeUnknown, "peer closed|not completed"),
}


@pytest.mark.parametrize(("fault", "kind", "said"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_none_is_an_error(perform, fault, kind, said):
    ended, service = perform(starts(fault, times=9), idle_timeout=0.3)
    assert type(ended.error) is kind
    with pytest.raises(kind, match=said):
        raise ended.error
    assert ended.names == []
    assert ended.error.thread_id.startswith("thread_")
    assert ended.seconds < LONG
    assert len(service.runs) <= 1


@pytest.mark.parametrize("fault", [trickle(0, every=60), stall(0)], ids=["a byte a minute", "none"])
def test_a_deadline_holds_before_the_first_event_too(perform, fault):
    ended, _ = perform(starts(fault), deadline=0.3)
    assert type(ended.error) is APITimeoutError
    assert ended.error.thread_id.startswith("thread_")
    assert ended.seconds < LONG


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("handled", [False, True], ids=["not handled", "handled"])
def test_a_connection_lost_before_any_answer_never_makes_two_runs(perform, handled, reset):
    ended, service = perform(starts(hang_up(handled=handled, reset=reset)))
    assert type(ended.error) is RunOutcomeUnknown
    assert len(service.runs) == handled
    said = f"threads.runs.list({ended.error.thread_id!r}, limit=1)"
    assert said in str(ended.error)


def creations(service):
    """How often a run was asked for."""
    return sum((method, path[-5:]) == ("POST", "/runs") for method, path in service.requests)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_idempotent_makes_exactly_one(perform, reset):
    ended, service = perform(starts(hang_up(handled=True, reset=reset)), idempotent=True)
    is_whole(ended)
    assert (len(service.runs), creations(service)) == (1, 1)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_idempotent_never_asks_again_for_what_is_not_found(perform, reset):
    hung_up = starts(hang_up(handled=False, reset=reset))
    ended, service = perform(hung_up, idempotent=True, patience=0.5)
    assert type(ended.error) is RunOutcomeUnknown
    assert "it was looked for during 0.5 seconds, and not found" in str(ended.error)
    assert (len(service.runs), creations(service)) == (0, 1)


def test_500_says_nothing_of_a_run(perform):
    ended, service = perform(starts(refuse(500), times=3), idempotent=True, patience=0.5)
    assert type(ended.error) is RunOutcomeUnknown
    assert (len(service.runs), creations(service)) == (0, 1)


def test_503_of_the_service_three_times_and_then_fine(perform):
    refused = starts(refuse(503, {"retry-after": "0.01"}), times=3)
    ended, service = perform(refused, max_retries=3)
    is_whole(ended)
    assert (len(service.runs), creations(service)) == (1, 4)


def test_idempotent_on_a_new_thread(serve, follow):
    service = serve(numbers, faults=starts(hang_up(handled=True)))

    def begin(client, assistant_id, **_):
        return client.threads.create_and_run_stream(assistant_id=assistant_id, idempotent=True)

    is_whole(follow(service, begin))
    assert len(service.runs) == 1


def test_a_run_that_is_only_created_is_one_too(serve):
    for idempotent in (False, True):
        service = serve(numbers, faults=starts(hang_up(handled=True)))
        with Client(base_url=service.base_url) as client:
            assistant = client.assistants.create(model="m").run()
            thread = client.threads.create().run()
            created = client.threads.runs.create(
                thread.id, assistant_id=assistant.id, idempotent=idempotent
            )
            if idempotent:
                assert created.run().id == service.runs[0]
            else:
                with pytest.raises(RunOutcomeUnknown):
                    created.run()
        assert len(service.runs) == 1


# --- faults while a recovery is under way --------------------------------------------------

ONCE = {
    "closed": cut(10),
    "reset": cut(10, reset=True),
    "hung up": hang_up(handled=True),
    "500": refuse(500, {"retry-after": "0.01"}),
    "429": refuse(429, {"retry-after": "0.01"}),
    "stalled": stall(10),
}


@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)
def test_a_fault_during_recovery_is_survived(perform, fault):
    ended, service = perform(and_reads(cut(MIDDLE), fault, times=1, of="run_"), timeout=0.3)
    is_whole(ended)
    assert len(service.runs) == 1


@pytest.mark.parametrize("of", ["steps", "messages"])
def test_a_fault_while_lists_are_read_is_survived(perform, of):
    ended, _ = perform(and_reads(cut(MIDDLE), cut(10), times=1, of=of))
    is_whole(ended)


AWAY = {
    "hangs up": hang_up(handled=False),
    "resets": hang_up(handled=False, reset=True),
    "refuses": refuse(503),
    "refuses for an hour": refuse(429, {"retry-after": "3600"}),
    "stalls": stall(0),
    "trickles": trickle(0, every=60),
    "is a page": answer(PAGE, status=502),
}


@pytest.mark.parametrize("fault", AWAY.values(), ids=AWAY)
def test_a_service_that_is_away_for_good_is_given_up(perform, fault):
    ended, service = perform(and_reads(cut(MIDDLE), fault), recovery_timeout=0.5)
    assert type(ended.error) is StreamTruncated
    carries_what_is_known(ended, service)
    assert ended.seconds < 0.5 + 2
    assert any("the recovery failed, too" in note for note in ended.error.__notes__)


def test_a_service_that_is_closed_is_given_up(serve, follow):
    service = serve(endless, faults=starts(stall(4_500)))

    def begin(client, **place):
        stream = client.threads.runs.stream(**place, recovery_timeout=0.3)
        stream.text_deltas.subscribe(
            lambda _: threading.Thread(target=service.close).start(), lambda _: None
        )
        return stream

    ended = follow(service, begin)
    assert type(ended.error) is StreamTruncated
    assert (ended.text, ended.error.snapshot.text) == ("word", "word")
    assert ended.seconds < 0.3 + 3


@pytest.mark.parametrize(
    "spoilt", [duplicate(DELTA), swap(DELTA), drop(DELTA)], ids=["twice", "late", "never"]
)
def test_a_stored_text_that_diverges_is_an_error(perform, spoilt):
    ended, service = perform(starts(spoilt | cut(MIDDLE + 1_000)))
    assert type(ended.error) is StreamDiverged
    assert ended.error.streamed == ended.text
    assert ended.error.stored == TEXT
    assert (ended.error.run_id, ended.error.last_event) == (service.runs[0], ended.names[-1])
    assert ended.error.snapshot.text == ended.text
    assert ended.seconds < LONG


# --- outputs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        hang_up(handled=True),
        hang_up(handled=True, reset=True),
        hang_up(handled=False),
        cut(0),
        cut(1),
        cut(1_500, reset=True),
        cut(5_000),
        truncate(5_000),
    ],
    ids=["lost", "reset", "never came", "no byte", "a byte", "early", "in the text", "truncated"],
)
def test_outputs_are_submitted_once(serve, follow, fault):
    taken = []

    def script(_):
        taken.append((yield call("f")))
        yield say(*WORDS)

    def faults(asked):
        return fault if "submit" in asked.path and asked.attempt == 1 else None

    service = serve(script, faults=faults)
    run, (called,) = waiting_run(service)

    def begin(client, **_):
        outputs = [{"tool_call_id": called, "output": "42"}]
        return client.threads.runs.submit_tool_outputs_stream(**run, tool_outputs=outputs)

    ended = follow(service, begin)
    assert (ended.error, ended.text) == (None, TEXT)
    assert taken == ["42"]
    assert len(service.runs) == 1
    assert ended.names[-2:] == ["thread.run.completed", "done"]


def waiting_run(service):
    """A run that waits for outputs, as arguments, and the ids of its calls."""
    with httpx.Client(base_url=service.base_url) as http:
        assistant = http.post("/assistants", json={"model": "m"}).json()["id"]
        run = http.post("/threads/runs", json={"assistant_id": assistant}).json()
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"

        def waits():
            nonlocal run
            run = http.get(path).json()
            return run["status"] == "requires_action"

        service.wait_for(waits)
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return {"thread_id": run["thread_id"], "run_id": run["id"]}, [each["id"] for each in calls]


# --- a thread is busy ----------------------------------------------------------------------


def slowly(turn):
    yield say(turn.run.instructions or "")
    yield wait(0.05)
    yield say("!")


def test_a_busy_thread_is_an_error_that_names_its_run(serve, connect):
    service = serve(endless)
    connected = connect(service)
    runs, place = connected.client.threads.runs, connected.place()
    first = connected.listen(runs.stream, **place)
    assert first.first_text.wait(LONG)
    error = connected.listen(runs.stream, **place).ended().error
    assert type(error) is ThreadBusyError
    assert (error.run_id, error.thread_id) == (service.runs[0], place["thread_id"])
    connected.close()
    assert type(first.ended().error) is ClientClosed


@pytest.mark.parametrize("count", [2, 5])
def test_streams_that_wait_for_a_thread_start_in_order(serve, connect, count):
    service = serve(slowly)
    connected = connect(service)
    runs, place = connected.client.threads.runs, connected.place()

    def begin(number):
        return runs.stream(**place, if_busy="wait", instructions=f"run {number}")

    told = [connected.listen(begin, number) for number in range(count)]
    ended = [each.ended() for each in told]
    assert [each.error for each in ended] == [None] * count
    assert [each.text for each in ended] == [f"run {number}!" for number in range(count)]
    assert [each.snapshot.run.id for each in ended] == service.runs
    connected.is_idle()


def test_a_stream_waits_for_the_run_of_somebody_else(serve, connect):
    service = serve(slowly)
    connected, other = connect(service), connect(service)
    place = connected.place()
    first = other.listen(other.client.threads.runs.stream, **place, instructions="first")
    assert first.first_text.wait(LONG)
    stream = connected.client.threads.runs.stream
    second = connected.listen(stream, **place, if_busy="wait", instructions="second")
    assert (first.ended().text, second.ended().text) == ("first!", "second!")


def test_a_stream_cancels_the_run_that_is_in_its_way(serve, connect):
    service = serve(lambda turn: endless(turn) if turn.run.instructions else numbers(turn))
    connected = connect(service)
    runs, place = connected.client.threads.runs, connected.place()
    first = connected.listen(runs.stream, **place, instructions="wait")
    assert first.first_text.wait(LONG)
    second = connected.listen(runs.stream, **place, if_busy="cancel").ended()
    assert (second.error, second.text) == (None, TEXT)
    assert first.ended().snapshot.run.status == "cancelled"
    assert len(service.runs) == 2


def test_who_waits_for_a_thread_can_leave(serve, connect):
    service = serve(endless)
    connected = connect(service)
    runs, place = connected.client.threads.runs, connected.place()
    first = connected.listen(runs.stream, **place)
    assert first.first_text.wait(LONG)
    waiting = [connected.listen(runs.stream, **place, if_busy="wait") for _ in range(2)]
    connected.do(waiting[0].stream._close)
    assert type(waiting[0].ended().error) is StreamClosed
    connected.get(runs.cancel(service.runs[0], thread_id=place["thread_id"]))
    assert waiting[1].first_text.wait(LONG)
    assert len(service.runs) == 2


# --- limits --------------------------------------------------------------------------------


def test_a_full_pool_is_an_error_with_the_number(serve, connect):
    service = serve(endless)
    connected = connect(service, max_connections=3, timeout=0.3)
    stream = connected.client.threads.runs.stream
    places = [connected.place() for _ in range(4)]
    told = [connected.listen(stream, **place) for place in places[:3]]
    assert all(each.first_text.wait(LONG) for each in told)
    error = connected.listen(stream, **places[3]).ended().error
    assert type(error) is APITimeoutError
    assert "all 3 connections of this client" in str(error)
    assert len(service.runs) == 3


def test_a_hundred_and_fifty_streams_at_once_are_no_problem(serve, connect):
    service = serve(endless)
    connected = connect(service)
    assistant_id = connected.place()["assistant_id"]
    begin = connected.client.threads.create_and_run_stream
    told = [connected.listen(begin, assistant_id=assistant_id) for _ in range(150)]
    assert all(each.first_text.wait(4 * LONG) for each in told)
    assert service.open_streams == len(service.runs) == 150
    connected.close()
    assert {type(each.ended().error) for each in told} == {ClientClosed}


# --- leaving -------------------------------------------------------------------------------


def has_asked(service, method, end):
    """A condition: such a request has come."""
    return lambda: any(
        (each, path.endswith(end)) == (method, True) for each, path in service.requests
    )


@pytest.mark.parametrize("recovering", [False, True], ids=["streaming", "recovering"])
def test_the_last_subscriber_that_leaves_cancels_the_run(serve, connect, recovering):
    service = serve(endless, faults=starts(cut(4_600)) if recovering else None)
    connected = connect(service)
    stream, place = connected.client.threads.runs.stream, connected.place()
    told = connected.listen(stream, **place, on_dispose="cancel")
    assert told.first_text.wait(LONG)
    if recovering:
        service.wait_for(has_asked(service, "GET", service.runs[0]))
    connected.do(told.text_too.dispose)
    connected.get(connected.client.threads.retrieve(place["thread_id"]))  # time goes by
    assert service.active_runs
    service.requests.clear()
    connected.do(told.all_events.dispose)
    service.wait_for(lambda: not service.active_runs)
    service.wait_for(has_asked(service, "GET", service.runs[0]))  # it is confirmed
    connected.is_idle()
    cancelled = [path for _, path in service.requests if path.endswith("/cancel")]
    assert len(cancelled) == 1
    assert not told.errors


def test_a_cancel_that_is_refused_for_now_is_tried_again(serve, connect):
    def faults(asked):
        refused = asked.path.endswith("/cancel") and asked.attempt <= 2
        return refuse(503, {"retry-after": "0.01"}) if refused else None

    service = serve(endless, faults=faults)
    connected = connect(service)
    told = connected.listen(
        connected.client.threads.runs.stream, **connected.place(), on_dispose="cancel"
    )
    assert told.first_text.wait(LONG)
    connected.do(told.stream._close)
    service.wait_for(lambda: not service.active_runs)
    connected.is_idle()


def test_a_client_that_closes_waits_until_a_cancel_is_confirmed(serve, connect, logged):
    still = {"id": "run_1", "thread_id": "t", "assistant_id": "a", "status": "cancelling"}

    def faults(asked):
        reads = asked.method == "GET" and "/runs/" in asked.path
        soon = {"openai-poll-after-ms": "20"}
        told = answer(json.dumps(still), "application/json", headers=soon)
        return told if reads and asked.attempt <= 3 else None

    service = serve(endless, faults=faults)
    connected = connect(service)
    told = connected.listen(
        connected.client.threads.runs.stream, **connected.place(), on_dispose="cancel"
    )
    assert told.first_text.wait(LONG)
    connected.do(told.stream._close)
    threads = threading.active_count()
    service.wait_for(has_asked(service, "GET", service.runs[0]))
    assert threading.active_count() <= threads  # it waits on the loop, not in a thread
    connected.close()
    assert not service.active_runs
    reads = [path for method, path in service.requests if method == "GET"]
    assert len(reads) == 4
    assert logged() == []


@pytest.mark.parametrize(
    ("away", "on_dispose"),
    [(stall(0), "detach"), (refuse(503), "detach"), (refuse(503), "cancel")],
    ids=["stalled", "refused", "refused, and cancelled"],
)
def test_a_client_that_is_closed_during_a_recovery_tells_and_returns(
    serve, connect, away, on_dispose
):
    service = serve(endless, faults=and_reads(cut(4_600), away))
    connected = connect(service)
    told = connected.listen(
        connected.client.threads.runs.stream, **connected.place(), on_dispose=on_dispose
    )
    assert told.first_text.wait(LONG)
    service.wait_for(has_asked(service, "GET", service.runs[0]))
    began = time.monotonic()
    connected.close()
    assert time.monotonic() - began < (1 if on_dispose == "detach" else 6)
    assert type(told.ended().error) is ClientClosed
    assert bool(service.active_runs) is (on_dispose == "detach")


# --- what is shown -------------------------------------------------------------------------


@pytest.fixture
def logged(caplog):
    """What was logged of our library: levels and lines, without one for each answer."""
    caplog.set_level(logging.INFO)

    def logged():
        ours = [each for each in caplog.records if each.name == "rxassist"]
        return [(each.levelname, each.getMessage()) for each in ours]

    return logged


def test_a_run_without_a_fault_is_not_logged(perform, logged):
    perform(None)
    assert [line for level, line in logged() if level != "DEBUG"] == []


def test_a_recovery_is_one_line(perform, logged):
    _, service = perform(starts(cut(MIDDLE)))
    ((level, line),) = logged()
    assert level == "INFO"
    assert f"run {service.runs[0]}: the stream was lost" in line


def test_each_retry_is_one_line(perform, logged):
    perform(starts(refuse(429, {"retry-after": "0.01"}), times=2))
    levels = [level for level, line in logged() if "trying again in 0.01 s" in line]
    assert (levels, len(logged())) == (["INFO"] * 2, 2)


def test_a_search_for_a_run_is_one_line_and_a_recovery_another(perform, logged):
    _, service = perform(starts(hang_up(handled=True)), idempotent=True)
    (first, search), (second, recovery) = logged()
    assert (first, second) == ("INFO", "INFO")
    assert "looking for it" in search
    assert service.runs[0] in recovery


def test_retries_in_a_recovery_tell_the_run(perform, logged):
    _, service = perform(and_reads(cut(MIDDLE), refuse(503, {"retry-after": "0.01"}), times=1))
    lines = logged()
    assert {level for level, _ in lines} == {"INFO"}
    assert all(service.runs[0] in line or "/messages" in line for _, line in lines)
    assert len(lines) == 4


REPEATED = json.dumps({"error": {"message": f"wrong key {KEY}", "code": KEY, "param": KEY}})
REPEATS = {
    "an error body": starts(answer(REPEATED, "application/json", status=401), times=9),
    "an HTML page": starts(answer(f"<html>{'.' * 280}{KEY}"), times=9),
    "a page with 500": starts(answer(f"<html>{'.' * 240}{KEY}", status=500), times=9),
    "an error event": starts(instead(REPEATED, "error")),
    "a bare error event": starts(instead(json.dumps({"message": KEY}), "error")),
    "garbage": starts(instead(f"{{{KEY}")),
    "garbage cut": starts(instead(f"{{{'.' * 100}{KEY}")),
    "a wrong type": starts(instead(f'{{"id": [{KEY!r}]}}'.replace("'", '"'))),
    "a header": starts(
        answer("", status=307, headers={"location": f"http://127.0.0.1:9/{KEY}"}), times=9
    ),
    "reads": and_reads(cut(MIDDLE), answer(REPEATED, "application/json", status=401)),
    "pages instead of runs": and_reads(cut(MIDDLE), answer(f"<html>{'.' * 100}{KEY}")),
}


@pytest.mark.parametrize("faults", REPEATS.values(), ids=REPEATS)
def test_a_key_that_a_server_repeats_is_nowhere(serve, connect, caplog, faults):
    caplog.set_level(logging.DEBUG)
    connected = connect(serve(numbers, faults=faults), api_key=KEY)
    stream = connected.client.threads.runs.stream
    told = connected.listen(stream, **connected.place(), recovery_timeout=0.3)
    error = told.ended().error
    ours = [each for each in caplog.records if each.name.startswith("rxassist")]
    shown = [repr(error), str(error), *traceback.format_exception(error)]
    shown += [caplog.handler.format(each) for each in ours]
    shown += map(repr, [connected.client, told.stream, connected.client._transport._settings])
    shown += [value for value in vars(error).values() if isinstance(value, str)]
    assert "sk-this" not in "".join(shown)
