"""Faults on demand, byte by byte over real sockets; and what clients that poll are told."""

import json
import re
import socket
import time
from contextlib import contextmanager

import httpx
import pytest

from rxassist.local import (
    LocalService,
    answer,
    break_chunk,
    call,
    cite,
    cut,
    drop,
    duplicate,
    empty,
    finish,
    forget,
    framing,
    garble,
    hang_up,
    insert,
    lagging,
    refuse,
    rewrite,
    say,
    shorten,
    stall,
    swap,
    trickle,
    truncate,
    wait,
)
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.wire.sse import ServerSentEvent, SSEDecoder

BODY = bytes(range(32, 127)) * 20
PLAIN = answer(BODY, "application/octet-stream")
EVENTS = answer("".join(f"event: e{n}\ndata: {n}\n\n" for n in range(4)), "text/event-stream")


# --- what comes over a socket --------------------------------------------------------------


@contextmanager
def asking(service, path="/anything", body=None, length=None):
    """Send a request by hand; with a ``length`` it says that its body is that long."""
    host, port = re.search(r"//(.*):(\d+)", service.base_url).groups()
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} /v1{path} HTTP/1.1\r\nhost: x\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connected:
        size = len(content) if length is None else length
        connected.sendall(f"{head}content-length: {size}\r\n\r\n".encode() + content)
        yield connected


def received(service, path="/anything", body=None):
    """All bytes that come, and how they end."""
    found = b""
    with asking(service, path, body) as connected:
        try:
            while piece := connected.recv(65536):
                found += piece
        except ConnectionResetError:
            return found, "reset"
    return found, "closed"


def parted(found):
    """The head and the body of an answer without its chunks, and whether the body has ended."""
    head, _, rest = found.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if length:
        return head, rest, len(rest) == int(length[1])
    body, size = b"", None
    while rest and size != 0:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        body, rest = body + rest[:size], rest[size + 2 :]
    return head, body, size == 0


@pytest.fixture(autouse=True)
def _the_server_has_nothing_to_complain_about(caplog):
    yield
    logged = caplog.get_records("call")
    assert [each for each in logged if each.name.startswith(("uvicorn", "asyncio"))] == []


@pytest.fixture
def spoil(serve):
    """A service with one fault."""
    return lambda fault, script=None: serve(script, faults=lambda _: fault)


@pytest.fixture
def get(spoil):
    """The whole answer of a service with one fault, by a plain client."""

    def get(fault):
        with httpx.Client() as client:
            return client.get(f"{spoil(fault).base_url}/anything")

    return get


# --- when faults are asked for -------------------------------------------------------------


def test_requests_are_refused_as_a_function_says(serve, connect):
    asked = []

    def faults(request):
        asked.append((request.method, request.path, request.attempt, request.number))
        if request.method == "POST" and request.attempt < 3:
            return refuse(429, {"retry-after": "7"})
        return None

    caller = connect(serve(faults=faults))
    for _ in range(2):
        refused = caller.http.post("/threads", json={})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
        assert refused.headers["x-request-id"].startswith("req_")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    thread = caller.thread()
    caller.get(f"/threads/{thread}")
    assert asked == [
        ("POST", "/v1/threads", 1, 1),
        ("POST", "/v1/threads", 2, 2),
        ("POST", "/v1/threads", 3, 3),
        ("GET", f"/v1/threads/{thread}", 1, 4),
    ]


def test_the_query_and_the_headers_are_known_and_the_key_is_not_shown(serve, connect):
    asked = []
    caller = connect(serve(faults=asked.append))
    caller.http.get("/assistants", params={"limit": 3}, headers={"authorization": "Bearer secret"})
    (request,) = asked
    assert (request.query, request.headers["Authorization"]) == ("limit=3", "Bearer secret")
    assert "secret" not in repr(request)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, "server_error"), (503, "server_error"), (409, "invalid_request_error")],
)
def test_a_refusal_has_no_effect_and_a_body_that_fits(serve, connect, wire, status, kind):
    service = serve(faults=lambda asked: refuse(status) if asked.method == "POST" else None)
    caller = connect(service)
    error = caller.refused("POST", "/assistants", status=status, body={"model": "m"})
    assert error["type"] == kind
    (path,) = (wire / "rest").glob("error-500*.json")
    assert set(error) == set(json.loads(path.read_text())["error"])
    assert caller.get("/assistants")["data"] == []


