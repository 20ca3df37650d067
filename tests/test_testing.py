"""The marbles helper: diagrams in, diagrams out."""

from unittest.mock import ANY

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.scheduler import ImmediateScheduler

from rxassist.testing import MarbleError, Marbles


@pytest.fixture
def marbles():
    return Marbles()


# --- the examples of its documentation -----------------------------------------------------


def test_example_of_the_module(marbles):
    source = marbles.hot("-a-b-c-|")
    result = marbles.run(source.pipe(ops.take(2)))
    assert result == "-a-(b|)"
    assert source.subscriptions == ["^--!"]


def test_example_of_the_class():
    marbles = Marbles(a=1, b=2, A=10, B=20)
    source = marbles.cold("a--b|")
    result = marbles.run(source.pipe(ops.map(lambda x: x * 10)))
    assert result == "A--B|"
    assert source.subscriptions == ["^---!"]


# --- diagrams in, diagrams out -------------------------------------------------------------


@pytest.mark.parametrize(
    "diagram",
    [
        "-",
        "|",
        "#",
        "a",
        "-a",
        "a|",
        "ab|",
        "a--b--|",
        "---#",
        "(ab)",
        "(ab|)",
        "-(ab)-c-|",
        "(a#)",
    ],
)
def test_what_a_cold_source_says_is_what_comes_out(marbles, diagram):
    assert marbles.run(marbles.cold(diagram)) == diagram


@pytest.mark.parametrize("diagram", ["-", "-|", "-#", "-a-(bc)--|", "---(a|)"])
def test_what_a_hot_source_says_is_what_comes_out(marbles, diagram):
    assert marbles.run(marbles.hot(diagram)) == diagram


@given(
    st.lists(st.sampled_from(["-", "a", "b", "(ab)", "--"]), max_size=20), st.sampled_from("-|#")
)
def test_law_sources_come_out_as_they_were_written(pieces, end):
    diagram = "-" + "".join(pieces) + end
    for make in (Marbles.hot, Marbles.cold):
        marbles = Marbles()
        assert marbles.run(make(marbles, diagram)) == (diagram.rstrip("-") or "-")


def test_a_result_ends_with_its_last_notification(marbles):
    assert marbles.run(marbles.cold("-a---")) == "-a"


def test_spaces_are_for_aligning(marbles):
    assert marbles.run(marbles.cold("  -a -b |")) == "-a-b|"


def test_a_group_happens_at_once_and_takes_the_columns_it_is_written_with(marbles):
    source = marbles.cold("(ab)-c|")
    ticks = source.pipe(ops.map(lambda _: marbles.scheduler.clock))
    recording = marbles.watch(ticks)
    marbles.start()
    assert recording.values == [0, 0, 5]


@pytest.mark.parametrize(
    ("diagram", "reason"),
    [
        ("-(a", "never closed"),
        ("-a)", "cannot stand"),
        ("((a))", "cannot stand"),
        ("-a|b", "cannot stand"),
        ("-a#|", "cannot stand"),
        ("-(a|b)", "cannot stand"),
        ("-^a", "cannot stand"),
        ("-a!", "cannot stand"),
        ("-⟨1⟩", "cannot stand"),
    ],
)
def test_a_diagram_that_makes_no_sense_is_refused(marbles, diagram, reason):
    for make in (marbles.hot, marbles.cold):
        with pytest.raises(ValueError, match=reason):
            make(diagram)


@pytest.mark.parametrize("diagram", ["a-|", "|", "(ab)-", " a"])
def test_the_first_column_of_a_hot_source_is_time(marbles, diagram):
    with pytest.raises(ValueError, match="the first column of a hot source"):
        marbles.hot(diagram)


# --- values --------------------------------------------------------------------------------


def test_letters_stand_for_values_in_and_out():
    marbles = Marbles(a={"id": 1}, b={"id": 2}, T=True, n=None)
    assert marbles.run(marbles.cold("abTn|")) == "abTn|"
    recording = (marbles := Marbles(a={"id": 1})).watch(marbles.cold("a|"))
    marbles.start()
    assert recording.values == [{"id": 1}]


def test_a_character_that_is_no_letter_stands_for_itself():
    marbles = Marbles(a=1)
    assert marbles.run(marbles.cold("aπ9|").pipe(ops.map(str))) == "1π9|"


