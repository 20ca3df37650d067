"""Many runs as one: merging in virtual time, and what is made of the merged runs."""

import threading

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist import operators
from rxassist.errors import APIConnectionError
from rxassist.events import UnknownEvent
from rxassist.models import Usage
from rxassist.protocols.assistants.snapshots import Snapshot
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.tally import count_recovery, count_retry
from rxassist.runs.streams.merging import MergedEvent, RunSummary, merge_runs
from rxassist.testing import Marbles


def shown(item):
    """An event as itself, behind its key; the end of a run as ``|`` or ``#``."""
    if item.event is not None:
        return f"{item.key}{item.event}"
    return f"{item.key}{'|' if item.error is None else '#'}"


def merged(marbles, *streams, window="^", **options):
    """What comes, and when: ``(tick, item)``."""
    seen = []
    see = ops.do_action(lambda item: seen.append((round(marbles.scheduler.clock), shown(item))))
    result = marbles.run(merge_runs(*streams, **options).pipe(see, ops.ignore_elements()), window)
    return seen, result


# --- merge_runs ----------------------------------------------------------------------------


def test_streams_are_merged_with_their_numbers_as_keys():
    marbles = Marbles()
    seen, result = merged(marbles, marbles.cold("-a-b|"), marbles.cold("--c|"))
    assert seen == [(1, "0a"), (2, "1c"), (3, "0b"), (3, "1|"), (4, "0|")]
    assert result == "----|"


def given(kind, one, other):
    return {
        "a mapping": {"one": one, "other": other},
        "pairs": [("one", one), ("other", other)],
        "an iterator of pairs": iter([("one", one), ("other", other)]),
        "an Observable of pairs": rx.of(("one", one), ("other", other)),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["a mapping", "pairs", "an iterator of pairs", "an Observable of pairs"]
)
def test_keys_may_be_given(kind):
    marbles = Marbles()
    streams = given(kind, marbles.cold("-a|"), marbles.cold("--b|"))
    seen, result = merged(marbles, streams)
    assert sorted(seen) == [(1, "onea"), (2, "one|"), (2, "otherb"), (3, "other|")]
    assert result == "---|"


@pytest.mark.parametrize("kind", [list, tuple, iter, rx.from_iterable])
def test_one_iterable_or_observable_of_streams(kind):
    marbles = Marbles()
    seen, _ = merged(marbles, kind([marbles.cold("-a|"), marbles.cold("--b|")]))
    assert sorted(seen) == [(1, "0a"), (2, "0|"), (2, "1b"), (3, "1|")]


def test_one_stream_is_a_run_and_no_observable_of_streams():
    first = UnknownEvent("thread.x", {})
    marbles = Marbles(a=first)
    seen, result = merged(marbles, marbles.cold("-a-b|"))
    assert seen == [(1, f"0{first}"), (3, "0b"), (4, "0|")]
    assert result == "----|"


def test_one_stream_that_fails_at_once_is_a_run_that_failed():
    marbles = Marbles()
    seen, result = merged(marbles, marbles.cold("-#"))
    assert (seen, result) == ([(1, "0#")], "-|")


@pytest.mark.parametrize("nothing", [(), ([],), ({},), (rx.empty(),)])
def test_of_no_streams_nothing_comes(nothing):
    marbles = Marbles()
    assert merged(marbles, *nothing) == ([], "|")


def test_a_run_that_fails_carries_its_error_and_the_others_go_on():
    marbles = Marbles()
    failing, other = marbles.cold("-a#"), marbles.cold("--b-c|")
    items = []
    result = marbles.run(merge_runs(failing, other).pipe(ops.do_action(items.append), ops.count()))
    assert result == "-----(⟨5⟩|)"
    (failed,) = [item for item in items if item.error is not None]
    assert (failed.key, failed.event, failed.error) == (0, None, marbles.error)
    assert failed.summary.error is marbles.error


def test_without_delay_errors_the_first_error_ends_everything():
    marbles = Marbles()
    failing, other = marbles.cold("-a#"), marbles.cold("--b-c|")
    seen, result = merged(marbles, failing, other, delay_errors=False)
    assert result == "--#"
    assert seen[0] == (1, "0a")
    assert marbles.errors == [marbles.error]
    assert other.subscriptions == ["^-!"]


