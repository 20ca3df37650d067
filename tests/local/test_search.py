"""Search in vector stores, by words."""

import pytest

TEXTS = {
    "cats.txt": (b"Cats sleep all day. Cats purr.", {"kind": "pet", "legs": 4}),
    "dogs.txt": (b"Dogs sleep at night, and bark.", {"kind": "pet", "legs": 4, "loud": True}),
    "fish.txt": (b"Fish are silent.", {"kind": "food", "legs": 0}),
}


@pytest.fixture
def search(serve, connect):
    """Search in the three texts: names and scores of what is found."""
    caller = connect(serve())
    path = caller.store()
    for name, (content, attributes) in TEXTS.items():
        file_id = caller.upload(content, name)["id"]
        caller.post(f"{path}/files", file_id=file_id, attributes=attributes)
    broken = caller.upload(b"sleep \xff", "sleep.bin")["id"]
    caller.post(f"{path}/files", file_id=broken)  # it fails, and is never found

    def search(query, **body):
        page = caller.post(f"{path}/search", query=query, **body)
        assert page["object"] == "vector_store.search_results.page"
        assert page["search_query"] == ([query] if isinstance(query, str) else query)
        assert (page["has_more"], page["next_page"]) == (False, None)
        return [(found["filename"], found["score"]) for found in page["data"]]

    search.caller, search.path = caller, path
    return search


def test_a_score_is_the_share_of_the_words_that_are_there(search):
    assert search("Do CATS sleep?") == [("cats.txt", 2 / 3), ("dogs.txt", 1 / 3)]
    assert search("sleep") == [("cats.txt", 1), ("dogs.txt", 1)]
    assert search(["purr", "bark at what"]) == [("cats.txt", 1), ("dogs.txt", 2 / 3)]
    assert search("elephants") == search("?!") == []


def test_a_search_may_be_limited(search):
    assert search("cats sleep", max_num_results=1) == [("cats.txt", 1)]
    options = {"ranker": "auto", "score_threshold": 0.6}
    assert search("cats sleep", ranking_options=options) == [("cats.txt", 1)]


def compare(kind, key, value):
    return {"type": kind, "key": key, "value": value}


LOUD = compare("eq", "loud", value=True)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (compare("eq", "kind", "pet"), "cats dogs"),
        (compare("ne", "kind", "pet"), "fish"),
        (compare("gt", "legs", 0), "cats dogs"),
        (compare("gte", "legs", 4), "cats dogs"),
        (compare("lt", "legs", 4), "fish"),
        (compare("lte", "legs", 0), "fish"),
        (compare("in", "kind", ["food", "toy"]), "fish"),
        (compare("nin", "kind", ["food", "toy"]), "cats dogs"),
        (LOUD, "dogs"),
        (compare("gt", "kind", 3), ""),
        (compare("eq", "colour", "red"), ""),
        (
            {"type": "and", "filters": [compare("eq", "legs", 4), LOUD]},
            "dogs",
        ),
        (
            {"type": "or", "filters": [compare("eq", "legs", 0), LOUD]},
            "dogs fish",
        ),
    ],
)
def test_a_search_may_be_filtered_by_attributes(search, filters, names):
    found = search("cats dogs fish", filters=filters)
    assert [name.removesuffix(".txt") for name, _ in found] == names.split()


def test_what_is_found_is_a_piece_of_the_text(search):
    caller, path = search.caller, search.path
    text = "".join(f" word{number}" for number in range(160)).encode()
    file_id = caller.upload(text, "long.txt")["id"]
    sizes = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20}
    chunking = {"type": "static", "static": sizes}
    caller.post(f"{path}/files", file_id=file_id, chunking_strategy=chunking, attributes={"n": 1})
    found = caller.post(f"{path}/search", query="word90")["data"]
    assert [result["file_id"] for result in found] == [file_id] * 2
    pieces = [result["content"][0]["text"].split() for result in found]
    assert [(piece[0], piece[-1]) for piece in pieces] == [
        ("word0", "word99"),
        ("word80", "word159"),
    ]
    assert found[0]["content"][0]["type"] == "text"
    assert found[0]["attributes"] == {"n": 1}
