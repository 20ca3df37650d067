"""Streams that are lost without a word, and stores that lag behind them, over real sockets."""

import asyncio
import json
import re

import pytest

from rxassist import Client, RunOutcomeUnknown, StreamDiverged, StreamTruncated
from rxassist.events import RunEvent
from rxassist.local import answer, call, cut, drop, insert, refuse, rewrite, say
from rxassist.wire.sse import ServerSentEvent

WORDS = ("It ", "is ", "foggy ", "here.")
TEXT = "".join(WORDS)
EVENTS = 16  # of the run below, with ``done``
DONE = ServerSentEvent("done", "[DONE]")


def weather(_):
    yield say(*WORDS)


def done_after(count):
    """The first events of a stream, and then nothing but ``done``."""

    def events(so_far):
        if len(so_far) <= count:
            return [so_far[-1]]
        return [DONE] if len(so_far) == count + 1 else []

    return rewrite(events)


def meeting(stream, read=None):
    """What creates a run meets a fault, and what reads it another one."""

    def faults(asked):
        if asked.method == "POST":
            return stream if asked.path.endswith("/runs") else None
        return read(asked) if read else None

    return faults


@pytest.fixture(params=["Client", "AsyncClient"])
def follow(request, serve, run_async):
    """Follow a stream to its end: the service, the names of its events, its text, its snapshot."""

    def follow(faults, script=weather, **options):
        service = serve(script, faults=faults)
        if request.param == "AsyncClient":

            async def main(client):
                assistant = await client.assistants.create(model="m")
                stream = client.threads.create_and_run_stream(assistant_id=assistant.id, **options)
                text, names = [], []
                stream.text_deltas.subscribe(text.append, lambda _: None)
                names += [event.event async for event in stream]
                return "".join(text), names, stream.snapshot

            return service, *run_async(service, main)

        with Client(base_url=service.base_url) as client:
            assistant = client.assistants.create(model="m").run()
            stream = client.threads.create_and_run_stream(assistant_id=assistant.id, **options)
            text, names = [], []
            stream.text_deltas.subscribe(text.append, lambda _: None)
            names += [event.event for event in stream]
            return service, "".join(text), names, stream.snapshot

    return follow


def check_whole(followed, besides=()):
    service, text, names, snapshot = followed
    assert (text, snapshot.text) == (TEXT, TEXT)
    assert snapshot.run.status == "completed"
    assert snapshot.run.id == service.runs[0]
    whole = [name for name in names if "delta" not in name]
    for name in besides:
        whole.remove(name)
    assert len(set(whole)) == len(whole)
    assert names[-2:] == ["thread.run.completed", "done"]


# --- done alone ----------------------------------------------------------------------------


def test_done_at_every_place_of_a_run(serve, run_async):
    """There is no place but the end at which it is one."""
    places = range(2, EVENTS - 1)

    def faults(asked):
        at = asked.headers.get("x-done")
        return done_after(int(at)) if at and asked.method == "POST" else None

    async def main(client):
        assistant = await client.assistants.create(model="m")

        def stream(at=None):
            return client.threads.create_and_run_stream(
                assistant_id=assistant.id, extra_headers={"x-done": str(at)} if at else {}
            )

        whole = [event.event async for event in stream()]
        assert (len(whole), whole[0]) == (EVENTS, "thread.created")
        for at in places:
            lost = stream(at)
            assert "".join([text async for text in lost.text_deltas]) == TEXT
            names = [event.event async for event in lost]
            assert [name for name in names if "delta" not in name] == [
                name for name in whole if "delta" not in name
            ]

    run_async(serve(weather, faults=faults), main)


@pytest.mark.parametrize("at", [5, 11])
def test_done_alone_where_nothing_is_recovered(follow, at):
    with pytest.raises(StreamTruncated, match="the stream said that it is done after"):
        follow(meeting(done_after(at)), recover=False)


@pytest.mark.parametrize("at", [0, 1])
def test_done_alone_before_a_run_is_told(follow, at):
    """There may be a run: nobody knows."""
    with pytest.raises(RunOutcomeUnknown, match="done before it told of a run") as raised:
        follow(meeting(done_after(at)))
    assert (raised.value.thread_id is None) == (at == 0)


def test_a_server_that_never_tells_of_the_end(follow):
    check_whole(follow(meeting(drop("thread.run.completed"))))


def test_done_alone_after_outputs_were_submitted(serve, run_async):
    """A stream that begins with ``requires_action``, then ``done``, is whole; its next one not."""

    def script(_):
        yield say(f"it is {yield call('weather', {})}")

    def faults(asked):
        return done_after(2) if asked.path.endswith("/submit_tool_outputs") else None

    def weather() -> str:
        """Tell the weather."""
        return "foggy"

    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, tools=[weather])
        assert "".join([text async for text in stream.text_deltas]) == "it is foggy"
        assert (await stream.get_final_run()).status == "completed"
        statuses = [event.data.status async for event in stream if isinstance(event, RunEvent)]
        assert statuses.count("requires_action") == 1

    run_async(serve(script, faults=faults), main)


