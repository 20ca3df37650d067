"""Sentences: where one ends, and where it only seems to."""

import re
import sys

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from rxassist.operators import sentences
from rxassist.runs.operators.sentences import _STOP

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
    # a letter by itself
    "See https://a.b/c?d=e. | Then go.",
    "Take vitamin-C. | Then x=y. | A/B. | So on.",
    "See https://a.b/st. | Go. | See www.a.b. | Go to example.com. | Bob did.",
    "J.-P. Sartre and (J. Doe) came. | “A. Smith” too. | *B. Jones* as well.",
    "Mr./Mrs. Smith came. | So did I. | I did.",
    "राम. | सीता.",
    # quotations with space inside
    "« Oui. » | Il part. | « Non ! » cria-t-il. | « Quoi\u00a0?\u202f» | Rien.",
    "Il a dit « oui » à Paul. | Puis il part.",
    "»Halt. Wer da?« fragte sie. | »Niemand.« | Sie ging.",
    "Il dit. » | Et voilà. | »Ja« sagte er.",
    # scripts without capitals
    "ეს არის ტესტი. | მეორე წინადადება! | მესამე? | დიახ.",
    "هذا اختبار. | هل هذا سؤال؟ | نعم؛ هو كذلك. | انتهى.",
    # the stops of other scripts
    "यह एक परीक्षण है। | क्या यह सच है? | हाँ।|और॥",
    "یہ ایک جملہ ہے۔ | کیا یہ سوال ہے؟ | جی۔",
    "Սա նախադասություն է։ | Երկրորդը։ | Այո։",
    "ይህ ዓረፍተ ነገር ነው። | ሌላ ነው፧ | አዎ።",
    "ဒါက စာကြောင်းပါ။ | ဟုတ်တယ်။",
    "នេះជាប្រយោគ។ | ពីរ៕ | បី។",
    "円周率は３．１４です．|次です．|終わり． | Done",
    "真的？！|好!？|Wow‼ | Yes⁉ | No؟!|ok.",
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


def test_the_stops_are_those_of_unicode():
    known = {sign for sign in map(chr, range(sys.maxunicode + 1)) if _STOP.match(sign)}
    unicode = set(regex.findall(r"\p{Sentence_Terminal}", "".join(map(chr, range(0x110000)))))
    assert known - {"…"} == unicode, f"write {sorted(unicode)} in _TERMINALS"


@pytest.mark.parametrize("stop", ["।", "۔", "؟", "։", "።", "။", "។", "᠃", "꓿"])
def test_a_stop_that_needs_no_space(emitted, stop):
    for pieces in ([f"A{stop}B"], ["A", stop, "B"]):
        assert emitted(sentences(), *pieces) == [f"A{stop}", "B"]


def test_nothing_else_is_needed(monkeypatch, emitted):
    monkeypatch.setitem(sys.modules, "regex", None)
    assert emitted(sentences(), "एक। दो।") == ["एक।", "दो।"]


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