def test_an_upload_is_refused_when_it_is_over(serve, connect):
    caller = connect(serve(faults=lambda asked: refuse(503) if asked.attempt == 1 else None))
    form = {"files": {"file": ("a.txt", b"x" * 3_000_000)}, "data": {"purpose": "assistants"}}
    assert caller.http.post("/files", **form).status_code == 503
    assert caller.http.post("/files", **form).status_code == 200


@pytest.mark.parametrize("fault", [refuse(503), answer("<h1>no</h1>"), hang_up(handled=False)])
def test_nobody_is_answered_who_still_speaks(spoil, fault):
    with asking(spoil(fault), body={}, length=4) as connected:
        connected.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connected.recv(1)
        connected.settimeout(10)
        connected.sendall(b"  ")
        connected.recv(1)


def test_faults_that_raise_are_told_and_logged(serve, connect, caplog):
    def faults(_):
        msg = "no idea"
        raise RuntimeError(msg)

    error = connect(serve(faults=faults)).refused("GET", "/assistants", status=500)
    assert "RuntimeError: no idea" in error["message"]
    assert "`faults` raised" in caplog.text


# --- other answers -------------------------------------------------------------------------


def test_anything_can_be_answered(get):
    page = get(answer("<h1>Bad gateway</h1>", status=502, headers={"x-odd": "yes"}))
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
    assert (page.text, page.headers["x-odd"]) == ("<h1>Bad gateway</h1>", "yes")
    moved = get(answer(b"", status=307, headers={"location": "http://elsewhere/"}))
    assert (moved.status_code, moved.headers["location"]) == (307, "http://elsewhere/")


@pytest.mark.parametrize("status", [100, 199, 600])
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(ValueError, match=f"from 200 to 599, got {status}"):
        answer("", status=status)


# --- ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("at", [0, 1, 2, 999, len(BODY) - 1, len(BODY)])
def test_a_cut_is_exact(spoil, at, chunked, reset):
    plain = PLAIN | garble(0, b"") if chunked else PLAIN
    service = spoil(plain | cut(at, reset=reset))
    for _ in range(20):
        found, end = received(service)
        head, body, ended = parted(found)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (body, end) == (BODY[:at], "reset" if reset else "closed")
        assert ended is (at == len(BODY) and not chunked)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_cut_is_exact_where_a_body_is_larger_than_all_buffers(spoil, reset):
    body = bytes(20_000_000)
    service = spoil(answer(body) | cut(len(body) - 1, reset=reset))
    with asking(service) as connected:
        found = connected.recv(100)
        end = "closed"
        try:
            while piece := connected.recv(65536):
                found += piece
        except ConnectionResetError:
            end = "reset"
    assert len(parted(found)[1]) == len(body) - 1
    assert end == ("reset" if reset else "closed")


def test_a_cut_at_the_end_has_all_but_the_end(spoil):
    found, end = received(spoil(PLAIN | garble(0, b"") | cut(None)))
    assert (*parted(found)[1:], end) == (BODY, False, "closed")


def test_a_cut_behind_the_headers_waits_for_no_byte(spoil):
    found, end = received(spoil(PLAIN | stall(0) | cut(0)))
    assert (*parted(found)[1:], end) == (b"", False, "closed")


def test_a_cut_behind_the_end_is_none(get):
    assert get(PLAIN | cut(len(BODY) + 1)).content == BODY


