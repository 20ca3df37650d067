"""Runs go on whoever listens, one at a time on a thread, until they end or are cancelled."""

import time

import pytest

from rxassist.local import call, say, wait
from rxassist.local.assistants.writing import EventWriter


def slow(_):
    yield say("begun")
    yield wait(60)
    yield say("never")


def test_a_run_works_without_a_reader(serve, connect, path_of):
    service = serve(lambda turn: [say(f"You said {turn.text}")])
    caller = connect(service)
    run = caller.start("hi")
    assert run["status"] == "queued"
    service.wait_for(lambda: run["id"] not in service.active_runs)
    messages = caller.get(f"/threads/{run['thread_id']}/messages", run_id=run["id"])["data"]
    assert [message["content"][0]["text"]["value"] for message in messages] == ["You said hi"]


def test_a_run_goes_on_when_its_reader_leaves(serve, connect, path_of):
    def script(_):
        for number in range(5):
            yield say(str(number))
            yield wait(0.02)

    service = serve(script)
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    with caller.streaming(path, assistant_id=caller.assistant()) as events:
        run = next(events).data
        assert service.open_streams == 1
    service.wait_for(lambda: service.open_streams == 0)
    service.wait_for(lambda: not service.active_runs)
    assert caller.get(path_of(run))["status"] == "completed"
    assert len(caller.get(path_of(run) + "/steps")["data"]) == 5


def test_the_service_sees_a_reader_leave_a_run_that_says_nothing(serve, connect):
    service = serve(slow)
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    with caller.streaming(path, assistant_id=caller.assistant()) as events:
        while next(events).event != "thread.message.completed":
            pass
    service.wait_for(lambda: service.open_streams == 0)
    assert len(service.active_runs) == 1


def test_a_run_that_works_is_cancelled(serve, connect, names, path_of):
    service = serve(slow)
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    with caller.streaming(path, assistant_id=caller.assistant()) as events:
        run = next(events).data
        while next(events).event != "thread.run.step.completed":
            pass
        assert caller.post(path_of(run) + "/cancel")["status"] == "cancelling"
        assert names(events) == ["thread.run.cancelling", "thread.run.cancelled", "done"]
    stored = caller.get(path_of(run))
    assert stored["status"] == "cancelled"
    assert stored["cancelled_at"]
    assert stored["expires_at"] is None


def test_what_a_cancelled_run_was_writing_stays_incomplete(serve, connect, names, path_of):
    service = serve(lambda _: [say(*["word "] * 1000)], token_delay=0.01)
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    with caller.streaming(path, assistant_id=caller.assistant()) as events:
        run = next(events).data
        while next(events).event != "thread.message.delta":
            pass
        caller.post(path_of(run) + "/cancel")
        assert names(events)[-5:] == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
            "done",
        ]
    message = caller.get(f"/threads/{run.thread_id}/messages")["data"][0]
    assert message["status"] == "incomplete"
    assert message["incomplete_details"] == {"reason": "run_cancelled"}
    assert message["content"][0]["text"]["value"].startswith("word ")
    assert caller.get(path_of(run) + "/steps")["data"][0]["status"] == "cancelled"


def test_a_run_that_waits_for_outputs_is_cancelled(serve, connect, path_of):
    service = serve(lambda _: [call("f")])
    caller = connect(service)
    run = caller.perform("hi")[-2].data
    assert caller.post(path_of(run) + "/cancel")["status"] == "cancelling"
    service.wait_for(lambda: not service.active_runs)
    assert caller.get(path_of(run))["status"] == "cancelled"
    assert caller.get(path_of(run))["required_action"] is None
    assert caller.get(path_of(run) + "/steps")["data"][0]["status"] == "cancelled"


