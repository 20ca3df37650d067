"""What goes wrong with responses on purpose, and recordings of other servers said again."""

import json
from collections import deque
from pathlib import Path

import httpx
import pytest

from rxassist.errors import StreamTruncated
from rxassist.local import (
    append,
    call,
    cut,
    drop,
    error_form,
    fail,
    final_output,
    framing,
    hang,
    hang_up,
    incomplete,
    keepalive,
    other_final_ids,
    queued,
    refuse,
    rename,
    renumber,
    replay,
    reset,
    restart_numbers,
    rewind,
    rotate_ids,
    say,
    unstreamed,
    wait,
)
from rxassist.protocols.responses.codec import EventDecoder, encode_event
from rxassist.protocols.responses.events import (
    ErrorEvent,
    FailureAnnounced,
    KeepAlive,
    ResponseEvent,
    ResponseInProgress,
)
from rxassist.protocols.responses.snapshots import NOTHING, fold
from rxassist.wire.sse import SSEDecoder, encode

BODY = {"model": "m", "input": "hi", "stream": True}


def talk(_):
    yield say("one ", "two ", "three")
    yield call("f", {})


def decoded(content):
    decoder = EventDecoder()
    return [*decoder.feed(content), *decoder.flush()]


def plain(content):
    decoder = SSEDecoder()
    return [json.loads(sent.data) for sent in decoder.feed(content) if sent.data != "[DONE]"]


@pytest.fixture
def faulty(serve, connect):
    """The HTTP client of a service with a fault: ``faulty(fault, script)``."""

    def begin(fault, script=talk, **options):
        return connect(serve(script, faults=lambda _: fault, **options)).http

    return begin


def heard(http, **body):
    return http.post("/responses", json={**BODY, **body}).content


def continued(http, response_id, after=None):
    query = {"stream": "true"} | ({} if after is None else {"starting_after": after})
    return http.get(f"/responses/{response_id}", params=query)


def numbers(content):
    return [event.get("sequence_number") for event in plain(content)]


@pytest.mark.parametrize("every", [1, 2, 3, 7, 100])
def test_keepalives_take_numbers_and_a_stream_goes_on_behind_any(faulty, every):
    http = faulty(keepalive(every))
    content = heard(http, background=True)
    events = plain(content)
    usual = [event for event in events if event["type"] != "keepalive"]
    assert numbers(content) == list(range(len(events)))
    assert len(events) == len(usual) + (len(usual) - 1) // every
    response_id = events[0]["response"]["id"]
    for after in range(len(events)):
        assert plain(continued(http, response_id, after).content) == events[after + 1 :]
    assert any(isinstance(event, KeepAlive) for event in decoded(content)) == (every < 100)


def test_events_are_dropped_by_patterns(faulty):
    names = {event["type"] for event in plain(heard(faulty(drop("*.done"))))}
    assert not any(name.endswith(".done") for name in names)
    assert "response.completed" in names
    first = plain(heard(faulty(drop("response.created"))))[0]
    assert first["type"] == "response.in_progress"


def test_ids_rotate(faulty):
    events = plain(heard(faulty(rotate_ids())))
    item_ids = [event["item_id"] for event in events if "item_id" in event]
    item_ids += [event["item"]["id"] for event in events if "item" in event]
    item_ids += [item["id"] for item in events[-1]["response"]["output"]]
    response_ids = [event["response"]["id"] for event in events if "response" in event]
    for ids in (item_ids, response_ids):
        assert len(set(ids)) == len(ids) > 1
    events = plain(heard(faulty(rotate_ids(response=False))))
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1


def test_the_ids_at_the_end_differ(faulty):
    events = plain(heard(faulty(other_final_ids())))
    done = {event["item"]["id"] for event in events if "item" in event}
    final = {item["id"] for item in events[-1]["response"]["output"]}
    assert len(done) == len(final) == 2
    assert not done & final


