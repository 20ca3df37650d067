"""JSON ⇄ models and events: tolerant where servers differ, precise where they are wrong."""

import copy
import gc
import math
import pickle
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier
from typing import Literal, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxassist import models
from rxassist.errors import DecodeError, EventTooLargeError, StreamTruncated
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    KnownEvent,
    ThreadMessageDelta,
    ThreadRunStepDelta,
    UnknownEvent,
)
from rxassist.models import (
    Assistant,
    ErrorObject,
    Message,
    MessageDeltaEvent,
    Page,
    Run,
    RunStep,
    RunStepDeltaEvent,
    VectorStoreFile,
)
from rxassist.protocols.assistants.codec import EventDecoder, decode_event, encode_event
from rxassist.runs.tools.values import to_plain, to_text
from rxassist.wire.json import from_json, to_json
from rxassist.wire.maker import maker
from rxassist.wire.sse import ServerSentEvent, SSEDecoder
from rxassist.wire.structure import structure, to_request, unstructure
from rxassist.wire.values import Delta, Model, Unknown

# The names that the service's OpenAPI description lists.
NAMES = [
    "thread.created",
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.requires_action",
    "thread.run.completed",
    "thread.run.incomplete",
    "thread.run.failed",
    "thread.run.cancelling",
    "thread.run.cancelled",
    "thread.run.expired",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.run.step.delta",
    "thread.run.step.completed",
    "thread.run.step.failed",
    "thread.run.step.cancelled",
    "thread.run.step.expired",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.message.incomplete",
    "error",
    "done",
]


def sent(event, data):
    return decode_event(ServerSentEvent(event, to_json(data).decode()))


def delta(*content):
    return {"id": "msg_1", "delta": {"content": list(content)}}


# --- events --------------------------------------------------------------------------------


def test_every_event_of_the_description_has_a_class():
    known = {attrs.fields(cls).event.default for cls in get_args(KnownEvent)}
    assert known == set(NAMES)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"done", "error"}))
def test_an_event_is_told_by_its_name_alone(name):
    event = sent(name, {"id": "x_1"})
    assert isinstance(event, get_args(KnownEvent))
    assert (event.event, event.data.id) == (name, "x_1")


@pytest.mark.parametrize(
    "framed",
    [
        ServerSentEvent("done", "[DONE]"),
        ServerSentEvent("message", "[DONE]"),
        ServerSentEvent("message", '{"event": "done", "data": "[DONE]"}'),
        ServerSentEvent("done", ""),
    ],
)
def test_done_with_and_without_its_name(framed):
    assert decode_event(framed) == DoneEvent("[DONE]")


def test_the_data_only_framing():
    data = {"id": "run_1", "status": "queued"}
    assert sent("message", {"event": "thread.run.queued", "data": data}) == sent(
        "thread.run.queued", data
    )
    assert sent("message", {"event": "thread.hummed", "data": [1]}) == UnknownEvent(
        "thread.hummed", [1]
    )


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_both_shapes_of_an_error(wrapped):
    error = {"message": "no", "type": "server_error", "code": None, "param": "model"}
    event = sent("error", {"error": error} if wrapped else error)
    assert event == ErrorEvent(ErrorObject("no", "server_error", None, "model"))


@pytest.mark.parametrize(
    ("data", "message"),
    [("no", "no"), ({"error": "no"}, "no"), ({}, None), (None, ""), ({"error": None}, "")],
)
def test_odd_shapes_of_an_error_are_errors_all_the_same(data, message):
    assert sent("error", data) == ErrorEvent(ErrorObject(message))


def test_a_numeric_error_code_is_text():
    assert sent("error", {"message": "no", "code": 429}).data.code == "429"


@pytest.mark.parametrize("data", [{"a": [1, None]}, [1], "text", 1.5, None])
def test_an_unknown_event_keeps_its_name_and_its_json_whole(data):
    event = sent("thread.run.step.hummed", data)
    assert event == UnknownEvent("thread.run.step.hummed", data)
    assert (event.name, event.event) == ("thread.run.step.hummed", "unknown")
    assert decode_event(encode_event(event)) == event


def test_an_unknown_event_may_hold_text_that_is_no_json():
    assert decode_event(ServerSentEvent("ping", "12:00:01")) == UnknownEvent("ping", "12:00:01")


def test_json_without_a_name_is_an_unknown_event():
    assert sent("message", {"id": "x"}) == UnknownEvent("message", {"id": "x"})


# --- what is missing, null or odd ----------------------------------------------------------


def test_null_is_none_and_never_the_word():
    message = structure(
        {"id": "msg_1", "status": None, "assistant_id": None, "role": None, "created_at": None},
        Message,
    )
    assert message.status is message.assistant_id is message.role is message.created_at is None


def test_null_text_stays_null():
    blocks = [{"type": "text", "text": {"value": None}}, {"type": "refusal", "refusal": None}]
    text, refusal = structure({"id": "msg_1", "content": blocks}, Message).content
    assert text.text.value is None
    assert refusal.refusal is None
    added = content_delta({"type": "text", "text": {"value": None}})
    assert added.text.value is None


def test_a_missing_or_null_list_is_empty():
    assert structure({"id": "msg_1"}, Message).content == ()
    assert structure({"id": "msg_1", "content": None}, Message).content == ()
    assert structure({"data": None}, Page[Run]) == Page()


