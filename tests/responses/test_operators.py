"""The operators on recorded responses: each gives what the response says that ended."""

import asyncio
import json

import pytest
import reactivex as rx
from reactivex.scheduler import ImmediateScheduler

from rxassist import operators
from rxassist.errors import APIError, RunFailed, StreamTruncated
from rxassist.protocols.assistants.codec import EventDecoder as AssistantsDecoder
from rxassist.protocols.assistants.models import Run
from rxassist.protocols.responses.events import (
    KeepAlive,
    OutputTextDelta,
    ResponseEvent,
    ResponseFailed,
    UnknownDelta,
)
from rxassist.protocols.responses.models import Response
from rxassist.runs.state import SETTLED
from rxassist.runs.streams.merging import merge_runs
from rxassist.runs.streams.web import to_sse
from rxassist.wire.sse import SSEDecoder
from rxassist.wire.structure import unstructure

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}


def delta(text, index=0):
    sent = {"item_id": "m", "output_index": index, "content_index": 0, "delta": text}
    return {"type": "response.output_text.delta", **sent}


def message(text):
    return {"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]}


def done(text, index=0):
    return {"type": "response.output_item.done", "output_index": index, "item": message(text)}


def ended(*output, status="completed", response_id="resp_1", **more):
    response = {"id": response_id, "status": status, "output": list(output), **more}
    return {"type": f"response.{status}", "response": response}


@pytest.fixture
def final(recorded):
    return [event.run() for event in recorded if isinstance(event, ResponseEvent)][-1]


# --- recordings ----------------------------------------------------------------------------


def test_text_deltas_are_the_text_of_the_response(recorded, final, emitted):
    texts, errors = emitted(operators.text_deltas(), recorded)
    assert "".join(texts) == final.output_text
    assert errors == []
    deltas = [event.delta for event in recorded if isinstance(event, OutputTextDelta)]
    assert texts == [text for text in deltas if text]


def test_text_snapshots_end_with_the_text(recorded, final, emitted):
    texts, errors = emitted(operators.text_snapshots(), recorded)
    assert texts[-1:] == ([final.output_text] if final.output_text else [])
    assert errors == []


def test_runs_tell_each_status_once(recorded, final, emitted):
    runs, errors = emitted(operators.runs(), recorded)
    assert runs[-1] == final
    statuses = [run.status for run in runs]
    assert len(set(statuses)) == len(statuses)
    assert errors == []


def test_final_run_is_the_response_that_ended(recorded, final, emitted):
    runs, errors = emitted(operators.final_run(), recorded)
    assert (runs, errors) == ([final], [])


def test_the_ending_is_honest(recorded, emitted):
    for operator in (operators.check_ending(), operators.until_done()):
        assert emitted(operator, recorded) == (recorded, [])


def test_a_stream_that_is_cut_before_its_end_is_truncated(recorded, emitted):
    last = next(event for event in recorded if event.run_status() in SETTLED)
    for count in {0, 1, 2, recorded.index(last) // 2, recorded.index(last)}:
        events, (error,) = emitted(operators.check_ending(), recorded[:count])
        assert events == recorded[:count]
        assert isinstance(error, StreamTruncated)


def test_usage_is_that_of_the_response(recorded, final, emitted):
    used, errors = emitted(operators.usage(), recorded)
    assert used == [None if final.usage is None else final.usage.plain()]
    assert errors == []


def test_timings_count_the_deltas(recorded, final, emitted):
    (timings,), errors = emitted(operators.timings(), recorded)
    assert timings.deltas == len([event for event in recorded if event.name.endswith(".delta")])
    assert timings.completion_tokens == (final.usage and final.usage.output_tokens)
    assert errors == []


def test_messages_are_those_of_the_response(recorded, final, emitted):
    messages, errors = emitted(operators.messages(), recorded)
    assert messages == [item for item in final.output if item.type == "message"]
    assert errors == []


def test_tool_calls_are_those_of_the_response(recorded, final, emitted):
    calls, errors = emitted(operators.tool_calls(), recorded)
    named = [item for item in final.output if item.type.endswith(("_call", "_request"))]
    assert calls == named
    assert errors == []


def test_tool_call_deltas_are_the_arguments(recorded, final, emitted):
    deltas, errors = emitted(operators.tool_call_deltas(), recorded)
    texts = {}
    for event in deltas:
        texts[event.index] = texts.get(event.index, "") + event.delta
    for index, text in texts.items():
        whole = unstructure(final.output[index])
        assert text in [whole.get(name) for name in ("arguments", "input", "code")]
    assert errors == []


def test_there_are_no_run_steps(recorded, emitted):
    assert emitted(operators.run_steps(), recorded) == ([], [])


def test_snapshots_are_one_for_each_event(recorded, final, emitted):
    snapshots, errors = emitted(operators.accumulate_snapshots(), recorded)
    assert [snapshot.event for snapshot in snapshots] == recorded
    assert snapshots[-1].output == final.output
    assert errors == []


def test_failed_runs_are_data_unless_errors_are_asked_for(recorded, final, emitted):
    events, errors = emitted(operators.raise_for_status(), recorded)
    assert events == recorded
    if final.status in {"completed", "requires_action"}:
        assert errors == []
    else:
        (error,) = errors
        assert isinstance(error, RunFailed)
        assert error.run == final


def test_browsers_get_the_events_as_the_service_writes_them(recorded, decode):
    async def body():
        return b"".join([chunk async for chunk in rx.from_iterable(recorded).pipe(to_sse())])

    sent = list(SSEDecoder().feed(asyncio.run(body())))
    assert sent[-1].event == "end"
    lines = [f"event: {event.event}\ndata: {event.data}\n\n" for event in sent[:-1]]
    assert decode("".join(lines).encode()) == recorded


# --- what servers leave out ----------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        [CREATED, done("Hi!"), ended(message("Hi!"))],
        [CREATED, delta("Hi"), ended(message("Hi!"))],
        [CREATED, delta("Hi"), delta("!"), ended()],
        [CREATED, ended(message("Hi"), message("!"))],
        [CREATED, delta("Hi"), done("Hi!"), delta("late"), ended(message("Hi!"))],
        [CREATED, delta("Hi"), delta("!", 1), ended(message("Hi"), message("!"))],
        [delta("Hi"), ended(message("Hi!"))],
    ],
)
def test_text_is_whole_whatever_a_server_leaves_out(told, emitted, sent):
    assert "".join(emitted(operators.text_deltas(), told(*sent))[0]) == "Hi!"


