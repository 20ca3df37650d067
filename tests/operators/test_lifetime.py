"""How a stream ends: at the right place, and honestly."""

import pytest
import reactivex as rx
from reactivex import operators as rxops

from rxassist.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    DecodeError,
    NotFoundError,
    RunFailed,
    StreamTruncated,
)
from rxassist.events import DoneEvent, ErrorEvent, RunEvent
from rxassist.models import Run
from rxassist.operators import check_ending, deadline, raise_for_status, until_done
from rxassist.testing import Marbles

SETTLED = ["completed", "failed", "cancelled", "expired", "incomplete", "requires_action"]
WORKING = ["queued", "in_progress", "cancelling", "paused"]
LOST = APIConnectionError("POST /threads: peer closed connection")
CUT = StreamTruncated("the body ended in the middle of an event (thread.message.delta)")


# --- until_done ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", SETTLED)
def test_until_done_completes_with_the_event_that_ends_the_run(said, flows, status):
    flows(
        until_done(),
        "-p-t-c-d-|",
        "-p-t-(c|)",
        "^----!",
        p=said.run("in_progress"),
        t=said.delta("A"),
        c=said.run(status),
        d=said.done,
    )


def test_done_alone_is_no_end_for_until_done(said, flows):
    error = flows(until_done(), "-t-d---", "-t-#", "^--!", t=said.delta("A"), d=said.done)
    assert isinstance(error, StreamTruncated)


def test_until_done_does_not_end_with_another_run(said, flows):
    flows(
        until_done(),
        "-p-o-c-d-|",
        "-p-o-(c|)",
        "^----!",
        p=said.run("in_progress"),
        o=said.run("completed", id="run_2"),
        c=said.run("completed"),
        d=said.done,
    )


def test_until_done_believes_the_status_and_not_the_name(said, flows):
    flows(
        until_done(),
        "-c-i-d-|",
        "-c-(i|)",
        "^--!",
        c=said.run("in_progress", "completed"),
        i=said.run("incomplete", "in_progress"),
        d=said.done,
    )


@pytest.mark.parametrize("status", WORKING)
def test_until_done_of_a_stream_that_stops_before(said, flows, status):
    error = flows(
        until_done(),
        "-p-t-|",
        "-p-t-#",
        "^----!",
        p=said.run(status, "in_progress"),
        t=said.delta("A"),
    )
    assert isinstance(error, StreamTruncated)
    assert "'thread.message.delta'" in str(error)


def test_until_done_of_a_recording(recorded, emitted, recording):
    events = recorded(recording)
    if any(isinstance(event, ErrorEvent) for event in events):
        with pytest.raises(APIError):
            emitted(until_done(), *events)
        return
    seen = emitted(until_done(), *events)
    assert seen == events[: len(seen)]
    assert isinstance(seen[-1], RunEvent)
    assert all(isinstance(event, DoneEvent) for event in events[len(seen) :])


# --- check_ending --------------------------------------------------------------------------


@pytest.mark.parametrize("status", SETTLED)
def test_the_end_of_the_body_after_the_end_of_the_run(said, flows, status):
    flows(check_ending(), "-t-c-|", "-t-c-|", "^----!", t=said.delta("A"), c=said.run(status))


@pytest.mark.parametrize("status", SETTLED)
def test_done_after_the_end_of_the_run(said, flows, status):
    flows(check_ending(), "-p-d-|", "-p-d-|", "^----!", p=said.run(status), d=said.done)


@pytest.mark.parametrize("status", WORKING)
def test_done_alone_is_no_end(said, flows, status):
    error = flows(
        check_ending(),
        "-p-t-d-|",
        "-p-t-#",
        "^----!",
        p=said.run(status, "in_progress"),
        t=said.delta("A"),
        d=said.done,
    )
    assert isinstance(error, StreamTruncated)
    assert "done after 'thread.message.delta'" in str(error)


def test_done_as_the_first_event_is_no_end(said, flows):
    error = flows(check_ending(), "-d-|", "-#", "^!", d=said.done)
    assert "done before its first event" in str(error)


