"""Polling helpers over real sockets: once created, each change, to the end."""

import pytest
from reactivex import operators as ops

from rxassist import Client, PollTimeout
from rxassist.local import call, fail, say, stall, wait


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
        ("timeout", {"timeout": 0}, ValueError),
        ("max_retries", {"max_retries": -1}, ValueError),
        ("extra_headers", {"extra_headers": "x"}, TypeError),
    ],
    ids=["negative", "text", "zero", "timeout", "retries", "headers"],
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
