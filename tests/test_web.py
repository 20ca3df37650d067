"""Server-Sent Events for browsers: what is written, and that nothing is left behind."""

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import aclosing, contextmanager
from itertools import islice, takewhile
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import httpx
import pytest
import reactivex as rx
from reactivex import Observable, Subject
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rxassist import (
    AsyncClient,
    Client,
    Demand,
    Snapshot,
    current_demand,
    models,
    to_sse,
    to_sse_blocking,
)
from rxassist.errors import APIError
from rxassist.events import DoneEvent, ThreadRunQueued, UnknownEvent
from rxassist.local import LocalService, say, wait
from rxassist.operators import latest_snapshots, raise_for_status, smooth
from rxassist.polling import PollEvent
from rxassist.protocols.assistants.codec import decode_event
from rxassist.protocols.assistants.snapshots import fold
from rxassist.runs.operators.usage import Timings
from rxassist.runs.streams.merging import RunSummary, merge_runs
from rxassist.runs.tools import ToolResult
from rxassist.wire.sse import ServerSentEvent, SSEDecoder

WAIT = 10
"""Seconds after which a test that hangs fails."""


def endless(turn):
    yield say("Hello there.")
    yield wait(60)
    yield say("Never heard.")


def decoded(*chunks):
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def written(source, **options):
    """All that is written of a source, decoded as a browser would; with asyncio and without."""

    async def collect():
        async with asyncio.timeout(WAIT):
            return [chunk async for chunk in source.pipe(to_sse(**options))]

    chunks = asyncio.run(collect())
    assert list(source.pipe(to_sse_blocking(**options))) == chunks
    return decoded(*chunks)


def test_each_item_is_an_event_with_an_id_and_the_end_is_told():
    assert written(rx.of("a\r\nb", {"n": 1}, None)) == [
        ServerSentEvent(data='"a\\r\\nb"', id="1"),
        ServerSentEvent(data='{"n":1}', id="2"),
        ServerSentEvent(data="null", id="3"),
        ServerSentEvent("end", "null", id="3"),
    ]


def test_models_events_and_snapshots_are_written_as_the_service_does():
    snapshot = fold(Snapshot(), ThreadRunQueued(models.Run("run_1", status="queued")))
    event = UnknownEvent("thread.x", {"a": 1})
    usage, whole, said, done, _ = written(
        rx.of(models.Usage(1, 2, 3), snapshot, event, DoneEvent())
    )
    assert json.loads(usage.data)["total_tokens"] == 3
    assert json.loads(whole.data)["run"]["id"] == "run_1"
    assert json.loads(whole.data)["messages"] == []
    assert decode_event(said) == event
    assert (done.event, done.data) == ("done", "[DONE]")


def test_merged_runs_are_written_though_one_failed():
    event = ThreadRunQueued(models.Run("run_1", status="queued"))
    streams = {"ann": rx.throw(APIError("secret", code="c")), "bob": rx.of(event)}
    source = merge_runs(streams, scheduler=TestScheduler())  # whose clock stands still
    failed, queued, ended, end = written(source)
    error = {"type": "APIError", "code": "c"}
    assert json.loads(failed.data)["error"] == error
    assert json.loads(failed.data)["summary"]["error"] == error
    assert "secret" not in failed.data
    assert json.loads(queued.data)["event"]["event"] == "thread.run.queued"
    assert json.loads(ended.data)["summary"]["status"] == "queued"
    assert end.event == "end"

    *_, latest, _ = written(source.pipe(latest_snapshots()))
    told = json.loads(latest.data)
    assert list(told) == ["ann", "bob"]
    assert told["ann"] == {"run": None, "messages": [], "run_steps": []}
    assert told["bob"]["run"]["id"] == "run_1"


def test_what_operators_emit_is_written_with_its_errors_and_properties():
    call = models.FunctionToolCall("call_1")
    items = [
        ToolResult(call, "out", ValueError("secret")),
        PollEvent("file_1", None, LookupError("secret")),
        RunSummary(1, models.Run("run_1", status="failed")),
        Timings(2.0, 0.5, 1.0, 2.0, deltas=3, completion_tokens=4),
        {1: [Snapshot()], ("a", 2): OSError("secret")},
    ]
    *told, _ = written(rx.from_iterable(items))
    result, state, summary, timings, mapping = (json.loads(event.data) for event in told)
    assert result["call"]["id"] == "call_1"
    assert result["error"] == {"type": "ValueError", "code": None}
    assert state == {
        "key": "file_1",
        "state": None,
        "error": {"type": "LookupError", "code": None},
    }
    assert (summary["status"], summary["run"]["id"]) == ("failed", "run_1")
    assert (timings["between_deltas"], timings["tokens_per_second"]) == (0.5, 4.0)
    assert list(mapping) == ["1", "('a', 2)"]
    assert mapping["1"][0]["messages"] == []


