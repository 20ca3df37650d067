"""Text and snapshots at a pace: what is shown when, and nothing lost."""

import re
import sys
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reactivex import Subject
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rxassist.operators import debounce_snapshots, smooth
from rxassist.testing import Marbles

# --- debounce_snapshots --------------------------------------------------------------------


def test_the_newest_is_shown_and_what_it_overtook_is_not(flows):
    flows(debounce_snapshots(3), "-abc-d--e|", "-a--c--d-(e|)", "^--------!")


def test_the_first_comes_at_once_again_after_a_silence(flows):
    flows(debounce_snapshots(3), "-a-----b-|", "-a-----b-|")


def test_the_last_one_comes_at_the_end_and_before_an_error(flows):
    flows(debounce_snapshots(5), "-ab|", "-a-(b|)")
    flows(debounce_snapshots(5), "-ab#", "-a-(b#)")
    flows(debounce_snapshots(5), "-a-|", "-a-|")


def test_none_is_a_snapshot_too(flows):
    flows(debounce_snapshots(2), "-n-n-|", "-n-n-|", n=None)


def test_to_dispose_ends_the_timer(flows):
    flows(debounce_snapshots(3), "-ab-------", "-a", "^--!", window="^--!")


def test_a_scheduler_of_its_own():
    clock, source, seen = TestScheduler(), Subject(), []
    source.pipe(debounce_snapshots(10, scheduler=clock)).subscribe(seen.append)
    for letter in "abc":
        source.on_next(letter)
    assert seen == ["a"]
    clock.advance_by(9)
    assert seen == ["a"]
    clock.advance_by(1)
    assert seen == ["a", "c"]


def test_a_subscriber_that_raises_in_the_timer_frees_the_source():
    class SubscriberError(Exception):
        pass

    def subscriber(letter):
        if letter == "b":
            raise SubscriberError

    clock, source = TestScheduler(), Subject()
    source.pipe(debounce_snapshots(1, scheduler=clock)).subscribe(subscriber)
    source.on_next("a")
    source.on_next("b")
    with pytest.raises(SubscriberError):
        clock.advance_by(1)
    assert source.observers == []


# --- smooth --------------------------------------------------------------------------------


def shown(operator, *pieces, ticks=1000):
    """What is emitted while the source goes on, and what with its end."""
    marbles, values = Marbles(), []
    source = Subject()
    source.pipe(operator).subscribe(values.append, scheduler=marbles.scheduler)
    for piece in pieces:
        source.on_next(piece)
    marbles.scheduler.advance_by(ticks)
    before = list(values)
    source.on_completed()
    return before, values[len(before) :]


@pytest.mark.parametrize(
    ("text", "units", "rest"),
    [
        ("One two\nthree", ["One ", "two\n"], ["three"]),
        (" One", [" "], ["One"]),
        ("今日は good 人", ["今", "日", "は", " ", "good ", "人"], []),
        ("日本語。Yes", ["日", "本", "語", "。"], ["Yes"]),
        ("x" * 85, ["x" * 40] * 2, ["x" * 5]),
        ("", [], []),
    ],
)
def test_words(text, units, rest):
    assert shown(smooth(1), text) == (units, rest)
    assert shown(smooth(1), *text) == (units, rest)


@pytest.mark.parametrize(
    ("text", "units", "rest"),
    [
        ("abc", ["a", "b"], ["c"]),
        ("e\u0301e", ["e\u0301"], ["e"]),
        ("👨‍👩‍👧🇩🇪🇫🇷\r\n", ["👨‍👩‍👧", "🇩🇪", "🇫🇷"], ["\r\n"]),
        ("கி!", ["கி"], ["!"]),
    ],
)
def test_graphemes(text, units, rest):
    assert shown(smooth(1, by="grapheme"), text) == (units, rest)
    assert shown(smooth(1, by="grapheme"), *text) == (units, rest)