def test_a_letter_is_found_by_equality():
    marbles = Marbles(A=[1, 2])
    assert marbles.run(rx.of([1, 2], [1])) == "(A⟨[1]⟩|)"


def test_a_letter_may_stand_for_anything():
    marbles = Marbles(x=ANY)
    assert marbles.run(rx.of(1, "b")) == "(xx|)"


@pytest.mark.parametrize(
    ("value", "drawn"),
    [
        (1, "⟨1⟩"),
        ("ab", "⟨'ab'⟩"),
        ("", "⟨''⟩"),
        (" ", "⟨' '⟩"),
        ("-", "⟨'-'⟩"),
        ("|", "⟨'|'⟩"),
        ("#", "⟨'#'⟩"),
        ("(", "⟨'('⟩"),
        ("\n", r"⟨'\n'⟩"),
        ("a", "⟨'a'⟩"),
        ("z", "z"),
        (True, "⟨True⟩"),
        (None, "⟨None⟩"),
    ],
)
def test_what_cannot_be_drawn_is_readable(value, drawn):
    assert Marbles(a=0, b=1.5, c=False).letter(value) == drawn


def test_a_drawn_value_is_one_tick_wide(marbles):
    assert marbles.run(marbles.cold("-a-b|").pipe(ops.map(lambda x: x * 2))) == "-⟨'aa'⟩-⟨'bb'⟩|"


def test_true_is_not_one():
    assert Marbles(a=True).letter(1) == "⟨1⟩"
    assert Marbles(a=1).letter(True) == "⟨True⟩"  # noqa: FBT003 -- the value is what is tested


@pytest.mark.parametrize("name", ["ab", "", "-", "|", "("])
def test_a_value_is_named_by_one_letter(name):
    with pytest.raises(ValueError, match="one letter"):
        Marbles(**{name: 1})


# --- errors --------------------------------------------------------------------------------


def test_an_error_is_of_the_test_or_a_default(marbles):
    assert marbles.run(marbles.cold("-a-#")) == "-a-#"
    assert marbles.errors == [marbles.error]
    assert isinstance(marbles.error, MarbleError)
    mine = KeyError("mine")
    marbles = Marbles(error=mine)
    marbles.run(marbles.cold("#"))
    assert marbles.errors == [mine]


def test_any_error_is_drawn_and_kept(marbles):
    result = marbles.run(marbles.cold("-a-b").pipe(ops.map(int)))
    assert result == "-#"
    assert isinstance(marbles.errors[0], ValueError)


def test_what_a_subscriber_raises_comes_out_of_the_run(marbles):
    def fail(_):
        raise KeyError

    marbles.watch(marbles.cold("-a"))
    marbles.cold("-a").subscribe(fail)
    with pytest.raises(KeyError):
        marbles.start()


# --- time ----------------------------------------------------------------------------------


def test_operators_that_wait_take_the_scheduler(marbles):
    source = marbles.hot("-a-b-|")
    assert marbles.run(source.pipe(ops.delay(2, scheduler=marbles.scheduler))) == "---a-b-|"


def test_operators_without_a_scheduler_find_it(marbles):
    assert marbles.run(rx.timer(3).pipe(ops.map(lambda _: "a"))) == "---(a|)"


def test_an_endless_timer_ends_with_the_time(marbles):
    assert len(marbles.run(rx.interval(1).pipe(ops.map(lambda _: "a")))) == 1001


def test_hours_cost_nothing(marbles):
    assert marbles.run(rx.timer(900).pipe(ops.map(lambda _: "a"))) == "-" * 900 + "(a|)"


def test_ticks_that_no_column_stands_for_are_told():
    for diagram, operator, result in (
        ("-a-|", ops.delay(0.5), "⟨@1.5⟩a⟨@3.5⟩|"),
        ("(ab)-|", ops.delay(0), "(ab)-|"),
    ):
        marbles = Marbles()
        assert marbles.run(marbles.cold(diagram).pipe(operator)) == result
    marbles = Marbles()
    source = rx.concat(marbles.cold("(ab|)"), marbles.cold("-c-|"))
    assert marbles.run(source) == "(ab)⟨@1⟩c-|"