@pytest.mark.parametrize("fault", [cut(200), cut(200, reset=True), stall(200), truncate(200)])
def test_a_run_goes_on_that_nobody_hears(serve, connect, fault):
    service = serve(
        lambda _: [say(*["word "] * 200)],
        faults=lambda asked: fault if asked.path.endswith("/runs") else None,
    )
    caller = connect(service)
    body = {"assistant_id": caller.assistant(), "stream": True}
    thread = caller.thread("hi")
    with asking(service, f"/threads/{thread}/runs", body) as connected:
        found = connected.recv(65536)
        service.wait_for(lambda: service.runs and not service.active_runs)
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")
    service.wait_for(lambda: not service.open_streams)
    (run_id,) = service.runs
    assert caller.get(f"/threads/{thread}/runs/{run_id}")["status"] == "completed"
    (written, _) = caller.get(f"/threads/{thread}/messages")["data"]
    assert written["content"][0]["text"]["value"] == "word " * 200


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("handled", [False, True])
def test_nobody_knows_whether_a_run_exists_where_the_service_hangs_up(
    serve, connect, handled, reset
):
    fault = hang_up(handled=handled, reset=reset)
    service = serve(faults=lambda asked: fault if asked.path.endswith("/runs") else None)
    caller = connect(service)
    body = {"assistant_id": caller.assistant(), "stream": True}
    path = f"/threads/{caller.thread('hi')}/runs"
    assert received(service, path, body) == (b"", "reset" if reset else "closed")
    service.wait_for(lambda: not service.active_runs)
    assert len(service.runs) == handled
    received(service, path, {**body, "stream": False})
    assert len(service.runs) == 2 * handled


def test_a_truncated_body_ends_properly(spoil):
    with asking(spoil(PLAIN | framing(chunk=5) | truncate(7))) as connected:
        found = b""
        while not found.endswith(b"0\r\n\r\n"):
            found += connected.recv(65536)
        assert parted(found)[1:] == (BODY[:7], True)
        connected.sendall(b"GET /v1/more HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connected.recv(65536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(("at", "body"), [(0, b""), (7, BODY[:7]), (None, BODY)])
def test_a_stalled_answer_stays_open(serve, at, body):
    service = serve(faults=lambda _: PLAIN | garble(0, b"") | stall(at))
    with asking(service) as connected:
        found = b""
        while parted(found)[1] != body or b"\r\n\r\n" not in found:
            found += connected.recv(65536)
        connected.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connected.recv(1)


def test_a_service_closes_while_an_answer_is_stalled(serve):
    service = serve(faults=lambda _: PLAIN | stall(3))
    with asking(service) as connected:
        connected.recv(1)
        began = time.monotonic()
        service.close()
        assert time.monotonic() - began < 1


def test_an_answer_trickles(spoil):
    began = time.monotonic()
    found, pieces = b"", 0
    with asking(spoil(PLAIN | truncate(12) | trickle(2, every=0.01))) as connected:
        while not found.endswith(b"0\r\n\r\n"):
            found += connected.recv(65536)
            pieces += 1
    assert time.monotonic() - began > 0.1
    assert pieces > 5
    assert parted(found)[1] == BODY[:12]
    assert b"\r\n2\r\n" + BODY[:2] + b"\r\n1\r\n" in found


def test_comments_trickle_for_ever(spoil):
    service = spoil(answer(BODY[:9]) | trickle(4, every=0.001, piece=b": \n"))
    with asking(service) as connected:
        found = b""
        while len(parted(found)[1]) < 100:
            found += connected.recv(65536)
    assert parted(found)[1].startswith(BODY[:4] + b": \n: \n: \n")


@pytest.mark.parametrize("fault", [trickle(3, every=60), trickle(3, every=0, piece=b"x" * 9)])
def test_a_service_closes_while_an_answer_trickles(serve, fault):
    service = serve(faults=lambda _: PLAIN | fault)
    with asking(service) as connected:
        connected.recv(1)
        began = time.monotonic()
        service.close()
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("make", [cut, truncate, stall, lambda at: garble(at, b"")])
def test_a_place_before_the_body_is_refused(make):
    with pytest.raises(ValueError, match="at must not be negative, got -1"):
        make(-1)


def test_a_negative_pause_is_refused():
    with pytest.raises(ValueError, match="every must not be negative, got -1"):
        trickle(0, every=-1)


# --- other bodies --------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 700, len(BODY)])
def test_garbage_is_inserted(get, at):
    for plain in (PLAIN, PLAIN | framing(chunk=7)):
        assert get(plain | garble(at, b"\xff\0")).content == BODY[:at] + b"\xff\0" + BODY[at:]


def test_garbage_behind_the_end_never_comes(get):
    assert get(PLAIN | garble(len(BODY) + 1, b"x")).content == BODY


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (framing(), "event: e0\ndata: 0\n\n"),
        (framing(line_end="\r\n"), "event: e0\r\ndata: 0\r\n\r\n"),
        (framing(line_end="\r"), "event: e0\rdata: 0\r\r"),
        (framing(bom=True), "\ufeffevent: e0\ndata: 0\n\n"),
        (framing(chunk=1) | framing(bom=True), "\ufeffevent: e0\ndata: 0\n\n"),
        (framing(comments=True), ": a comment\nevent: e0\n: a comment\ndata: 0\n: a comment\n\n"),
        (framing(line_end="\r\n") | framing(), "event: e0\ndata: 0\n\n"),
    ],
    ids=["lf", "crlf", "cr", "bom", "one bom", "comments", "back"],
)
def test_events_are_framed_differently(get, fault, text):
    content = get(EVENTS | fault).content
    assert content.startswith(text.encode())
    decoder = SSEDecoder()
    names = [event.event for event in decoder.feed(content)]
    assert (names, decoder.flush()) == (["e0", "e1", "e2", "e3"], None)