@pytest.mark.parametrize("move", [call("f"), wait(60)], ids=["waiting", "working"])
def test_a_cancellation_takes_as_long_as_it_should(serve, connect, move):
    service = serve(lambda _: [move], cancel_delay=0.3)
    caller = connect(service)
    thread = caller.thread("hi")
    run = caller.post(f"/threads/{thread}/runs", assistant_id=caller.assistant())
    where = f"/threads/{thread}/runs/{run['id']}"
    began = time.monotonic()
    assert caller.post(where + "/cancel")["status"] == "cancelling"
    assert caller.get(where)["status"] == "cancelling"
    early = {"role": "user", "content": "too early"}
    error = caller.refused("POST", f"/threads/{thread}/messages", body=early)
    assert f"while a run {run['id']} is active" in error["message"]
    service.wait_for(lambda: not service.active_runs)
    assert time.monotonic() - began >= 0.3
    assert caller.get(where)["status"] == "cancelled"


def test_a_run_that_waits_for_too_long_expires(serve, connect, path_of, monkeypatch):
    monkeypatch.setattr("rxassist.local.assistants.creation._RUN_LIFETIME", 0)
    service = serve(lambda _: [call("f")])
    caller = connect(service)
    run = caller.perform("hi")[-2].data
    service.wait_for(lambda: not service.active_runs)
    assert caller.get(path_of(run))["status"] == "expired"
    assert caller.get(path_of(run) + "/steps")["data"][0]["status"] == "expired"


def test_outputs_are_submitted_without_a_stream(serve, connect, path_of):
    def script(_):
        output = yield call("f")
        yield say(output)

    service = serve(script)
    caller = connect(service)
    run = caller.start("hi")
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    service.wait_for(lambda: caller.get(path)["status"] == "requires_action")
    waiting = caller.get(path)["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = [{"tool_call_id": waiting[0]["id"], "output": "done"}]
    assert caller.post(path + "/submit_tool_outputs", tool_outputs=outputs)["status"] == "queued"
    service.wait_for(lambda: not service.active_runs)
    assert caller.get(path)["status"] == "completed"


def test_a_thread_that_is_deleted_takes_its_run_with_it(serve, connect, path_of):
    service = serve(slow)
    caller = connect(service)
    run = caller.start("hi")
    assert caller.delete(f"/threads/{run['thread_id']}") == {
        "id": run["thread_id"],
        "deleted": True,
        "object": "thread.deleted",
    }
    assert not service.active_runs
    caller.refused("GET", f"/threads/{run['thread_id']}", status=404)


def test_metadata_of_a_run_that_works_can_be_changed(serve, connect, path_of):
    service = serve(lambda _: [call("f")])
    caller = connect(service)
    run = caller.perform("hi")[-2].data
    assert caller.post(path_of(run), metadata={"k": "v"})["metadata"] == {"k": "v"}
    events = caller.submit(run, "out")
    assert events[-2].data.metadata == {"k": "v"}
    assert caller.get(path_of(run))["metadata"] == {"k": "v"}


def test_many_runs_at_once_each_get_their_own_answer(serve, connect):
    service = serve(lambda turn: [say(f"You said {turn.text}")])
    caller = connect(service)
    assistant = caller.assistant()
    runs = {}
    for number in range(50):
        thread = {"messages": [{"role": "user", "content": f"number {number}"}]}
        run = caller.post("/threads/runs", assistant_id=assistant, thread=thread)
        runs[number] = run["thread_id"]
    service.wait_for(lambda: not service.active_runs)
    for number, thread_id in runs.items():
        said = caller.get(f"/threads/{thread_id}/messages")["data"][0]
        assert said["content"][0]["text"]["value"] == f"You said number {number}"


def test_a_reader_that_pauses_neither_stops_the_run_nor_fills_a_buffer(serve, connect, monkeypatch):
    written = []

    class Counting(EventWriter):
        def write(self, event):
            written.append(event)
            return super().write(event)

    monkeypatch.setattr("rxassist.local.assistants.endpoints.EventWriter", Counting)
    pieces = [f"{number:06} ".ljust(2000, ".") for number in range(6_000)]  # 12 MB
    service = serve(lambda _: [say(*pieces)])
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    with caller.streaming(path, assistant_id=caller.assistant()) as events:
        next(events)
        service.wait_for(lambda: not service.active_runs, timeout=20)
        assert service.open_streams == 1
        assert len(written) < len(pieces) / 2  # what fits into the sockets' buffers, and 64 more
        text = "".join(
            event.data.delta.content[0].text.value
            for event in events
            if event.event == "thread.message.delta"
        )
    assert text == "".join(pieces)
