"""What a stream says, in the order and the shape of the recordings."""

import pytest

from rxassist.events import ThreadMessageDelta, ThreadRunStepDelta
from rxassist.local import call, code, say, search
from rxassist.models import FileSearchResult
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.protocols.assistants.snapshots import Snapshot, fold

FOUND = FileSearchResult("file-1", "foods.txt", 0.7)


def says(_):
    yield say("Cake is good.")


def asks(_):
    output = yield call("get_weather", {"city": "Lima"})
    yield say(f"It is {output}.")


def computes(_):
    yield code("print(65)", logs="65\n")
    yield say("65")


def searches(_):
    yield search(FOUND)
    yield say("Cake.")


def folded(events):
    snapshot = Snapshot()
    for event in events:
        snapshot = fold(snapshot, event)
    return snapshot


def deltas(events):
    """The tool calls of all deltas, in order."""
    found = [event.data.delta.step_details for event in events if type(event) is ThreadRunStepDelta]
    return [tool_call for details in found for tool_call in details.tool_calls]


@pytest.mark.parametrize(
    ("script", "recording"),
    [
        (says, "oa4j-text"),
        (asks, "oa4j-requires-action"),
        (computes, "oa4j-code-interpreter-logs"),
        (searches, "dotnet-file-search-1"),
    ],
)
def test_events_come_in_the_order_of_the_recordings(perform, names, wire, script, recording):
    recorded = EventDecoder().feed((wire / "assistants" / f"{recording}.sse").read_bytes())
    assert names(perform(script)) == names(recorded)


def test_submitted_outputs_go_on_in_the_order_of_the_recording(serve, connect, names, wire):
    caller = connect(serve(asks))
    waiting = folded(caller.perform("hi")).run
    events = caller.submit(waiting, "sunny")
    recorded = EventDecoder().feed(
        (wire / "assistants" / "oa4j-submit-tool-outputs.sse").read_bytes()
    )
    assert names(events) == names(recorded)
    answered = events[0].data.step_details.tool_calls[0].function
    assert (answered.name, answered.output) == ("get_weather", "sunny")
    assert folded(events).text == "It is sunny."
    assert folded(events).run.id == waiting.id


def test_a_run_with_its_thread_begins_with_the_thread(serve, connect, names):
    caller = connect(serve(says))
    thread = {"messages": [{"role": "user", "content": "hi"}], "metadata": {"a": "b"}}
    events = caller.stream("/threads/runs", assistant_id=caller.assistant(), thread=thread)
    assert names(events)[:2] == ["thread.created", "thread.run.created"]
    assert events[0].data.metadata == {"a": "b"}
    assert caller.get(f"/threads/{events[0].data.id}")["id"] == events[1].data.thread_id


def test_bytes_are_framed_as_the_service_frames_them(serve, connect):
    caller = connect(serve(says))
    body = {"assistant_id": caller.assistant(), "stream": True}
    answer = caller.http.post(f"/threads/{caller.thread('hi')}/runs", json=body)
    assert answer.text.startswith('event: thread.run.created\ndata: {"id":"run_')
    assert answer.text.endswith("\n\nevent: done\ndata: [DONE]\n\n")


def test_a_text_is_said_in_tokens_or_in_given_pieces(perform):
    def script(_):
        yield say("Hello, Lima: ¡qué tal!")
        yield say("exactly ", "these", " pieces")

    events = perform(script)
    pieces = {}
    for event in events:
        if isinstance(event, ThreadMessageDelta):
            pieces.setdefault(event.data.id, []).append(event.data.delta.content[0].text.value)
    first, second = pieces.values()
    assert "".join(first) == "Hello, Lima: ¡qué tal!"
    assert len(first) > 4
    assert second == ["exactly ", "these", " pieces"]
    assert [message.status for message in folded(events).messages] == ["completed"] * 2