def test_streams_begin_as_places_come_free():
    marbles = Marbles()
    streams = [marbles.cold(diagram) for diagram in ("-a--|", "--b#", "-c|", "d|")]
    made = []

    def make():
        for stream in streams:
            made.append(marbles.scheduler.clock)
            yield stream

    _, result = merged(marbles, make(), max_concurrent=2)
    windows = [stream.subscriptions[0] for stream in streams]
    assert windows == ["^---!", "^--!", "---^-!", "----^!"]
    assert made == [0, 0, 3, 4]
    assert result == "-----|"


def test_thousands_of_streams_that_end_at_once_do_not_nest():
    items = []
    merge_runs((rx.of("a") for _ in range(5_000)), max_concurrent=1).subscribe(items.append)
    assert len(items) == 10_000
    assert {item.key for item in items} == set(range(5_000))


def test_an_observable_of_streams_is_paused_while_one_of_them_waits():
    sent = rx.Subject()
    first, second = rx.Subject(), rx.Subject()
    demands = []

    def outer(observer, scheduler=None):
        demands.append(current_demand())
        return sent.subscribe(observer)

    merge_runs(rx.create(outer), max_concurrent=1).subscribe()
    (demand,) = demands
    sent.on_next(first)
    assert demand.is_open
    sent.on_next(second)
    assert not demand.is_open
    first.on_completed()
    assert demand.is_open


def test_every_stream_finds_the_demand_of_the_consumer_also_one_that_begins_later():
    found = []

    def stream(observer, scheduler=None):
        found.append(current_demand())
        return subjects[len(found) - 1].subscribe(observer)

    subjects = [rx.Subject(), rx.Subject()]
    demand = Demand()
    with demanding(demand):
        merge_runs([rx.create(stream)] * 2, max_concurrent=1).subscribe()
    with demanding(Demand()):  # whatever is current where a place comes free
        subjects[0].on_completed()
    assert found == [demand, demand]


def test_dispose_leaves_every_stream():
    marbles = Marbles()
    streams = [marbles.cold("-a---"), marbles.cold("--b--"), marbles.cold("c")]
    merged(marbles, streams, max_concurrent=2, window="^--!")
    assert [stream.subscriptions for stream in streams] == [["^--!"], ["^--!"], []]


def test_an_observable_of_streams_that_fails_ends_everything():
    marbles = Marbles()
    inner = marbles.cold("-a---")
    outer = marbles.cold("s#").pipe(ops.map(lambda _: inner))
    _, result = merged(marbles, outer)
    assert result == "-#"
    assert inner.subscriptions == ["^!"]


def test_an_iterable_that_raises_ends_everything():
    marbles = Marbles()
    stream = marbles.cold("-a--|")

    def broken():
        yield stream
        raise marbles.error

    _, result = merged(marbles, broken())
    assert result == "#"
    assert stream.subscriptions == ["(^!)"]
    assert marbles.errors == [marbles.error]


