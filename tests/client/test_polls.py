"""Polling helpers over real sockets: once created, each change, to the end."""

import json
import time

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist import Client, DecodeError, NotFoundError, PollTimeout
from rxassist.local import answer, call, fail, hang_up, refuse, say, stall, wait


@pytest.fixture
def working(serve):
    """A service whose runs work for a moment, ask for a call, and then answer."""

    def script(_):
        yield wait(0.05)
        output = yield call("f", {})
        yield wait(0.05)
        yield say(f"it was {output}")

    return serve(script)


@pytest.fixture
def poller(working):
    with Client(base_url=working.base_url) as client:
        yield client


def runs_created(service):
    return sum(path.endswith("/runs") for method, path in service.requests if method == "POST")


def test_create_and_poll_emits_each_change_to_the_end(working, poller):
    assistant = poller.assistants.create(model="m").run()
    thread = poller.threads.create().run()
    polling = poller.threads.runs.create_and_poll(
        thread.id, assistant_id=assistant.id, poll_interval_ms=5
    )
    statuses = [run.status for run in polling]
    assert statuses[-1] == "requires_action"
    assert statuses == sorted(set(statuses), key=statuses.index)  # each change once
    assert polling.run().status == "requires_action"  # the same run, not another one
    assert runs_created(working) == 1

    run = polling.run()
    outputs = [
        {"tool_call_id": run.required_action.submit_tool_outputs.tool_calls[0].id, "output": "1"}
    ]
    ended = poller.threads.runs.submit_tool_outputs_and_poll(
        run.id, thread_id=thread.id, tool_outputs=outputs, poll_interval_ms=5
    ).run()
    assert ended.status == "completed"
    (answer,) = poller.threads.messages.list(thread.id, run_id=run.id)
    assert answer.content[0].text.value == "it was 1"


def test_create_and_run_poll_and_poll(working, poller):
    assistant = poller.assistants.create(model="m").run()
    run = poller.threads.create_and_run_poll(assistant_id=assistant.id, poll_interval_ms=5).run()
    assert run.status == "requires_action"
    again = poller.threads.runs.poll(run.id, thread_id=run.thread_id)
    assert [seen.status for seen in again] == ["requires_action"]


def test_a_failed_run_is_data(serve):
    service = serve(lambda _: [fail("server_error", "broke")])
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        run = client.threads.create_and_run_poll(
            assistant_id=assistant.id, poll_interval_ms=1
        ).run()
    assert run.status == "failed"
    assert run.last_error.message == "broke"


def test_polls_are_awaited_on_an_async_client(working, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        polling = client.threads.create_and_run_poll(assistant_id=assistant.id, poll_interval_ms=5)
        return (await polling).status

    assert run_async(working, main) == "requires_action"


def test_the_deadline_ends_a_poll_with_the_last_state(serve):
    service = serve(lambda _: [wait(60)])
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, poll_interval_ms=5, deadline=0.2
        )
        with pytest.raises(PollTimeout, match="in_progress") as caught:
            polling.run()
    assert caught.value.last.status == "in_progress"


def test_leaving_a_poll_stops_the_requests(serve):
    service = serve(lambda _: [wait(60)])
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        run = (
            client.threads.create_and_run_poll(assistant_id=assistant.id, poll_interval_ms=1)
            .pipe(ops.first())
            .run()
        )
        client.threads.runs.cancel(run.id, thread_id=run.thread_id).run()
        service.wait_for(lambda: not service.active_runs)
    assert run.status in {"queued", "in_progress"}


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("poll_interval_ms", {"poll_interval_ms": -1}, ValueError),
        ("poll_interval_ms", {"poll_interval_ms": "1"}, TypeError),
        ("deadline", {"deadline": 0}, ValueError),
        ("patience", {"patience": 0}, ValueError),
        ("timeout", {"timeout": 0}, ValueError),
        ("max_retries", {"max_retries": -1}, ValueError),
        ("extra_headers", {"extra_headers": "x"}, TypeError),
    ],
    ids=["negative", "text", "zero", "patience", "timeout", "retries", "headers"],
)
def test_bad_options_are_refused(poller, name, options, error):
    with pytest.raises(error, match=name):
        poller.threads.runs.poll("run_1", thread_id="thread_1", **options)


