"""Citations: no marker is ever split, whatever the cuts."""

import json
import re
import sys
import time
from itertools import accumulate

import pytest
import reactivex as rx
from hypothesis import assume, given
from hypothesis import strategies as st
from reactivex import Subject

from rxassist import Citation
from rxassist.operators import citations
from rxassist.testing import Marbles

MARKER = "【4:0†source】"
OTHER = "【4:1†menu.pdf】"


def cites(marker, file="file_1", **more):
    cited = {"file_id": file, "quote": "likes cake"}
    return {"type": "file_citation", "text": marker, "file_citation": cited, **more}


def path(marker, file="file_9", **more):
    return {"type": "file_path", "text": marker, "file_path": {"file_id": file}, **more}


def at(start, annotation):
    end = start + len(annotation["text"])
    return {**annotation, "start_index": start, "end_index": end}


@pytest.fixture(scope="session")
def delta(said):
    """A delta of text, with annotations."""

    def make(text, *annotations, to="msg_1"):
        told = [{"index": index, **each} for index, each in enumerate(annotations)]
        value = {"value": text, "annotations": told}
        return said.delta({"index": 0, "type": "text", "text": value}, to=to)

    return make


@pytest.fixture(scope="session")
def whole(said):
    """The finished message."""

    def make(text, *annotations, **more):
        value = {"value": text, "annotations": list(annotations)}
        return said.message("completed", {"type": "text", "text": value}, **more)

    return make


def number(cited):
    return f"[{cited.number}]"


def test_markers_are_taken_out(delta, emitted):
    events = delta("Cake"), delta(MARKER, cites(MARKER)), delta(".")
    assert emitted(citations(), *events) == ["Cake", "."]


def test_markers_are_replaced_and_sources_are_numbered(delta, emitted):
    again = "【9:3†source】"
    events = (
        delta(f"Cake{MARKER}", cites(MARKER)),
        delta(f", pizza{OTHER}", cites(OTHER, "file_2")),
        delta(f", cake{again}.", cites(again)),
    )
    assert emitted(citations(number), *events) == ["Cake[1]", ", pizza[2]", ", cake[1]."]


def test_what_a_citation_tells(delta, emitted):
    seen = []
    page = {"url": "https://example.com/", "title": "Example"}
    web = {"type": "url_citation", "text": OTHER, "url_citation": page}
    odd = {"type": "url_citation", "text": "【5:5†x】", "url_citation": "?"}
    text = f"A{MARKER}B{OTHER}C【5:5†x】"
    emitted(citations(lambda cited: seen.append(cited) or "", file_name=lambda _: rx.just("menu")),
        delta(text, cites(MARKER), web, odd))  # fmt: skip
    assert seen == [
        Citation(MARKER, 1, "file_1", "menu", "likes cake"),
        Citation(OTHER, 2, url="https://example.com/", title="Example"),
        Citation("【5:5†x】", 3),
    ]


def test_just_enough_is_held_back(delta, flows):
    flows(
        citations(),
        "-a-b-c-d-e-f-|",
        "-A---C-D-E---(⟨'【12'⟩|)",
        a=delta("A【"),
        b=delta("4:"),
        c=delta("C"),
        d=delta(f"{MARKER}D"),
        e=delta("E【1"),
        f=delta("2"),
        A="A",
        C="【4:C",
        D="D",
        E="E",
    )


@pytest.mark.parametrize("text", ["【重要】", "【", "【】", "【4】", "a †b】", "【1†" + "x" * 300])
def test_what_is_no_marker_stays(delta, emitted, text):
    for pieces in ([text], text):
        assert "".join(emitted(citations(), *map(delta, pieces))) == text


def test_a_marker_waits_for_its_annotation_where_it_is_replaced(delta, flows):
    letters = {
        "a": delta(f"A{MARKER}B"),
        "b": delta("C"),
        "n": delta(None, cites(MARKER)),
        "c": delta("D"),
    }
    flows(citations(number), "-a-b-n-c|", "-A---B-D|", A="A", B="[1]BC", D="D", **letters)
    flows(citations(), "-a-b-n-c|", "-A-C---D|", A="AB", C="C", D="D", **letters)


