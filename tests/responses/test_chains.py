"""A chain of responses is one run: each that waits is followed by the one that goes on with it."""

import pytest
import reactivex as rx
from reactivex.scheduler import ImmediateScheduler

from rxassist import operators
from rxassist.errors import APIConnectionError, RunFailed, StreamTruncated
from rxassist.runs.state import Usage
from rxassist.runs.streams.merging import merge_runs

CALL = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}
LIMITED = {"code": "rate_limit_exceeded", "message": "Slow down."}


def response(name, response_id, status, *output, **more):
    said = {"id": response_id, "status": status, "output": list(output), **more}
    return {"type": f"response.{name}", "response": said}


def created(response_id):
    return response("created", response_id, "in_progress")


def working(response_id):
    return response("in_progress", response_id, "in_progress")


def waiting(response_id, **more):
    return response("completed", response_id, "completed", CALL, **more)


def completed(response_id, **more):
    return response("completed", response_id, "completed", **more)


def delta(text):
    return {"type": "response.output_text.delta", "output_index": 0, "delta": text}


def used(count):
    return {"usage": {"input_tokens": count, "output_tokens": count, "total_tokens": 2 * count}}


@pytest.fixture
def chain(wire, decode):
    """Two recorded responses: a call of a function, and the answer after its output."""
    names = "39-test-openai-responses-stream-0", "39-test-openai-responses-stream-1"
    return [decode((wire / f"responses/{name}.sse").read_bytes()) for name in names]


# --- the end -------------------------------------------------------------------------------


def test_a_recorded_chain_is_emitted_whole(chain, emitted):
    first, second = chain
    assert first[-1].run_status() == "requires_action"
    assert emitted(operators.check_ending(), first + second) == (first + second, [])


def test_the_next_response_that_is_cut_anywhere_is_truncated(chain, emitted):
    first, second = chain
    for count in range(1, len(second)):
        events, errors = emitted(operators.check_ending(), first + second[:count])
        assert events == first + second[:count]
        assert [type(error) for error in errors] == [StreamTruncated]


def test_a_response_that_waits_ends_the_run_if_nothing_follows(chain, emitted):
    first, _ = chain
    assert emitted(operators.check_ending(), first) == (first, [])


@pytest.mark.parametrize("begins", [created, working])
def test_the_next_response_of_another_body_counts(told, emitted, begins):
    first = told(created("resp_1"), waiting("resp_1"))
    cut = told(begins("resp_2"), delta("Hi"))
    whole = [*cut, *told(completed("resp_2"))]
    assert emitted(operators.check_ending(), [*first, *whole]) == ([*first, *whole], [])
    (error,) = emitted(operators.check_ending(), [*first, *cut])[1]
    assert isinstance(error, StreamTruncated)


@pytest.mark.parametrize("ends", [completed, waiting])
def test_a_second_response_in_one_body_counts(told, emitted, ends):
    sent = [created("resp_1"), ends("resp_1"), created("resp_2"), delta("Hi")]
    (error,) = emitted(operators.check_ending(), told(*sent))[1]
    assert isinstance(error, StreamTruncated)
    whole = told(*sent, completed("resp_2"))
    assert emitted(operators.check_ending(), whole) == (whole, [])


def test_a_connection_that_breaks_in_the_next_response_is_no_quiet_end(told):
    events = told(created("resp_1"), waiting("resp_1"), created("resp_2"))
    lost = rx.concat(rx.from_iterable(events), rx.throw(APIConnectionError("reset by peer")))
    errors = []
    lost.pipe(operators.check_ending()).subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [StreamTruncated]


def test_done_after_the_next_response_began_is_no_end(told, emitted):
    events = told(created("resp_1"), waiting("resp_1"), created("resp_2"), "data: [DONE]\n\n")
    (error,) = emitted(operators.check_ending(), events)[1]
    assert "done after 'response.created'" in str(error)


def test_until_done_ends_with_the_first_response_that_waits(chain, emitted):
    first, second = chain
    assert emitted(operators.until_done(), first + second) == (first, [])


# --- runs ----------------------------------------------------------------------------------


def test_runs_tells_each_response(told, emitted):
    events = told(created("resp_1"), waiting("resp_1"), created("resp_2"), completed("resp_2"))
    runs, _ = emitted(operators.runs(), events)
    assert [(run.id, run.status) for run in runs] == [
        ("resp_1", "in_progress"),
        ("resp_1", "requires_action"),
        ("resp_2", "in_progress"),
        ("resp_2", "completed"),
    ]


def test_final_run_is_the_last_response(chain, emitted):
    first, second = chain
    (run,), _ = emitted(operators.final_run(), first + second)
    assert run == second[-1].run()
    (error,) = emitted(operators.final_run(), first + second[:-1])[1]
    assert isinstance(error, StreamTruncated)