def test_a_null_object_says_nothing():
    assert structure({"id": "msg_1", "delta": None}, MessageDeltaEvent) == MessageDeltaEvent(
        "msg_1"
    )
    (block,) = structure({"id": "m", "content": [{"type": "text", "text": None}]}, Message).content
    assert block.text.value == ""


def test_missing_usage_is_none():
    run = structure({"id": "run_1"}, Run)
    assert run.usage is None
    assert structure({"id": "run_1", "usage": {}}, Run).usage.total_tokens is None


def test_what_no_field_is_there_for_is_kept():
    said = {"id": "thread_1", "mood": {"a": 1}, "extra": None, "_extra": [1]}
    thread = structure(said, models.Thread)
    assert thread == models.Thread("thread_1", extra=thread.extra)
    assert thread.extra == {"mood": {"a": 1}, "extra": None, "_extra": [1]}
    assert models.Thread("thread_1").extra == {}
    assert to_request(thread)["mood"] == {"a": 1}


@pytest.mark.parametrize("status", ["cancelling", "hibernating", ""])
def test_unknown_statuses_pass_as_text(status):
    assert structure({"id": "run_1", "status": status}, Run).status == status


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        (1714359755, 1714359755),
        (1714359755.25, 1714359755.25),
        (1714359755250, 1714359755.25),
        (1714359755250.5, 1714359755.2505),
        ("1714359756", 1714359756),
        ("1714359756500", 1714359756.5),
        (0, 0),
        (-1, -1),
        (10**11 - 1, 10**11 - 1),
        (10**11, 10**8),
        (None, None),
    ],
)
def test_timestamps_are_seconds_whatever_a_server_counts_in(when, seconds):
    run = structure({"id": "run_1", "created_at": when, "expires_at": when}, Run)
    assert (run.created_at, run.expires_at) == (seconds, seconds)


def test_whole_seconds_stay_whole_numbers():
    assert type(structure({"id": "run_1", "created_at": 1714359755}, Run).created_at) is int


def test_timestamps_are_seconds_in_every_model():
    for cls in map(models.__dict__.get, models.__all__):
        if not attrs.has(cls):
            continue
        required = {f.name: "x" for f in attrs.fields(cls) if f.default is attrs.NOTHING}
        for field in attrs.fields(cls):
            if field.name.endswith("_at"):
                value = structure({**required, field.name: 1714359755250}, cls)
                assert getattr(value, field.name) == 1714359755.25


def test_what_is_no_time_names_its_place():
    for never in ("1e999999", "-1e999999", "NaN", "1" * 400, "-" + "1" * 400, '"soon"'):
        with pytest.raises(DecodeError, match=r"at \$\.created_at expected "):
            decode_event(
                ServerSentEvent("thread.run.queued", f'{{"id": "run_1", "created_at": {never}}}')
            )


@pytest.mark.parametrize("index", [2, 3.0, "4", 10**12, 10**30, -1])
def test_whole_numbers_are_whole_whatever_their_spelling(index):
    place = content_delta({"type": "text", "index": index}).index
    assert (type(place), place) == (int, int(index))


@pytest.mark.parametrize("index", ["1.5", "1e999999", "NaN", '"first"', "[]", '"1e400"'])
def test_what_is_no_whole_number_names_its_place(index):
    text = f'{{"id": "m", "delta": {{"content": [{{"type": "text", "index": {index}}}]}}}}'
    with pytest.raises(DecodeError, match=r"at \$\.delta\.content\[0\]\.index expected "):
        decode_event(ServerSentEvent("thread.message.delta", text))


def test_a_number_where_text_belongs_becomes_text():
    assert structure({"id": 17}, Run).id == "17"


def test_a_missing_type_is_told_by_the_field_that_is_there():
    (part,) = structure(
        delta({"index": 1, "text": {"value": "a"}}), MessageDeltaEvent
    ).delta.content
    assert part == models.TextDeltaBlock(1, models.TextDelta("a"))


def test_a_null_type_is_as_a_missing_one():
    (part,) = structure(
        delta({"type": None, "text": {"value": "a"}}), MessageDeltaEvent
    ).delta.content
    assert part == models.TextDeltaBlock(0, models.TextDelta("a"), "text")


def test_choices_are_text_or_objects():
    run = structure({"id": "run_1", "tool_choice": "auto", "response_format": "auto"}, Run)
    assert (run.tool_choice, run.response_format) == ("auto", "auto")
    run = structure(
        {
            "id": "run_1",
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "s"}},
        },
        Run,
    )
    assert run.tool_choice.function.name == "f"
    assert run.response_format.json_schema == {"name": "s"}


# --- unknown types -------------------------------------------------------------------------

UNKNOWN = {"type": "hum", "hum": {"tune": ["a", None]}}


def tool(raw):
    return structure({"id": "asst_1", "tools": [raw]}, Assistant).tools[0]


def content(raw):
    return structure({"id": "msg_1", "content": [raw]}, Message).content[0]


def annotation(raw):
    return content({"type": "text", "text": {"value": "a", "annotations": [raw]}}).text.annotations[
        0
    ]


def content_delta(raw):
    return structure(delta(raw), MessageDeltaEvent).delta.content[0]