def test_an_annotation_that_only_the_finished_message_has(delta, whole, emitted):
    text = f"A{MARKER}B"
    assert emitted(citations(number), delta(text), whole(text, cites(MARKER))) == ["A", "[1]B"]
    assert emitted(citations(number), whole(text, cites(MARKER))) == ["A[1]B"]
    assert emitted(citations(number), delta(text), whole(text)) == ["A", "[1]B"]


def test_messages_have_annotations_of_their_own(delta, whole, emitted):
    first, second = cites(MARKER), cites(MARKER, "file_2")
    events = (
        delta("A【4", first),
        delta(f"B{MARKER}", second, to="msg_2"),
        delta(":0†source】"),
        whole(f"A{MARKER}", first),
    )
    assert emitted(citations(lambda cited: f"[{cited.file_id}]"), *events) == [
        "A",
        "B[file_2]",
        "[file_1]",
    ]


# --- what an annotation names --------------------------------------------------------------

LOOKS = [
    MARKER,
    "【4:0】",
    "[doc1]",
    "<|file-x|>",
    "Annual report [final] (2024)",
    "(a.*b|c)\\d",
    "🍰🍰",
    "x" * 500,
    "sandbox:/mnt/data/a.csv",
]


@pytest.mark.parametrize("look", LOOKS)
def test_what_an_annotation_names_is_replaced_whatever_it_looks_like(delta, whole, emitted, look):
    text, told = f"A{look}B", at(1, cites(look))
    assert "".join(emitted(citations(number), delta(text, told))) == "A[1]B"
    assert "".join(emitted(citations(), delta(text, told))) == "AB"
    assert emitted(citations(number), whole(text, told)) == ["A[1]B"]
    assert emitted(citations(number), delta("A"), delta(look, told), delta("B")) == [
        "A",
        "[1]",
        "B",
    ]


def test_only_the_place_that_it_names(delta, whole, emitted):
    text, told = "a [doc1] b [doc1] c [doc1]", at(11, cites("[doc1]"))
    for event in delta(text, told), whole(text, told):
        assert "".join(emitted(citations(number), event)) == "a [doc1] b [1] c [doc1]"


@pytest.mark.parametrize(
    ("place", "result"),
    [
        (7, "🍰 [a] 🍰🍰 {1} b [a]"),  # none is there, and this is nearest
        (9, "🍰 [a] 🍰🍰 {1} b [a]"),  # in characters
        (12, "🍰 [a] 🍰🍰 {1} b [a]"),  # in units of UTF-16
        (2, "🍰 {1} 🍰🍰 [a] b [a]"),
        (3, "🍰 {1} 🍰🍰 [a] b [a]"),
        (900, "🍰 [a] 🍰🍰 [a] b {1}"),
        (-5, "🍰 {1} 🍰🍰 [a] b [a]"),
        (None, "🍰 {1} 🍰🍰 [a] b [a]"),
    ],
)
def test_the_place_is_verified(delta, whole, emitted, place, result):
    text = "🍰 [a] 🍰🍰 [a] b [a]"
    render = citations(lambda cited: f"{{{cited.number}}}")
    for kind in cites("[a]"), {"type": "url_citation", "text": "[a]", "url_citation": {}}:
        told = {**kind, "start_index": place}
        for event in delta(text, told), whole(text, told):
            assert "".join(emitted(render, event)) == result


@pytest.mark.parametrize(
    "told", [cites("", start_index=0), cites("[b]"), cites(None, start_index=0)]
)
def test_what_names_nothing_replaces_nothing(delta, whole, emitted, told):
    for event in delta("[a] 1", told), whole("[a] 1", told):
        assert emitted(citations(number), event) == ["[a] 1"]


@pytest.mark.parametrize("place", ["0", True, 1.5, {}])
def test_a_place_that_is_none(delta, emitted, place):
    told = {"type": "url_citation", "text": "[a]", "start_index": place, "url_citation": {}}
    assert emitted(citations(number), delta("a [a]", told)) == ["a [1]"]