def test_encode_must_give_an_event(caplog):
    (told,) = written(rx.of("a"), encode=str)
    assert json.loads(told.data)["type"] == "TypeError"
    assert "encode must give a ServerSentEvent, got 'a'" in caplog.text


def test_encode_says_what_is_written():
    def encode(number):
        return ServerSentEvent("number", str(number), id=f"n{number}" if number > 1 else "")

    assert written(rx.of(1, 2), encode=encode)[:2] == [
        ServerSentEvent("number", "1", id="1"),
        ServerSentEvent("number", "2", id="n2"),
    ]


@pytest.mark.parametrize(
    ("after", "data"),
    [
        ("2", ["3"]),
        (2, ["3"]),
        *((bad, ["1", "2", "3"]) for bad in (None, "x", "", "9" * 5_000, -2)),
    ],
    ids=["text", "number", "none", "a word", "nothing", "5,000 digits", "negative"],
)
def test_who_comes_back_gets_what_is_missing(after, data):
    *events, _ = written(rx.of(1, 2, 3), after=after)
    assert [event.data for event in events] == data
    assert events[-1].id == "3"


def test_an_error_is_an_event_that_tells_no_secrets(caplog):
    error = APIError("the key sk-123 is wrong", code="invalid_api_key")
    *_, told = written(rx.concat(rx.of(1), rx.throw(error)))
    assert told.event == "error"
    assert json.loads(told.data) == {"type": "APIError", "code": "invalid_api_key"}
    assert "sk-123 is wrong" in caplog.text
    (told,) = written(rx.throw(LookupError("secret")))
    assert json.loads(told.data) == {"type": "LookupError", "code": None}


def test_what_cannot_be_encoded_is_an_error_too(caplog):
    assert [event.event for event in written(rx.of(object()))] == ["error"]
    bad = written(rx.of("a"), encode=lambda text: ServerSentEvent("a\nb", text))
    assert [event.event for event in bad] == ["error"]
    assert "cannot hold any of" in caplog.text


def test_silence_is_broken_by_comments():
    async def collect():
        source = Subject()
        async with asyncio.timeout(WAIT), aclosing(source.pipe(to_sse(keep_alive=0.01))) as chunks:
            first = await anext(chunks)
            source.on_next(1)
            rest = []
            while not rest or rest[-1].startswith(b":"):
                rest.append(await anext(chunks))
            source.on_completed()
            while not rest[-1].startswith(b"event: end"):
                rest.append(await anext(chunks))
            assert [chunk async for chunk in chunks] == []
        return first, b"".join(rest)

    first, rest = asyncio.run(collect())
    assert first == b": keep-alive\n\n"
    assert [event.data for event in decoded(rest)] == ["1", "null"]


def test_no_keep_alive_is_no_timer():
    assert [event.data for event in written(rx.of(1), keep_alive=None)] == ["1", "null"]


@pytest.mark.parametrize("write", [to_sse, to_sse_blocking])
def test_a_keep_alive_that_is_none_is_refused(write):
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="keep_alive must be above 0 and finite, or None, got"):
            write(keep_alive=seconds)
    for seconds in ("15", True):
        with pytest.raises(TypeError, match="keep_alive must be a number of seconds, or None, got"):
            write(keep_alive=seconds)


def test_nothing_happens_before_the_first_chunk_is_asked_for():
    subscribed = []
    source = rx.defer(lambda _: subscribed.append(True) or rx.empty())

    async def make():
        chunks = source.pipe(to_sse())
        assert subscribed == []
        return [chunk async for chunk in chunks]

    asyncio.run(make())
    assert subscribed == [True]


def test_a_browser_that_leaves_disposes_the_source():
    async def closed():
        source = Subject()
        chunks = source.pipe(to_sse())
        waiting = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        source.on_next(1)
        await waiting
        assert len(source.observers) == 1
        await chunks.aclose()
        assert source.observers == []

    async def cancelled():
        source = Subject()

        async def send():
            async for _ in source.pipe(to_sse()):
                pass

        sending = asyncio.ensure_future(send())
        await asyncio.sleep(0)
        assert len(source.observers) == 1
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert source.observers == []

    asyncio.run(closed())
    asyncio.run(cancelled())


