"""Text as it grows: each character once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxassist.operators import accumulate_snapshots, lines, sentences, text_deltas


def test_the_end_that_the_deltas_did_not_bring_comes_with_the_finished_message(said, flows):
    flows(
        text_deltas(),
        "-m-p-t-u-n-d|",
        "-----A-B-C--|",
        m=said.message("in_progress", name="created"),
        p=said.message("in_progress"),
        t=said.delta("A"),
        u=said.delta("B"),
        n=said.message("completed", "ABC"),
        d=said.done,
    )


@pytest.mark.parametrize("end", ["completed", "incomplete"])
def test_nothing_is_repeated(said, emitted, end):
    events = said.delta("A"), said.delta("B"), said.message(end, "AB"), said.message(end, "AB")
    assert emitted(text_deltas(), *events) == ["A", "B"]


@pytest.mark.parametrize("end", ["completed", "incomplete"])
def test_a_message_that_comes_whole_only(said, emitted, end):
    assert emitted(text_deltas(), said.message(end, "AB")) == ["AB"]
    assert emitted(text_deltas(), said.message(end, "A", "B")) == ["A", "B"]


def test_a_message_that_begins_with_text(said, emitted):
    begun = said.message("in_progress", "A", name="created")
    assert emitted(
        text_deltas(), begun, said.delta("B"), said.message("completed", "ABC"), said.done
    ) == ["A", "B", "C"]


def test_a_message_that_is_told_again_while_it_grows_adds_nothing(said, emitted):
    told_again = said.message("in_progress", "AB")
    assert emitted(
        text_deltas(), said.delta("A"), told_again, said.delta("B"), said.message("completed", "AB")
    ) == ["A", "B"]


def test_messages_may_interleave(said, emitted):
    assert emitted(
        text_deltas(),
        said.delta("A"),
        said.delta("X", to="msg_2"),
        said.delta("B"),
        said.message("completed", "AB"),
        said.delta("Y", to="msg_2"),
        said.message("completed", "XYZ", id="msg_2"),
    ) == ["A", "X", "B", "Y", "Z"]


def test_two_parts_in_one_delta(said, emitted):
    assert emitted(
        text_deltas(),
        said.delta((0, "A"), (1, "X")),
        said.delta((1, "Y"), (0, "B")),
        said.message("completed", "AB", "XYZ"),
    ) == ["A", "X", "Y", "B", "Z"]


def test_parts_that_are_no_text_are_passed_over(said, emitted):
    image = {"type": "image_file", "image_file": {"file_id": "file_1"}}
    assert emitted(
        text_deltas(),
        said.delta({"index": 0, **image}),
        said.delta((1, "A")),
        said.delta({"index": 2, "type": "refusal", "refusal": "No."}),
        said.delta({"index": 3, "type": "hologram", "value": "?"}),
        said.message("completed", image, "AB", {"type": "refusal", "refusal": "No."}),
    ) == ["A", "B"]


@pytest.mark.parametrize(
    "part",
    [
        {"index": 0, "type": "text", "text": {"value": None}},
        {"index": 0, "type": "text", "text": {"value": ""}},
        {"index": 0, "type": "text", "text": {"annotations": []}},
        {"index": 0, "type": "text", "text": None},
        {"index": 0, "type": "text"},
    ],
)
def test_nothing_said_is_no_text(said, emitted, part):
    assert emitted(text_deltas(), said.delta(part), said.delta(part, "A")) == ["A"]


def test_a_whole_message_may_say_nothing(said, emitted):
    silent = {"type": "text", "text": {"value": None}}
    assert emitted(text_deltas(), said.message("completed", silent), said.done) == []


@pytest.mark.parametrize("index", [None, 1, 7])
def test_an_index_that_is_missing_or_has_gaps_repeats_nothing(said, emitted, index):
    assert emitted(text_deltas(), said.delta((index, "A")), said.message("completed", "AB")) == [
        "A",
        "B",
    ]


def test_gaps_between_two_parts_repeat_nothing(said, emitted):
    assert emitted(
        text_deltas(), said.delta((1, "A"), (3, "X")), said.message("completed", "AB", "XY")
    ) == ["A", "X", "B", "Y"]


def test_text_of_users_is_none_of_the_assistant(said, emitted):
    assert emitted(text_deltas(), said.message("completed", "Hello?", role="user")) == []


def test_deltas_after_the_finished_message_are_ignored(said, emitted):
    assert emitted(
        text_deltas(),
        said.delta("A"),
        said.message("completed", "AB"),
        said.delta("B"),
        said.message("in_progress", "ABC"),
    ) == ["A", "B"]


def test_text_that_contradicts_is_not_repeated(said, emitted):
    assert emitted(text_deltas(), said.delta("Helo"), said.message("completed", "Hello")) == [
        "Helo"
    ]


@given(st.lists(st.text(max_size=4), max_size=8), st.data())
def test_the_strings_together_are_the_text(said, emitted, pieces, data):
    """Wherever the deltas stop, and whether or not the message comes whole."""
    text = "".join(pieces)
    seen = data.draw(st.integers(0, len(pieces)))
    deltas = [said.delta(piece) for piece in pieces[:seen]]
    assert "".join(emitted(text_deltas(), *deltas, said.message("completed", text))) == text
    assert emitted(text_deltas(), *deltas) == [piece for piece in pieces[:seen] if piece]


def test_the_strings_of_a_recording_together_are_its_text(recorded, emitted, recording):
    events = recorded(recording)
    text = "".join(emitted(text_deltas(), *events))
    if recording == "doc-createRun-1.sse":  # its author left most of the deltas out
        assert text == "Hello today?"
    else:
        assert text == emitted(accumulate_snapshots(), *events)[-1].text


# --- the border of two messages ------------------------------------------------------------


def two_messages(said):
    """Each says something and ends; the second one comes after a tool was called."""
    return (
        said.delta("Let me look that up."),
        said.message("completed", "Let me look that up."),
        said.step("completed", said.call("call_1")),
        said.delta("It is foggy.", to="msg_2"),
        said.message("completed", "It is foggy.", id="msg_2"),
    )


@pytest.mark.parametrize("operator", [sentences, lines])
def test_the_end_of_a_message_ends_a_sentence_and_a_line(said, flows, operator):
    letters = dict(zip("tnsum", two_messages(said), strict=True))
    flows(
        operator(),
        "-t-n-s-u-m-|",
        "---A-----B-|",
        A="Let me look that up.",
        B="It is foggy.",
        **letters,
    )


def test_a_separator_comes_between_messages(said, emitted):
    assert emitted(text_deltas(separator="\n\n"), *two_messages(said)) == [
        "Let me look that up.",
        "\n\n",
        "It is foggy.",
    ]
    assert emitted(text_deltas(), *two_messages(said)) == ["Let me look that up.", "It is foggy."]


def test_parts_of_a_message_are_texts_of_their_own(said, emitted):
    image = {"index": 1, "type": "image_file", "image_file": {"file_id": "file_1"}}
    events = said.delta((0, "See "), (0, "this.")), said.delta(image), said.delta((2, "It is red."))
    assert emitted(sentences(), *events) == ["See this.", "It is red."]
    assert "".join(emitted(text_deltas(separator="|"), *events)) == "See this.|It is red."


def test_messages_that_interleave_are_not_mixed(said, emitted):
    events = (
        said.delta("One "),
        said.delta("Other ", to="msg_2"),
        said.delta("A."),
        said.delta("B.", to="msg_2"),
    )
    assert emitted(sentences(), *events) == ["One A.", "Other B."]
    assert emitted(lines(), *events) == ["One A.", "Other B."]
    assert "".join(emitted(text_deltas(separator="|"), *events)) == "One |Other |A.|B."


@pytest.mark.parametrize("index", [None, 7])
def test_an_index_that_has_gaps_is_no_border(said, emitted, index):
    events = said.delta((index, "A")), said.message("completed", "AB")
    assert emitted(sentences(), *events) == ["AB"]


def test_what_is_neither_an_event_nor_text_is_refused(emitted):
    for wrong in (b"A", None, 1):
        with pytest.raises(TypeError, match="takes events or strings, got"):
            emitted(sentences(), wrong)


def test_a_separator_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match="separator must be text, got 1"):
        text_deltas(separator=1)


TEXTS = st.lists(st.text("a .!\r\n", max_size=8).filter(bool), min_size=1, max_size=3)


@given(TEXTS, st.data())
def test_the_cuts_of_messages_make_no_difference(said, emitted, texts, data):
    """Over events each message is cut as if it were the only one, whatever its deltas."""
    events = []
    for number, text in enumerate(texts):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        told = data.draw(st.integers(0, len(text)))  # the rest comes with the finished message
        events += [
            said.delta(text[a : min(b, told)], to=f"msg_{number}")
            for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)
            if a < min(b, told)
        ]
        events.append(said.message("completed", text, id=f"msg_{number}"))
    for operator in (sentences, lines):
        alone = [piece for text in texts for piece in emitted(operator(), text)]
        assert emitted(operator(), *events) == alone
    assert "".join(emitted(text_deltas(separator="|"), *events)) == "|".join(texts)