def test_part_by_part_is_enough(told, emitted):
    part = {"type": "output_text", "text": "Hi!"}
    where = {"output_index": 0, "content_index": 0}
    for sent in (
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_text.done", **where, "text": "Hi!"},
    ):
        assert emitted(operators.text_deltas(), told(CREATED, sent, done("Hi!")))[0] == ["Hi!"]


def test_texts_of_two_messages_have_a_border(told, emitted):
    events = told(CREATED, delta("A"), delta("B", 1), ended(message("A"), message("B")))
    assert emitted(operators.text_deltas(separator="|"), events)[0] == ["A", "|", "B"]


def test_calls_and_messages_come_at_the_end_if_they_are_not_done_before(told, emitted):
    call = {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}
    events = told(CREATED, delta("Hi"), ended(message("Hi"), call))
    assert [each.text for each in emitted(operators.messages(), events)[0]] == ["Hi"]
    assert [each.name for each in emitted(operators.tool_calls(), events)[0]] == ["add"]
    assert emitted(operators.final_run(), events)[0][0].status == "requires_action"


def test_rotating_ids_do_not_hide_the_end(told, emitted):
    events = told(CREATED, delta("Hi"), ended(response_id="resp_other"))
    assert emitted(operators.until_done(), events) == (events, [])
    (run,) = emitted(operators.final_run(), events)[0]
    assert run.id == "resp_1"


def test_keepalives_and_unknown_deltas_pass_everything(told, emitted):
    alive = {"type": "keepalive", "sequence_number": 1}
    grown = {"type": "response.video.delta", "delta": "x"}
    events = told(CREATED, alive, grown, delta("Hi"), ended(message("Hi")))
    assert [type(event) for event in events[1:3]] == [KeepAlive, UnknownDelta]
    assert emitted(operators.text_deltas(), events)[0] == ["Hi"]
    assert emitted(operators.check_ending(), events) == (events, [])
    assert emitted(operators.timings(), events)[0][0].deltas == 2