def test_two_sources_with_the_same_marker(delta, whole, emitted):
    first, second = at(0, cites("[a]", "file_1")), at(4, cites("[a]", "file_2"))
    by_file = citations(lambda cited: f"<{cited.file_id}>")
    for told in (first, second), (second, first):
        for event in delta("[a] [a]", *told), whole("[a] [a]", *told):
            assert emitted(by_file, event) == ["<file_1> <file_2>"]
        events = delta(None, *told), delta("[a]"), delta(" [a]")
        assert "".join(emitted(by_file, *events)) == "<file_1> <file_2>"


def test_an_annotation_that_is_told_twice_counts_once(delta, whole, emitted):
    told = at(0, cites("[a]"))
    events = delta("[a] b [a]", told), whole("[a] b [a]", told)
    assert "".join(emitted(citations(number), *events)) == "[1] b [a]"


def test_an_annotation_that_comes_before_its_text(delta, flows):
    letters = {"a": delta("A", at(1, cites("[doc1]"))), "b": delta("[d"), "c": delta("oc1]B")}
    flows(
        citations(number), "-a-b-c-d|", "-A---B-C|", A="A", B="[1]B", C="C", d=delta("C"), **letters
    )
    flows(citations(number), "-a-b-x-|", "-A---X-|", A="A", X="[dx", x=delta("x"), **letters)


def test_what_went_out_is_not_torn(delta, whole, emitted):
    told = at(1, cites("[doc1]"))
    events = delta("A[do"), delta("c1]B", told), whole("A[doc1]B", told)
    assert emitted(citations(number), *events) == ["A[do", "c1]B"]


def test_markers_beside_and_within_each_other(delta, emitted):
    text = f"{MARKER}[a]{MARKER}"
    told = cites(MARKER), at(len(MARKER), cites("[a]", "file_2"))
    assert emitted(citations(number), delta(text, *told)) == ["[1][2][1]"]
    outer = f"([a]{MARKER})"
    told = at(0, cites(outer)), at(1, cites("[a]", "b")), cites(MARKER, "c")
    assert emitted(citations(number), delta(outer, *told)) == ["[1]"]


def test_a_finished_message_takes_no_annotation_back(delta, whole, emitted):
    text = f"A{MARKER}B[a]"
    events = delta(text, cites(MARKER), cites("[a]", "file_2")), whole(text)
    assert emitted(citations(number), *events) == ["A[1]B[2]"]
    late = citations(lambda cited: f"<{cited.file_name}>", file_name=lambda _: rx.just("menu"))
    events = (
        delta(f"A{MARKER}"),
        delta(None, cites(MARKER)),
        whole(f"A{MARKER}"),
        delta("B", to="msg_2"),
    )
    assert "".join(emitted(late, *events)) == "A<menu>B"


# --- paths of files ------------------------------------------------------------------------

CSV = "sandbox:/mnt/data/a.csv"


def linked(cited):
    return f"https://host/{cited.file_id}" if cited.is_path else f"[{cited.number}]"


def test_a_path_becomes_a_link(delta, whole, emitted):
    text = f"[Download]({CSV}) it."
    told = at(11, path(CSV))
    expected = "[Download](https://host/file_9) it."
    assert emitted(citations(linked), whole(text, told)) == [expected]
    assert "".join(emitted(citations(linked), *map(delta, text), whole(text, told))) == expected
    assert "".join(emitted(citations(linked), *map(delta, text), whole(text))) == text


def test_a_path_stays_without_render(delta, flows):
    flows(citations(), "-a-|", "-A-|", a=delta(f"See {CSV}{MARKER}.", path(CSV)), A=f"See {CSV}.")


def test_paths_have_numbers_of_their_own(delta, emitted):
    events = (
        delta(f"{MARKER}", cites(MARKER)),
        delta(f" {CSV} ", path(CSV)),
        delta(f"{OTHER}", cites(OTHER, "file_2")),
    )
    numbered = citations(lambda cited: f"{'p' if cited.is_path else 's'}{cited.number}")
    assert "".join(emitted(numbered, *events)) == "s1 p1 s2"


def test_a_path_is_held_back_and_other_words_are_not(delta, flows):
    flows(
        citations(linked),
        "-a-b-c-d-n-|",
        "-A-B-C---N-|",
        a=delta("likes"),
        b=delta(" s"),
        c=delta("ome ("),
        d=delta(CSV),
        n=delta(")", path(CSV)),
        A="likes",
        B=" ",
        C="some (",
        N="https://host/file_9)",
    )


