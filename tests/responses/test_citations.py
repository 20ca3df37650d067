"""Citations of responses: by their places in the text, which has no markers."""

import pytest
import reactivex as rx

from rxassist import Citation
from rxassist.operators import citations
from rxassist.protocols.responses.events import AnnotationAdded, OutputTextDelta

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
LINK = "([example.com](https://example.com/a_(b)?utm_source=openai))"


def delta(text, index=0):
    return {"type": "response.output_text.delta", "output_index": index, "delta": text}


def added(annotation, index=0):
    said = {"annotation_index": 0, "annotation": annotation, "output_index": index}
    return {"type": "response.output_text.annotation.added", **said}


def file(index, file_id="file_1", filename="menu.pdf"):
    return {"type": "file_citation", "index": index, "file_id": file_id, "filename": filename}


def page(start, end, url="https://example.com/a", title="Example"):
    where = {"start_index": start, "end_index": end}
    return {"type": "url_citation", "url": url, "title": title, **where}


def made(start, end):
    where = {"start_index": start, "end_index": end, "container_id": "cntr_1"}
    file = {"file_id": "cfile_1", "filename": "a.csv"}
    return {"type": "container_file_citation", **where, **file}


def message(text, *annotations):
    content = [{"type": "output_text", "text": text, "annotations": list(annotations)}]
    return {"type": "message", "id": "m", "content": content}


def done(text, *annotations, index=0):
    item = message(text, *annotations)
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def ended(*output):
    response = {"id": "resp_1", "status": "completed", "output": list(output)}
    return {"type": "response.completed", "response": response}


def number(cited):
    return f"[{cited.number}]"


@pytest.fixture
def cite(told, emitted):
    """The strings that come of events, which are joined if no cut matters."""

    def strings(*sent, **options):
        texts, errors = emitted(citations(options.pop("render", number), **options), told(*sent))
        assert errors == []
        return texts

    return strings


# --- files ---------------------------------------------------------------------------------


def test_a_file_is_cited_at_its_place(cite):
    sent = delta("Pizza"), added(file(5)), delta("."), ended()
    assert cite(CREATED, *sent) == ["Pizza", "[1]", "."]
    assert cite(CREATED, *sent, render=None) == ["Pizza", "."]


def test_what_a_citation_of_a_file_says(cite):
    seen = []
    sent = delta("Pizza"), added(file(5))
    cite(CREATED, *sent, render=lambda cited: seen.append(cited) or "")
    assert seen == [Citation("", 1, "file_1", "menu.pdf")]


def test_the_name_that_the_service_sent_is_not_looked_up(cite):
    asked = []
    nameless = {**file(5, "file_2"), "filename": ""}

    def name_of(file_id):
        asked.append(file_id)
        return rx.just(f"{file_id}.pdf")

    sent = delta("Pizza"), added(file(5)), added(nameless)
    texts = cite(CREATED, *sent, render=lambda cited: f"[{cited.file_name}]", file_name=name_of)
    assert "".join(texts) == "Pizza[menu.pdf][file_2.pdf]"
    assert asked == ["file_2"]


def test_files_are_numbered_by_their_ids(cite):
    sent = delta("A"), added(file(1)), added(file(1, "file_2")), delta("B"), added(file(2))
    assert "".join(cite(CREATED, *sent)) == "A[1][2]B[1]"


def test_each_message_has_places_of_its_own(cite):
    sent = delta("AA"), added(file(2)), delta("B", 1), added(file(1, "file_2"), 1)
    assert "".join(cite(CREATED, *sent)) == "AA[1]B[2]"


def test_an_annotation_that_comes_before_its_text_waits_for_it(cite):
    assert cite(CREATED, added(file(3)), delta("ABC"), delta("D")) == ["ABC[1]", "D"]
    assert cite(CREATED, added(file(3)), delta("AB"), delta("CD")) == ["AB", "C[1]D"]
    assert cite(CREATED, added(file(9)), delta("AB"), done("AB")) == ["AB"]


def test_an_annotation_that_comes_too_late_is_left_out(cite):
    assert cite(CREATED, delta("ABC"), added(file(1)), delta("D")) == ["ABC", "D"]


def test_annotations_of_a_whole_message_come_once(cite):
    whole = done("Pizza.", file(5))
    assert cite(CREATED, whole, ended(message("Pizza.", file(5)))) == ["Pizza[1]."]
    sent = delta("Pizza"), added(file(5)), delta("."), whole, ended(message("Pizza.", file(5)))
    assert "".join(cite(CREATED, *sent)) == "Pizza[1]."


def test_annotations_that_come_only_with_the_response(cite):
    assert cite(CREATED, ended(message("Pizza.", file(5)))) == ["Pizza[1]."]


def test_places_may_be_in_utf_16_units(cite):
    for index in (2, 3):
        sent = delta("🍕!"), added(file(index)), delta("?")
        assert "".join(cite(CREATED, *sent)) == "🍕![1]?"


def test_the_place_of_a_link_may_be_in_utf_16_units(cite):
    for shift in (0, 1):
        link = page(2 + shift, 2 + shift + len(LINK))
        assert (
            "".join(cite(CREATED, delta("🍕 "), delta(LINK), added(link), delta("."))) == "🍕 [1]."
        )
        assert "".join(cite(CREATED, done(f"🍕 {LINK} or so", link))) == "🍕 [1] or so"


# --- pages ---------------------------------------------------------------------------------


def test_a_link_is_replaced(cite):
    sent = delta("Rain "), delta(LINK), added(page(5, 5 + len(LINK))), delta(" again")
    assert cite(CREATED, *sent) == ["Rain ", "[1]", " again"]
    assert cite(CREATED, *sent, render=None) == ["Rain ", " again"]