def test_nothing_is_emitted_after_a_done_that_was_no_end(said):
    """Also by a source that goes on inside of its call, as a decoder of whole chunks does."""
    events, errors = [], []
    source = rx.of([said.run("queued"), said.done, said.delta("A"), said.run("completed")])
    source.pipe(rxops.flat_map(rx.from_iterable), check_ending()).subscribe(
        events.append, errors.append, lambda: events.append("completed")
    )
    assert events == [said.run("queued")]
    assert [type(error) for error in errors] == [StreamTruncated]


@pytest.mark.parametrize("other", [*SETTLED, "queued"])
def test_another_run_says_nothing_of_ours(said, flows, other):
    of_another = said.run(other, id="run_2")
    letters = {"p": said.run("in_progress"), "c": said.run("completed"), "o": of_another}
    flows(check_ending(), "-p-o-|", "-p-o-#", **letters)
    flows(check_ending(), "-p-o-d-|", "-p-o-#", d=said.done, **letters)
    flows(check_ending(), "-p-c-o-d-|", "-p-c-o-d-|", d=said.done, **letters)


@pytest.mark.parametrize("name", SETTLED)
def test_the_name_counts_where_a_run_has_no_status(said, flows, name):
    flows(check_ending(), "-c-d-|", "-c-d-|", c=said.run("", name), d=said.done)
    flows(until_done(), "-p-c-d-|", "-p-(c|)", p=said.run("", "queued"), c=said.run("", name))


def test_a_run_without_an_id_is_ours(said, flows):
    flows(check_ending(), "-p-c-|", "-p-c-|", p=said.run("queued"), c=said.run("failed", id=""))
    flows(check_ending(), "-p-c-|", "-p-c-|", p=said.run("queued", id=""), c=said.run("failed"))


def test_a_recording_that_is_done_anywhere_before_its_end_is_truncated(
    recorded, emitted, recording, said
):
    """All prefixes of a run, with nothing but ``done`` behind them."""
    events = recorded(recording)
    ends = [n for n, event in enumerate(events) if isinstance(event, RunEvent | ErrorEvent)]
    for length in range(ends[-1]):
        with pytest.raises(StreamTruncated):
            emitted(check_ending(), *events[:length], said.done)


def test_what_comes_after_the_end_of_the_run_is_emitted(said, flows):
    flows(
        check_ending(),
        "-c-x-d-|",
        "-c-x-d-|",
        c=said.run("completed"),
        x=said.event("thread.ping", {}),
        d=said.done,
    )


@pytest.mark.parametrize("error", [None, LOST, CUT])
@pytest.mark.parametrize("status", WORKING)
def test_a_stream_that_stops_in_the_middle_is_truncated(said, flows, status, error):
    source = "-p-t-#" if error else "-p-t-|"
    truncated = flows(
        check_ending(),
        source,
        "-p-t-#",
        "^----!",
        p=said.run(status, "in_progress"),
        t=said.delta("A"),
        error=error,
    )
    assert isinstance(truncated, StreamTruncated)
    assert "'thread.message.delta'" in str(truncated)
    assert truncated.__cause__ is error
    assert error is None or str(error) in str(truncated)


@pytest.mark.parametrize("status", SETTLED)
@pytest.mark.parametrize("error", [LOST, CUT, APITimeoutError("no answer in time")])
def test_a_connection_that_breaks_after_the_end_of_the_run_is_no_matter(said, flows, status, error):
    flows(
        check_ending(),
        "-t-c-#",
        "-t-c-|",
        "^----!",
        t=said.delta("A"),
        c=said.run(status),
        error=error,
    )


@pytest.mark.parametrize("error", [LOST, CUT, APITimeoutError("no answer in time")])
def test_an_error_before_the_first_event_passes_as_it_is(flows, error):
    assert flows(check_ending(), "---#", "---#", "^--!", error=error) is error


def test_silence_stays_a_timeout(said, flows):
    silence = APITimeoutError("no answer in time")
    assert flows(check_ending(), "-t-#", "-t-#", t=said.delta("A"), error=silence) is silence