def test_a_slow_browser_pauses_the_source():
    demands: list[Demand] = []

    def subscribe(observer, scheduler=None):
        demands.append(current_demand())
        for number in range(4):
            observer.on_next(number)

    async def read():
        async with aclosing(Observable(subscribe).pipe(to_sse(buffer=4))) as chunks:
            await anext(chunks)
            assert not demands[0].is_open
            for _ in range(3):
                await anext(chunks)
            waiting = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0)
            assert demands[0].is_open
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(read())


def test_a_run_of_an_async_client_and_of_a_client():
    async def both(service):
        async with AsyncClient(base_url=service.base_url) as client:
            assistant = await client.assistants.create(model="m")
            stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
            chunks = stream.pipe(raise_for_status(), ops.map(lambda event: event.event))
            events = decoded(*[chunk async for chunk in chunks.pipe(to_sse())])
            again = [chunk async for chunk in stream.text_deltas.pipe(to_sse(after=1))]
        with Client(base_url=service.base_url) as blocking:
            stream = blocking.threads.create_and_run_stream(assistant_id=assistant.id)
            chunks = stream.text_deltas.pipe(to_sse())
            texts = decoded(*[chunk async for chunk in chunks])
        return events, decoded(*again), texts

    with LocalService() as service:
        events, again, texts = asyncio.run(both(service))
    assert events[0].data == '"thread.created"'
    assert events[-1].event == "end"
    assert again[0].id == "2"
    assert [event.data for event in again] == [event.data for event in texts][1:]


def slow(turn):
    yield say("Hello there, this takes a while.")


async def left_after_two(stream):
    """What the only browser gets that leaves after two events, and comes back for the rest."""
    async with aclosing(stream.text_deltas.pipe(to_sse())) as chunks:
        got = decoded(*[await anext(chunks) for _ in range(2)])
    rest = stream.text_deltas.pipe(to_sse(after=got[-1].id))
    return got + decoded(*[chunk async for chunk in rest])


async def asked_with(service, **options):
    async with AsyncClient(base_url=service.base_url) as client, asyncio.timeout(WAIT):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, **options)
        return await left_after_two(stream)


@pytest.mark.parametrize("on_dispose", ["detach", "cancel"])
def test_the_only_browser_comes_back_for_the_rest_of_a_stream_that_lingers(on_dispose):
    with LocalService(slow, token_delay=0.01) as service:
        *texts, end = asyncio.run(asked_with(service, linger=WAIT, on_dispose=on_dispose))
    assert "".join(json.loads(event.data) for event in texts) == "Hello there, this takes a while."
    assert [event.id for event in texts] == [str(number) for number in range(1, len(texts) + 1)]
    assert end.event == "end"


def test_the_only_browser_that_comes_back_to_a_stream_that_does_not_linger_is_told():
    with LocalService(slow, token_delay=0.01) as service:
        *_, told = asyncio.run(asked_with(service))
    assert (told.event, json.loads(told.data)["type"]) == ("error", "StreamClosed")


def test_a_stream_that_lingered_in_vain_is_cancelled():
    with LocalService(endless) as service, Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, linger=0.05, on_dispose="cancel"
        )
        stream.pipe(ops.take(5)).run()
        assert service.open_streams == 1
        service.wait_for(lambda: service.open_streams == 0, WAIT)


def test_a_client_that_closes_does_not_wait_for_a_stream_that_lingers():
    with LocalService(endless) as service:
        with Client(base_url=service.base_url) as client:
            assistant = client.assistants.create(model="m").run()
            stream = client.threads.create_and_run_stream(assistant_id=assistant.id, linger=60)
            stream.pipe(ops.take(5)).run()
        service.wait_for(lambda: service.open_streams == 0, WAIT)


@pytest.mark.parametrize("linger", [-1, "30", True])
def test_a_linger_that_is_no_time_is_refused(linger):
    with Client(base_url="http://127.0.0.1:9/v1") as client:
        stream = client.threads.create_and_run_stream
        with pytest.raises((TypeError, ValueError), match="linger must"):
            stream(assistant_id="asst_1", linger=linger)