def test_the_first_delta_says_what_is_empty(serve, connect):
    caller = connect(serve(computes))
    body = {"assistant_id": caller.assistant(), "stream": True}
    text = caller.http.post(f"/threads/{caller.thread('hi')}/runs", json=body).text
    assert text.count('"annotations":[]') == 2  # in the first delta, and in the completed message
    assert text.count('"outputs":[]') == 1
    waits = connect(serve(asks))
    body = {"assistant_id": waits.assistant(), "stream": True}
    text = waits.http.post(f"/threads/{waits.thread('hi')}/runs", json=body).text
    assert '"name":"get_weather","arguments":""' in text
    assert text.count('"output":null') == 1


def test_a_refusal_is_no_text(perform):
    snapshot = folded(perform(lambda _: [say("I will not.", refusal=True)]))
    assert snapshot.text == ""
    assert snapshot.messages[0].content[0].refusal == "I will not."


def test_parallel_calls_are_told_by_index(serve, connect):
    def script(_):
        outputs = yield [call("get_weather", {"city": "Lima"}), call("get_time")]
        yield say(" and ".join(outputs))

    caller = connect(serve(script))
    events = caller.perform("hi")
    calls = deltas(events)
    assert [each.index for each in calls] == sorted(each.index for each in calls)
    opened = [each for each in calls if each.id]
    assert [(each.index, each.function.name) for each in opened] == [
        (0, "get_weather"),
        (1, "get_time"),
    ]
    run = folded(events).run
    required = run.required_action.submit_tool_outputs.tool_calls
    assert [each.id for each in required] == [each.id for each in opened]
    assert [each.function.arguments for each in required] == ['{"city":"Lima"}', "{}"]
    assert folded(caller.submit(run, "sunny", "noon")).text == "sunny and noon"


def test_code_is_told_piece_by_piece_and_then_its_outputs(perform):
    events = perform(lambda _: [code("print(1)\n", logs="1\n", image_file_id="file-9")])
    opened, *grown, outputs = deltas(events)
    assert opened.id.startswith("call_")
    assert opened.code_interpreter.input == ""
    assert "".join(each.code_interpreter.input for each in grown) == "print(1)\n"
    logs, image = outputs.code_interpreter.outputs
    assert (logs.logs, image.index, image.image.file_id) == ("1\n", 1, "file-9")
    (step,) = folded(events).run_steps
    assert step.step_details.tool_calls[0].code_interpreter.input == "print(1)\n"
    assert len(step.step_details.tool_calls[0].code_interpreter.outputs) == 2


def test_results_of_a_search_come_with_the_completed_step(perform):
    events = perform(searches)
    (opened,) = deltas(events)
    assert opened.file_search.results == ()
    assert folded(events).run_steps[0].step_details.tool_calls[0].file_search.results == (FOUND,)


def test_usage_adds_up(perform):
    snapshot = folded(perform(computes, "What is it?"))
    used = [step.usage.total_tokens for step in snapshot.run_steps]
    assert snapshot.run.usage.total_tokens == sum(used) > 0


def test_arguments_that_are_no_json_are_sent_as_they_are(perform):
    run = folded(perform(lambda _: [call("f", '{"cut')])).run
    assert run.required_action.submit_tool_outputs.tool_calls[0].function.arguments == '{"cut'


def test_what_is_stored_is_what_was_streamed(serve, connect, path_of):
    caller = connect(serve(computes))
    snapshot = folded(caller.perform("hi"))
    run = snapshot.run
    assert caller.get(path_of(run))["status"] == "completed"
    steps = caller.get(path_of(run) + "/steps", order="asc")["data"]
    assert [step["id"] for step in steps] == [step.id for step in snapshot.run_steps]
    assert caller.get(f"{path_of(run)}/steps/{steps[0]['id']}") == steps[0]
    messages = caller.get(f"/threads/{run.thread_id}/messages")["data"]
    assert messages[0]["content"][0]["text"]["value"] == snapshot.text == "65"
    assert messages[0]["run_id"] == run.id
