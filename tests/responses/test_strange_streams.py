"""Whatever a server sends: events or a ``DecodeError``, and a fold that goes on."""

from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rxassist import from_json, operators, to_json
from rxassist.errors import DecodeError, StreamDiverged
from rxassist.protocols.responses.callbacks import callbacks_of
from rxassist.protocols.responses.codec import _TYPES, encode_event
from rxassist.protocols.responses.snapshots import NOTHING, Snapshot, fold
from rxassist.wire.sse import encode

TAGS = ["message", "reasoning", "function_call", "output_text", "refusal", "summary_text", "other"]
NAMES = [
    *("id", "item_id", "status", "text", "delta", "refusal", "arguments", "code", "call_id"),
    *("output_index", "content_index", "summary_index", "annotation_index", "sequence_number"),
    *("output", "content", "summary", "annotations", "logprobs", "usage", "error", "new"),
]
LEAVES = st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.sampled_from(["", "a"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
        | st.builds(
            lambda tag, said: {"type": tag, **said},
            st.sampled_from(TAGS),
            st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
        )
    ),
    max_leaves=8,
)
SENT = st.builds(
    lambda name, said: {**said, "type": name},
    st.sampled_from([*_TYPES, "error", "response.cancelled", "response.new.delta"]),
    st.dictionaries(
        st.sampled_from([*NAMES, "response", "item", "part", "annotation"]), VALUES, max_size=8
    ),
)


@settings(deadline=None)
@given(sent=st.lists(SENT, max_size=6))
def test_any_json_gives_events_or_a_decode_error(sent, told, decode, emitted):
    events = []
    for each in sent:
        try:
            events += told(each)
        except DecodeError:
            continue
    _go_through(events, emitted)
    whole = b"".join(encode(encode_event(event)) for event in events)
    assert len(decode(whole)) == len(events)


@settings(deadline=None)
@given(data=st.data())
def test_recorded_events_may_come_in_any_order(data, short_streams, decode, emitted):
    events = decode(data.draw(st.sampled_from(short_streams)).read_bytes())
    _go_through(data.draw(st.lists(st.sampled_from(events), max_size=30)), emitted)


def _go_through(events, emitted):
    snapshots = list(accumulate(events, fold, initial=NOTHING))
    for event, (before, after) in zip(events, pairwise(snapshots), strict=True):
        assert callbacks_of(event, before, after)
        assert isinstance(after.text, str)
        assert len(after.items) == len(after.keys)
    text = operators.text_deltas(on_reset="follow")
    for operator in (text, operators.tool_calls(), operators.usage()):
        _, errors = emitted(operator, events)
        assert errors == []
    for operator in (
        operators.text_deltas(),
        operators.as_assistant_events(),
        operators.citations(),
    ):
        _, errors = emitted(operator, events)
        assert all(isinstance(error, StreamDiverged) for error in errors)
    last = snapshots[-1]
    assert repr(from_json(Snapshot, to_json(last)).items) == repr(last.items)