@pytest.mark.parametrize("size", [1, 3, 5000])
def test_chunks_are_as_large_as_is_said(spoil, size):
    with httpx.stream("GET", f"{spoil(PLAIN | framing(chunk=size)).base_url}/x") as answered:
        pieces = list(answered.iter_raw())
    assert b"".join(pieces) == BODY
    assert {len(piece) for piece in pieces[:-1]} <= {size}


def test_a_last_line_without_its_end_is_kept(get):
    assert get(answer("a\nb") | framing(line_end="\r\n")).content == b"a\r\nb"


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        framing(chunk=0)


MORE = ServerSentEvent("more", "{}")


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        (drop("e1", 3), "e0 e2"),
        (drop(), "e0 e1 e2 e3"),
        (duplicate("e1", 0), "e0 e0 e1 e1 e2 e3"),
        (swap(1), "e0 e2 e1 e3"),
        (swap(3), "e0 e1 e2"),
        (insert(MORE, at=0), "more e0 e1 e2 e3"),
        (insert(MORE, at=2) | drop("e1"), "e0 more e2 e3"),
        (
            rewrite(lambda seen: [MORE] * len(seen) if seen[-1].data == "2" else []),
            "more more more",
        ),
        (framing(line_end="\r\n", chunk=1) | drop(0), "e1 e2 e3"),
    ],
)
def test_events_come_twice_late_or_never(get, fault, names):
    events = SSEDecoder().feed(get(EVENTS | fault).content)
    assert [event.event for event in events] == names.split()


def test_the_last_event_of_a_body_without_its_blank_line_is_not_lost(get):
    events = SSEDecoder().feed(get(answer("data: 1") | duplicate(0)).content)
    assert [event.data for event in events] == ["1", "1"]


def test_a_stream_is_rewritten_while_it_comes(serve, connect):
    def script(_):
        yield say("begun")
        yield wait(60)

    error = ServerSentEvent("error", '{"message": "no", "type": "server_error"}')
    service = serve(
        script,
        faults=lambda asked: (
            insert(error, at=3) | drop("thread.run.queued") if asked.path.endswith("runs") else None
        ),
    )
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    body = {"assistant_id": caller.assistant(), "stream": True}
    with caller.http.stream("POST", path, json=body) as answered:
        names = []
        decoder = EventDecoder()
        for chunk in answered.iter_raw():
            names += [event.event for event in decoder.feed(chunk)]
            if "thread.message.delta" in names:
                break
    assert names[:4] == [
        "thread.run.created",
        "thread.run.in_progress",
        "error",
        "thread.run.step.created",
    ]


# --- what clients that poll are told -------------------------------------------------------


def test_clients_that_poll_are_told_when_to_come_again(serve, connect):
    service = serve(lambda _: [call("f")], ingest=lambda _: [wait(60)])
    caller = connect(service)
    run = caller.start("hi")
    file = caller.upload()["id"]
    store = caller.store(file)
    batch = caller.post(f"{store}/file_batches", file_ids=[file])
    paths = [
        f"/threads/{run['thread_id']}/runs/{run['id']}",
        store,
        f"{store}/files/{file}",
        f"{store}/file_batches/{batch['id']}",
    ]

    def told():
        return {caller.http.get(path).headers.get("openai-poll-after-ms") for path in paths}

    assert told() == {"50"}
    service.poll_after_ms = 7
    assert told() == {"7"}
    service.poll_after_ms = None
    assert told() == {None}
    assert "openai-poll-after-ms" not in caller.http.get(f"/files/{file}").headers


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_pause_without_end_is_refused(seconds):
    with pytest.raises(ValueError, match="every must be finite"):
        trickle(0, every=seconds)
    with pytest.raises(ValueError, match="seconds must be finite"):
        wait(seconds)
    with pytest.raises(ValueError, match="token_delay must be finite"):
        LocalService(token_delay=seconds)


