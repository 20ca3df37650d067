"""The same first tests for every operator: what holds for all holds for each."""

import pytest
from attrs import field, frozen
from reactivex import Subject
from reactivex.testing import TestScheduler

from rxassist import models, operators
from rxassist.errors import StreamTruncated
from rxassist.events import DoneEvent, RunEvent
from rxassist.protocols.assistants.codec import encode_event
from rxassist.runs.streams import merging
from rxassist.runs.tools import Toolbox
from rxassist.testing import END_OF_TIME, Marbles, ResponseEventBuilder
from rxassist.wire.sse import encode


class Broken:
    """Nothing that decodes is like this: it raises when somebody asks what it is."""

    @property
    def __class__(self):
        raise LookupError


def as_bytes(event):
    return encode(encode_event(event))


def as_of_a_response(event):
    return ResponseEventBuilder().text_delta(event.event)


def as_digit(_):
    return "1"


def as_line(event):
    return f"{event.event}\n"


def as_sentence(event):
    return f"{event.event.capitalize()}! "


def as_of_a_run(event):
    return merging.MergedEvent(0, event)


def as_end_of_a_run(event):
    return merging.MergedEvent(0, None, None, merging.RunSummary(0, event))


def key_of(group):
    return group.key


def texts_of(latest):
    return {key: snapshot.text for key, snapshot in latest.items()}


def same(value):
    return value


def unasked(*_):
    raise AssertionError


def read(snapshot):
    return snapshot.event, snapshot.run, snapshot.messages, snapshot.run_steps


@frozen
class Entry:
    """An operator, and in what it differs from the others."""

    make: object
    takes: object = field(default=same)  # what it takes instead of an event
    shows: object = field(default=same)  # of a value, what can be compared
    needs_an_end: bool = False  # an empty source is StreamTruncated, not empty
    looks: bool = True  # at each item


OPERATORS = {
    "accumulate_snapshots": Entry(operators.accumulate_snapshots, shows=read),
    "as_assistant_events": Entry(operators.as_assistant_events, takes=as_of_a_response),
    "check_ending": Entry(operators.check_ending, needs_an_end=True),
    "choose": Entry(lambda: operators.choose(lambda event: event.event)),
    "choose_each": Entry(
        lambda: operators.choose_each(lambda: (lambda event: [event.event], list))
    ),
    "citations": Entry(operators.citations),
    "citations of text": Entry(operators.citations, takes=as_sentence),
    "citations with a marker": Entry(lambda: operators.citations(str, marker="[A-C]")),
    "deadline": Entry(
        lambda: operators.deadline(END_OF_TIME, scheduler=TestScheduler()), looks=False
    ),
    "debounce_snapshots": Entry(lambda: operators.debounce_snapshots(1), looks=False),
    "decode": Entry(operators.decode, takes=as_bytes),
    "final_run": Entry(operators.final_run, needs_an_end=True),
    "group_by_run": Entry(operators.group_by_run, takes=as_of_a_run, shows=key_of),
    "json_snapshots": Entry(operators.json_snapshots, takes=as_digit),
    "latest_snapshots": Entry(operators.latest_snapshots, takes=as_of_a_run, shows=texts_of),
    "lines": Entry(operators.lines, takes=as_line),
    "lines of events": Entry(operators.lines),
    "messages": Entry(operators.messages),
    "of_run": Entry(lambda: operators.of_run(0), takes=as_of_a_run),
    "of_type": Entry(lambda: operators.of_type(RunEvent)),
    "raise_for_status": Entry(operators.raise_for_status),
    "recover": Entry(lambda: operators.recover(unasked, unasked, unasked), needs_an_end=True),
    "retry_run": Entry(operators.retry_run),
    "run_steps": Entry(operators.run_steps),
    "run_tools": Entry(lambda: operators.run_tools(Toolbox([]), unasked)),
    "run_summaries": Entry(operators.run_summaries, takes=as_end_of_a_run),
    "runs": Entry(operators.runs),
    "sentences": Entry(operators.sentences, takes=as_sentence),
    "sentences of events": Entry(operators.sentences),
    "smooth": Entry(lambda: operators.smooth(1), takes=as_sentence),
    "smooth of events": Entry(lambda: operators.smooth(1)),
    "text_deltas": Entry(operators.text_deltas),
    "text_deltas with a separator": Entry(lambda: operators.text_deltas(separator="-")),
    "text_snapshots": Entry(operators.text_snapshots),
    "timings": Entry(operators.timings),
    "tool_call_deltas": Entry(operators.tool_call_deltas),
    "tool_calls": Entry(operators.tool_calls),
    "until_done": Entry(operators.until_done, needs_an_end=True),
    "usage": Entry(operators.usage),
}


@pytest.fixture(params=OPERATORS)
def entry(request):
    return OPERATORS[request.param]


