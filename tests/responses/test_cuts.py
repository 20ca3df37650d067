"""Laws of a stream that is cut at every event: what comes before and after is the whole."""

from functools import reduce
from itertools import accumulate

import pytest

from rxassist import operators
from rxassist.protocols.responses.codec import EventDecoder, encode_event
from rxassist.protocols.responses.events import FailureAnnounced
from rxassist.protocols.responses.snapshots import NOTHING, fold
from rxassist.wire.sse import encode

MOST = 60
"""The cuts of one recording: at every event of a short one, at some of a long one."""


def seen(snapshot):
    return snapshot.event, snapshot.run, snapshot.items, snapshot.output, snapshot.text


@pytest.fixture
def cuts(recorded):
    """Where to cut: not between an error and the failure that it announces."""
    every = max(1, len(recorded) // MOST)
    near_the_ends = {*range(6), *range(len(recorded) - 6, len(recorded) + 1)}
    places = sorted({*range(0, len(recorded) + 1, every), *near_the_ends})
    return [
        place
        for place in places
        if 0 <= place <= len(recorded)
        and not isinstance(recorded[max(place - 1, 0)], FailureAnnounced)
    ]


def test_another_body_that_goes_on_has_the_same_events(recorded, cuts, decode):
    """As a resumed stream does: its decoder knows of the one before only the response's id."""
    sent = [encode(encode_event(event)) for event in recorded]
    for cut in cuts:
        before = decode(b"".join(sent[:cut]))
        response_id = before[-1].response_id if before else ""
        after = decode(b"".join(sent[cut:]), response_id=response_id)
        assert before + after == recorded


def test_a_fold_that_goes_on_is_that_of_the_whole(recorded, cuts):
    snapshots = list(accumulate(recorded, fold, initial=NOTHING))
    whole = seen(snapshots[-1])
    for cut in cuts[:: max(1, len(cuts) // 10)]:
        assert seen(reduce(fold, recorded[cut:], snapshots[cut])) == whole


def test_a_snapshot_stays_as_it_was_however_often_a_fold_goes_on_from_it(recorded, cuts):
    snapshot, place = NOTHING, 0
    for cut in cuts[:: max(1, len(cuts) // 10)]:
        snapshot, place = reduce(fold, recorded[place:cut], snapshot), cut
        before = seen(snapshot)
        first = seen(reduce(fold, recorded[cut : cut + 5], snapshot))
        assert seen(reduce(fold, recorded[cut : cut + 5], snapshot)) == first
        assert seen(snapshot) == before


def test_items_that_were_whole_before_the_cut_stay(recorded, cuts):
    snapshots = list(accumulate(recorded, fold, initial=NOTHING))
    final = snapshots[-1]
    for cut in cuts:
        for item in snapshots[cut].growing_items:
            if item.finished:
                assert final.growing(item.key).finished


def test_text_before_the_cut_is_the_beginning_of_the_text(recorded, cuts, emitted):
    pieces, _ = emitted(operators.text_deltas(), recorded)
    text = "".join(pieces)
    for cut in cuts[:: max(1, len(cuts) // 10)]:
        before = "".join(emitted(operators.text_deltas(), recorded[:cut])[0])
        assert text.startswith(before)


def test_a_chunk_may_end_anywhere_in_an_event(path, recorded):
    body = path.read_bytes()
    size = max(1, len(body) // 97)
    decoder = EventDecoder()
    events = []
    for at in range(0, len(body), size):
        events += decoder.feed(body[at : at + size])
    assert events + list(decoder.flush()) == recorded