# --- answers that come after the request was acted on --------------------------------------

GONE = "upstream connect error or disconnect/reset before headers"
GATEWAY = answer(GONE, "text/plain", status=503, headers={"retry-after": "1"}, handled=True)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("alone", [False, True], ids=["on a thread", "with its thread"])
def test_a_run_exists_although_a_gateway_says_that_nothing_was_reached(
    serve, connect, streamed, alone
):
    service = serve(
        lambda _: [say("text")],
        faults=lambda asked: GATEWAY if asked.path.endswith("/runs") else None,
    )
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs" if alone else "/threads/runs"
    body = {"assistant_id": caller.assistant(), "stream": streamed}
    told = caller.http.post(path, json=body)
    assert (told.status_code, told.text) == (503, GONE)
    assert told.headers["content-type"].startswith("text/plain")
    assert told.headers["retry-after"] == "1"
    service.wait_for(lambda: len(service.runs) == 1 and not service.active_runs)
    assert service.open_streams == 0


@pytest.mark.parametrize(
    "fault", [GATEWAY, answer("<html>", handled=True), refuse(409, handled=True)]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_outputs_are_taken_although_the_answer_says_nothing_of_it(serve, connect, fault, streamed):
    def script(_):
        yield say((yield call("f")))

    service = serve(script, faults=lambda asked: fault if asked.path.endswith("_outputs") else None)
    caller = connect(service)
    run = caller.perform("hi")[-2].data
    (asked,) = run.required_action.submit_tool_outputs.tool_calls
    path = f"/threads/{run.thread_id}/runs/{run.id}"
    body = {"tool_outputs": [{"tool_call_id": asked.id, "output": "taken"}], "stream": streamed}
    told = caller.http.post(f"{path}/submit_tool_outputs", json=body)
    assert told.content == caller.http.post(f"{path}/submit_tool_outputs", json=body).content
    service.wait_for(lambda: not service.active_runs)
    assert caller.get(path)["status"] == "completed"
    newest = caller.get(f"/threads/{run.thread_id}/messages")["data"][0]
    assert newest["content"][0]["text"]["value"] == "taken"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", [answer(GONE, status=504, handled=True, after=0.3)])
def test_a_service_may_act_after_the_answer_of_a_gateway(serve, connect, fault, streamed):
    service = serve(
        lambda _: [say("text")],
        faults=lambda asked: (
            fault if (asked.method, asked.path[-5:]) == ("POST", "/runs") else None
        ),
    )
    caller = connect(service)
    thread_id, assistant_id = caller.thread("hi"), caller.assistant()
    body = {"assistant_id": assistant_id, "stream": streamed}
    told = caller.http.post(f"/threads/{thread_id}/runs", json=body)
    assert (told.status_code, told.text, service.runs) == (504, GONE, [])
    service.wait_for(lambda: len(service.runs) == 1 and not service.active_runs)
    (run,) = caller.get(f"/threads/{thread_id}/runs")["data"]
    assert (run["status"], run["assistant_id"]) == ("completed", assistant_id)


def test_a_service_may_act_after_the_connection_was_closed(serve, connect):
    fault = hang_up(handled=True, after=0.3)
    service = serve(faults=lambda asked: fault if asked.path.endswith("/runs") else None)
    caller = connect(service)
    body = {"assistant_id": caller.assistant()}
    with pytest.raises(httpx.RemoteProtocolError):
        caller.http.post("/threads/runs", json=body)
    assert service.runs == []
    service.wait_for(lambda: len(service.runs) == 1 and not service.active_runs)


def test_what_has_no_effect_has_none_later():
    for make in (answer, refuse, hang_up):
        given = {answer: ["x"], refuse: [503], hang_up: []}[make]
        with pytest.raises(ValueError, match="after=1 needs handled=True"):
            make(*given, handled=False, after=1)
        with pytest.raises(ValueError, match="after must not be negative"):
            make(*given, handled=True, after=-1)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_service_may_forget_what_it_was_asked_for(serve, connect, streamed):
    fault = forget("metadata", "temperature")
    service = serve(faults=lambda asked: fault if asked.path.endswith("/runs") else None)
    caller = connect(service)
    given = {"metadata": {"a": "b"}, "temperature": 0.5, "instructions": "Be brief."}
    body = {"assistant_id": caller.assistant(), "stream": streamed, **given}
    thread_id = caller.thread("hi")
    caller.http.post(f"/threads/{thread_id}/runs", json=body)
    (run,) = caller.get(f"/threads/{thread_id}/runs")["data"]
    assert (run["metadata"], run["temperature"]) == ({}, 1)
    assert run["instructions"] == "Be brief."


def test_an_answer_before_a_request_is_handled_has_no_effect(serve, connect):
    service = serve(faults=lambda asked: answer("x") if asked.path.endswith("/runs") else None)
    caller = connect(service)
    caller.http.post("/threads/runs", json={"assistant_id": caller.assistant()})
    assert service.runs == []


# --- HTTP itself is broken -----------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [b"<html>502 Bad Gateway</html>", b"-5\r\n", b"5\nabcde\n", b"\r\n"]
)
@pytest.mark.parametrize("at", [0, 1, 700])
def test_a_chunk_is_broken_at_a_place_of_the_body(spoil, raw, at):
    for plain in (PLAIN, PLAIN | framing(chunk=7)):
        found, end = received(spoil(plain | break_chunk(at, raw)))
        assert end == "closed"
        assert found.endswith(raw)
        head, body, _ = parted(found.removesuffix(raw) + b"0\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        assert body == BODY[:at]


def test_a_broken_chunk_is_an_error_for_clients(spoil):
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("GET", f"{spoil(PLAIN | break_chunk(10)).base_url}/x") as answered,
    ):
        answered.read()


