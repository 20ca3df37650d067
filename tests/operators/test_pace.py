"""Text and snapshots at a pace: what is shown when, and nothing lost."""

import re
import sys
import time
from itertools import accumulate

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from reactivex import Subject
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rxassist.operators import debounce_snapshots, smooth
from rxassist.runs.operators.units import _belongs
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
        ("今日は good 人", ["今", "日", "は", " ", "good "], ["人"]),
        ("日本語。Yes", ["日", "本", "語", "。"], ["Yes"]),
        ("x" * 85, ["x" * 40] * 2, ["x" * 5]),
        ("a\n\n b" + " " * 50, ["a\n\n ", "b" + " " * 40], [" " * 10]),
        # no sign is parted from its marks
        ("ｶﾞｷﾞ", ["ｶﾞ"], ["ｷﾞ"]),
        ("か\u3099き", ["か\u3099"], ["き"]),
        ("葛\U000e0100城", ["葛\U000e0100"], ["城"]),
        ("㊗\ufe0f人", ["㊗\ufe0f"], ["人"]),
        ("〰\ufe0f\u20e3人", ["〰\ufe0f\u20e3"], ["人"]),
        ("a \u0301b c", ["a \u0301", "b "], ["c"]),
        ("a\r\nb", ["a\r\n"], ["b"]),
        ("x" * 39 + "e\u0301\u0301y", ["x" * 39 + "e\u0301\u0301"], ["y"]),
        ("x" * 38 + "👨\u200d👩\u200d👧y", ["x" * 38 + "👨\u200d👩\u200d👧"], ["y"]),
        ("x" * 39 + "🇩🇪🇫🇷y", ["x" * 39 + "🇩🇪"], ["🇫🇷y"]),
        ("x" * 39 + "👋🏽y", ["x" * 39 + "👋🏽"], ["y"]),
        ("x" * 39 + "\u1112\u1161\u11aby", ["x" * 39 + "\u1112\u1161\u11ab"], ["y"]),
        ("x" * 39 + "क्\u200dषय", ["x" * 39 + "क्\u200dष"], ["य"]),
        ("x" * 39 + "\u0600ay", ["x" * 39 + "\u0600a"], ["y"]),
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
    assert rest == ["a "]
    assert "".join([*seen, *rest]) == "a " * 3000


def test_one_word_a_tick_where_not_much_waits():
    assert shown(smooth(1), "a " * 30) == (["a "] * 29, ["a "])


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


# Letters, marks and what joins them: most texts of these have graphemes of several characters.
SIGNS = st.one_of(
    st.sampled_from(
        [
            "x" * 13,
            *"aé \r\n.人かｶᄒ\u1161한\u11a8कष🇩🇪👩👧🏽㊗ﾞ",
            *"\u0301\u3099\ufe0f\U000e0100\u20e3\u094d\u093c\u0e33\u200d\u200c\u0600\u00ad",
        ]
    ),
    st.characters(),
)
CUT_BY = st.sampled_from(["word", "grapheme", re.compile(r"[.!?]+\s*"), r"\r?\n", "."])


def units_of(by, pieces):
    """The units of a text that comes in pieces, so slowly that each is shown by itself."""
    clock, source, values = TestScheduler(), Subject(), []
    source.pipe(smooth(1, by)).subscribe(values.append, scheduler=clock)
    for piece in pieces:
        for few in re.findall("(?s).{1,30}", piece):
            source.on_next(few)
            clock.advance_by(len(few) + 1)
    source.on_completed()
    return values


@given(st.lists(SIGNS, max_size=20).map("".join), CUT_BY, st.data())
@example("ab", "word", None)
def test_the_pieces_make_no_difference_and_no_grapheme_is_split(text, by, data):
    whole = units_of(by, [text])
    assert "".join(whole) == text
    ends = set(accumulate(map(len, regex.findall(r"\X", text))))
    assert set(accumulate(map(len, whole))) <= ends
    assert units_of(by, text) == whole
    if data is not None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert units_of(by, pieces) == whole