@pytest.mark.parametrize("paced", [False, True])
def test_a_client_that_closes_tells_the_browser(paced):
    async def main(service):
        async with asyncio.timeout(WAIT):
            client = AsyncClient(base_url=service.base_url)
            assistant = await client.assistants.create(model="m")
            texts = client.threads.create_and_run_stream(assistant_id=assistant.id).text_deltas
            chunks = texts.pipe(*[smooth(0.001)] * paced, to_sse(keep_alive=None))
            got = [await anext(chunks)]
            closing = asyncio.ensure_future(client.close())
            got += [chunk async for chunk in chunks]
            await closing
        return decoded(*got)

    with LocalService(endless) as service:
        *_, told = asyncio.run(main(service))
    assert (told.event, json.loads(told.data)["type"]) == ("error", "ClientClosed")


# --- without asyncio -----------------------------------------------------------------------


def asked_in_a_thread(chunks):
    """A thread that waits for the next chunk, and what it was given."""
    given = []
    waiting = threading.Thread(target=lambda: given.extend(islice(chunks, 1)))
    waiting.start()
    return waiting, given


def subscribed_to(source):
    for _ in range(WAIT * 1000):
        if source.observers:
            return
        threading.Event().wait(0.001)
    pytest.fail("nobody subscribed")


def test_nothing_happens_before_a_thread_asks_and_nothing_if_it_never_does():
    subscribed = []
    source = rx.defer(lambda _: subscribed.append(True) or rx.of(1))
    source.pipe(to_sse_blocking()).close()
    chunks = source.pipe(to_sse_blocking())
    assert subscribed == []
    assert [event.data for event in decoded(*chunks)] == ["1", "null"]
    assert subscribed == [True]
    assert list(chunks) == []


def test_silence_is_broken_by_comments_for_a_thread_too():
    source = Subject()
    chunks = source.pipe(to_sse_blocking(keep_alive=0.01))
    comment = b": keep-alive\n\n"
    assert [next(chunks) for _ in range(3)] == [comment] * 3
    source.on_next(1)
    source.on_completed()
    assert [event.data for event in decoded(*chunks)] == ["1", "null"]


def test_a_close_disposes_the_source_and_gives_nothing_more():
    source = Subject()
    chunks = source.pipe(to_sse_blocking(keep_alive=0.01))
    next(chunks)
    source.on_next(1)
    source.on_next(2)
    next(chunks)
    chunks.close()
    assert source.observers == []
    assert list(chunks) == []
    chunks.close()


def test_a_close_holds_no_thread_that_waits():
    source = Subject()
    chunks = source.pipe(to_sse_blocking(keep_alive=None))
    waiting, given = asked_in_a_thread(chunks)
    subscribed_to(source)
    chunks.close()
    waiting.join(WAIT)
    assert not waiting.is_alive()
    assert given == []
    assert source.observers == []


def test_a_client_that_is_closed_holds_no_thread_that_waits():
    with LocalService(endless) as service:
        with Client(base_url=service.base_url) as client:
            assistant = client.assistants.create(model="m").run()
            stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
            chunks = stream.text_deltas.pipe(to_sse_blocking(keep_alive=None))
            got = [next(chunks)]
            waiting = threading.Thread(target=lambda: got.extend(chunks))
            waiting.start()
        waiting.join(WAIT)
        assert not waiting.is_alive()
    assert json.loads(decoded(*got)[-1].data)["type"] == "ClientClosed"


def test_a_body_that_is_forgotten_disposes_the_source():
    source = Subject()
    chunks = source.pipe(to_sse_blocking(keep_alive=0.01))
    next(chunks)
    assert len(source.observers) == 1
    del chunks
    gc.collect()
    assert source.observers == []


def test_a_slow_browser_pauses_the_source_for_a_thread_too():
    demands: list[Demand] = []

    def subscribe(observer, scheduler=None):
        demands.append(current_demand())
        for number in range(4):
            observer.on_next(number)

    chunks = Observable(subscribe).pipe(to_sse_blocking(buffer=4, keep_alive=0.01))
    next(chunks)
    assert not demands[0].is_open
    for _ in range(3):
        next(chunks)
    assert next(chunks).startswith(b":")
    assert demands[0].is_open
    chunks.close()


@contextmanager
def served_by_wsgi(application):
    """The address of an application on the server of the standard library."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    class Threads(ThreadingMixIn, WSGIServer):  # which waits for its threads when it closes
        pass

    with make_server("127.0.0.1", 0, validator(application), Threads, Quiet) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join(WAIT)


def answering(source, **options):
    """An application that answers every request with a source, or its rest."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return source.pipe(to_sse_blocking(after=environ.get("HTTP_LAST_EVENT_ID"), **options))

    return application


