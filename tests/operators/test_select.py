"""Events by their class, runs by their status."""

import pytest

from rxassist.errors import StreamTruncated
from rxassist.events import RunEvent, ThreadMessageDelta, ThreadRunCompleted, UnknownEvent
from rxassist.operators import final_run, of_type, runs


def test_of_type_takes_several_classes_and_bases(said, flows):
    flows(
        of_type(RunEvent, ThreadMessageDelta),
        "-q-t-u-m-c-d|",
        "-q-t-u---c--|",
        q=said.run("queued"),
        t=said.delta("A"),
        u=said.delta("B"),
        m=said.message("completed", "AB"),
        c=said.run("completed"),
        d=said.done,
    )


def test_of_type_finds_what_nobody_knows(said, emitted):
    ping = said.event("thread.ping", {"n": 1})
    assert emitted(of_type(UnknownEvent), said.done, ping) == [ping]


@pytest.mark.parametrize("types", [(), ("thread.run.completed",), (ThreadRunCompleted, None)])
def test_of_type_takes_classes_only(types):
    with pytest.raises(TypeError, match="of_type takes one class or more"):
        of_type(*types)


def test_runs_are_told_when_their_status_changes(said, flows):
    queued, working, completed = (
        said.run(status) for status in ("queued", "in_progress", "completed")
    )
    flows(
        runs(),
        "-k-q-p-p-t-c-d|",
        "-Q---P-----C--|",
        k=said.run("queued", "created"),
        q=queued,
        p=working,
        t=said.delta("A"),
        c=completed,
        d=said.done,
        Q=queued.data,
        P=working.data,
        C=completed.data,
    )


def test_runs_of_merged_streams_are_told_apart(said, emitted):
    told = emitted(
        runs(),
        said.run("queued"),
        said.run("queued", id="run_2"),
        said.run("in_progress"),
        said.run("queued", id="run_2"),
        said.run("in_progress", id="run_2"),
    )
    assert [(run.id, run.status) for run in told] == [
        ("run_1", "queued"),
        ("run_2", "queued"),
        ("run_1", "in_progress"),
        ("run_2", "in_progress"),
    ]


def test_a_run_goes_on_after_it_waited(said, emitted):
    statuses = ["queued", "in_progress", "requires_action", "queued", "in_progress", "completed"]
    told = emitted(runs(), *(said.run(status) for status in statuses))
    assert [run.status for run in told] == statuses


def test_a_status_that_nobody_knows_is_told(said, emitted):
    told = emitted(runs(), said.run("queued"), said.run("paused", "in_progress"))
    assert [run.status for run in told] == ["queued", "paused"]


def test_an_end_that_is_told_twice_is_one(said, emitted):
    told = emitted(runs(), said.run("completed"), said.run("completed"))
    assert [run.status for run in told] == ["completed"]


def test_the_status_is_the_truth_and_not_the_name(said, emitted):
    told = emitted(runs(), said.run("incomplete", "completed"))
    assert [run.status for run in told] == ["incomplete"]


@pytest.mark.parametrize(
    "status",
    ["completed", "failed", "cancelled", "expired", "incomplete", "requires_action"],
)
def test_the_final_run_comes_at_the_end(said, flows, status):
    last = said.run(status)
    flows(
        final_run(),
        "-p-t-c-d-|",
        "---------(C|)",
        "^--------!",
        p=said.run("in_progress"),
        t=said.delta("A"),
        c=last,
        d=said.done,
        C=last.data,
    )


def test_the_final_run_is_the_last_that_was_told(said, emitted):
    """A run that waited for its tools goes on; a status may be told twice, with more to it."""
    last = said.run("completed", usage={"total_tokens": 7})
    events = said.run("requires_action"), said.run("queued"), said.run("completed"), last
    assert emitted(final_run(), *events) == [last.data]


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelling", "paused"])
def test_a_run_that_never_ended_is_no_final_run(said, flows, status):
    error = flows(
        final_run(),
        "-p-|",
        "---#",
        p=said.run(status, "in_progress"),
    )
    assert isinstance(error, StreamTruncated)
    assert repr(status) in str(error)


def test_a_run_that_waited_and_went_on_has_not_ended(said, flows):
    error = flows(
        final_run(),
        "-a-q-|",
        "-----#",
        a=said.run("requires_action"),
        q=said.run("queued"),
    )
    assert isinstance(error, StreamTruncated)


def test_without_a_run_there_is_no_final_run(said, flows):
    error = flows(final_run(), "-d|", "--#", d=said.done)
    assert isinstance(error, StreamTruncated)
    assert "nothing was told of a run" in str(error)


def test_the_runs_of_a_recording_end_as_its_final_run(recorded, emitted):
    events = recorded("ruby-run-incomplete-as-completed-v2.sse")
    (run,) = emitted(final_run(), *events)
    assert run.status == "incomplete"
    assert emitted(runs(), *events)[-1] == run