# --- another run ---------------------------------------------------------------------------


def of_another(name="thread.run.completed"):
    run = {"id": "run_other", "thread_id": "thread_other", "status": "completed"}
    return ServerSentEvent(name, json.dumps(run))


def test_the_end_of_another_run_is_not_the_end_of_ours(follow):
    lost = insert(of_another(), 9) | done_after(10)
    check_whole(follow(meeting(lost)), besides=["thread.run.completed"])


def once(fault, path, times=1):
    """The first reads of something meet a fault."""

    def read(asked):
        return fault if re.search(path, asked.path) and asked.attempt <= times else None

    return read


RUN = r"/runs/run_\w+$"
ANOTHER = answer('{"id": "run_other", "status": "completed"}', "application/json")


def test_another_run_that_is_read_is_not_ours(follow):
    check_whole(follow(meeting(cut(3000), once(ANOTHER, RUN))))
    with pytest.raises(StreamTruncated) as raised:
        follow(meeting(cut(3000), once(ANOTHER, RUN, 10**9)), recovery_timeout=0.3)
    assert "got 'run_other'" in raised.value.__notes__[0]


@pytest.mark.parametrize("run_id", ["../../../admin", "run 1", "run_\n1"])
def test_an_id_that_is_none_does_not_hide_how_the_stream_was_lost(follow, run_id):
    run = {"id": run_id, "thread_id": "thread_1", "status": "queued"}
    body = f"event: thread.run.created\ndata: {json.dumps(run)}\n\n"
    service_says = meeting(answer(body, "text/event-stream"))
    with pytest.raises(StreamTruncated) as raised:
        follow(service_says)
    assert "run_id must be an id" in raised.value.__notes__[0]


# --- stores that lag -----------------------------------------------------------------------


def listing(*items):
    page = {"object": "list", "data": items, "has_more": False}
    return answer(json.dumps(page), "application/json")


LAGS = {
    "no run": once(refuse(404), RUN),
    "no messages": once(listing(), "/messages"),
    "no list of messages": once(refuse(404), "/messages"),
    "no steps": once(listing(), "/steps"),
}


@pytest.mark.parametrize("lag", LAGS)
def test_what_is_stored_late_is_read_again(follow, lag):
    check_whole(follow(meeting(done_after(12), LAGS[lag])))


def test_what_is_stored_late_is_read_again_at_every_place(serve, run_async):
    def faults(asked):
        at, lag = asked.headers.get("x-done"), asked.headers.get("x-lag")
        return meeting(done_after(int(at)), LAGS[lag])(asked) if at else None

    async def main(client):
        assistant = await client.assistants.create(model="m")

        async def text_of(at, lag):
            stream = client.threads.create_and_run_stream(
                assistant_id=assistant.id, extra_headers={"x-done": str(at), "x-lag": lag}
            )
            return "".join([text async for text in stream.text_deltas])

        cases = [(at, lag) for at in range(2, EVENTS - 1) for lag in LAGS]
        return await asyncio.gather(*(text_of(*case) for case in cases))

    assert set(run_async(serve(weather, faults=faults), main)) == {TEXT}


def test_a_text_that_is_stored_late_is_read_again(serve, run_async):
    """A shorter text, and one that does not continue what was heard."""
    shorter = {"role": "assistant", "status": "in_progress", "run_id": None}

    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, recovery_timeout=5)
        return "".join([text async for text in stream.text_deltas])

    def stored(text):
        seen = []

        def faults(asked):
            if asked.method == "POST" and asked.path.endswith("/runs"):
                return done_after(11) | rewrite(lambda events: keep(events[-1]))
            if asked.path.endswith("/messages") and asked.attempt == 1:
                content = [{"type": "text", "text": {"value": text, "annotations": []}}]
                return listing({**shorter, "id": seen[0], "content": content})
            return None

        def keep(event):
            if event.event == "thread.message.created":
                seen.append(json.loads(event.data)["id"])
            return [event]

        return faults

    for text in ("", "It "):
        assert run_async(serve(weather, faults=stored(text)), main) == TEXT
    with pytest.raises(StreamDiverged):
        run_async(serve(weather, faults=stored("Sun ")), main)


def test_a_character_of_two_halves(follow):
    """A server that cuts characters in two sends each half in an event of its own."""

    def events(so_far):
        event = so_far[-1]
        return [event, DONE] if '"\\ud83c' in event.data else [event] if not cut_at(so_far) else []

    def cut_at(so_far):
        return any('"\\ud83c' in event.data for event in so_far)

    def halved(so_far):
        event = so_far[-1]
        return [ServerSentEvent(event.event, event.data.replace("🌁", "\\ud83c"))]

    def script(_):
        yield say("Fog: ", "🌁")

    delta = rewrite(halved) | rewrite(events)
    _, text, _, snapshot = follow(meeting(delta), script)
    assert text.encode("utf-16-le", "surrogatepass").decode("utf-16-le") == "Fog: 🌁"
    assert snapshot.text == "Fog: 🌁"
