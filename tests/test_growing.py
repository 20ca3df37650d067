"""What grows, whatever the protocol: the vector, the mapping, and the rest of text and JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxassist.errors import StreamDiverged
from rxassist.runs.growing import (
    NOTHING_YET,
    Kind,
    Kinds,
    Vector,
    growing_json,
    grown_text,
    json_rest,
    plain_text,
    text_rest,
)

places = st.integers(0, 100) | st.sampled_from([1_023, 1_024, 32_767, 32_768, 2**25])


@given(st.lists(places, max_size=40))
def test_law_a_vector_holds_what_was_put_and_earlier_ones_stay(order):
    held, vectors = {}, [(Vector(), {})]
    for number, place in enumerate(order):
        held = {**held, place: number}
        vectors.append((vectors[-1][0].put(place, number), held))
    for vector, expected in vectors:
        for place in {*order, 0, 31, 32, 2**30}:
            assert vector.get(place) == expected.get(place)


keys = st.none() | st.integers(0, 4) | st.tuples(st.sampled_from(["resp_1", "resp_2"]), places)


@given(st.lists(st.tuples(keys, st.integers(0, 5)), max_size=40))
def test_law_a_mapping_is_as_a_dict_and_earlier_ones_stay(turns):
    """Each turn, an entry is put into one of the latest mappings, which may branch there."""
    told = [(NOTHING_YET, {})]
    for number, (key, back) in enumerate(turns):
        mapping, known = told[-1 - min(back, len(told) - 1)]
        told.append((mapping.put(key, number), {**known, key: number}))
    for mapping, known in told:
        assert dict(zip(mapping.keys(), mapping, strict=True)) == known
        assert list(mapping.keys()) == list(known)
        for place, key in enumerate(known):
            assert (mapping.get(key), mapping.place(key)) == (known[key], place)
        assert mapping.get("another") is None
        assert mapping.place("another") == mapping.count == len(known)


texts = st.sampled_from(["", "a", "b c"])
values = texts | st.lists(st.integers(0, 2), max_size=2)
objects = st.fixed_dictionaries({}, optional={"a": values, "b": texts})
deltas = st.fixed_dictionaries({}, optional={"a": texts, "in": objects})


@given(st.lists(deltas, max_size=4), st.integers(0, 4))
def test_law_what_is_missing_makes_the_stored_json_of_the_heard(said, count):
    def grown(deltas):
        value = growing_json()
        for delta in deltas:
            value = value.plus(delta)
        return value

    heard, stored = grown(said[:count]), grown(said).value()
    try:
        rest = json_rest(stored, heard.value(), "item_1")
    except StreamDiverged:  # a text came after a list, or the other way round
        return
    assert heard.plus(rest).value() == stored


@given(st.text(max_size=6), st.text(max_size=6))
def test_law_what_is_missing_makes_the_stored_text_of_the_heard(heard, more):
    rest = text_rest(heard + more, heard, "item_1")
    assert plain_text(grown_text(heard, rest)) == heard + more


class Said:
    """A whole object of a protocol that nobody has heard of, or a delta of one."""

    def __init__(self, text="", index=0, kind="noise", number="n1"):
        self.text, self.index, self.type, self.id = text, index, kind, number


class Noise(Kind):
    """A text that grows."""

    type = "noise"

    def plus(self, delta):
        text = delta.text if self.begun is None else self.begun.text + delta.text
        return Noise(self.index, Said(text, self.index))

    def rest(self, stored, of, /):
        text = text_rest(stored.text, self.begun.text if self.begun else "", of)
        if text:
            yield Said(text, self.index)


class Rest(Kind):
    """A pause, which has nothing to say."""

    type = "rest"

    def plus(self, delta):
        return self


NOISES = Kinds(Noise, Rest)


def test_a_family_of_any_protocol_grows_and_has_a_rest():
    noise = NOISES.plus(NOISES.plus(None, Said("a", 1)), Said("b", 1))
    assert (noise.build().text, noise.places()) == ("ab", (1,))
    assert NOISES.plus(noise, Said(index=1, kind="rest")) is noise  # it says nothing
    heard, stored = [Said("a")], [Said("ab"), Said("c")]
    rest = [(delta.index, delta.text) for delta in NOISES.rest(stored, heard, "item_1")]
    assert rest == [(0, "b"), (1, "c")]


@pytest.mark.parametrize(
    "stored",
    [[], [Said("b")], [Said("ab", kind="rest")], [Said("ab", number="n2")]],
    ids=["fewer", "text", "type", "id"],
)
def test_a_list_that_does_not_go_on_as_it_was_heard_diverges(stored):
    with pytest.raises(StreamDiverged) as raised:
        list(NOISES.rest(stored, [Said("a")], "item_1"))
    assert raised.value.id == "item_1"


def test_a_text_is_whole_though_another_thread_joins_more_of_it_meanwhile():
    shorter = grown_text(grown_text("a", "b"), "c")
    longer = grown_text(grown_text(shorter, "d"), "e")
    assert longer.value() == "abcde"  # after the other thread has seen that less was joined
    assert shorter.buffer.grow(shorter.count) == "abc"
    assert (shorter.value(), longer.value()) == ("abc", "abcde")


def test_json_is_whole_though_another_thread_joins_more_of_it_meanwhile():
    shorter = growing_json({"a": "b"}).plus({"a": "c"})
    longer = shorter.plus({"a": "d"})
    assert longer.value() == {"a": "bcd"}
    assert shorter.buffer.grow(shorter.count) == {"a": "bc"}
    assert (shorter.value(), longer.value()) == ({"a": "bc"}, {"a": "bcd"})