def annotation_delta(raw):
    return content_delta({"type": "text", "text": {"annotations": [raw]}}).text.annotations[0]


def details(raw):
    return structure({"id": "step_1", "step_details": raw}, RunStep).step_details


def call(raw):
    return details({"type": "tool_calls", "tool_calls": [raw]}).tool_calls[0]


def output(raw):
    code = {"input": "", "outputs": [raw]}
    ran = call({"id": "c", "type": "code_interpreter", "code_interpreter": code})
    return ran.code_interpreter.outputs[0]


def details_delta(raw):
    data = {"id": "step_1", "delta": {"step_details": raw}}
    return structure(data, RunStepDeltaEvent).delta.step_details


def call_delta(raw):
    return details_delta({"type": "tool_calls", "tool_calls": [raw]}).tool_calls[0]


def output_delta(raw):
    code = {"outputs": [raw]}
    ran = call_delta({"type": "code_interpreter", "code_interpreter": code})
    return ran.code_interpreter.outputs[0]


def action(raw):
    return structure({"id": "run_1", "required_action": raw}, Run).required_action


def required_call(raw):
    raw = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [raw]}}
    return action(raw).submit_tool_outputs.tool_calls[0]


def response_format(raw):
    return structure({"id": "run_1", "response_format": raw}, Run).response_format


def chunking(raw):
    return structure({"id": "file_1", "chunking_strategy": raw}, VectorStoreFile).chunking_strategy


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (tool, models.UnknownTool),
        (content, models.UnknownContentBlock),
        (annotation, models.UnknownAnnotation),
        (content_delta, models.UnknownContentDelta),
        (annotation_delta, models.UnknownAnnotationDelta),
        (details, models.UnknownStepDetails),
        (call, models.UnknownToolCall),
        (output, models.UnknownCodeInterpreterOutput),
        (details_delta, models.UnknownStepDetailsDelta),
        (call_delta, models.UnknownToolCallDelta),
        (output_delta, models.UnknownOutputDelta),
        (action, models.UnknownRequiredAction),
        (required_call, models.UnknownRequiredToolCall),
        (response_format, models.UnknownResponseFormat),
        (chunking, models.UnknownChunkingStrategy),
    ],
)
def test_an_unknown_type_keeps_the_raw_object(read, kind):
    value = read(UNKNOWN)
    assert (type(value), value.wire_type, value.raw) == (kind, "hum", UNKNOWN)
    assert value.type == "unknown"
    assert unstructure(value) == UNKNOWN
    for unnamed in ({"type": None}, {}):
        assert (type(read(unnamed)), read(unnamed).wire_type) == (kind, "")


def test_a_part_that_is_no_text_has_none():
    grown = content_delta({"type": "refusal", "refusal": "No", "index": 0})
    for part in (grown, content_delta(UNKNOWN), models.ImageFileDeltaBlock()):
        assert part.text is None


def test_types_that_other_servers_have():
    cited = {"type": "url_citation", "url_citation": {"url": "https://example.org"}}
    assert annotation(cited) == models.UnknownAnnotation("url_citation", cited)
    browsed = {"type": "browser", "id": "call_1", "browser": {}}
    assert (call(browsed).wire_type, call(browsed).id) == ("browser", "call_1")
    consent = {"type": "submit_consent", "submit_consent": {"tool_calls": []}}
    assert action(consent).raw == consent
    grounded = {"type": "bing_grounding", "bing_grounding": {}}
    assert tool(grounded).raw == grounded


def test_an_unknown_delta_knows_its_place():
    assert content_delta(UNKNOWN | {"index": 3}).index == 3
    assert content_delta(UNKNOWN).index == 0


# --- wrong shapes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "path", "value"),
    [
        ([], "$", []),
        ("text", "$", "text"),
        (7, "$", 7),
        (None, "$", None),
        ({"id": "m", "delta": []}, "$.delta", []),
        ({"id": "m", "delta": {"content": {"a": 1}}}, "$.delta.content", {"a": 1}),
        (delta({"type": "text", "text": [1]}), "$.delta.content[0].text", [1]),
        (delta({"type": "text"}, []), "$.delta.content[1]", []),
        (delta({"type": "text"}, None, 7), "$.delta.content[2]", 7),
        (delta({"type": "text", "text": {"value": {}}}), "$.delta.content[0].text.value", {}),
        (delta({"type": "text", "index": "first"}), "$.delta.content[0].index", "first"),
        ({"delta": {}}, "$", {"delta": {}}),
        ({"id": ["m"]}, "$.id", ["m"]),
    ],
)  # fmt: skip
def test_a_wrong_shape_names_the_event_the_path_and_the_value(data, path, value):
    with pytest.raises(DecodeError) as caught:
        sent("thread.message.delta", data)
    error = caught.value
    assert (error.event, error.path, error.value) == ("thread.message.delta", path, value)
    assert f"thread.message.delta: at {path} expected " in str(error)
    assert repr(value) in str(error)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"id": "run_1", "metadata": []}, "$.metadata"),
        ({"id": "run_1", "tools": [{"type": "function"}]}, "$.tools[0]"),
        ({"id": "run_1", "usage": 7}, "$.usage"),
        ({"id": "run_1", "usage": {"total_tokens": "many"}}, "$.usage.total_tokens"),
        ({"id": "run_1", "parallel_tool_calls": "yes"}, "$.parallel_tool_calls"),
        ({"id": "run_1", "tool_choice": []}, "$.tool_choice"),
        ({"id": "run_1", "tools": [7]}, "$.tools[0]"),
    ],
)
def test_wrong_shapes_of_a_run(data, path):
    with pytest.raises(DecodeError) as caught:
        structure(data, Run)
    assert (caught.value.event, caught.value.path) == ("Run", path)


