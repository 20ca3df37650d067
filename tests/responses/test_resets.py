"""A response that its server begins anew: snapshots follow it, and text cannot be unsaid."""

import pytest
from reactivex import operators as ops

from rxassist import operators
from rxassist.errors import StreamDiverged
from rxassist.protocols.responses.events import ResponseInProgress

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
CALL = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}


def reset(*output):
    response = {"id": "resp_1", "status": "in_progress", "output": list(output)}
    return {"type": "response.in_progress", "response": response}


def delta(text, index=0, part=0):
    where = {"output_index": index, "content_index": part}
    return {"type": "response.output_text.delta", **where, "delta": text}


def message(*texts):
    content = [{"type": "output_text", "text": text} for text in texts]
    return {"type": "message", "id": "m", "content": content}


def done(item, index=0):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def text_done(text, index=0):
    return {"type": "response.output_text.done", "output_index": index, "text": text}


def ended(*output):
    response = {"id": "resp_1", "status": "completed", "output": list(output)}
    return {"type": "response.completed", "response": response}


def follow():
    return operators.text_deltas(on_reset="follow")


# --- text that comes again -----------------------------------------------------------------


@pytest.mark.parametrize(
    "again",
    [
        [delta("Hel"), delta("lo!"), ended(message("Hello!"))],
        [delta("H"), delta("e"), delta("llo!"), ended(message("Hello!"))],
        [delta("Hello!"), ended()],
        [delta("Hello!"), done(message("Hello!")), ended(message("Hello!"))],
        [delta("He"), text_done("Hello!"), ended(message("Hello!"))],
        [delta("He"), done(message("Hello!")), ended(message("Hello!"))],
        [text_done("Hello!"), ended()],
        [done(message("Hello!")), ended(message("Hello!"))],
        [ended(message("Hello!"))],
        [delta("He"), reset(), delta("Hello!"), ended()],
        [delta("Hello"), reset(), delta("Hell"), reset(), delta("Hello!"), ended()],
    ],
)
def test_text_that_repeats_is_emitted_once(told, emitted, again):
    events = told(CREATED, reset(), delta("Hel"), delta("lo"), reset(), *again)
    for operator in (operators.text_deltas(), follow()):
        assert emitted(operator, events) == (["Hel", "lo", "!"], [])


@pytest.mark.parametrize("kept", ["Hel", "Hello", "Hello!"])
def test_a_reset_may_bring_what_the_server_has_kept(told, emitted, kept):
    rest = "Hello!".removeprefix(kept)
    events = told(CREATED, delta("Hello"), reset(message(kept)), delta(rest), ended())
    assert emitted(operators.text_deltas(), events) == (["Hello", "!"], [])
    assert emitted(operators.accumulate_snapshots(), events)[0][-1].text == "Hello!"


def test_a_finished_message_comes_again_too(told, emitted):
    first = [delta("A"), done(message("A")), delta("B", 1)]
    events = told(CREATED, *first, reset(), *first, delta("C", 1), ended())
    assert emitted(operators.text_deltas(), events) == (["A", "B", "C"], [])


def test_each_part_comes_again(told, emitted):
    first = [delta("A"), delta("B", part=1)]
    events = told(CREATED, *first, reset(), *first, delta("C", part=1), ended(message("A", "BC")))
    assert emitted(operators.text_deltas(), events) == (["A", "B", "C"], [])
    separated = operators.text_deltas(separator="|")
    assert emitted(separated, events) == (["A", "|", "B", "C"], [])


def test_a_reset_before_any_text_is_none(told, emitted):
    events = told(CREATED, reset(), reset(), delta("Hi"), ended(message("Hi")))
    assert emitted(operators.text_deltas(), events) == (["Hi"], [])


def test_another_response_begins_nothing_anew(told, emitted):
    second = {"id": "resp_2", "status": "in_progress"}
    begins = [
        {"type": f"response.{name}", "response": second} for name in ("created", "in_progress")
    ]
    events = told(CREATED, delta("Hi"), ended(message("Hi")), *begins, delta("Ho"))
    assert emitted(operators.text_deltas(), events) == (["Hi", "Ho"], [])


# --- text that contradicts -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "heard", "came"),
    [
        ([delta("Hex")], "Hello", "Hex"),
        ([delta("Help")], "Hello", "Help"),
        ([delta("x")], "Hello", "x"),
        ([delta("Hell"), done(message("Hell"))], "Hello", "Hell"),
        ([done(message("Hi!"))], "Hello", "Hi!"),
        ([text_done("Hi!")], "Hello", "Hi!"),
        ([ended(message("Hell"))], "Hello", "Hell"),
        ([ended()], "Hello", ""),
        ([delta("Ho"), ended()], "Hello", "Ho"),
        ([reset(message("Hi"))], "Hello", "Hi"),
        ([done(CALL), ended(CALL)], "Hello", ""),
    ],
)
def test_text_that_contradicts_is_an_error(told, emitted, again, heard, came):
    events = told(CREATED, delta("Hel"), delta("lo"), reset(), *again)
    texts, (error,) = emitted(operators.text_deltas(), events)
    assert texts == ["Hel", "lo"]
    assert isinstance(error, StreamDiverged)
    assert (error.id, error.streamed, error.stored) == ("resp_1", heard, came)
    assert "on_reset='follow'" in str(error)