# --- marker= -------------------------------------------------------------------------------

DOC = r"\[doc\d+\]"


def test_what_is_held_back_waits_for_its_annotation(delta, whole, flows):
    letters = {
        "a": delta("A[d"),
        "b": delta("oc1"),
        "c": delta("]B"),
        "n": delta(None, cites("[doc1]")),
        "m": whole("A[doc1]B"),
        "x": delta("x"),
        "A": "A",
        "N": "[1]B",
        "X": "[dx",
        "M": "[doc1]B",
    }
    shouted = DOC.replace("doc", "DOC")
    for marker in (
        DOC,
        re.compile(DOC),
        f"(?i){shouted}",
        re.compile(shouted, re.IGNORECASE | re.ASCII | re.DOTALL),
    ):
        cited = citations(number, marker=marker)
        flows(cited, "-a-b-c-n-|", "-A-----N-|", **letters)
        flows(cited, "-a-b-c-m-|", "-A-----M-|", **letters)
        flows(cited, "-a-b-c-|", "-A-----(M|)", **letters)
        flows(cited, "-a-x---|", "-A-X---|", **letters)
    flows(citations(marker=DOC), "-a-b-c-n-|", "-A-----B-|", B="B", **letters)


def test_held_markers_without_an_annotation_are_text(delta, emitted):
    text = f"A[doc1]B{MARKER}【4:0】{CSV}[doc2"
    every = rf"{DOC}|【[^】]*】|sandbox:/[^\s)]*"
    for pieces in ([text], text):
        assert "".join(emitted(citations(number, marker=every), *map(delta, pieces))) == text


def test_a_held_marker_is_not_endless(delta, flows):
    begun = "[" + "x" * 150
    flows(
        citations(number, marker=r"\[[^\]]*\]"),
        "-a-b-c-|",
        "---B-C-|",
        a=delta(begun),
        b=delta("y" * 100),
        c=delta("]"),
        B=begun + "y" * 100,
        C="]",
    )


def test_a_pattern_that_can_go_on(delta, emitted):
    text, told = f"See {CSV}", path(CSV)
    cited = citations(linked, marker=r"sandbox:/\S+")
    pieces = [delta(piece) for piece in text]
    assert "".join(emitted(cited, *pieces, delta(" now", told))) == "See https://host/file_9 now"
    assert "".join(emitted(cited, *pieces, delta("", told))) == "See https://host/file_9"


@pytest.mark.parametrize("marker", ["", "x*", "^", "$", r"\b", r"(?<=\[)a"])
def test_patterns_that_match_nothing_much(delta, emitted, marker):
    text = "axb [a] xx"
    for pieces in ([text], text):
        assert "".join(emitted(citations(number, marker=marker), *map(delta, pieces))) == text


def test_what_is_no_pattern_is_refused():
    for wrong in (1, b"x", re.compile(b"x")):
        with pytest.raises(TypeError, match="marker must be a regular expression of text, got"):
            citations(marker=wrong)
    with pytest.raises(
        ValueError, match=r"marker must be a regular expression of text, got '\(': mis"
    ):
        citations(marker="(")


def test_a_missing_extra_is_named(monkeypatch, delta, emitted):
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(ModuleNotFoundError, match=r"citations\(marker=\) .*pip install regex"):
        citations(marker=DOC)
    assert emitted(citations(), delta(f"A{MARKER}")) == ["A"]


# --- the borders of texts ------------------------------------------------------------------


def test_no_marker_spans_two_messages(delta, whole, said, emitted):
    events = (
        delta("A【4:0"),
        whole("A【4:0"),
        delta("†source】B", to="msg_2"),
        said.message("completed", "†source】B", id="msg_2"),
    )
    for cited in citations(), citations(number), citations(marker="【.*】"):
        assert emitted(cited, *events) == ["A", "【4:0", "†source】B"]


def test_no_marker_spans_two_parts(said, emitted):
    events = said.delta((0, "A【4:0")), said.delta((2, "†source】B"))
    assert emitted(citations(), *events) == ["A", "【4:0†source】B"]