@pytest.mark.parametrize("last", ["in_progress", "completed"])
@pytest.mark.parametrize(
    "error",
    [
        DecodeError("thread.run.queued", "$", [], "an object"),
        NotFoundError("No thread found", status_code=404),
        LookupError("ours"),
    ],
)
def test_other_errors_pass_at_any_time(said, flows, last, error):
    assert flows(check_ending(), "-p-#", "-p-#", p=said.run(last), error=error) is error


def test_a_body_without_an_event_is_truncated(flows):
    error = flows(check_ending(), "---|", "---#")
    assert isinstance(error, StreamTruncated)
    assert "before its first event" in str(error)


@pytest.mark.parametrize("last", ["in_progress", "completed"])
def test_an_error_event_is_emitted_and_then_an_error(said, flows, last):
    event = said.error("Sorry.", code="server_error", type="server", param="x")
    error = flows(
        check_ending(),
        "-p-e-d-|",
        "-p-(e#)",
        "^--!",
        p=said.run(last),
        e=event,
        d=said.done,
    )
    assert type(error) is APIError
    assert (error.message, error.code, error.type, error.param) == (
        "Sorry.",
        "server_error",
        "server",
        "x",
    )


def test_an_error_event_that_is_wrapped(said, flows):
    event = said.event("error", {"error": {"message": "Sorry.", "code": 500}})
    error = flows(check_ending(), "-e-|", "-(e#)", "^!", e=event)
    assert (error.message, error.code) == ("Sorry.", "500")


def test_a_run_that_waited_and_went_on_has_not_ended(said, flows):
    """The tool loop: the next leg of the stream says ``queued`` again."""
    error = flows(
        check_ending(),
        "-a-d-q-t-|",
        "-a-d-q-t-#",
        "^--------!",
        a=said.run("requires_action"),
        d=said.done,
        q=said.run("queued"),
        t=said.delta("A"),
    )
    assert isinstance(error, StreamTruncated)


def test_a_run_that_waited_and_went_on_to_its_end(said, flows):
    flows(
        check_ending(),
        "-a-d-q-c-d-|",
        "-a-d-q-c-d-|",
        a=said.run("requires_action"),
        d=said.done,
        q=said.run("queued"),
        c=said.run("completed"),
    )


def test_check_ending_believes_the_status_and_not_the_name(said, flows):
    flows(check_ending(), "-c-|", "-c-#", c=said.run("in_progress", "completed"))
    flows(check_ending(), "-i-|", "-i-|", i=said.run("incomplete", "in_progress"))


def test_the_ending_of_a_recording(recorded, emitted, recording):
    events = recorded(recording)
    if recording == "oa4j-error-then-done.sse":
        with pytest.raises(APIError, match="The server had an error"):
            emitted(check_ending(), *events)
    else:
        assert emitted(check_ending(), *events) == events


def test_a_recording_that_stops_anywhere_before_its_end_is_truncated(recorded, emitted):
    events = recorded("oa4j-text.sse")
    for length in range(len(events) - 2):
        with pytest.raises(StreamTruncated):
            emitted(check_ending(), *events[:length])


# --- deadline ------------------------------------------------------------------------------


def test_a_source_that_ends_in_time(flows):
    flows(deadline(5), "-a-b|", "-a-b|", "^---!")
    flows(deadline(5), "-a-b#", "-a-b#", "^---!")


def test_a_source_that_does_not_end_in_time(flows):
    """Whether it speaks or not: it is the end that counts."""
    error = flows(deadline(5), "-a-b-c-d-|", "-a-b-#", "^----!")
    assert isinstance(error, APITimeoutError)
    assert "5 s" in str(error)
    flows(deadline(3), "-", "---#", "^--!")


def test_the_end_at_the_very_deadline_is_too_late(flows):
    flows(deadline(3), "-a-|", "-a-#", "^--!")
    flows(deadline(3.5), "-a-|", "-a-|", "^--!")


def test_a_deadline_is_counted_from_each_subscription():
    marbles = Marbles()
    piped = marbles.cold("-a-----").pipe(deadline(4))
    first, second = marbles.watch(piped), marbles.watch(piped, "---^")
    marbles.start()
    assert str(first) == "-a--#"
    assert str(second) == "----a--#"


