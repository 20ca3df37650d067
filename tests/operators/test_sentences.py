"""Sentences: where one ends, and where it only seems to."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rxassist.operators import sentences

TEXTS = [
    # stops
    "It rains. | It pours! | Really? | Yes.",
    "Wait... | What?! | No…",
    "Well… maybe not. | Hmm... perhaps.",
    "One | ",
    # numbers, addresses
    "Pi is 3.14, not 3.2. | It is 5.",
    "See example.com or rxassist 0.1.0. | Now.",
    "It was 1984. | Then came 1985.",
    "It costs 5. | 3 more cost 12.",
    "No. 5 is alive. | See Fig. 3 and p. 7.",
    "Is it so? | No. | It is not.",
    # abbreviations, initials
    "Dr. Smith met Mrs. Jones, e.g. at St. James. | They talked.",
    "J. R. R. Tolkien wrote it. | So did I. | And you?",
    "At 5 p.m. it rained. | At 6 p.m. | The rain stopped.",
    "The U.S. Senate met in Washington D.C. | It voted.",
    "Apples, pears, etc. | They are fruits. | Acme Inc. Ltd. is a firm.",
    "Das gilt z.B. hier, d.h. bzw. dort. | Und Hr. Meier auch.",
    # quotations
    '"Stop. Go home." he said. | He left.',
    "“Wait. What?” | Anna asked. | “Nothing,” said Bob. | “Good.” | They left.",
    "„Halt. Wer da?“ fragte sie. | Niemand.",
    "Er sagte «Ja. Nein.» und ging. | Gut.",
    '“Stop!” he said. | He meant "now". | Right.',
    'It is 5" long. | It is 6" wide.',
    'An "open mark. | Nobody closes it.',
    "**Done.** | Next (really.) | _Yes._ | No.",
    # a small letter goes on
    "Yahoo! is old. | He said no! but went.",
    # Chinese, Japanese
    "你好。|我是助手！|很高兴？|是的。",
    "彼は「はい。そうです。」と言った。|終わり。",
    "真的!|好吧。|Good. | 好……吧。",
    "你好。|“再见。”他说。|好。",
    # sources
    "This is a test.[1] | Next one.[2][13] | The end.[note] Or not. | Yes.[4]",
    "是的。[1]|好。",
    # lines
    "A title\n\n | It begins\nhere. | It ends.",
    "# A title\n|Text.",
    "Three things:\n|- one\n|- two.\n|1. three\n|2) four",
    "It was in\n1984 that\nit began. | Good.",
    "Bye.\n\n\n | \t",
]


@pytest.mark.parametrize("text", TEXTS)
def test_sentences(emitted, text):
    expected = [sentence.strip() for sentence in text.split("|") if sentence.strip()]
    whole = text.replace(" | ", " ").replace("|", "")
    assert emitted(sentences(), whole) == expected
    assert emitted(sentences(), *whole) == expected


def test_a_sentence_comes_when_the_next_one_begins(flows):
    flows(
        sentences(),
        "-a-b-c-d-|",
        "-----H---(W|)",
        "^--------!",
        a="Hello",
        b=". ",
        c="W",
        d="orld",
        H="Hello.",
        W="World",
    )


def test_a_blank_line_does_not_wait_for_more(flows):
    flows(sentences(), "-a--", "-A", a="Hello.\n\n", A="Hello.")


def test_the_cjk_stop_waits_for_one_more_sign(flows):
    flows(sentences(), "-a-b-c-|", "-----A-(B|)", A="好。”", B="他", a="好。", b="”", c="他")


def test_a_mark_that_nobody_closes_does_not_hold_up_all(emitted):
    text = '"One. ' + "Two. " * 100
    assert emitted(sentences(), *text)[:3] == ['"One.', "Two.", "Two."]


def test_a_long_text_without_a_stop_is_one_sentence(emitted):
    assert emitted(sentences(), *["word "] * 5000) == [("word " * 5000).strip()]


PIECES = st.sampled_from(
    [*'.!… \na5"“”„「」。#1)*好J', "Dr", "It", "- ", "e.g.", "p.m.", "No", "The"]
)


@given(st.lists(PIECES, max_size=40), st.data())
@example(["x", "\n", "1", ".", " "], None)
def test_the_cuts_make_no_difference_and_nothing_is_lost(emitted, parts, data):
    text = "".join(parts)
    whole = emitted(sentences(), text)
    assert emitted(sentences(), *text) == whole
    if data is not None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert emitted(sentences(), *pieces) == whole
    assert re.sub(r"\s", "", "".join(whole)) == re.sub(r"\s", "", text)
    assert all(sentence == sentence.strip() != "" for sentence in whole)