def test_the_deadline_of_a_poll_covers_its_beginning(serve):
    service = serve(lambda _: [call("f", {})], faults=_stalled_creation)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        client.threads.runs.create_and_poll(thread.id, assistant_id=assistant.id).run()
        waiting = client.threads.runs.create_and_poll(
            thread.id, assistant_id=assistant.id, if_busy="wait", deadline=0.3
        )
        with pytest.raises(PollTimeout) as caught:
            waiting.run()
        assert caught.value.last is None
        stalled = client.threads.create_and_run_poll(assistant_id=assistant.id, deadline=0.3)
        with pytest.raises(PollTimeout):
            stalled.run()


def _stalled_creation(asked):
    return stall(0) if asked.path == "/v1/threads/runs" else None


# --- what was just created -----------------------------------------------------------------


def reads(fault, times, path="/runs/"):
    """The first requests for what was created meet a fault."""

    def faults(asked):
        meets = asked.method == "GET" and path in asked.path and asked.attempt <= times
        return fault if meets else None

    return faults


LATE = {
    "not found": refuse(404),
    "unavailable": refuse(503),
    "hung up": hang_up(handled=False),
    "another": answer('{"id": "run_other", "status": "completed"}', "application/json"),
}


@pytest.fixture(params=LATE)
def late(request):
    """What is answered while something is not stored yet."""
    return LATE[request.param]


def test_a_run_that_is_stored_late_is_polled_all_the_same(serve, late):
    service = serve(lambda _: [say("A")], faults=reads(late, 2))
    with Client(base_url=service.base_url, max_retries=0) as client:
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        given = {"assistant_id": assistant.id, "poll_interval_ms": 5}
        for polling in (
            client.threads.create_and_run_poll(**given),
            client.threads.runs.create_and_poll(thread.id, **given),
            client.threads.create_and_run_poll(**given, tools=[ping]),
        ):
            run = polling.run()
            assert (run.status, run.id[:4]) == ("completed", "run_")
        assert len(service.runs) == 3


def ping() -> str:
    """Answer."""
    return "pong"


def test_a_run_that_goes_on_with_outputs_is_polled_patiently(serve):
    def script(_):
        yield say(f"it was {(yield call('f', {}))}")

    service = serve(script, faults=reads(refuse(404), 1))
    with Client(base_url=service.base_url, max_retries=0) as client:
        assistant = client.assistants.create(model="m").run()
        run = client.threads.create_and_run_stream(assistant_id=assistant.id).get_final_run()
        (asked,) = run.required_action.submit_tool_outputs.tool_calls
        ended = client.threads.runs.submit_tool_outputs_and_poll(
            run.id,
            thread_id=run.thread_id,
            tool_outputs=[{"tool_call_id": asked.id, "output": "1"}],
            poll_interval_ms=5,
        )
        assert ended.run().status == "completed"


def test_a_late_run_is_awaited_on_an_async_client(serve, run_async, late):
    service = serve(lambda _: [say("A")], faults=reads(late, 2))

    async def main(client):
        assistant = await client.assistants.create(model="m")
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, poll_interval_ms=5, max_retries=0
        )
        return (await polling).status

    assert run_async(service, main) == "completed"