@pytest.mark.parametrize("output", [None, []])
def test_the_output_at_the_end_is_missing(faulty, output):
    events = plain(heard(faulty(final_output(output))))
    assert events[-1]["response"]["output"] == output
    assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def broken(_):
    yield say("x")
    yield fail("rate_limit_exceeded", "Too fast.")


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_an_error_has_other_forms(faulty, flat, alone):
    content = heard(faulty(error_form(flat=flat, alone=alone), broken))
    *_, error, last = plain(content) if not alone else [*plain(content), {}]
    assert error["type"] == "error"
    assert ("error" in error) is not flat
    assert (error if flat else error["error"])["message"] == "Too fast."
    assert last.get("type") == (None if alone else "response.failed")
    told = [event for event in decoded(content) if isinstance(event, ErrorEvent)]
    assert [isinstance(event, FailureAnnounced) for event in told] == [not alone]
    assert told[0].data.code == "rate_limit_exceeded"


def test_a_name_carries_another_status(faulty):
    fault = rename("response.incomplete", to="response.completed")
    event = plain(heard(faulty(fault, lambda _: [say("a"), incomplete()])))[-1]
    assert (event["type"], event["response"]["status"]) == ("response.completed", "incomplete")


def test_a_cancelled_response_fails_where_it_is_told(serve, connect):
    def endless(_):
        while True:
            yield wait(0.01)

    http = connect(serve(endless, foundry=True)).http
    response_id = http.post("/responses", json={**BODY, "stream": False, "background": True}).json()
    response_id = response_id["id"]
    with http.stream("GET", f"/responses/{response_id}", params={"stream": "true"}) as answer:
        pieces = answer.iter_bytes()
        content = next(pieces)
        http.post(f"/responses/{response_id}/cancel")
        content += b"".join(pieces)
    event = decoded(content)[-1]
    assert event.name == "response.failed"
    assert event.run_status() == "cancelled"
    assert numbers(content) == list(range(len(numbers(content))))
    assert http.get(f"/responses/{response_id}").json()["status"] == "cancelled"


def test_numbers_are_missing_or_jump_or_restart(faulty):
    assert set(numbers(heard(faulty(renumber(lambda _: None))))) == {None}
    assert numbers(heard(faulty(renumber(lambda number: 2 * number))))[:3] == [0, 2, 4]
    http = faulty(restart_numbers())
    content = heard(http, background=True)
    rest = continued(http, plain(content)[0]["response"]["id"], 4).content
    assert numbers(rest) == list(range(len(numbers(content)) - 5))


def test_events_come_twice_when_a_stream_goes_on(faulty):
    http = faulty(rewind(2))
    events = plain(heard(http, background=True))
    assert plain(continued(http, events[0]["response"]["id"], 6).content) == events[5:]


def test_a_request_to_go_on_is_answered_with_json(faulty):
    http = faulty(unstreamed())
    events = plain(heard(http, background=True))
    answer = continued(http, events[0]["response"]["id"], 6)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == events[-1]["response"]


def test_another_replica_has_no_events(faulty):
    assert continued(faulty(refuse(409)), "resp_x").status_code == 409


@pytest.mark.parametrize("script", [broken, talk])
def test_a_stream_hangs_unless_the_response_completed(faulty, script):
    http = faulty(hang(), script)
    content = b""
    with http.stream("POST", "/responses", json=BODY, timeout=0.3) as answer:
        try:
            for piece in answer.iter_bytes():
                content += piece
        except httpx.ReadTimeout:
            assert script is broken
        else:
            assert script is talk
    names = [event["type"] for event in plain(content)]
    assert names[-1] == ("response.failed" if script is broken else "response.completed")


def test_a_response_is_queued_for_ever(faulty):
    http = faulty(queued())
    content = bytearray()
    body = {**BODY, "background": True}
    with http.stream("POST", "/responses", json=body, timeout=0.3) as said:
        pieces = said.iter_bytes()
        with pytest.raises(httpx.ReadTimeout):
            deque(map(content.extend, pieces), maxlen=0)
    names = [event["type"] for event in plain(bytes(content))]
    assert names == ["response.created", "response.queued"]
    response_id = plain(bytes(content))[0]["response"]["id"]
    response = http.get(f"/responses/{response_id}").json()
    assert (response["status"], response["output"]) == ("queued", [])