def test_a_run_over_wsgi_and_a_browser_that_comes_back_for_the_rest():
    with LocalService() as service, Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        with served_by_wsgi(answering(stream.text_deltas)) as address:
            whole = decoded(httpx.get(address).content)
            rest = decoded(httpx.get(address, headers={"Last-Event-ID": "2"}).content)
        texts = [json.loads(event.data) for event in whole[:-1]]
        assert "".join(texts) == "".join(stream.text_deltas)
    assert whole[-1].event == "end"
    assert rest == whole[2:]


def test_a_browser_that_leaves_a_wsgi_server_cancels_the_run():
    with LocalService(endless) as service, Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, on_dispose="cancel"
        )
        with served_by_wsgi(answering(stream.text_deltas, keep_alive=0.01)) as address:
            with httpx.stream("GET", address) as answer:
                written = b"".join(
                    takewhile(lambda chunk: b"Hello" not in chunk, answer.iter_raw())
                )
                assert decoded(written) == []  # comments only, before the first text
            service.wait_for(lambda: service.open_streams == 0, WAIT)
            thread_id, run_id = stream.current_run.thread_id, stream.current_run.id
            retrieved = client.threads.runs.poll(thread_id=thread_id, run_id=run_id).run()
            assert retrieved.status == "cancelled"


# --- the example, in a browser -------------------------------------------------------------

EXAMPLES = Path(__file__).parent.parent / "examples"


@contextmanager
def served(base_url):
    """The address of examples/web.py, served in a process of its own."""
    command = [sys.executable, "-m", "uvicorn", "web:app", "--app-dir", EXAMPLES, "--port", "0"]
    environment = {**os.environ, "RXASSIST_BASE_URL": base_url}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        log = []
        try:
            for line in process.stderr:
                log.append(line)
                running = re.search(r"running on (http://[\d.:]+)", line)
                if running is not None:
                    yield running[1]
                    break
            else:
                pytest.fail("".join(log))
        finally:
            process.terminate()
            log.append(process.stderr.read())
        assert "Traceback" not in "".join(log), "".join(log)


def test_three_runs_side_by_side_in_a_browser(browser):
    from selenium.webdriver.support.ui import WebDriverWait

    def shown(tag):
        return [element.text for element in browser.find_elements("tag name", tag)]

    with LocalService(token_delay=0.05) as service, served(service.base_url) as address:
        browser.get(address)
        assert shown("output") == ["idle"] * 3
        questions = [f"Question {number}?" for number in range(3)]
        for place, question in zip(
            browser.find_elements("tag name", "input"), questions, strict=True
        ):
            place.clear()
            place.send_keys(question)
        browser.find_element("tag name", "button").click()
        growing = set()

        def completed(_):
            growing.add(tuple(map(len, shown("p"))))
            return shown("output") == ["completed"] * 3

        WebDriverWait(browser, WAIT, poll_frequency=0.05).until(completed)
        for question, answer in zip(questions, shown("p"), strict=True):
            assert answer.startswith("This is a scripted answer")
            assert answer.endswith(f'You wrote: "{question}"')
        assert len(growing) > 2, "the texts did not grow, they were there at once"


def test_a_browser_that_leaves_closes_its_runs(browser):
    with LocalService(endless) as service, served(service.base_url) as address:
        browser.get(address)
        browser.find_element("tag name", "button").click()
        service.wait_for(lambda: service.open_streams == 3, WAIT)
        browser.get("about:blank")
        service.wait_for(lambda: service.open_streams == 0, WAIT)
        service.wait_for(lambda: cancellations(service) == 3, WAIT)


def cancellations(service):
    return sum(path.endswith("/cancel") for _, path in service.requests)


def test_a_stop_button_cancels_the_runs_and_is_no_error(browser):
    with LocalService(endless) as service, served(service.base_url) as address:
        browser.get(address)
        start, stop = browser.find_elements("tag name", "button")
        start.click()
        service.wait_for(lambda: service.open_streams == 3, WAIT)
        stop.click()
        service.wait_for(lambda: cancellations(service) == 3, WAIT)
        shown = [element.text for element in browser.find_elements("tag name", "output")]
        assert shown == ["stopped"] * 3