@pytest.fixture
def a_run(said, entry):
    """A run in which every operator finds something, as what the operator takes."""
    events = {
        "q": said.run("queued"),
        "s": said.step("in_progress", name="created"),
        "x": said.calls(said.call("call_1", index=0)),
        "y": said.calls(said.more("{}")),
        "z": said.step("completed", said.call("call_1", arguments="{}")),
        "t": said.delta("A"),
        "u": said.delta("B"),
        "n": said.message("completed", "ABC"),
        "c": said.run("completed"),
    }
    return {letter: entry.takes(event) for letter, event in events.items()}


def test_no_operator_is_left_out():
    assert sorted({name.split()[0] for name in OPERATORS}) == operators.__all__


def test_an_empty_source(entry, flows):
    error = flows(
        entry.make(),
        "---|",
        "---#" if entry.needs_an_end else "---|",
        "^--!",
    )
    assert isinstance(error, StreamTruncated) == entry.needs_an_end


def test_a_source_that_never_says_anything(entry, flows):
    flows(entry.make(), "-", "-", "^")


def test_an_error_passes_as_it_is(entry, flows):
    error = LookupError()
    assert flows(entry.make(), "---#", "---#", "^--!", error=error) is error


def test_an_error_in_the_middle_passes_as_it_is(entry, flows, a_run):
    marbles = Marbles(error := LookupError(), **a_run)
    source = marbles.cold("-q-x-t-#")
    assert marbles.run(source.pipe(entry.make())).rstrip(")").endswith("#")  # with what was held
    assert marbles.errors == [error]
    assert source.subscriptions == ["^------!"]


def test_its_own_exception_is_an_error_and_frees_the_source(entry, flows):
    if entry.looks:
        error = flows(entry.make(), "-b-b-|", "-#", "^!", b=Broken())
        assert isinstance(error, LookupError | TypeError | AttributeError)
    else:
        flows(entry.make(), "-b-b-|", "-b-b-|", "^----!", b=Broken())


MERGED = merging.MergedEvent("ann", None, None, merging.RunSummary("ann"))
TAKES_ANYTHING = {"choose", "choose_each", "of_type", "deadline", "debounce_snapshots"}
TAKES_MERGED = {"of_run", "group_by_run", "run_summaries", "latest_snapshots"}
TAKES_OTHERS = {
    "decode": (["text", None, MERGED], "bytes"),
    "json_snapshots": ([MERGED, b"1", 1], "the pieces of a text"),
    **dict.fromkeys(
        ("lines", "sentences", "smooth", "citations"), ([MERGED, b"text", 1], "events or strings")
    ),
    **dict.fromkeys(TAKES_MERGED, (["text", DoneEvent(), None], "what merge_runs gives")),
}
"""What an operator cannot know, and what it says that it takes; of all others ``OF_EVENTS``."""
OF_EVENTS = [MERGED, "text", b"text", None, models.Message("msg_1")], "the events of"


@pytest.mark.parametrize("name", [name for name in OPERATORS if name not in TAKES_ANYTHING])
def test_an_operator_that_gets_an_item_that_it_cannot_know_says_so(name, flows):
    items, takes = TAKES_OTHERS.get(name.split()[0], OF_EVENTS)
    if name == "text_deltas with a separator":
        items, takes = [MERGED, b"text", None], "events or strings"
    for item in items:
        error = flows(OPERATORS[name].make(), "-b-b-|", "-#", "^!", b=item)
        assert isinstance(error, TypeError)
        assert f"takes {takes}" in str(error)
        assert ", got " in str(error)
        if item is MERGED and "event" in takes:
            assert "one run of those is of_run(key)" in str(error)
            assert "group_by_run()" in str(error)


def test_to_dispose_frees_the_source(entry, flows, a_run):
    marbles = Marbles(**a_run)
    source = marbles.cold("-q-t-u-n-")
    marbles.run(source.pipe(entry.make()), "^---!")
    assert source.subscriptions == ["^---!"]


def test_two_subscriptions_are_independent(entry, a_run):
    """Also while both are under way."""
    marbles = Marbles(**a_run)
    piped = marbles.cold("-q-s-x-y-z-t-u-n-c-|").pipe(entry.make())
    first, second = marbles.watch(piped), marbles.watch(piped, "-------^")
    marbles.start()
    values = [entry.shows(value) for value in first.values]
    assert values
    assert values == [entry.shows(value) for value in second.values]
    assert marbles.errors == []


def test_an_exception_of_the_subscriber_is_not_swallowed_and_no_error(entry, a_run):
    class SubscriberError(Exception):
        pass

    def subscriber(_):
        raise SubscriberError

    errors = []
    source = Subject()
    source.pipe(entry.make()).subscribe(subscriber, errors.append)

    def tell_all():
        for item in a_run.values():
            source.on_next(item)
        source.on_completed()

    with pytest.raises(SubscriberError):
        tell_all()
    assert errors == []