@pytest.mark.parametrize("keep", [0, 1])
def test_a_response_is_reset(serve, connect, keep):
    def script(_):
        yield say("kept")
        yield say("lost")
        yield reset(keep)
        yield say("found")

    http = connect(serve(script)).http
    content = heard(http)
    events = decoded(content)
    again = [event for event in events if isinstance(event, ResponseInProgress)][1]
    assert len(again.response.output) == keep
    snapshot = NOTHING
    for event in events:
        snapshot = fold(snapshot, event)
    assert snapshot.text == ("kept" if keep else "") + "found"
    assert snapshot.output == events[-1].response.output
    with pytest.raises(ValueError, match="must not be negative"):
        reset(-1)


def test_two_responses_come_in_one_body(faulty):
    other = heard(faulty(None))
    events = decoded(heard(faulty(append(other))))
    created = [event.response_id for event in events if event.name == "response.created"]
    assert len(set(created)) == 2


def test_a_stream_ends_with_done_where_it_is_added(faulty):
    content = heard(faulty(append(b"data: [DONE]\n\n") | framing(comments=True)))
    assert decoded(content)[-1].is_done
    assert b": a comment" in content


@pytest.mark.parametrize("reset_too", [False, True])
def test_a_cut_stream_stops_a_response_unless_it_is_in_the_background(serve, connect, reset_too):
    def endless(_):
        yield say("a")
        while not free:
            yield wait(0.01)
        yield say("b")

    free = []

    def cut_streams(asked):
        return cut(1500, reset=reset_too) if asked.method == "POST" else None

    service = serve(endless, faults=cut_streams)
    http = connect(service).http
    for background in (False, True):
        with (
            http.stream("POST", "/responses", json={**BODY, "background": background}) as answer,
            pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)),
        ):
            deque(answer.iter_bytes(), maxlen=0)
        response_id = service.runs[-1]
        if not background:
            service.wait_for(lambda: not service.active_runs)
            assert http.get(f"/responses/{response_id}").status_code == 404
    free.append(True)
    assert decoded(continued(http, response_id).content)[-1].response.output_text == "ab"


def test_a_request_is_handled_though_its_answer_is_lost(serve, connect):
    service = serve(talk, faults=lambda asked: hang_up(handled=True) if asked.number == 1 else None)
    http = connect(service).http
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/responses", json={**BODY, "background": True, "stream": False})
    (response_id,) = service.runs
    service.wait_for(lambda: not service.active_runs)
    assert http.get(f"/responses/{response_id}").json()["status"] == "completed"


# --- recordings ------------------------------------------------------------------------------

FOLDER = Path(__file__).parents[1] / "wire" / "responses"
FILES = sorted(FOLDER.glob("*.sse"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def recorded(request):
    return request.param.read_bytes()


def test_a_recording_is_said_again(serve, connect, recorded):
    http = connect(serve(faults=replay(recorded))).http
    content = heard(http)
    assert content == recorded
    events = decoded(content)
    encoded = b"".join(encode(encode_event(event)) for event in events)
    assert decoded(encoded) == events
    carried = [event.response for event in events if isinstance(event, ResponseEvent)]
    stored = http.get("/responses/any")
    if carried:
        assert stored.json()["id"] == carried[-1].id
        assert stored.json()["status"] == carried[-1].wire_status
    else:
        assert stored.status_code == 404


def test_a_recording_goes_on_behind_a_number(serve, connect, recorded):
    http = connect(serve(faults=replay(recorded))).http
    events = decoded(recorded)
    said = [event.sequence_number for event in events]
    after = said[len(said) // 2]
    if after is None:
        assert continued(http, "any", 1).content == recorded
        return
    rest = EventDecoder(response_id=events[-1].response_id)
    heard_again = [*rest.feed(continued(http, "any", after).content), *rest.flush()]
    again = [event.sequence_number for event in heard_again]
    assert again == said[said.index(after) + 1 :]
    assert continued(http, "any").content == recorded


def test_a_recording_that_is_cut_is_refused():
    content = FILES[0].read_bytes()
    cut_at = content.rindex(b"}")
    with pytest.raises(StreamTruncated):
        replay(content[:cut_at])