def test_a_wrong_shape_in_a_list_says_where():
    with pytest.raises(DecodeError, match=r"^runs: at \$\.data\[1\] expected a field 'id'"):
        structure({"data": [{"id": "run_1"}, {}]}, Page[Run], "runs")


def test_a_missing_object_is_an_error():
    with pytest.raises(DecodeError):
        structure(None, Run)
    with pytest.raises(DecodeError, match=r"thread\.run\.created"):
        decode_event(ServerSentEvent("message", '{"event": "thread.run.created"}'))


def test_the_message_of_an_error_stays_short():
    with pytest.raises(DecodeError) as caught:
        structure({"id": "run_1", "usage": ["x" * 100_000]}, Run)
    assert len(str(caught.value)) < 300


# --- odd JSON ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", " ", "{", '{"a": 1', "[1,]", "nul", "{} {}", '"a', "1 2", "\0"]
)
def test_what_is_no_json_is_a_decode_error(text):
    with pytest.raises(DecodeError) as caught:
        decode_event(ServerSentEvent("thread.run.created", text))
    assert (caught.value.event, caught.value.path) == ("thread.run.created", "$")


@pytest.mark.parametrize("text", ['{"a": [1]}}', '{"a": [1]}]} \n'])
def test_closing_brackets_too_many_are_ignored(text):
    assert from_json(text) == {"a": [1]}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1000 + "]" * 1000,
        "[" * 1_000_000 + "]" * 1_000_000,
        '{"a":' * 1_000_000 + "1" + "}" * 1_000_000,
        "[" * 1_000_000,
        "9" * 1_000_000,
        "-" + "9" * 1_000_000,
        '{"id": "run_1", "created_at": ' + "9" * 1_000_000 + "}",
        "]" * 1_000_000,
    ],
    ids=["some lists", "lists", "objects", "open lists", "digits", "minus", "a field", "brackets"],
)
def test_monstrous_json_is_a_decode_error(text):
    with pytest.raises(DecodeError):
        decode_event(ServerSentEvent("thread.run.created", text))


@pytest.mark.parametrize("place", ["metadata", "status", "tools", "unknown"])
def test_deep_json_is_data_or_a_decode_error_at_any_depth(place):
    """Also where it is just not too deep to be read, but is too deep to be shown."""
    for depth in (10, 100, *range(800, 1010), 5000):
        text = f'{{"id": "run_1", "{place}": ' + '{"a":' * depth + "1" + "}" * (depth + 1)
        try:
            event = decode_event(ServerSentEvent("thread.run.created", text))
        except DecodeError:
            continue
        assert event.data.id == "run_1"
        assert place in {"metadata", "unknown"}


def test_the_bound_on_nesting():
    def nested(depth):
        return "[" * depth + '"[{"' + "]" * depth

    assert from_json(nested(200)) is not None
    assert from_json("[" + '{"a": [{}]}, ' * 1000 + "1]") is not None
    assert from_json('"' + "[" * 1000 + '"') == "[" * 1000
    for text in (nested(201), "[[], " + nested(200) + "]"):
        with pytest.raises(DecodeError, match="nested at most 200 deep"):
            from_json(text)
        with pytest.raises(DecodeError, match="nested at most 200 deep"):
            from_json(text.encode(), "body")


@pytest.mark.parametrize("text", ["0." + "9" * 1_000_000, "1e-999999999", "-0"])
def test_long_fractions_are_numbers(text):
    assert from_json(text) == float(text)


