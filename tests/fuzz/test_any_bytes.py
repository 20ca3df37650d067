"""Whatever a stranger sends: events, or an error of ours."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxassist.errors import RxAssistError
from rxassist.events import ThreadMessageDelta, ThreadRunStepCompleted, ThreadRunStepDelta
from rxassist.protocols.assistants.codec import _USUAL, EventDecoder, decode_event
from rxassist.wire.sse import ServerSentEvent, SSEDecoder

untimed = settings(deadline=None)  # time is the subject of the tests beside these

NAMES = [
    "thread.run.created",
    "thread.run.requires_action",
    "thread.run.completed",
    "thread.run.step.created",
    "thread.run.step.delta",
    "thread.run.step.completed",
    "thread.message.created",
    "thread.message.delta",
    "thread.message.completed",
    "error",
    "message",
    "hum",
]

# Values as JSON text, since some cannot be written otherwise.
odd = st.sampled_from(
    ["null", "true", "-1", "0", "1", "2.0", "1.5", "1e12", "1000000000000", "1e999999", "NaN",
     "9" * 400, "9" * 5000, "1e-9999", '"0"', '"a"', '"\\ud83d"', '"\\u0000"', '""', "[]", "{}",
     "[[]]", "[null]", "[{}]", "[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300, "{", "]"]
)  # fmt: skip
types = st.sampled_from(
    ['"text"', '"refusal"', '"function"', '"code_interpreter"', '"file_search"', '"logs"',
     '"image"', '"file_citation"', '"tool_calls"', '"message_creation"', '"hum"', "null"]
)  # fmt: skip


def an_object(**fields):
    """Text of an object that has some of the fields, each with a fitting or an odd value."""
    some = st.fixed_dictionaries({}, optional=fields)
    return some.map(lambda said: "{" + ",".join(f'"{k}":{v}' for k, v in said.items()) + "}")


def a_list(items):
    return st.lists(items, max_size=3).map(lambda said: "[" + ",".join(said) + "]")


ids = st.sampled_from(['"x_1"', '"x_2"', '"x_3"'])
indexes = st.sampled_from(["0", "1", "2", "null", '"1"', "-1"]) | odd
texts = st.sampled_from(['"a"', '"b"', "null"]) | odd
text = st.one_of(
    odd,
    an_object(value=texts, annotations=a_list(an_object(index=indexes, type=types, text=texts))),
)
part = st.one_of(
    odd, an_object(index=indexes, type=types, text=text, refusal=texts, image_file=odd, hum=odd)
)
function = st.one_of(odd, an_object(name=texts, arguments=texts, output=texts))
output = st.one_of(odd, an_object(index=indexes, type=types, logs=texts, image=odd, hum=texts))
code = st.one_of(odd, an_object(input=texts, outputs=a_list(output)))
call = st.one_of(
    odd,
    an_object(
        index=indexes, id=ids, type=types, function=function, code_interpreter=code, hum=texts
    ),
)
details = st.one_of(odd, an_object(type=types, tool_calls=a_list(call), hum=odd))
waits = st.one_of(odd, an_object(type=types, submit_tool_outputs=an_object(tool_calls=odd)))
data = st.one_of(
    odd,
    an_object(
        id=ids,
        created_at=odd,
        status=st.sampled_from(['"completed"', '"requires_action"', '"hum"', "null"]),
        role=st.sampled_from(['"user"', '"assistant"', "null"]),
        content=a_list(part),
        delta=an_object(role=odd, content=a_list(part), step_details=details),
        step_details=details,
        required_action=waits,
        event=st.sampled_from(NAMES).map(json.dumps),
        data=odd,
    ),
)
events = st.builds("event: {}\ndata: {}\n\n".format, st.sampled_from(NAMES), data)
bodies = st.lists(events, max_size=6).map(lambda said: "".join(said).encode())


@untimed
@given(st.binary(max_size=200) | bodies, st.integers(0, 40))
def test_no_exception_but_ours(survive, body, size):
    survive(body, size)


@untimed
@given(bodies, st.integers(0, 1000), st.binary(max_size=4))
def test_no_exception_but_ours_when_bytes_are_damaged(survive, body, place, damage):
    place %= len(body) + 1
    survive(body[:place] + damage + body[place + len(damage) :])


grown = st.builds(
    '{{"id":{},"delta":{{"{}":{}}}}}'.format,
    ids,
    st.just("content"),
    a_list(st.builds('{{"index":{},"type":{},"text":{{"value":"a"}}}}'.format, indexes, types)),
)
called = st.builds(
    '{{"id":{},"delta":{{"step_details":{{"type":"tool_calls","tool_calls":{}}}}}}}'.format,
    ids,
    a_list(
        st.builds(
            '{{"index":{},"type":{},"function":{{"arguments":"a"}},"hum":["a"]}}'.format,
            indexes,
            types,
        )
    ),
)
ended = st.builds(
    'event: thread.{}.completed\ndata: {{"id":{}}}\n\n'.format,
    st.sampled_from(["run", "message", "run.step"]),
    ids,
)


@untimed
@given(
    st.lists(
        st.builds("event: thread.message.delta\ndata: {}\n\n".format, grown)
        | st.builds("event: thread.run.step.delta\ndata: {}\n\n".format, called)
        | ended,
        max_size=12,
    )
)
def test_any_sequence_of_deltas_can_be_folded(survive, said):
    for event in said:  # one by one: where one does not decode, the others shall be folded
        survive(event.encode())
    whole = [event for event in said if survive(event.encode())]
    assert len(survive("".join(whole).encode())) == len(whole)


# --- the usual deltas ----------------------------------------------------------------------


def outcome(decode, name, text):
    """What decoding gives, to the types of its numbers, or how it fails."""
    try:
        (event,) = decode(name, text)
    except RxAssistError as error:
        return type(error), str(error)
    piece = event.piece() if isinstance(event, ThreadMessageDelta) else None
    return piece, event, repr(event)


def as_bytes(name, text):
    return list(EventDecoder().feed(b"event: %b\ndata: %b\n\n" % (name.encode(), text)))


def as_text(name, text):
    return [decode_event(ServerSentEvent(name, text.decode(errors="replace")))]


def same_both_ways(name, text):
    assert outcome(as_bytes, name, text) == outcome(as_text, name, text)


DELTAS = ["thread.message.delta", "thread.run.step.delta"]
USUAL = [
    ("thread.message.delta", {"content": [{"index": 0, "type": "text", "text": {
        "value": "a", "annotations": []}}], "role": "assistant"}),
    ("thread.run.step.delta", {"step_details": {"type": "tool_calls", "tool_calls": [
        {"index": 0, "type": "function", "id": "c", "function": {
            "name": "f", "arguments": "{", "output": None}}]}}),
    ("thread.run.step.delta", {"step_details": {"type": "tool_calls", "tool_calls": [
        {"index": 0, "type": "code_interpreter", "id": "c", "code_interpreter": {
            "input": "1", "outputs": [{"index": 0, "type": "logs", "logs": "1"}]}}]}}),
]  # fmt: skip


def elsewhere(value, path, change):
    """The value changed at the place that ``path`` picks."""
    if not path or not isinstance(value, dict | list) or not value:
        return change(value)
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = places[path[0] % len(places)]
    changed = value.copy()
    changed[place] = elsewhere(value[place], path[1:], change)
    return changed


def without_first(value):
    return dict(list(value.items())[1:]) if isinstance(value, dict) else [value, value]


@untimed
@given(st.sampled_from(DELTAS), data)
def test_law_any_data_of_a_delta_is_read_the_same_way(name, text):
    same_both_ways(name, text.encode())


@untimed
@given(
    st.sampled_from(USUAL),
    st.lists(st.integers(0, 10), max_size=8),
    st.sampled_from(
        [lambda _: "@", lambda value: {**value, "b": "@"} if isinstance(value, dict) else "@",
         lambda value: [*value, "@"] if isinstance(value, list) else "@", without_first]
    ),
    odd | types | indexes,
    st.binary(max_size=2),
    st.integers(0, 400),
)  # fmt: skip
def test_law_what_is_nearly_a_usual_delta_is_read_the_same_way(
    usual, path, change, instead, damage, place
):
    name, delta = usual
    whole = {"id": "m", "object": name, "delta": delta}
    text = json.dumps(elsewhere(whole, path, change)).replace('"@"', instead).encode()
    same_both_ways(name, text)
    if b"\r" not in damage and b"\n" not in damage:
        same_both_ways(name, text[:place] + damage + text[place:])


@pytest.mark.parametrize(
    ("part", "more"),
    [
        ("text", '"id": "twice"'),
        ("text", '"delta": {"content": []}'),
        ("\\ud83d\\ude00", '"object": null'),
        ("\\ud83d", '"i\\u0064": "m"'),
        ("text", '"unknown": ' + "[" * 300 + "]" * 300),
        ("text", '"unknown": ' + "9" * 5000),
        ("text", '"unknown": "\\ud83d"'),
        ("text", '"unknown": NaN'),
    ],
)
def test_odd_deltas_are_read_the_same_way(part, more):
    content = f'[{{"index": 0, "type": "text", "text": {{"value": "{part}"}}}}]'
    text = f'{{"id": "m", "delta": {{"content": {content}}}, {more}}}'
    for ending in ("", "}", "}]", " ", "x"):
        same_both_ways("thread.message.delta", (text + ending).encode())


def test_the_deltas_of_recorded_streams_are_usual(wire):
    """But for those with annotations, images, the results of searches, or a null for a part."""
    unusual = (b'"annotations":[{', b"image", b"file_search", b"refusal", b"message_creation")
    for path in sorted((wire / "assistants").glob("*.sse")):
        for name, text in SSEDecoder().feed_raw(path.read_bytes()):
            if name in _USUAL and not any(word in text.replace(b" ", b"") for word in unusual):
                read, late = _USUAL[name]
                assert late(read(text)) == as_text(name.decode(), text)[0]


def a_call(index):
    one = f'{{"index":{index},"type":"function","id":"c"}}'
    details = f'{{"step_details":{{"type":"tool_calls","tool_calls":[{one}]}}}}'
    return f'event: thread.run.step.delta\ndata: {{"id":"s","delta":{details}}}\n\n'


@pytest.mark.parametrize("index", ["1000000000000", "-1", "null", '"7"', "1e30", "0"])
def test_an_index_is_a_name_and_allocates_nothing(survive, index):
    one = f'{{"index":{index},"type":"text","text":{{"value":"a"}}}}'
    grown = f'event: thread.message.delta\ndata: {{"id":"m","delta":{{"content":[{one}]}}}}\n\n'
    calls = '{"type":"tool_calls","tool_calls":[{"type":"function","id":"d"}]}'
    ended = f'event: thread.run.step.completed\ndata: {{"id":"s","step_details":{calls}}}\n\n'
    late = [a_call(index), a_call(10**40)]
    body = grown + a_call(index) + ended + "".join(late)
    assert [type(event) for event in survive(body.encode())] == [
        ThreadMessageDelta,
        ThreadRunStepDelta,
        ThreadRunStepCompleted,
        ThreadRunStepDelta,
        ThreadRunStepDelta,
    ]


def test_what_is_nested_as_deep_as_may_be_adds_up(survive):
    deep = '{"a":' * 190 + '"b"' + "}" * 190
    part = f'{{"index":0,"type":"hum","hum":{deep}}}'
    grown = f'event: thread.message.delta\ndata: {{"id":"m","delta":{{"content":[{part}]}}}}\n\n'
    assert len(survive((grown * 3).encode())) == 3


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_coverage_guided_fuzzer_finds_nothing(fuzzer, tmp_path):
    """For ten seconds, from fixed seeds; the tox environment ``fuzz`` takes longer."""
    options = ["-seed=1", "-max_total_time=10", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        [sys.executable, str(fuzzer), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert int(re.search(r"Done (\d+) runs", done.stderr)[1]) > 100
