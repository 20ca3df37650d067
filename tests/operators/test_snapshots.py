"""What has accumulated: snapshots, texts, finished messages and steps."""

import pytest
import reactivex
from reactivex import operators as ops

from rxassist.operators import (
    accumulate_snapshots,
    messages,
    run_steps,
    text_snapshots,
    tool_calls,
)
from rxassist.runs.events import AnyEvent


def test_there_is_a_snapshot_for_each_event(said, emitted):
    events = said.run("queued"), said.delta("A"), said.event("thread.ping", {}), said.done
    snapshots = emitted(accumulate_snapshots(), *events)
    assert [snapshot.event for snapshot in snapshots] == list(events)
    assert [snapshot.text for snapshot in snapshots] == ["", "A", "A", "A"]
    assert all(snapshot.run == events[0].data for snapshot in snapshots)


def test_snapshots_stay_as_they_were(said, emitted):
    events = [said.message("in_progress"), *(said.delta(letter) for letter in "ABCD")]
    snapshots = emitted(accumulate_snapshots(), *events)
    assert snapshots[-1].text == "ABCD"
    assert [snapshot.text for snapshot in snapshots] == ["", "A", "AB", "ABC", "ABCD"]


def test_subscriptions_share_nothing(said):
    """In reactivex a mutable seed of ``scan`` leaks from one subscription into the next."""
    texts = []
    source = reactivex.of(said.delta("A"), said.delta("B")).pipe(accumulate_snapshots())
    for _ in range(2):
        source.pipe(ops.last()).subscribe(lambda snapshot: texts.append(snapshot.text))
    assert texts == ["AB", "AB"]


def test_texts_come_when_they_have_changed(said, flows):
    flows(
        text_snapshots(),
        "-m-t-p-u-v-n-d|",
        "---A---B---C--|",
        m=said.message("in_progress"),
        t=said.delta("Hel"),
        p=said.run("in_progress"),
        u=said.delta("lo"),
        v=said.delta({"index": 0, "type": "text", "text": None}),
        n=said.message("completed", "Hello!"),
        d=said.done,
        A="Hel",
        B="Hello",
        C="Hello!",
    )


def test_the_texts_of_several_messages_stand_one_behind_the_other(said, emitted):
    texts = emitted(text_snapshots(), said.delta("A"), said.delta("X", to="m2"), said.delta("B"))
    assert texts == ["A", "AX", "ABX"]


def test_a_finished_message_wins_over_what_was_streamed(said, emitted):
    assert emitted(
        text_snapshots(), said.delta("Helo"), said.message("completed", "Hello"), said.delta("!")
    ) == ["Helo", "Hello"]


def test_each_message_comes_once_when_it_is_finished(said, flows):
    first, second = said.message("completed", "AB"), said.message("incomplete", "X", id="msg_2")
    flows(
        messages(),
        "-m-t-o-n-n-p-i-i-d|",
        "-------N-----I----|",
        m=said.message("in_progress", name="created"),
        t=said.delta("A"),
        o=said.message("in_progress", id="msg_2"),
        n=first,
        p=said.message("in_progress", "AB"),
        i=second,
        d=said.done,
        N=first.data,
        I=second.data,
    )


def test_a_message_is_as_it_was_finished_and_not_as_it_was_streamed(said, emitted):
    (message,) = emitted(messages(), said.delta("Helo"), said.message("completed", "Hello"))
    assert [part.text.value for part in message.content] == ["Hello"]


def test_a_message_that_was_finished_without_its_content_has_what_was_streamed(said, emitted):
    (message,) = emitted(messages(), said.delta("A"), said.delta("B"), said.message("completed"))
    assert [part.text.value for part in message.content] == ["AB"]
    assert message.status == "completed"


def test_each_step_comes_once_when_it_is_finished(said, flows):
    ended = {
        status: said.step(status, id=f"step_{status}", usage={"total_tokens": 1})
        for status in ("completed", "failed", "cancelled", "expired")
    }
    flows(
        run_steps(),
        "-s-t-z-z-f-c-e-d|",
        "-----Z---F-C-E--|",
        s=said.step("in_progress", name="created"),
        t=said.step("in_progress"),
        z=ended["completed"],
        f=ended["failed"],
        c=ended["cancelled"],
        e=ended["expired"],
        d=said.done,
        Z=ended["completed"].data,
        F=ended["failed"].data,
        C=ended["cancelled"].data,
        E=ended["expired"].data,
    )


def test_a_step_that_ended_without_its_calls_has_what_was_streamed(said, emitted):
    (step,) = emitted(
        run_steps(),
        said.step("in_progress", name="created"),
        said.calls(said.call("call_1", "f", index=0), said.more("{}")),
        said.step("failed", last_error={"code": "server_error", "message": "Sorry."}),
    )
    assert [call.function.arguments for call in step.step_details.tool_calls] == ["{}"]
    assert step.last_error.code == "server_error"


def test_messages_and_steps_of_a_recording(recorded, emitted):
    events = recorded("oa4j-code-interpreter-logs.sse")
    (message,) = emitted(messages(), *events)
    assert message.status == "completed"
    steps = emitted(run_steps(), *events)
    assert [(step.type, step.status) for step in steps] == [
        ("tool_calls", "completed"),
        ("message_creation", "completed"),
    ]
    assert all(step.usage is not None for step in steps)


@pytest.mark.parametrize("operator", [accumulate_snapshots, messages, tool_calls, text_snapshots])
def test_an_event_that_no_protocol_folds_is_an_error_and_no_empty_snapshot(operator):
    class Foreign(AnyEvent):
        event = "foreign"

    errors, items = [], []
    reactivex.of(Foreign()).pipe(operator()).subscribe(items.append, errors.append)
    assert items == []
    assert "its class says nothing of its protocol" in str(errors[0])
    assert isinstance(errors[0], TypeError)