def test_a_regular_expression_ends_a_unit():
    by_line = smooth(1, by=re.compile(r"\n"))
    assert shown(by_line, "a\nb", "\n\nc") == (["a\n", "b\n", "\n"], ["c"])
    nothing = smooth(1, by=re.compile(r"x*"))
    assert shown(nothing, "abxc") == (["abx"], ["c"])


def test_who_is_far_behind_catches_up():
    seen, rest = shown(smooth(1), "a " * 3000, ticks=200)
    assert seen[0] == "a " * 100
    assert len(seen) < 200
    assert rest == []
    assert "".join(seen) == "a " * 3000


def test_one_word_a_tick_where_not_much_waits():
    seen, _ = shown(smooth(1), "a " * 30)
    assert seen == ["a "] * 30


def test_what_waits_comes_before_an_error_too(flows):
    flows(smooth(2), "-p#", "-A(⟨'B C'⟩#)", p="A B C", A="A ")


@given(
    st.lists(st.tuples(st.text(max_size=12), st.integers(0, 5)), max_size=12),
    st.sampled_from(["word", "grapheme", re.compile(r"[.!?]+\s*"), re.compile("")]),
    st.sampled_from([0.5, 1, 7]),
)
@example([("a" * 39, 0), ("b 【", 1)], "word", 1)
def test_nothing_is_lost_whatever_comes_when(pieces, by, delay):
    clock, source, values, ended = TestScheduler(), Subject(), [], []
    source.pipe(smooth(delay, by)).subscribe(
        values.append, on_completed=lambda: ended.append(True), scheduler=clock
    )
    for piece, ticks in pieces:
        source.on_next(piece)
        clock.advance_by(ticks)
    source.on_completed()
    assert "".join(values) == "".join(piece for piece, _ in pieces)
    assert "" not in values
    assert ended == [True]


@given(st.lists(st.text(max_size=5), max_size=8))
def test_no_grapheme_is_ever_split(pieces):
    import regex

    before, after = shown(smooth(1, by="grapheme"), *pieces)
    graphemes = regex.findall(r"\X", "".join(pieces))
    ends = set(accumulate(map(len, graphemes)))
    assert set(accumulate(map(len, [*before, *after]))) <= ends


@pytest.mark.parametrize("make", [smooth, debounce_snapshots])
def test_a_time_that_is_none_is_refused(make):
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be above 0 and finite, got"):
            make(seconds)
    for seconds in ("1", None, True):
        with pytest.raises(TypeError, match="must be a number of seconds, got"):
            make(seconds)


def test_what_text_cannot_be_cut_by_is_refused():
    for by in (1, b"x", re.compile(b"x")):
        with pytest.raises(TypeError, match='"word", "grapheme" or a regular expression of text'):
            smooth(1, by)
    with pytest.raises(ValueError, match=r"a regular expression of text, got '\(': missing"):
        smooth(1, "(")


def test_a_regular_expression_may_be_text():
    assert shown(smooth(1, by=r"\n"), "a\nb\nc") == (["a\n", "b\n"], ["c"])


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(ModuleNotFoundError, match="pip install regex"):
        smooth(1, by="grapheme")
    assert shown(smooth(1), "a b") == (["a "], ["b"])


def test_timers_of_other_threads_mix_nothing_up():
    """Where no scheduler is given, the timers are threads."""
    source, values = Subject(), []
    source.pipe(smooth(0.0001)).subscribe(values.append)
    words = [f"{number} " for number in range(2000)]
    for word in words:
        source.on_next(word)
    source.on_completed()
    assert "".join(values) == "".join(words)


def test_one_timer_and_not_one_for_each_item():
    clock = TestScheduler()
    scheduled = []
    schedule = clock.schedule_relative
    clock.schedule_relative = lambda *given, **more: (
        scheduled.append(given),
        schedule(*given, **more),
    )[1]
    source = Subject()
    source.pipe(ops.take(100), debounce_snapshots(5)).subscribe(scheduler=clock)
    for number in range(100):
        source.on_next(number)
    assert len(scheduled) == 1