def test_a_deadline_on_a_scheduler_of_its_own():
    marbles, errors = Marbles(), []
    marbles.cold("-").pipe(deadline(4, scheduler=marbles.scheduler)).subscribe(
        on_error=errors.append
    )
    marbles.start()
    assert [type(error) for error in errors] == [APITimeoutError]


def test_a_deadline_that_is_left_leaves_no_timer(flows):
    """Nor does one whose source has ended at once; a thread would be left behind else."""
    flows(deadline(5), "-a-b-c", "-a", "^-!", window="--!")
    subscription = rx.never().pipe(deadline(1000)).subscribe()
    subscription.dispose()
    rx.empty().pipe(deadline(1000)).subscribe()
    rx.throw(LOST).pipe(deadline(1000)).subscribe(on_error=lambda _: None)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_deadline_in_the_past(seconds):
    with pytest.raises(ValueError, match=f"deadline must be above 0, got {seconds}"):
        deadline(seconds)


# --- raise_for_status ----------------------------------------------------------------------


@pytest.mark.parametrize("status", ["failed", "incomplete", "expired", "cancelled"])
def test_a_run_that_failed_is_an_error_at_the_end(said, flows, status):
    failed = said.run(status, last_error={"code": "server_error", "message": "Sorry."})
    error = flows(
        raise_for_status(),
        "-t-f-d|",
        "-t-f-d#",
        "^-----!",
        t=said.delta("A"),
        f=failed,
        d=said.done,
    )
    assert isinstance(error, RunFailed)
    assert error.run == failed.data
    assert error.snapshot.run == failed.data
    assert error.snapshot.text == "A"
    assert error.snapshot.event == said.done
    assert str(error) == f"run run_1 ended as {status!r}: Sorry."


def test_why_a_run_is_incomplete(said, flows):
    cut = said.run("incomplete", "completed", incomplete_details={"reason": "max_prompt_tokens"})
    error = flows(raise_for_status(), "-c-|", "-c-#", c=cut)
    assert str(error) == "run run_1 ended as 'incomplete': max_prompt_tokens"


@pytest.mark.parametrize("status", ["completed", "requires_action", *WORKING])
def test_any_other_run_is_none(said, flows, status):
    flows(raise_for_status(), "-c-d|", "-c-d|", c=said.run(status, "completed"), d=said.done)


def test_one_failed_run_of_several_is_an_error(said, flows):
    error = flows(
        raise_for_status(),
        "-f-c-|",
        "-f-c-#",
        f=said.run("failed"),
        c=said.run("completed", id="run_2"),
    )
    assert error.run.id == "run_1"


def test_another_error_comes_first(said, flows):
    lost = ConnectionResetError()
    assert flows(raise_for_status(), "-f-#", "-f-#", f=said.run("failed"), error=lost) is lost


def test_the_rate_limit_of_a_recording(recorded, emitted):
    with pytest.raises(RunFailed, match="ended as 'failed'") as raised:
        emitted(raise_for_status(), *recorded("azure-openai-run-failed-rate-limit.sse"))
    assert raised.value.run.last_error.code == "rate_limit_exceeded"


# --- runs that are polled ------------------------------------------------------------------


def of_status(status):
    return Run("run_1", status=status)


@pytest.mark.parametrize("status", ["failed", "incomplete", "expired", "cancelled"])
def test_raise_for_status_fails_behind_polls_of_a_run_that_failed(status):
    told, got = [], []
    polled = rx.of(of_status("queued"), of_status(status))
    polled.pipe(raise_for_status()).subscribe(got.append, told.append)
    assert [run.status for run in got] == ["queued", status]
    assert isinstance(told[0], RunFailed)
    assert told[0].run is got[-1]


def test_raise_for_status_lets_polls_of_a_run_that_completed_pass():
    polled = rx.of(of_status("queued"), of_status("completed"))
    assert polled.pipe(raise_for_status()).run().status == "completed"


@pytest.mark.parametrize("item", ["text", 5, None])
def test_raise_for_status_refuses_what_is_no_run(item):
    told = []
    rx.of(item).pipe(raise_for_status()).subscribe(on_error=told.append)
    assert isinstance(told[0], TypeError)
    assert repr(item) in str(told[0])