def test_a_finished_message_that_does_not_come_again_is_an_error(told, emitted):
    events = told(CREATED, done(message("A")), delta("B", 1), reset(), delta("A"), ended())
    texts, (error,) = emitted(operators.text_deltas(), events)
    assert (texts, type(error)) == (["A", "B"], StreamDiverged)


def test_readers_who_follow_get_the_new_text_from_where_it_differs(told, emitted):
    events = told(CREATED, delta("Hello"), delta("B", 1), reset(), delta("Hea"), delta("p"))
    events += told(done(message("Heap!")), delta("B", 1), ended(), response_id="resp_1")
    assert emitted(follow(), events) == (["Hello", "B", "a", "p", "!", "B"], [])
    assert emitted(operators.accumulate_snapshots(), events)[0][-1].text == "Heap!B"


def test_readers_who_follow_take_what_is_missing(told, emitted):
    events = told(CREATED, delta("Hello"), reset(), delta("He"), ended(message("He")))
    assert emitted(follow(), events) == (["Hello"], [])


def test_readers_who_follow_may_follow_twice(told, emitted):
    events = told(CREATED, delta("Ab"), reset(), delta("Ac"), reset(), delta("Acd"), ended())
    assert emitted(follow(), events) == (["Ab", "c", "d"], [])


@pytest.mark.parametrize("wrong", ["ignore", None, True])
def test_what_to_do_at_a_reset_is_one_of_two(wrong):
    with pytest.raises(ValueError, match="on_reset must be 'raise' or 'follow'"):
        operators.text_deltas(on_reset=wrong)


@pytest.mark.parametrize("make", [operators.sentences, operators.lines])
def test_operators_of_text_fail_too(told, emitted, make):
    operator = make()
    contradicted = told(CREATED, delta("Hello.\n"), reset(), delta("x"))
    assert [type(error) for error in emitted(operator, contradicted)[1]] == [StreamDiverged]
    again = told(CREATED, delta("Hello.\nNo"), reset(), delta("Hello.\n"), delta("No."), ended())
    whole = told(CREATED, delta("Hello.\nNo."), ended())
    assert "".join(emitted(operator, again)[0]) == "".join(emitted(operator, whole)[0])
    assert emitted(operator, again)[1] == []


def test_json_is_not_read_twice(told, emitted):
    events = told(CREATED, delta('{"n": 1'), reset(), delta('{"n": 12'), delta("}"), ended())
    texts, errors = emitted(operators.text_deltas(), events)
    assert errors == []
    assert emitted(operators.json_snapshots(), texts) == ([{"n": 1}, {"n": 12}], [])


# --- snapshots, items ----------------------------------------------------------------------


def test_texts_of_snapshots_follow(told, emitted):
    events = told(CREATED, delta("Hello"), reset(), delta("Hi"), ended(message("Hi")))
    assert emitted(operators.text_snapshots(), events) == (["Hello", "", "Hi"], [])
    kept = told(CREATED, delta("Hello"), reset(message("He")), delta("y"), ended())
    assert emitted(operators.text_snapshots(), kept) == (["Hello", "He", "Hey"], [])


def test_messages_and_calls_that_are_the_same_come_once(told, emitted):
    first = [done(message("A")), done(CALL, 1)]
    events = told(CREATED, *first, reset(), *first, ended(message("A"), CALL))
    assert len(emitted(operators.messages(), events)[0]) == 1
    assert len(emitted(operators.tool_calls(), events)[0]) == 1


def test_messages_and_calls_that_differ_come_again(told, emitted):
    other = {**CALL, "arguments": '{"a": 1}'}
    events = told(CREATED, done(message("A")), done(CALL, 1), reset(), done(message("B")))
    events += told(done(other, 1), ended(message("B"), other), response_id="resp_1")
    assert [each.text for each in emitted(operators.messages(), events)[0]] == ["A", "B"]
    calls = emitted(operators.tool_calls(), events)[0]
    assert [call.arguments for call in calls] == ["{}", '{"a": 1}']


def test_a_recorded_response_may_begin_anew_at_any_event(short_streams, decode, emitted):
    """What was heard, and then the whole response again, is the whole response once."""
    count = 0
    for path in short_streams:
        events = decode(path.read_bytes())
        begins = [at for at, each in enumerate(events) if isinstance(each, ResponseInProgress)]
        if len(begins) != 1:
            continue
        rest = events[begins[0] :]
        whole = [emitted(make(), events) for make in _MAKERS]
        texts = "".join(whole[0][0])
        for cut in range(begins[0] + 1, len(events) - 1, max(1, len(events) // 8)):
            anew = [emitted(make(), [*events[:cut], *rest]) for make in _MAKERS]
            assert ("".join(anew[0][0]), anew[0][1]) == (texts, [])
            assert anew[1:] == whole[1:]
            count += 1
    assert count > 50


def last_items():
    """The items and the response of the last snapshot."""
    last = (
        operators.accumulate_snapshots(),
        ops.last(),
        ops.map(lambda each: (each.items, each.run)),
    )
    return lambda source: source.pipe(*last)


_MAKERS = [operators.text_deltas, operators.messages, operators.tool_calls, last_items]
