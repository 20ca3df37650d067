"""Citations: no marker is ever split, whatever the cuts."""

import re

import pytest
import reactivex as rx
from hypothesis import given
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


def test_a_recording(recorded, emitted):
    events = recorded("dotnet-file-search-1.sse")
    taken_out = "".join(emitted(citations(), *events))
    assert "【" not in taken_out
    replaced = "".join(emitted(citations(number), *events))
    assert replaced.replace("[1]", "") == taken_out
    assert "[1]" in replaced