def test_files_that_are_stored_late_are_polled_all_the_same(serve):
    service = serve(faults=reads(refuse(404), 1, "/vector_stores/"))
    with Client(base_url=service.base_url, max_retries=0) as client:
        store = client.vector_stores.create().run()
        given = {"vector_store_id": store.id, "poll_interval_ms": 5}
        files, batches = client.vector_stores.files, client.vector_stores.file_batches
        uploaded = files.upload_and_poll(file=("a.txt", b"A"), **given).run()
        assert uploaded.status == "completed"
        batch = batches.upload_and_poll(files=[("b.txt", b"B")], **given).run()
        assert (batch.status, batch.file_counts.completed) == ("completed", 1)
        made = client.files.create(file=("c.txt", b"C"), purpose="assistants").run()
        assert files.create_and_poll(made.id, **given).run().status == "completed"
        assert batches.create_and_poll(file_ids=[made.id], **given).run().status == "completed"


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("not found", NotFoundError, "HTTP 404"),
        ("another", DecodeError, r"runs: at \$.id expected 'run_\w+', got 'run_other'"),
    ],
)
def test_patience_ends(serve, name, error, match):
    service = serve(lambda _: [say("A")], faults=reads(LATE[name], 10**9))
    with Client(base_url=service.base_url, max_retries=0) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, poll_interval_ms=5, patience=0.1
        )
        with pytest.raises(error, match=match):
            polling.run()


def test_what_this_call_has_not_created_is_polled_without_patience(serve):
    service = serve(lambda _: [say("A")], faults=reads(refuse(404), 1))
    with Client(base_url=service.base_url, max_retries=0) as client:
        assistant = client.assistants.create(model="m").run()
        run = client.threads.create_and_run(assistant_id=assistant.id).run()
        runs, where = client.threads.runs, {"thread_id": run.thread_id, "poll_interval_ms": 5}
        with pytest.raises(NotFoundError):
            runs.poll(run.id, **where).run()
        again = client.threads.create_and_run(assistant_id=assistant.id).run()
        where["thread_id"] = again.thread_id
        assert runs.poll(again.id, **where, patience=5).run().status == "completed"


# --- many at once --------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [False, True])
def test_the_first_fetches_of_many_polls_are_spread_unless_asked_for_at_once(serve, at_once):
    asked = {}

    def faults(request):
        asked[request.path] = time.monotonic()
        return batch_answer("completed", 0)

    service = serve(faults=faults)
    with Client(base_url=service.base_url) as client:
        polls = [
            client.vector_stores.file_batches.poll(
                f"vsfb_{number}", vector_store_id="vs_1", poll_interval_ms=60_000, at_once=at_once
            )
            for number in range(24)
        ]
        first = [poll.pipe(ops.materialize()) for poll in polls]
        with rx.merge(*first).subscribe(print):
            deadline = time.monotonic() + 10
            while len(asked) < (24 if at_once else 21) and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)  # no more come
    assert len(asked) == (24 if at_once else 21)


def test_at_once_is_true_or_false(poller):
    with pytest.raises(TypeError, match="at_once must be True or False, got 'yes'"):
        poller.threads.runs.poll("run_1", thread_id="thread_1", at_once="yes")


# --- ends that are no ends -----------------------------------------------------------------


def batch_answer(status, in_progress):
    counts = {"in_progress": in_progress, "completed": 1, "total": 1 + in_progress}
    body = {"id": "vsfb_1", "status": status, "file_counts": counts}
    return answer(json.dumps(body), "application/json")


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_batch_that_was_given_up_is_polled_no_more(serve, status):
    service = serve(faults=lambda _: batch_answer(status, 1))
    with Client(base_url=service.base_url) as client:
        batch = client.vector_stores.file_batches.poll("vsfb_1", vector_store_id="vs_1").run()
    assert (batch.status, len(service.requests)) == (status, 1)


def test_a_batch_that_is_completed_waits_for_its_counts(serve):
    service = serve(faults=lambda asked: batch_answer("completed", int(asked.attempt < 3)))
    with Client(base_url=service.base_url) as client:
        polling = client.vector_stores.file_batches.poll(
            "vsfb_1", vector_store_id="vs_1", poll_interval_ms=1
        )
        assert polling.run().file_counts.in_progress == 0
    assert len(service.requests) == 3