def test_the_places_are_those_of_the_part(said, emitted):
    blocks = [
        {"type": "text", "text": {"value": "[a] [a]", "annotations": [at(4, cites("[a]"))]}},
        {"type": "image_file", "image_file": {"file_id": "file_3"}},
        {"type": "text", "text": {"value": "[a] [a]", "annotations": [at(0, cites("[a]"))]}},
    ]
    assert (
        "".join(emitted(citations(number), said.message("completed", *blocks))) == "[a] [1][1] [a]"
    )
    deltas = [
        said.delta({"index": index, **block, "text": {"value": block["text"]["value"]}})
        for index, block in ((1, blocks[0]), (3, blocks[2]))  # counted with gaps
    ]
    held = citations(number, marker=r"\[a\]")
    events = *deltas, said.message("completed", *blocks)
    assert "".join(emitted(held, *events)).count("[1]") == 4  # held ones by their text, too


def test_annotations_of_others_count_for_nothing(delta, whole, said, emitted):
    asked = {"value": "[a]", "annotations": [cites("[a]")]}
    user = said.message("completed", {"type": "text", "text": asked}, id="msg_0", role="user")
    events = user, delta("A"), whole("A"), delta("[a]", cites("[a]")), delta("[a]", to="msg_2")
    assert emitted(citations(number), *events) == ["A", "[a]"]


def test_text_has_no_annotations(emitted):
    assert emitted(citations(), "A【4:0", "†source】B") == ["A", "B"]
    assert emitted(citations(number), f"A{MARKER}", f"{OTHER}B{MARKER}") == ["A[1]", "[2]B[1]"]
    assert emitted(citations(number, marker=DOC), "A[do", "c1]B") == ["A", "[doc1]B"]


def test_what_is_neither_event_nor_text_is_an_error(flows):
    error = flows(citations(), "-x-|", "-#", "^!", x=3)
    assert "takes events or strings, got 3" in str(error)


# --- names ---------------------------------------------------------------------------------


def by_name(cited):
    return f"[{cited.file_name or cited.file_id}]"


def test_a_name_is_looked_up_once_and_what_is_behind_it_waits(delta):
    marbles = Marbles(
        a=delta(f"A{MARKER}B", cites(MARKER)),
        b=delta(f"C{OTHER}", cites(OTHER)),
        A="A",
        B="[menu]BC[menu]",
        m="menu",
    )
    looked_up, name = [], marbles.cold("----m-x|")

    def look_up(file_id):
        looked_up.append(file_id)
        return name

    source = marbles.cold("-a-b-|")
    assert marbles.run(source.pipe(citations(by_name, file_name=look_up))) == "-A---(B|)"
    assert looked_up == ["file_1"]
    assert name.subscriptions == ["-^---!"]


@pytest.mark.parametrize("answer", [rx.throw(LookupError("gone")), rx.empty()])
def test_a_name_that_is_not_found_is_none(delta, emitted, answer):
    events = delta(f"A{MARKER}B", cites(MARKER)), delta(MARKER)
    looked_up = citations(by_name, file_name=lambda _: answer)
    assert "".join(emitted(looked_up, *events)) == "A[file_1]B[file_1]"


def test_nothing_is_looked_up_where_no_name_is_shown(delta, emitted):
    def never(_):
        raise AssertionError

    assert emitted(citations(file_name=never), delta(MARKER, cites(MARKER)), delta("A")) == ["A"]


def test_to_dispose_frees_the_look_ups(delta):
    marbles = Marbles(a=delta(MARKER, cites(MARKER)))
    name = marbles.cold("---------")
    source = marbles.cold("-a-------")
    cited = source.pipe(citations(by_name, file_name=lambda _: name))
    assert marbles.run(cited, "^---!") == "-"
    assert name.subscriptions == ["-^--!"]


def test_what_is_held_comes_before_an_error(delta):
    error = LookupError()
    marbles = Marbles(error, a=delta(f"A{MARKER}B【1", cites(MARKER)), A="A", B="[file_1]B【1")
    name = marbles.cold("---------")
    source = marbles.cold("-a-#")
    cited = source.pipe(citations(by_name, file_name=lambda _: name))
    assert marbles.run(cited) == "-A-(B#)"
    assert marbles.errors == [error]
    assert name.subscriptions == ["-^-!"]