def test_streams_of_several_threads_come_one_at_a_time():
    sources = [rx.Subject() for _ in range(4)]
    inside, most = 0, 0

    def look(_):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1

    items = []
    merge_runs(sources).pipe(ops.do_action(look)).subscribe(items.append)

    def send(source):
        for number in range(500):
            source.on_next(number)
        source.on_completed()

    threads = [threading.Thread(target=send, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert len(items) == 4 * 501


@pytest.mark.parametrize("wrong", [(3,), ("text",), (rx.never(), 3), ([3],), ([("a", 3)],)])
def test_what_is_no_stream_is_refused(wrong):
    with pytest.raises(TypeError, match=r"merge_runs takes streams, .* got "):
        merge_runs(*wrong)


def test_an_observable_of_something_else_is_refused():
    marbles = Marbles()
    source = marbles.cold("-a-b|")
    assert marbles.run(merge_runs(source)) == "-#"
    assert "got 'a'" in str(marbles.errors[0])
    assert source.subscriptions == ["^!"]


@pytest.mark.parametrize("make", [list, tuple])
def test_a_key_that_is_given_twice_is_refused(make):
    with pytest.raises(ValueError, match="was given the key 'a' twice"):
        merge_runs(make([("a", rx.never()), ("b", rx.never()), ("a", rx.never())]))


@pytest.mark.parametrize("make", [iter, rx.from_iterable])
def test_a_key_that_comes_twice_ends_everything(make):
    marbles = Marbles()
    one = marbles.cold("---")
    assert marbles.run(merge_runs(make([("a", one), ("a", rx.never())]))) == "#"
    assert "was given the key 'a' twice" in str(marbles.errors[0])
    assert one.subscriptions == ["(^!)"]


def test_max_concurrent_is_checked():
    with pytest.raises(ValueError, match="max_concurrent must be at least 1"):
        merge_runs(rx.never(), max_concurrent=0)


# --- summaries -----------------------------------------------------------------------------


def used(total):
    return {"prompt_tokens": total - 1, "completion_tokens": 1, "total_tokens": total}


def test_a_summary_of_each_run(said):
    letters = {
        "q": said.run("queued"),
        "t": said.delta("A"),
        "c": said.run("completed", usage=used(7)),
        "f": said.run("failed"),
    }
    marbles = Marbles(**letters)
    streams = {"ann": marbles.cold("-q-t-t-c-|"), "bob": marbles.cold("--q-f|")}
    summaries = []
    source = merge_runs(streams).pipe(operators.run_summaries(), ops.do_action(summaries.append))
    marbles.run(source)
    bob, ann = summaries
    assert ann == RunSummary("ann", letters["c"].data, None, Usage(6, 1, 7), 9, 3)
    assert (ann.status, bob.status) == ("completed", "failed")
    assert (bob.key, bob.usage, bob.duration, bob.time_to_first_delta) == ("bob", None, 5, None)


def test_a_stream_that_failed_has_a_summary_too(said):
    marbles = Marbles(APIConnectionError("reset"), q=said.run("queued"))
    (summary,) = summaries_of(marbles, marbles.cold("-q-#"))
    assert (summary.status, summary.error) == ("queued", marbles.error)


def test_the_usage_of_several_runs_of_one_stream_is_summed(said):
    """As of a run that was started anew."""
    first = said.run("failed", usage=used(5))
    second = said.run("completed", usage=used(7), id="run_2")
    marbles = Marbles(f=first, c=second)
    (summary,) = summaries_of(marbles, marbles.cold("-f-c|"))
    assert summary.usage == Usage(10, 2, 12)
    assert summary.run.id == "run_2"


def test_retries_and_recoveries_are_those_of_the_run():
    marbles = Marbles()
    quiet = marbles.cold("-a|")

    def troubled(_):
        count_retry()
        count_retry()
        count_recovery()
        return marbles.cold("b|")

    found = {each.key: each for each in summaries_of(marbles, quiet, rx.defer(troubled), quiet)}
    assert [(found[key].retries, found[key].recoveries) for key in range(3)] == [
        (0, 0),
        (2, 1),
        (0, 0),
    ]


def summaries_of(marbles, *streams):
    summaries = []
    source = merge_runs(*streams).pipe(operators.run_summaries())
    marbles.run(source.pipe(ops.do_action(summaries.append)))
    return summaries


# --- of merged runs ------------------------------------------------------------------------

ENDED = RunSummary(1)


def items(**more):
    """``a`` of run 0; ``t`` and ``u`` of run 1; ``e`` and ``x`` end run 1."""
    return {
        "a": MergedEvent(0, "A"),
        "t": MergedEvent(1, "T"),
        "u": MergedEvent(1, "U"),
        "e": MergedEvent(1, None, None, ENDED),
        "x": MergedEvent(1, None, LookupError("x"), ENDED),
        **more,
    }


def test_of_run_ends_when_its_run_does(flows):
    flows(operators.of_run(1), "-a-t-a-u-e-a-", "---T---U-|", "^--------!", **items())


def test_of_run_fails_with_the_error_of_its_run(flows):
    letters = items()
    error = flows(operators.of_run(1), "-a-t-x-", "---T-#", "^----!", **letters)
    assert error is letters["x"].error


def test_of_run_of_a_run_that_never_comes(flows):
    flows(operators.of_run(2), "-a-t-|", "-----|", "^----!", **items())


def test_group_by_run_gives_each_run_its_own_observable():
    marbles = Marbles(**items(b=MergedEvent(2, "B")))
    seen = []

    def begin(group):
        see = group.subscribe(
            lambda event: seen.append((group.key, event)),
            lambda error: seen.append((group.key, error)),
            lambda: seen.append((group.key, "|")),
        )
        assert see

    groups = marbles.cold("-a-t-e-b-a|").pipe(operators.group_by_run(), ops.do_action(begin))
    assert marbles.run(groups.pipe(ops.map(lambda group: str(group.key)))) == "-0-1---2--|"
    assert seen == [(0, "A"), (1, "T"), (1, "|"), (2, "B"), (0, "A"), (0, "|"), (2, "|")]


def test_group_by_run_tells_a_group_of_the_error_of_its_run():
    marbles = Marbles(**items())
    errors = []
    groups = marbles.cold("-a-t-x-a|").pipe(operators.group_by_run())
    groups.subscribe(lambda group: group.subscribe(on_error=errors.append))
    marbles.run(rx.never())
    assert [str(error) for error in errors] == ["x"]


def test_latest_snapshots_has_each_run_as_it_stands(said):
    letters = {
        "t": MergedEvent("ann", said.delta("A")),
        "u": MergedEvent("ann", said.delta("B")),
        "v": MergedEvent("bob", said.delta("C")),
        "e": MergedEvent("ann", None, None, RunSummary("ann")),
    }
    marbles = Marbles(**letters)
    mappings = []
    latest = marbles.cold("-t-v-u-e|").pipe(operators.latest_snapshots())
    result = marbles.run(latest.pipe(ops.do_action(mappings.append), ops.map(len), ops.map(str)))
    assert result == "-1-2-2--|"
    texts = [{key: snapshot.text for key, snapshot in each.items()} for each in mappings]
    assert texts == [{"ann": "A"}, {"ann": "A", "bob": "C"}, {"ann": "AB", "bob": "C"}]
    assert [list(each) for each in mappings] == [["ann"], ["ann", "bob"], ["ann", "bob"]]


def test_latest_snapshots_shows_a_run_that_failed_before_its_first_event(said, emitted):
    error = OSError()
    mappings = emitted(
        operators.latest_snapshots(),
        MergedEvent("ann", said.delta("A")),
        MergedEvent("bob", None, error, RunSummary("bob", None, error)),
        MergedEvent("ann", None, error, RunSummary("ann", None, error)),
    )
    texts = [{key: snapshot.text for key, snapshot in each.items()} for each in mappings]
    assert texts == [{"ann": "A"}, {"ann": "A", "bob": ""}]


def test_the_mappings_of_latest_snapshots_are_immutable_and_stay_valid(said, emitted):
    first, second = emitted(
        operators.latest_snapshots(),
        MergedEvent("ann", said.delta("A")),
        MergedEvent("bob", said.delta("B")),
    )
    with pytest.raises(TypeError):
        first["ann"] = Snapshot()
    with pytest.raises(KeyError):
        first["bob"]
    with pytest.raises(KeyError):
        second["eve"]
    assert "bob" not in first
    assert first.get("bob") is None
    assert (len(first), len(second)) == (1, 2)


@pytest.mark.parametrize("runs", [1, 31, 32, 33, 1_023, 1_024, 1_025, 1_100])
def test_latest_snapshots_holds_any_number_of_runs(said, emitted, runs):
    events = [MergedEvent(key, said.delta(f"{key} ")) for key in range(runs)]
    again = [MergedEvent(key, said.delta("again")) for key in (0, runs // 2, runs - 1)]
    mappings = emitted(operators.latest_snapshots(), *events, *again)
    before, after = mappings[runs - 1], mappings[-1]
    assert {key: before[key].text for key in before} == {key: f"{key} " for key in range(runs)}
    changed = {key for key in range(runs) if before[key] is not after[key]}
    assert changed == {0, runs // 2, runs - 1}
    assert after[runs - 1].text.startswith(f"{runs - 1} again")


def test_a_for_over_a_group_says_how_to_read_it(said):
    errors = []

    def read(group):
        with pytest.raises(
            TypeError, match=r"the group of 'ann' keeps no events.*of_run"
        ) as caught:
            list(group)
        errors.append(caught.value)

    merged = merge_runs({"ann": rx.of(said.run("queued"), said.run("completed"), said.done)})
    merged.pipe(operators.group_by_run()).subscribe(read)
    assert len(errors) == 1