def test_after_a_broken_chunk_the_connection_can_stay_open(spoil):
    with asking(spoil(PLAIN | break_chunk(10, b"17", close=False))) as connected:
        found = b""
        while not found.endswith(b"17"):
            found += connected.recv(65536)
        connected.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connected.recv(1)


# --- streams and stores that are not what they seem ----------------------------------------


@pytest.mark.parametrize(("at", "names"), [(0, "done"), (2, "e0 e1 done"), (9, "e0 e1 e2 e3")])
def test_a_stream_says_that_it_is_done_before_it_is(get, at, names):
    events = SSEDecoder().feed(get(EVENTS | finish(at)).content)
    assert [event.event for event in events] == names.split()


def test_a_store_lags_for_the_first_reads(serve, connect):
    service = serve(
        lambda _: [say("some text", cite("file-1", "[1]"), ", and more")],
        faults=lagging(2, run=refuse(404), messages=shorten(9), steps=empty()),
    )
    caller = connect(service)
    runs = [caller.perform("hi")[-2].data for _ in range(2)]
    for run in runs:  # each run lags by itself
        thread = f"/threads/{run.thread_id}"
        path = f"{thread}/runs/{run.id}"
        for _ in range(2):
            caller.refused("GET", path, status=404)
            assert caller.get(f"{path}/steps")["data"] == []
            (text, asked) = (
                each["content"][0]["text"] for each in caller.get(f"{thread}/messages")["data"]
            )
            assert text == {"value": "some text", "annotations": []}
            assert asked["value"] == "hi"
        assert caller.get(path)["status"] == "completed"
        assert len(caller.get(f"{path}/steps")["data"]) == 1
        text = caller.get(f"{thread}/messages")["data"][0]["content"][0]["text"]
        assert text["value"] == "some text[1], and more"
        assert len(text["annotations"]) == 1


def test_a_text_is_cut_where_it_is_said(serve, connect):
    caller = connect(serve(faults=lagging(3, messages=shorten(2))))
    thread = caller.thread("abc", "d", "")
    page = caller.get(f"/threads/{thread}/messages", order="asc")
    assert [each["content"][0]["text"]["value"] for each in page["data"]] == ["ab", "d", ""]
    assert page["has_more"] is False


@pytest.mark.parametrize("make", [lagging, shorten])
def test_less_than_nothing_is_refused(make):
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        make(-1)
