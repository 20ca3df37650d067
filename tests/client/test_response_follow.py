"""A response of another program, after the first part of its stream, and with its functions."""

import pytest
from attrs import evolve
from reactivex import operators as ops

from rxassist import RxAssistError, StreamTruncated
from rxassist.local import call, say, think
from rxassist.protocols.responses.known import Known

ASKED = {"model": "m", "input": "hi", "background": True}


def sums(_):
    yield think("Hm.")
    yield say("So: ")
    total = yield call("add", {"a": 1, "b": 2})
    yield say(f"{total} is ", "the sum")


@pytest.fixture
def calls():
    return []


@pytest.fixture
def add(calls):
    def add(a: int, b: int) -> int:
        calls.append((a, b))
        return a + b

    return add


def every(side, begin):
    stream = side.begin(begin)
    return side(lambda _: stream.pipe(ops.to_list()))


def successor(side, known, **options):
    return every(side, lambda client: client.responses._follow(known, options))


def names(events):
    return [event.name for event in events]


def test_any_first_events_and_those_that_follow_are_the_whole_response(serve, connect):
    side = connect(serve(sums))
    whole = every(side, lambda client: client.responses.stream(**ASKED))
    (response_id,) = {event.response_id for event in whole}
    assert every(side, lambda client: client.responses.resume(response_id)) == whole
    for count in range(len(whole) + 1):
        known = Known(whole[:count], response_id)
        assert successor(side, known) == whole[count:], count


def test_a_successor_at_every_event_calls_the_function_once(serve, connect, add, calls):
    service = serve(sums)
    side = connect(service)
    pattern = names(every(side, lambda client: client.responses.stream(**ASKED, tools=[add])))
    tools = [{"type": "function", "name": "add", "parameters": {"type": "object"}}]
    first = every(side, lambda client: client.responses.stream(**ASKED, tools=tools))
    for count in range(1, len(first) + 1):
        calls.clear()
        rest = successor(side, Known(first[:count]), tools=[add])
        assert names([*first[:count], *rest]) == pattern, count
        assert calls == [(1, 2)]
    run = rest[-1].run()
    assert run.previous_response_id == first[-1].response_id
    assert run.output_text == "3 is the sum"
    stored = side(lambda client: client.responses.retrieve(run.id))
    assert [tool["name"] for tool in stored.tools] == ["add"]
    second = [event for event in rest if event.response_id == run.id]
    for count in range(1, len(second) + 1):
        known = Known([*first, *second[:count]])
        assert successor(side, known, tools=[add]) == second[count:]
    assert calls == [(1, 2)]


def test_an_output_that_is_known_is_not_made_again(serve, connect, add, calls):
    side = connect(serve(sums))
    first = every(side, lambda client: client.responses.stream(**ASKED))
    asked = first[-1].run().required_calls[0]
    known = Known(first, outputs={asked.call_id: "30"})
    rest = successor(side, known, tools=[add])
    assert rest[-1].run().output_text == "30 is the sum"
    assert calls == []


def test_resume_calls_functions(serve, connect, add):
    side = connect(serve(sums))
    first = every(side, lambda client: client.responses.stream(**ASKED))
    waiting = first[-1].response_id
    events = every(side, lambda client: client.responses.resume(waiting, tools=[add]))
    assert events[: len(first)] == first
    assert events[-1].run().output_text == "3 is the sum"


def test_a_response_that_was_not_in_the_background_ended_with_its_program(serve, connect):
    side = connect(serve(sums))
    whole = every(side, lambda client: client.responses.stream(model="m", input="hi"))
    rest = successor(side, Known(whole[:4]))
    assert names([*whole[:4], *rest])[-1] == names(whole)[-1]
    assert rest[-1].run() == whole[-1].run()
    begun = evolve(whole[0], response_id="resp_none", response=evolve(whole[0].response, id="x"))
    with pytest.raises(StreamTruncated, match="has no stream here"):
        successor(side, Known([begun]))


def test_a_response_that_is_not_kept_is_not_gone_on_with(serve, connect, add):
    side = connect(serve(sums))
    first = every(side, lambda client: client.responses.stream(model="m", input="hi", store=False))
    with pytest.raises(RxAssistError, match="store=False"):
        successor(side, Known(first), tools=[add])