def test_a_thousand_notifications_at_one_tick_stay_there(marbles):
    source = marbles.cold("-" + "(" + "a" * 1000 + "|)")
    ticks = marbles.watch(source.pipe(ops.map(lambda _: marbles.scheduler.clock)))
    marbles.start()
    assert set(ticks.values) == {1}


# --- windows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "result", "subscription"),
    [
        ("^", "-a-b-c-|", "^------!"),
        ("----!", "-a-b", "^---!"),
        ("^---!", "-a-b", "^---!"),
        ("--^--!", "---b", "--^--!"),
        ("--^", "---b-c-|", "--^----!"),
        ("-^", "---b-c-|", "-^-----!"),
        ("---!", "-a", "^--!"),
    ],
)
def test_when_to_subscribe_and_to_dispose(marbles, window, result, subscription):
    source = marbles.hot("-a-b-c-|")
    assert marbles.run(source, window) == result
    assert source.subscriptions == [subscription]


@pytest.mark.parametrize("window", ["--!--^", "(^!)", "-a-!", "#", "^-|"])
def test_a_window_that_makes_no_sense_is_refused(marbles, window):
    with pytest.raises(ValueError, match="a window is drawn as"):
        marbles.watch(marbles.cold("-a"), window)


def test_what_is_due_when_it_is_disposed_is_not_seen():
    for make in (Marbles.hot, Marbles.cold):
        marbles = Marbles()
        assert marbles.run(make(marbles, "-a-b-c"), "---!") == "-a"


def test_a_subscription_that_never_ends_has_no_end(marbles):
    source = marbles.hot("-a")
    marbles.run(source)
    assert source.subscriptions == ["^"]


def test_each_subscription_has_its_window():
    marbles = Marbles()
    source = marbles.cold("-a-#")
    assert marbles.run(source.pipe(ops.retry(3))) == "-a--a--a-#"
    assert source.subscriptions == ["^--!", "---^--!", "------^--!"]
    assert len(marbles.errors) == 1


def test_a_source_that_nobody_subscribes_has_no_windows(marbles):
    source = marbles.cold("-a")
    marbles.run(rx.empty())
    assert source.subscriptions == []


def test_a_window_that_opens_and_closes_at_once(marbles):
    source = marbles.cold("(a|)")
    assert marbles.run(source) == "(a|)"
    assert source.subscriptions == ["(^!)"]


def test_no_notification_after_a_disposal_inside_a_group():
    for make in (Marbles.hot, Marbles.cold):
        marbles = Marbles()
        source = make(marbles, "-(abc|)")
        assert marbles.run(source.pipe(ops.take(2))) == "-(ab|)"
        assert source.subscriptions == ["^!"]


# --- several subscribers -------------------------------------------------------------------


def test_several_subscribers_are_watched(marbles):
    source = marbles.hot("-a-b-c-|")
    early, late = marbles.watch(source), marbles.watch(source, "--^--!")
    marbles.start()
    assert [str(early), str(late)] == ["-a-b-c-|", "---b"]
    assert source.subscriptions == ["^------!", "--^--!"]


def test_a_recording_has_the_values_and_the_error(marbles):
    recording = marbles.watch(marbles.cold("ab#"))
    marbles.start()
    assert recording.values == ["a", "b"]
    assert recording.error is marbles.error


def test_what_is_subscribed_before_the_time_begins_counts(marbles):
    source = marbles.hot("-a-|")
    values = []
    source.subscribe(values.append, scheduler=ImmediateScheduler())
    marbles.start()
    assert values == ["a"]
    assert source.subscriptions == ["^--!"]


def test_time_passes_once(marbles):
    source = marbles.cold("a")
    marbles.run(source)
    for again in (
        lambda: marbles.run(source),
        lambda: marbles.watch(source),
        lambda: marbles.hot("-a"),
        marbles.start,
    ):
        with pytest.raises(RuntimeError, match="make new Marbles"):
            again()


def test_cold_sources_may_be_made_while_time_passes(marbles):
    source = marbles.hot("-x--y--|")
    result = marbles.run(source.pipe(ops.flat_map(lambda x: marbles.cold(f"{x}-{x}|"))))
    assert result == "-x-xy-y|"