@pytest.mark.parametrize("end", ["|", "#"])
def test_an_exception_of_render_is_an_error(delta, end):
    def render(_):
        raise LookupError

    marbles = Marbles(a=delta(MARKER), n=delta("", cites(MARKER)))
    source = marbles.cold(f"-a-n-{end}")
    assert marbles.run(source.pipe(citations(render))) == "---#"
    assert isinstance(marbles.errors[0], LookupError)
    assert source.subscriptions == ["^--!"]


def test_an_exception_of_render_does_not_hide_the_error_of_the_source(delta):
    def render(_):
        raise LookupError

    marbles = Marbles(error := OSError(), a=delta(MARKER))
    assert marbles.run(marbles.cold("-a-#").pipe(citations(render))) == "---#"
    assert marbles.errors == [error]


def test_a_name_whose_look_up_raises_is_none(delta, emitted):
    def look_up(_):
        raise LookupError

    cited = citations(by_name, file_name=look_up)
    assert "".join(emitted(cited, delta(f"A{MARKER}B", cites(MARKER)))) == "A[file_1]B"


def test_a_name_may_be_text(delta, emitted):
    cited = citations(by_name, file_name=lambda _: "book.pdf")
    assert "".join(emitted(cited, delta(MARKER, cites(MARKER)))) == "[book.pdf]"


def test_what_is_no_name_is_an_error(delta, emitted):
    with pytest.raises(TypeError, match="file_name must give an Observable or text, got 3"):
        emitted(citations(by_name, file_name=lambda _: 3), delta(MARKER, cites(MARKER)))


def test_what_is_no_text_for_a_marker_is_an_error(delta, emitted):
    with pytest.raises(TypeError, match="render must give text, got None for "):
        emitted(citations(lambda _: None), delta(MARKER, cites(MARKER)))


def test_what_is_no_function_is_refused():
    async def asynchronous(_):
        raise AssertionError

    for wrong in ("[x]", asynchronous):
        with pytest.raises(TypeError, match="render must be a function"):
            citations(wrong)
        with pytest.raises(TypeError, match="file_name must be a function"):
            citations(file_name=wrong)


# --- laws ----------------------------------------------------------------------------------

TEXTS = st.lists(
    st.sampled_from([MARKER, OTHER, "【", "】", "4", ":", "†", "text ", "\n", "【3†", "🍰"]),
    max_size=12,
).map("".join)


@given(TEXTS, st.data())
def test_the_cuts_make_no_difference_and_no_marker_is_split(delta, whole, text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    annotations = cites(MARKER), cites(OTHER, "file_2")
    told = data.draw(st.integers(0, len(pieces) - 1))
    events = [
        delta(piece, *(annotations if index == told else ())) for index, piece in enumerate(pieces)
    ]
    ends = data.draw(st.booleans())
    for render in (None, lambda cited: f"<{cited.file_id}>"):
        source, emissions = Subject(), []
        source.pipe(citations(render)).subscribe(emissions.append)
        for event in [*events, whole(text, *annotations)] if ends else events:
            source.on_next(event)
        source.on_completed()
        names = {MARKER: "file_1", OTHER: "file_2"}
        marker = r"【\d+(?::\d+)?†[^【】\n]{0,200}】"
        expected = re.sub(marker, lambda m: f"<{names.get(m[0])}>" if render else "", text)  # noqa: B023
        assert "".join(emissions) == expected
        assert "" not in emissions


PIECES = st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "[doc1]",
            "[doc22]",
            "【4:0】",
            "【",
            "】",
            "text ",
            "🍰",
            "doc",
            "1",
            "sandbox:/",
            "a.b",
            " ",
        ]
    ),
    max_size=14,
)
HELD = r"\[doc\d+\]|【[^】]*】|sandbox:/[^\s)]+"