def test_the_end_is_marked_and_false_marks_are_seen(told, emitted):
    events = told(CREATED, ended(), "data: [DONE]\n\n")
    assert emitted(operators.check_ending(), events) == (events, [])
    _, (error,) = emitted(operators.check_ending(), told(CREATED, "data: [DONE]\n\n"))
    assert isinstance(error, StreamTruncated)


def test_usage_is_summed_over_responses(told, emitted):
    used = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    second = {"type": "response.created", "response": {"id": "resp_2", "status": "in_progress"}}
    events = told(CREATED, ended(usage=used), second, ended(response_id="resp_2", usage=used))
    assert [each.total_tokens for each in emitted(operators.usage(), events)[0]] == [3, 6]


# --- failures ------------------------------------------------------------------------------

LIMITED = {"code": "rate_limit_exceeded", "message": "Slow down."}


def test_an_error_alone_ends_the_stream_with_it(told, emitted):
    error = {"type": "error", "error": LIMITED}
    events = told(CREATED, error)
    assert emitted(operators.check_ending(), events)[0] == events
    (raised,) = emitted(operators.check_ending(), events)[1]
    assert isinstance(raised, APIError)
    assert raised.code == "rate_limit_exceeded"


def test_a_recorded_rate_limit_is_retried_without_a_trace(wire, decode, emitted):
    folder = wire / "responses"
    failed = decode((folder / "prism-rate-limited-failed.sse").read_bytes())
    whole = decode((folder / "dotnet-hello.sse").read_bytes())
    attempts = iter([failed, whole])
    source = rx.defer(lambda _: rx.from_iterable(next(attempts)))
    retried = operators.retry_run(backoff=0, scheduler=ImmediateScheduler())
    seen, errors = [], []
    source.pipe(retried).subscribe(seen.append, errors.append)
    assert (seen, errors) == (whole, [])

    (last,) = emitted(operators.final_run(), failed)[0]
    assert last.status == "failed"
    assert isinstance(failed[-1], ResponseFailed)


def test_an_attempt_that_said_something_stays(told):
    error = {"type": "error", "error": LIMITED}
    failed = told(CREATED, delta("Hi"), error, ended(status="failed", error=LIMITED))
    seen = []
    retried = operators.retry_run(backoff=0, scheduler=ImmediateScheduler())
    rx.from_iterable(failed).pipe(retried).subscribe(seen.append)
    assert seen == failed


# --- beside the other protocol -------------------------------------------------------------


def test_runs_of_both_protocols_merge(wire, decode, emitted):
    old = list(AssistantsDecoder().feed((wire / "assistants/oa4j-text.sse").read_bytes()))
    new = decode((wire / "responses/dotnet-hello.sse").read_bytes())
    streams = {"old": rx.from_iterable(old), "new": rx.from_iterable(new)}
    merged = list(merge_runs(streams))

    for key, events in (("old", old), ("new", new)):
        assert emitted(operators.of_run(key), merged) == (events, [])
    summaries, _ = emitted(operators.run_summaries(), merged)
    runs = {summary.key: summary.run for summary in summaries}
    assert isinstance(runs["old"], Run)
    assert isinstance(runs["new"], Response)
    assert {summary.status for summary in summaries} == {"completed"}
    assert all(summary.usage.total_tokens for summary in summaries)
    latest = emitted(operators.latest_snapshots(), merged)[0][-1]
    assert latest["new"].text == runs["new"].output_text


def test_snapshots_are_written_for_browsers(wire, decode):
    async def body():
        events = decode((wire / "responses/dotnet-function-call.sse").read_bytes())
        snapshots = rx.from_iterable(events).pipe(operators.accumulate_snapshots())
        return b"".join([chunk async for chunk in snapshots.pipe(to_sse())])

    *_, last, _ = SSEDecoder().feed(asyncio.run(body()))
    written = json.loads(last.data)
    assert written["run"]["status"] == "completed"
    assert written["tool_calls"] == written["run"]["output"]
    assert written["messages"] == []