def test_numbers_that_json_does_not_have():
    values = from_json('{"a": NaN, "b": Infinity, "c": -Infinity}')
    assert math.isnan(values["a"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


def test_lone_surrogates_are_data_both_ways():
    event = decode_event(ServerSentEvent("thread.hummed", '{"a": "\\ud83d"}'))
    assert event == UnknownEvent("thread.hummed", {"a": "\ud83d"})
    assert decode_event(encode_event(event)) == event
    assert from_json('"\ud83d"') == "\ud83d"


def test_bytes_that_are_no_utf8_are_replaced():
    assert from_json(b'{"a": "\xff"}') == {"a": "\ufffd"}


def test_json_where_its_text_belongs_is_its_text():
    """Not where any text belongs: there it is a mistake, as it was."""
    called = {"index": 0, "type": "function", "function": {"arguments": {"city": "Rome"}}}
    (added,) = sent_call(called)
    assert added.function.arguments == '{"city":"Rome"}'
    (added,) = sent_call({**called, "function": {"output": [1, "é"]}})
    assert added.function.output == '[1,"é"]'
    required = required_call({"id": "c", "type": "function", "function": {"arguments": {}}})
    assert required.function.arguments == "{}"
    approved = {"type": "mcp", "id": "c", "arguments": {"a": None}}
    wanted = {"type": "submit_tool_approval", "submit_tool_approval": {"tool_calls": [approved]}}
    assert action(wanted).submit_tool_approval.tool_calls[0].arguments == '{"a":null}'
    with pytest.raises(DecodeError, match=r"at \$\.instructions expected text"):
        structure({"id": "run_1", "instructions": {"a": 1}}, Run)


def sent_call(raw):
    details = {"type": "tool_calls", "tool_calls": [raw]}
    data = {"id": "step_1", "delta": {"step_details": details}}
    return sent("thread.run.step.delta", data).data.delta.step_details.tool_calls


def test_the_text_of_a_file_comes_as_its_schema_and_as_its_example_say():
    texts = [{"type": "text", "text": "Hello."}]
    for told in ({"data": texts}, {"content": texts, "filename": "a.txt"}):
        page = structure(told, models.VectorStoreFileContent)
        assert [piece.text for piece in page.data] == ["Hello."]
    assert page.extra == {"filename": "a.txt"}
    with pytest.raises(DecodeError, match="expected a list"):
        structure({"content": "Hello."}, models.VectorStoreFileContent)


def test_a_lone_text_is_a_list_of_one():
    page = {"object": "vector_store.search_results.page", "search_query": "q", "data": []}
    assert structure(page, models.VectorStoreSearchPage).search_query == ("q",)
    resources = {"code_interpreter": {"file_ids": "file_1"}}
    assert structure(resources, models.ToolResources).code_interpreter.file_ids == ("file_1",)
    for name in ("content", "attachments"):
        with pytest.raises(DecodeError, match="expected a list"):
            structure({"id": "msg_1", name: "text"}, Message)


@pytest.mark.parametrize("word", ["true", "True", 1, "false", "False", 0])
def test_a_boolean_may_come_as_its_word_or_as_a_digit(word):
    assert structure({"data": [], "has_more": word}, models.Page[Message]).has_more is (
        word in ("true", "True", 1)
    )


# --- writing -------------------------------------------------------------------------------


def test_whole_objects_keep_their_nulls_and_deltas_carry_what_they_add():
    assert unstructure(Run("run_1"))["usage"] is None
    added = models.TextDeltaBlock(1, models.TextDelta("a"))
    assert unstructure(MessageDeltaEvent("msg_1", models.MessageDelta(None, (added,)))) == {
        "id": "msg_1",
        "object": "thread.message.delta",
        "delta": {"content": [{"index": 1, "type": "text", "text": {"value": "a"}}]},
    }


def test_a_delta_leaves_out_no_null_that_says_something():
    data = {"id": "msg_1", "delta": {"content": [{"index": None, "type": "refusal"}]}}
    written = unstructure(structure(data, MessageDeltaEvent))
    assert written == {**data, "object": "thread.message.delta"}
    assert structure(written, MessageDeltaEvent) == structure(data, MessageDeltaEvent)


def test_a_request_leaves_out_what_a_model_does_not_say():
    tools = [models.FunctionTool(models.FunctionDefinition("f")), {"type": "hum", "hum": None}]
    assert to_request({"tools": tools, "metadata": None, "n": (1,)}) == {
        "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "hum", "hum": None}],
        "metadata": None,
        "n": [1],
    }


_plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_json = st.recursive(
    _plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


_CLASSES = [cls for cls in map(models.__dict__.get, models.__all__) if attrs.has(cls)]


@given(_json)
def test_law_json_written_and_read_is_the_same(value):
    assert from_json(to_json(value)) == value


@given(st.sampled_from(sorted(set(NAMES) - {"done", "error"})), _json)
def test_law_any_json_is_an_event_or_a_decode_error(name, data):
    try:
        event = sent(name, data)
    except DecodeError as error:
        assert error.event == name  # noqa: PT017 -- both ends are right
    else:
        assert event.event == event.name == name


_shapes = {"id": "x", "content": [{"type": "text", "text": {"value": "a", "annotations": []}}],
           "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "a"}}],
                     "step_details": {"type": "tool_calls", "tool_calls": [
                         {"index": 0, "type": "function", "function": {"name": "f"}}]}},
           "step_details": {"type": "tool_calls", "tool_calls": [{"id": "c", "type": "function"}]},
           "required_action": {"type": "submit_tool_outputs", "submit_tool_outputs": {}},
           "tools": [{"type": "code_interpreter"}], "usage": {"total_tokens": 1},
           "metadata": {}}  # fmt: skip


def with_something_else(value, path, other):
    """The value with one place in it, which ``path`` picks, replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return other
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = places[path[0] % len(places)]
    items = dict(value) if isinstance(value, dict) else list(value)
    items[place] = with_something_else(items[place], path[1:], other)
    return items


@given(
    st.sampled_from(sorted(set(NAMES) - {"done", "error"})),
    st.lists(st.integers(0, 10), min_size=1, max_size=8),
    _json,
)
def test_law_a_shape_with_one_wrong_place_is_an_event_or_a_decode_error(name, path, other):
    try:
        event = sent(name, with_something_else(_shapes, path, other))
    except DecodeError as error:
        assert error.event == name  # noqa: PT017 -- both ends are right
    else:
        assert decode_event(encode_event(event)) == event


# where a server has another name for a field, the path has the field's own
_NAMED_AS_SENT = [cls for cls in _CLASSES if not getattr(cls, "_other_names", None)]


@given(st.sampled_from(_NAMED_AS_SENT), st.lists(st.integers(0, 10), max_size=8), _json)
def test_law_an_error_names_the_place_of_the_value_that_it_shows(cls, path, other):
    value = with_something_else(_shapes, path, other)
    try:
        structure(value, cls)
    except DecodeError as error:
        wrong = error
    else:
        return
    steps = re.findall(r"\.(\w+)|\[(\d+)\]", wrong.path)
    for name, index in steps:
        value = value[name] if name else value[int(index)]
    assert wrong.path == "$" + "".join(f".{n}" if n else f"[{i}]" for n, i in steps)
    assert repr(wrong.value) == repr(value)


@pytest.mark.parametrize("cls", _CLASSES)
def test_what_is_missing_is_as_the_constructor_has_it(cls):
    required = [field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING]
    if not issubclass(cls, Unknown) and cls not in {Page, models.FunctionTool}:
        assert structure(dict.fromkeys(required, "x"), cls) == cls(*["x"] * len(required))


# --- the first object of a class -----------------------------------------------------------


def fresh():
    """A union in a list and an optional object, of classes that nothing was made of before."""
    usual = attrs.make_class(
        "Usual",
        {"text": attrs.field(type=str, default=""), **tagged("usual")},
        bases=(Model,),
        frozen=True,
    )
    rare = attrs.make_class(
        "Rare",
        {"text": attrs.field(type="NowhereDefined", default=None), **tagged("rare")},
        bases=(Model,),
        frozen=True,
    )
    fields = {
        "parts": attrs.field(type=tuple[usual | rare | Unknown, ...], default=()),
        "one": attrs.field(type=usual | None, default=None),
        "other": attrs.field(type=rare | None, default=None),
    }
    return attrs.make_class("Box", fields, bases=(Model,), frozen=True), usual


def tagged(tag):
    return {"type": attrs.field(type=Literal[tag], default=tag)}


def test_a_class_is_read_only_when_an_object_of_it_comes():
    box, usual = fresh()
    said = {"parts": [{"type": "usual", "text": "a"}], "one": {}, "other": None}
    assert structure(said, box) == box((usual("a"),), usual())
    for rare in ({"parts": [{"type": "rare"}]}, {"other": {}}):  # a class that cannot be read
        for _ in range(2):
            with pytest.raises(DecodeError, match="NowhereDefined"):
                structure(rare, box)


def test_threads_may_meet_the_first_objects_at_once(switching):
    said = {"parts": [{"type": "usual", "text": "a", "more": 1}], "one": {"text": "b"}}
    for _ in range(30):
        box, usual = fresh()
        together = Barrier(4)

        def read(_, box=box, together=together):
            together.wait(10)
            return [structure(said, box) for _ in range(3)]

        with ThreadPoolExecutor(4) as pool:
            made = list(chain.from_iterable(pool.map(read, range(4))))
        assert made == [box((usual("a", extra={"more": 1}),), usual("b"))] * 12


@pytest.fixture
def switching():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# --- making values fast --------------------------------------------------------------------


@pytest.mark.parametrize("cls", [cls for cls in _CLASSES if issubclass(cls, Delta)])
def test_a_maker_makes_what_the_constructor_makes(cls):
    fields = [field for field in attrs.fields(cls) if not field.kw_only]
    required = [field.name for field in fields if field.default is attrs.NOTHING]
    make = maker(cls)
    assert make(*required) == cls(*required)
    every = [field.name for field in fields]
    assert make(*every) == cls(*every)
    assert repr(make(*every)) == repr(cls(*every))
    assert (type(make(*every)), hash(make(*every))) == (cls, hash(cls(*every)))
    if not issubclass(cls, Unknown):
        assert make(*every, extra={"a": 1}) == cls(*every, extra={"a": 1}) != cls(*every)
    with pytest.raises(TypeError):
        make(*every, "one more")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        make(*every).index = 1


# --- bodies --------------------------------------------------------------------------------


def test_a_body_decodes_as_it_comes():
    decoder = EventDecoder()
    assert list(decoder.feed(b'event: thread.run.queued\ndata: {"id":')) == []
    (event,) = decoder.feed(b'"run_1"}\n\nevent: done\n')
    assert event.data == Run("run_1")
    assert list(decoder.feed(b"data: [DONE]\n\n")) == [DoneEvent()]
    assert list(decoder.flush()) == []


def test_the_events_before_a_wrong_one_are_yielded():
    events = EventDecoder().feed(
        b"event: done\ndata: [DONE]\n\nevent: thread.run.queued\ndata: 1\n\n"
    )
    assert next(events) == DoneEvent()
    with pytest.raises(DecodeError):
        next(events)


@pytest.mark.parametrize("rest", [b"", b"\n", b"\r\n"])
def test_a_whole_event_without_its_blank_line_is_dispatched_at_the_end(rest):
    for body, name in (
        (b"event: done\ndata: [DONE]", "done"),
        (b"data: [DONE]", "done"),
        (b'event: thread.run.queued\ndata: {"id": "run_1"}', "thread.run.queued"),
    ):
        decoder = EventDecoder()
        assert list(decoder.feed(body + rest)) == []
        assert [event.event for event in decoder.flush()] == [name]


@pytest.mark.parametrize(
    "body",
    [
        b'event: thread.run.queued\ndata: {"id": "ru',
        b"data: [DO",
        b"event: thread.run.queued",
        b"data:",
    ],
)
def test_an_event_cut_in_the_middle_is_truncation(body):
    decoder = EventDecoder()
    assert list(decoder.feed(b"data: [DONE]\n\n" + body)) == [DoneEvent()]
    with pytest.raises(StreamTruncated):
        list(decoder.flush())


def test_the_message_of_a_truncation_stays_short():
    decoder = EventDecoder()
    assert list(decoder.feed(b"event: " + b"a" * 100_000 + b"\ndata: {")) == []
    with pytest.raises(StreamTruncated) as caught:
        list(decoder.flush())
    assert len(str(caught.value)) < 300


def test_the_bound_reaches_the_decoder():
    with pytest.raises(EventTooLargeError):
        list(EventDecoder(max_event_bytes=10).feed(b"data: 1234567890"))


# --- what is made late ---------------------------------------------------------------------


TEXT = b'event: thread.message.delta\ndata: {"id":"msg_1","delta":{"content":[%b]}}\n\n'
PART = b'{"index":%d,"type":"text","text":{"value":"a"}}'
CALLED = (
    b'event: thread.run.step.delta\ndata: {"id":"step_1","delta":{"step_details":'
    b'{"type":"tool_calls","tool_calls":[%b]}}}\n\n'
)
ARGUMENTS = b'{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{"}}'
LOGS = b'{"outputs":[{"index":%d,"type":"logs","logs":"a"}]}'
CODE = b'{"index":1,"type":"code_interpreter","code_interpreter":' + LOGS % 0 + b"}"
LATE = [TEXT % (PART % 0), CALLED % ARGUMENTS, CALLED % CODE]
SEVERAL = [TEXT % (PART % 0 + b"," + PART % 1), TEXT % b"", CALLED % (ARGUMENTS + b"," + CODE)]


def late(body):
    """An event as it comes, and the same as anybody would write it."""
    (event,) = EventDecoder().feed(body)
    (sent,) = SSEDecoder().feed(body)
    return event, decode_event(sent)


@pytest.mark.parametrize("body", LATE)
def test_an_event_whose_data_is_made_late_is_as_any_other(body):
    for look in (repr, hash, copy.copy, attrs.asdict, unstructure, encode_event, to_text, to_plain):
        event, plain = late(body)
        assert look(event) == look(plain)
    event, plain = late(body)
    assert plain == late(body)[0]
    assert pickle.loads(pickle.dumps(event)) == copy.deepcopy(event) == plain
    assert pickle.dumps(late(body)[0]) == pickle.dumps(plain)
    assert attrs.evolve(event, data=plain.data) == plain
    assert event.data is event.data
    assert to_text({"said": [late(body)[0]]}) == to_text({"said": [plain]})
    match late(body)[0]:
        case ThreadMessageDelta(MessageDeltaEvent("msg_1")):
            pass
        case ThreadRunStepDelta(RunStepDeltaEvent("step_1")):
            pass
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("body", LATE)
def test_it_is_as_frozen_and_as_empty_as_any_other(body):
    for event in late(body):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            event.data = None
        with pytest.raises(AttributeError, match=r"'Thread\w+Delta' .* 'x'"):
            event.x  # noqa: B018 -- it raises


def glanced(value, model):
    """What stands for a model, read by the attributes that the model has."""
    if isinstance(model, tuple):
        return tuple(glanced(one, other) for one, other in zip(value, model, strict=True))
    if not attrs.has(type(model)):
        return value
    names = [field.name for field in attrs.fields(type(model)) if not field.kw_only]
    return type(model)(*[glanced(getattr(value, n), getattr(model, n)) for n in names])


@pytest.mark.parametrize("body", LATE)
def test_at_a_glance_it_says_what_its_data_does(body):
    event, plain = late(body)
    seen = event.glance()
    assert glanced(seen, plain.data) == plain.data == plain.glance()
    assert seen is not event.data  # now it is made
    assert event.glance() is event.data == plain.data


@pytest.mark.parametrize("body", SEVERAL)
def test_a_delta_of_several_parts_is_as_any_other(body):
    event, plain = late(body)
    assert event.glance() is event.data
    assert event == plain


def test_two_threads_may_look_at_once():
    events = [late(body)[0] for body in LATE * 50]
    with ThreadPoolExecutor(4) as pool:
        looks = list(pool.map(lambda _: [event.data for event in events], range(4)))
    assert all(look == [late(body)[1].data for body in LATE * 50] for look in looks)


@pytest.mark.parametrize("body", LATE)
def test_it_is_one_object_for_the_collector(body):
    decoder = EventDecoder()
    events = list(decoder.feed(body))
    gc.collect()
    before = len(gc.get_objects())
    events += decoder.feed(body * 1000)
    gc.collect()
    assert len(gc.get_objects()) - before < 1100
    assert len(events) == 1001


@pytest.mark.parametrize(
    ("parts", "piece"),
    [
        (PART % 0, ("msg_1", 0, "a")),
        (b'{"index":2,"type":"text","text":{}}', ("msg_1", 2, None)),
        (PART % 0 + b"," + PART % 1, None),
        (b"", None),
        (b'{"index":0,"type":"refusal","refusal":"a"}', None),
        (b'{"index":0,"type":"text"}', None),
        (b'{"index":0,"type":"text","text":{"value":"a","annotations":[{"index":0}]}}', None),
    ],
)
def test_the_piece_of_a_delta_is_its_text_where_that_is_all(parts, piece):
    assert [event.piece() for event in late(TEXT % parts)] == [piece, piece]


# --- what events share ---------------------------------------------------------------------


def read(*said):
    """Events of one stream, each of a name and its data."""
    body = b"".join(b"event: %b\ndata: %b\n\n" % (name.encode(), to_json(d)) for name, d in said)
    return list(EventDecoder().feed(body))


RUN = {
    "id": "run_1",
    "status": "queued",
    "tools": [{"type": "hum", "hum": 1}, {"type": "function", "function": {"name": "f"}}],
    "metadata": {"a": "b"},
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "temperature": 1.0,
}


def test_what_is_told_again_is_the_same_object():
    created, queued, working, step, ended = read(
        ("thread.run.created", RUN),
        ("thread.run.queued", RUN),
        ("thread.run.in_progress", RUN | {"status": "in_progress"}),
        ("thread.run.step.created", {"id": "step_1", "run_id": "run_1"}),
        ("thread.run.completed", RUN | {"status": "completed", "metadata": {"a": "c"}}),
    )
    assert queued.data is created.data
    assert (working.data.status, ended.data.status) == ("in_progress", "completed")
    for name in ("id", "tools", "truncation_strategy", "temperature"):
        assert getattr(ended.data, name) is getattr(created.data, name)
    assert working.data.metadata is created.data.metadata
    assert ended.data.metadata == {"a": "c"}
    assert step.data == RunStep("step_1", run_id="run_1")


def test_the_same_words_of_another_kind_are_another_object():
    run, step = read(("thread.run.created", {"id": "x"}), ("thread.run.step.created", {"id": "x"}))
    assert (run.data, step.data) == (Run("x"), RunStep("x"))


def test_what_no_field_is_there_for_is_shared_too():
    first, same, other, without = read(
        ("thread.run.created", RUN | {"mood": [1]}),
        ("thread.run.queued", {"mood": [1], **RUN}),
        ("thread.run.in_progress", RUN | {"mood": [1.0]}),
        ("thread.run.completed", RUN),
    )
    assert same.data is first.data
    assert [type(mood) for mood in other.data.extra["mood"]] == [float]
    assert without.data.extra == {}
    assert without.data.tools is first.data.tools


def test_streams_share_nothing():
    (one,), (other,) = (read(("thread.run.created", RUN)) for _ in range(2))
    assert one == other
    assert one.data is not other.data
    assert one.data.metadata is not other.data.metadata


_near = st.sampled_from(
    [0, 0.0, -0.0, False, 1, 1.0, True, "1", None, "", [], {}, [1], [1.0], [True],
     {"a": 1}, {"a": True}, {"a": 1, "b": 2}, {"b": 2, "a": 1}]
)  # fmt: skip


def outcome(decode, said):
    try:
        event = decode(said)
        return repr(event), encode_event(event)
    except DecodeError as error:
        return str(error)


@given(
    st.sampled_from(sorted(set(NAMES) - {"done", "error"})),
    st.lists(st.tuples(st.lists(st.integers(0, 10), max_size=8), _near | _json), max_size=5),
)
def test_law_what_events_share_changes_none_of_them(name, changes):
    """To the types of numbers and the order of keys: 1, 1.0 and true are three values."""
    said = [with_something_else(_shapes, path, other) for path, other in changes]
    decoder = EventDecoder()
    for data in [_shapes, *said, _shapes]:
        text = to_json(data)
        body = b"event: %b\ndata: %b\n\n" % (name.encode(), text)
        alone = outcome(decode_event, ServerSentEvent(name, text.decode()))
        assert outcome(lambda body: next(iter(decoder.feed(body))), body) == alone


def test_an_object_that_is_told_again_takes_what_is_equal_from_before():
    said = {"id": "run_1", "status": "queued", "tools": [{"type": "code_interpreter"}]}
    before = structure(said, models.Run)
    assert structure(copy.deepcopy(said), models.Run, before=before) is before
    later = structure(said | {"status": "completed"}, models.Run, before=before)
    assert later == structure(said | {"status": "completed"}, models.Run)
    assert later.tools is before.tools


@pytest.mark.parametrize("name", ["oa4j-text.sse", "simple-text-v2.sse", "dotnet-text-1.sse"])
def test_the_short_way_to_write_a_delta_writes_what_the_long_way_does(name, wire):
    decoder = EventDecoder()
    data = (wire / "assistants" / name).read_bytes()
    deltas = [event for event in decoder.feed(data) if event.name == "thread.message.delta"]
    short = [encode_event(event) for event in deltas]
    assert [event.data for event in deltas]  # made now, so that the long way is taken
    assert [encode_event(event) for event in deltas] == short
    assert [decode_event(sent) for sent in short] == deltas