def test_a_failure_of_the_next_response_is_one_of_the_run(told, emitted):
    failed = response("failed", "resp_2", "failed", error=LIMITED)
    events = told(created("resp_1"), waiting("resp_1"), created("resp_2"), failed)
    assert emitted(operators.check_ending(), events) == (events, [])
    (error,) = emitted(operators.raise_for_status(), events)[1]
    assert isinstance(error, RunFailed)
    assert (error.run.id, error.run.last_error.code) == ("resp_2", "rate_limit_exceeded")
    assert [call.call_id for call in error.snapshot.tool_calls] == ["call_1"]


def test_a_chain_that_ended_well_raises_nothing(chain, emitted):
    first, second = chain
    assert emitted(operators.raise_for_status(), first + second) == (first + second, [])


# --- tokens and time -----------------------------------------------------------------------


def test_usage_is_summed_by_response(told, emitted):
    again = told(completed("resp_1", **used(1)), waiting("resp_1", **used(1)))
    events = [*again, *told(created("resp_2"), completed("resp_2", **used(10)))]
    sums, _ = emitted(operators.usage(), events)
    assert [each.total_tokens for each in sums] == [2, 22]
    assert (sums[-1].input_tokens, sums[-1].output_tokens) == (11, 11)


def test_a_response_without_usage_adds_nothing(told, emitted):
    events = told(created("resp_1"), waiting("resp_1", **used(3)), completed("resp_2"))
    assert emitted(operators.usage(), events)[0] == [Usage(3, 3, 6)]


def test_timings_are_those_of_the_whole_chain(chain, emitted):
    first, second = chain
    (timings,), _ = emitted(operators.timings(), first + second)
    assert timings.deltas == len([event for event in first + second if event.is_delta])
    each = [events[-1].run().usage.output_tokens for events in chain]
    assert timings.completion_tokens == sum(each)
    assert all(each)


# --- text, items ---------------------------------------------------------------------------


def test_text_and_calls_of_all_responses_come_once(chain, emitted):
    events = [event for each in chain for event in each]
    runs = [each[-1].run() for each in chain]
    text = "".join(run.output_text for run in runs)
    assert "".join(emitted(operators.text_deltas(), events)[0]) == text
    assert emitted(operators.text_snapshots(), events)[0][-1] == text
    outputs = [item for run in runs for item in run.output]
    calls = [item for item in outputs if item.type == "function_call"]
    assert emitted(operators.tool_calls(), events)[0] == calls
    assert emitted(operators.accumulate_snapshots(), events)[0][-1].items == tuple(outputs)
    assert len(calls) == len(outputs) - 1


# --- retries, merged runs ------------------------------------------------------------------


def retrying(attempts, **options):
    """What ``retry_run`` emits for some attempts, each with its events."""
    each = iter(attempts)
    source = rx.defer(lambda _: rx.from_iterable(next(each)))
    events, errors = [], []
    retry = operators.retry_run(backoff=0, scheduler=ImmediateScheduler(), **options)
    source.pipe(retry).subscribe(events.append, errors.append)
    return events, errors


def test_a_run_that_waited_stays_when_the_next_response_fails(told):
    failed = response("failed", "resp_2", "failed", error=LIMITED)
    events = told(created("resp_1"), waiting("resp_1"), created("resp_2"), failed)
    assert retrying([events]) == (events, [])


def test_a_whole_chain_is_retried_if_it_is_held_back(told):
    failed = response("failed", "resp_2", "failed", error=LIMITED)
    events = told(created("resp_1"), waiting("resp_1"), created("resp_2"), failed)
    whole = told(created("resp_3"), waiting("resp_3"), created("resp_4"), completed("resp_4"))
    assert retrying([events, whole], hold=True) == (whole, [])


def test_a_merged_chain_has_one_summary(told, emitted):
    first = told(created("resp_1"), waiting("resp_1", **used(1)))
    second = told(created("resp_2"), delta("Hi"), completed("resp_2", **used(10)))
    merged = list(merge_runs({"chain": rx.from_iterable([*first, *second])}))
    assert emitted(operators.of_run("chain"), merged) == ([*first, *second], [])
    (summary,) = emitted(operators.run_summaries(), merged)[0]
    assert (summary.run.id, summary.status, summary.error) == ("resp_2", "completed", None)
    assert summary.usage.total_tokens == 22
    assert summary.time_to_first_delta is not None


def test_a_merged_chain_that_is_cut_says_so(told, emitted):
    events = told(created("resp_1"), waiting("resp_1"), created("resp_2"))
    checked = rx.from_iterable(events).pipe(operators.check_ending())
    merged = list(merge_runs({"chain": checked}))
    (summary,) = emitted(operators.run_summaries(), merged)[0]
    assert isinstance(summary.error, StreamTruncated)
    assert (summary.run.id, summary.status) == ("resp_2", "in_progress")