def cut(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(
    PIECES.map("".join), st.sampled_from([None, HELD]), st.sampled_from([None, number]), st.data()
)
def test_text_without_annotations_stays(delta, whole, emitted, text, marker, render, data):
    cited = citations(render, marker=marker)
    events = [*map(delta, cut(text, data)), *([whole(text)] if data.draw(st.booleans()) else [])]
    emissions = emitted(cited, *events)
    assert "".join(emissions) == text
    assert "" not in emissions


FILES = {"[doc1]": "file_1", "[doc22]": "file_2", "【4:0】": "file_3", "🍰": "file_4"}
COUNTED = st.sampled_from(["in characters", "in UTF-16", "wrong", "not at all"])


def place(text, begin, counted):
    in_utf_16 = len(text[:begin].encode("utf-16-le")) // 2
    return {"in characters": begin, "in UTF-16": in_utf_16, "wrong": begin + 7}.get(counted)


@given(PIECES, st.lists(st.tuples(COUNTED, st.integers(0, 9)), min_size=14, max_size=14), st.data())
def test_what_was_held_back_is_what_the_finished_message_makes(
    delta, whole, emitted, parts, how, data
):
    """Whatever the cuts, whenever the annotations come, however their places are counted."""
    text, held = "".join(parts), HELD + "|🍰"
    starts = [0, *accumulate(map(len, parts))]
    named = [(begin, part) for begin, part in zip(starts, parts, strict=False) if part in FILES]
    assume(re.findall(held, text) == [part for _, part in named])  # nothing else is held back
    told = [
        cites(part, FILES[part], start_index=place(text, begin, counted))
        for (begin, part), (counted, _) in zip(named, how, strict=False)
    ]
    when = [index for _, index in how]
    events = [
        delta(piece, *(each for each, index in zip(told, when, strict=False) if index == number))
        for number, piece in enumerate(cut(text, data))
    ]
    by_file = citations(lambda cited: f"<{cited.file_id}>", marker=held)
    expected = "".join(f"<{FILES[part]}>" if part in FILES else part for part in parts)
    assert "".join(emitted(by_file, whole(text, *told))) == expected
    assert "".join(emitted(by_file, *events, whole(text, *told))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "【",
        "【1",
        "1",
        "【1†",
        "【1†x",
        "†",
        "s",
        "sandbox:",
        "sandbox:/",
        "sandbox:/a",
        "[",
        "[doc",
        "🍰",
    ],
)
@pytest.mark.parametrize("marker", [None, r"\[[^\]]*\]|【.*】"])
def test_time_is_linear(text, marker):
    def seconds(count):
        spent = 0
        for pieces in (
            ["【1†"[: len(text)] + text * count],
            [text] * count,
            ["【1†", *[text] * count],
        ):
            source = Subject()
            source.pipe(citations(number, marker=marker)).subscribe()
            begin = time.process_time()
            for piece in pieces:
                source.on_next(piece)
            spent += time.process_time() - begin
        return spent

    few = min(seconds(200) for _ in range(3))
    assert seconds(2000) < 30 * few  # ten times as much: it would be a hundred times


def test_a_recording(recorded, emitted):
    events = recorded("dotnet-file-search-1.sse")
    (message,) = [e.data for e in events if e.event == "thread.message.completed"]
    text = message.content[0].text
    (told,) = text.annotations
    before, after = text.value[: told.start_index], text.value[told.end_index :]
    for marker in None, r"【[^】]*】":
        taken_out = "".join(emitted(citations(marker=marker), *events))
        assert taken_out == before + after
        replaced = "".join(emitted(citations(number, marker=marker), *events))
        assert replaced == f"{before}[1]{after}"


def test_stored_messages(wire, whole, emitted):
    """A page of them: one cites a file."""
    page = json.loads((wire / "rest/list-thread-message-false-file-citation-text.json").read_text())
    told = [message for message in page["data"] if message["role"] == "assistant"]
    (block,) = told[0]["content"]
    cited = whole(block["text"]["value"], *block["text"]["annotations"])
    (text,) = emitted(citations(lambda cited: f"<{cited.file_id}>"), cited)
    assert text == block["text"]["value"].replace(
        "【4:0†favorite_foods.txt】", "<file-DLCAr5NoVMw44WT3FrWWva>"
    )
    assert "<" in text