def test_what_a_citation_of_a_page_says(cite):
    seen = []
    sent = delta(LINK), added(page(0, len(LINK)))
    cite(CREATED, *sent, render=lambda cited: seen.append(cited) or "")
    assert seen == [Citation(LINK, 1, url="https://example.com/a", title="Example")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_link_may_be_cut_anywhere(cite, size):
    text = f"(See) [1] {LINK}"
    deltas = [delta(text[at : at + size]) for at in range(0, len(text), size)]
    sent = *deltas, added(page(10, len(text))), delta(". And (so) on [2](x).")
    assert "".join(cite(CREATED, *sent)) == "(See) [1] [1]. And (so) on [2](x)."


def test_a_link_without_an_annotation_waits_for_the_next_delta(cite):
    plain = "[a](https://a.b)"
    assert cite(CREATED, delta(plain), delta("."), delta("!")) == [f"{plain}.", "!"]
    assert cite(CREATED, delta(plain), done(plain)) == [plain]
    assert cite(CREATED, delta(plain)) == [plain]


def test_a_link_with_text_in_its_delta_waits_too(cite):
    sent = delta(f"Rain {LINK} again"), added(page(5, 5 + len(LINK))), delta(".")
    assert "".join(cite(CREATED, *sent)) == "Rain [1] again."


def test_a_link_that_is_annotated_late_is_text_unless_it_is_awaited(cite):
    sent = (
        delta("Rain "),
        delta(LINK),
        delta("."),
        added(page(5, 5 + len(LINK))),
        done(f"Rain {LINK}."),
    )
    assert "".join(cite(CREATED, *sent)) == f"Rain {LINK}."
    assert "".join(cite(CREATED, *sent, marker=r"\(\[[^\]]+\]\(\S+\)\)")) == "Rain [1]."


def test_a_long_text_that_is_no_link_does_not_wait(cite):
    assert cite(CREATED, delta("[" + "x" * 201), delta("y")) == ["[" + "x" * 201, "y"]
    long = "[a](https://" + "x" * 2001
    assert cite(CREATED, delta(long), delta("y")) == [long, "y"]


@pytest.mark.parametrize("where", [{}, {"start_index": 0, "end_index": 0}, {"start_index": 4}])
def test_a_page_without_a_place_is_left_out(cite, where):
    sent = delta("Rain"), added({"type": "url_citation", "url": "https://a.b", **where}), delta(".")
    assert cite(CREATED, *sent) == ["Rain", "."]


def test_unknown_annotations_are_left_out(cite):
    assert cite(CREATED, delta("A"), added({"type": "new", "index": 1}), delta("B")) == ["A", "B"]


# --- files that code made ------------------------------------------------------------------


def test_a_path_of_a_file_stays_unless_it_is_rendered(cite):
    path = "sandbox:/mnt/data/a.csv"
    sent = (
        delta("See "),
        delta(path),
        added(made(4, 4 + len(path))),
        delta(" !"),
        done(f"See {path} !"),
    )
    assert "".join(cite(CREATED, *sent, render=None)) == f"See {path} !"
    assert "".join(cite(CREATED, *sent, render=lambda cited: cited.file_name)) == "See a.csv !"


def test_files_that_code_made_have_numbers_of_their_own(cite):
    path = "sandbox:/mnt/data/a.csv"
    sent = delta("A"), added(file(1)), delta(path), added(made(1, 1 + len(path))), done(f"A{path}")
    assert "".join(cite(CREATED, *sent)) == "A[1][1]"


# --- recordings ----------------------------------------------------------------------------

CITED = {
    "26-openai-file-search-tool-1": (2, []),
    "40-test-openai-include-raw-annotations-streaming-1": (1, ["www.britannica.com"]),
    "dotnet-file-search": (1, []),
    "dotnet-web-search": (1, ["www.weather2visit.com"]),
}
"""How many citations of a recording have a place, and the pages that they name.

The others: xAI sends no places, Azure annotates one link of three at the end of the message, and
the file of a container is at 0:0.
"""


def test_recorded_annotations_come_at_their_places(path, recorded, emitted):
    seen = []

    def mark(cited):
        seen.append(cited)
        return "\0"

    texts, errors = emitted(citations(mark), recorded)
    assert errors == []
    whole, _ = emitted(citations(lambda cited: cited.marker), recorded)
    plain = "".join(event.delta for event in recorded if isinstance(event, OutputTextDelta))
    assert "".join(whole) == plain
    count, pages = CITED.get(path.stem, (0, []))
    assert len(seen) == count
    assert [cited.url.split("/")[2] for cited in seen if cited.url] == pages
    assert all(cited.file_id and cited.file_name for cited in seen if not cited.url)
    assert "".join(texts).count("\0") == count


def test_a_recorded_file_is_cited_where_its_annotation_came(wire, decode, emitted):
    events = decode((wire / "responses/dotnet-file-search.sse").read_bytes())
    assert any(isinstance(event, AnnotationAdded) for event in events)
    texts, _ = emitted(citations(number), events)
    assert "".join(texts) == "Travis's favorite food is pizza[1]."


def test_a_recorded_link_is_replaced(wire, decode, emitted):
    name = "40-test-openai-include-raw-annotations-streaming-1"
    events = decode((wire / f"responses/{name}.sse").read_bytes())
    texts, _ = emitted(citations(number), events)
    assert "".join(texts).endswith("**3,747 m (12,294 ft)**. [1]")