def test_where_unicode_breaks_no_grapheme_no_word_is_cut():
    """Every sign of which Unicode's newest data know more, next to a letter, and doubled."""
    all_signs = "".join(map(chr, range(sys.maxunicode + 1)))
    signs = regex.findall(r"\P{Grapheme_Cluster_Break=Other}", all_signs)
    pairs = [pair for sign in signs for pair in (f"a{sign}", f"{sign}a", f"{sign}{sign}")]
    graphemes = [pair for pair in pairs if regex.fullmatch(r"\X", pair)]
    assert len(graphemes) > 5000
    assert [pair for pair in graphemes if not _belongs(pair, 0, 1)] == []


@pytest.mark.parametrize("by", ["word", "grapheme", "."])
@pytest.mark.parametrize("endless", ["\u0301", "\u200d", "ﾞ", "👩\u200d", "\u1100"])
def test_an_endless_grapheme_is_cut(by, endless):
    text = "人" + endless * 1000
    units = units_of(by, [text])
    assert "".join(units) == text
    assert max(map(len, units)) <= 40 + 128
    assert units_of(by, text) == units


@pytest.mark.parametrize(
    ("by", "text"),
    [
        ("word", "x"),
        ("word", " "),
        ("word", "\u0301"),
        ("word", "人\u200d"),
        ("word", "🇩"),
        ("grapheme", "\u0301"),
        ("grapheme", "🇩"),
        ("grapheme", "👩\u200d"),
        ("grapheme", "क्"),
        (r"\n", "x"),
        (r"\n", "\n\u0301"),
    ],
)
def test_time_is_linear(by, text):
    """In small pieces, and as one."""

    def seconds(count):
        best = []
        for pieces in (text * count, [text * count]):
            source = Subject()
            source.pipe(smooth(1, by)).subscribe(scheduler=TestScheduler())
            begin = time.process_time()
            for piece in pieces:
                source.on_next(piece)
            best.append(time.process_time() - begin)
        return sum(best)

    few = min(seconds(1_000) for _ in range(3))
    assert seconds(10_000) < 30 * few  # ten times as much: it would be a hundred times


# --- smooth, over events -------------------------------------------------------------------


def test_the_end_of_a_message_ends_a_unit(said):
    first, second = (
        said.message("completed", "Up."),
        said.message("completed", "It is.", id="msg_2"),
    )
    events = said.delta("Up."), first, said.delta("It ", to="msg_2"), said.delta("is.", to="msg_2")
    assert shown(smooth(1), *events, second) == (["Up.", "It ", "is."], [])
    assert shown(smooth(1), *events, second, ticks=0) == (["Up."], ["It is."])


def test_what_remains_of_a_message_is_paced_too(said, flows):
    letters = {
        "t": said.delta("A B"),
        "n": said.message("completed", "A B"),
        "u": said.delta("C D", to="msg_2"),
        "A": "A ",
        "C": "C ",
    }
    flows(smooth(2), "-tnu----|", "-A-B-C--(D|)", **letters)


def test_what_is_shown_at_a_time_is_of_one_message(said):
    events = []
    for number in range(3):
        to = f"msg_{number}"
        text = f"{number} " * 25
        events += [said.delta(text, to=to), said.message("completed", text, id=to)]
    seen, rest = shown(smooth(1), *events, ticks=30)
    assert all(len(set(piece.split())) == 1 for piece in [*seen, *rest])
    assert "".join([*seen, *rest]) == "0 " * 25 + "1 " * 25 + "2 " * 25


def test_messages_side_by_side_do_not_mix(said):
    events = (
        said.delta("On"),
        said.delta("Tw", to="msg_2"),
        said.delta("e "),
        said.delta("o ", to="msg_2"),
    )
    assert shown(smooth(1), *events) == ([], ["One ", "Two "])


def test_an_image_ends_a_unit(said):
    assert shown(smooth(1), said.delta((0, "Look:")), said.delta((2, "A cat."))) == (
        ["Look:", "A "],
        ["cat."],
    )


def test_what_is_no_text_is_an_error(flows):
    error = flows(smooth(1), "-x-|", "-#", "^!", x=3)
    assert "takes events or strings, got 3" in str(error)


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
    assert shown(smooth(1), "a か\u3099b") == (["a ", "か\u3099"], ["b"])


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
