"""Runs that wait and do not say for what, streamed and polled, over real sockets."""

import json
import re

import pytest

from rxassist import Client, DecodeError
from rxassist.local import call, rewrite, say
from rxassist.local.faults import edited
from rxassist.protocols.assistants.awaited import says_nothing
from rxassist.wire.sse import ServerSentEvent

RUN = re.compile(r"/v1/threads/\w+/runs/run_\w+")
WAITS = "thread.run.requires_action"
SAYING_NOTHING = {
    "null": None,
    "empty": {},
    "no calls": {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": []}},
}


def script(_):
    yield say(f"It answered {yield call('ping', {})}.")


def ping() -> str:
    """Answer."""
    return "pong"


def without(action, run):
    """A run as a server tells it that does not say what it waits for."""
    return {**run, "required_action": action} if run["status"] == "requires_action" else run


def in_streams(action):
    def events(so_far):
        event = so_far[-1]
        if event.event != WAITS:
            return [event]
        return [ServerSentEvent(event.event, json.dumps(without(action, json.loads(event.data))))]

    return rewrite(events)


def in_answers(action):
    def begin():
        body = b""

        def edit(piece):
            nonlocal body
            body += piece or b""
            whole = piece is None
            return [json.dumps(without(action, json.loads(body))).encode()] if whole else []

        return edit

    return edited(begin)


def saying_nothing(action, *, reads):
    """Streams, and so many reads of the run, say nothing."""

    def faults(asked):
        if asked.method == "POST":
            streams = asked.headers.get("accept") == "text/event-stream"
            return in_streams(action) if streams else None
        is_run = RUN.fullmatch(asked.path)
        return in_answers(action) if is_run and asked.attempt <= reads else None

    return faults


@pytest.mark.parametrize("action", SAYING_NOTHING.values(), ids=SAYING_NOTHING)
@pytest.mark.parametrize("reads", [0, 10**9], ids=["the run", "its steps"])
def test_a_stream_finds_out_what_it_waits_for(serve, run_async, action, reads):
    service = serve(script, faults=saying_nothing(action, reads=reads))
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, tools=[ping])
        assert "".join(stream.text_deltas) == "It answered pong."
        assert stream.get_final_run().status == "completed"
        (waited,) = [event.data for event in stream if event.event == WAITS]
        assert says_nothing(waited)

    async def main(client):
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, tools=[ping])
        return "".join([text async for text in stream.text_deltas])

    assert run_async(service, main) == "It answered pong."


@pytest.mark.parametrize("action", SAYING_NOTHING.values(), ids=SAYING_NOTHING)
def test_a_poll_finds_out_what_it_waits_for(serve, run_async, action):
    service = serve(script, faults=saying_nothing(action, reads=10**9))
    options = {"tools": [ping], "poll_interval_ms": 5}
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(assistant_id=assistant.id, **options)
        run = polling.run()
        assert run.status == "completed"
        (message,) = client.threads.messages.list(run.thread_id, run_id=run.id)
        assert message.content[0].text.value == "It answered pong."

    async def main(client):
        polling = client.threads.create_and_run_poll(assistant_id=assistant.id, **options)
        return (await polling).status

    assert run_async(service, main) == "completed"


def test_what_nothing_says_is_an_error_and_the_run_is_cancelled(serve):
    def faults(asked):
        if asked.path.endswith("/steps"):
            return edited(lambda: lambda piece: [b'{"data": []}'] if piece is None else [])
        return saying_nothing(None, reads=10**9)(asked)

    service = serve(script, faults=faults)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=[ping], recovery_timeout=0.2
        )
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, tools=[ping], poll_interval_ms=5, patience=0.2
        )
        for asked in (stream, polling):
            with pytest.raises(DecodeError, match="the calls that the run waits for"):
                asked.run()
        service.wait_for(lambda: not service.active_runs)
        cancels = [path for _, path in service.requests if path.endswith("/cancel")]
        assert len(cancels) == 2
