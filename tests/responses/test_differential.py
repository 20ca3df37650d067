"""The same bytes through the official SDK's helper, its raw stream, and ours.

Every recorded response comes from the same local socket. What the three readers tell is equal: the
text as it came, and the final response with its status, items, calls and usage; but for
``DEVIATIONS``. A difference that none of them explains fails, and so does a deviation that occurs
no more.
"""

import asyncio
import socketserver
import threading
from contextlib import contextmanager

import pytest

from rxassist import AsyncClient, Client, to_dict
from rxassist.wire.json import from_json, to_json

openai = pytest.importorskip("openai")
SDK = int(openai.__version__.partition(".")[0])
ENDS = {"response.completed", "response.failed", "response.incomplete"}
SENT = {"model": "m", "input": "x"}


# --- a server that says what it is given ---------------------------------------------------


class Handler(socketserver.StreamRequestHandler):
    """Answers any request with the server's body."""

    def handle(self):
        length = 0
        while (line := self.rfile.readline()) not in {b"\r\n", b""}:
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.rfile.read(length)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        self.wfile.write(head + self.server.body)


class Server(socketserver.ThreadingTCPServer):
    """Its ``body`` may be changed between two requests."""

    daemon_threads = True
    body = b""


@contextmanager
def serving():
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


# --- what each reader tells ----------------------------------------------------------------

ADDED = {"parsed", "parsed_arguments"}
"""Fields that the helper adds to what the service sent."""


def plain(value):
    """A final response without what is empty, and what the helper adds."""
    if isinstance(value, dict):
        picked = {key: plain(each) for key, each in value.items() if key not in ADDED}
        return {key: each for key, each in picked.items() if each not in (None, "", [], {})}
    return [plain(each) for each in value] if isinstance(value, list) else value


class Told:
    """The deltas of text that a reader emits, the final response, and the error it ends with."""

    def __init__(self):
        self.text = ""
        self.final = None
        self.error = None

    def hear(self, event):
        """An event of the SDK."""
        if event.type == "response.output_text.delta":
            self.text += event.delta
        if event.type in ENDS:
            self.final = self.as_plain(event.response)

    @staticmethod
    def as_plain(response):
        return plain(response.to_dict(mode="json", warnings=False))

    def shown(self):
        return {"text": self.text, "error": self.error, "final": self.final}


def ours_as_plain(response):
    """With our status, which is not always the word of the wire."""
    return {**plain(to_dict(response)), "status": response.status}


@contextmanager
def noting(told):
    """Whatever the reader raises is noted."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        told.error = type(error).__name__


def read(url):
    """What the helper, the raw stream and ours tell of what the server says."""
    helper, raw, ours = Told(), Told(), Told()
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as sdk, Client(base_url=url) as we:
        with noting(helper), sdk.responses.stream(**SENT) as stream:
            for event in stream:
                helper.hear(event)
            helper.final = Told.as_plain(stream.get_final_response())
        with noting(raw):
            for event in sdk.responses.create(**SENT, stream=True):
                raw.hear(event)
        with noting(ours), we.responses.stream(**SENT, recover=False) as stream:
            for piece in stream.text_deltas:
                ours.text += piece
            ours.final = ours_as_plain(stream.get_final_run())
    return helper, raw, ours


async def read_later(url):
    """The same, asynchronously."""
    helper, raw, ours = Told(), Told(), Told()
    async with (
        asyncio.timeout(30),
        openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as sdk,
        AsyncClient(base_url=url) as we,
    ):
        with noting(helper):
            async with sdk.responses.stream(**SENT) as stream:
                async for event in stream:
                    helper.hear(event)
                helper.final = Told.as_plain(await stream.get_final_response())
        with noting(raw):
            async for event in await sdk.responses.create(**SENT, stream=True):
                raw.hear(event)
        with noting(ours):
            async with we.responses.stream(**SENT, recover=False) as stream:
                async for piece in stream.text_deltas:
                    ours.text += piece
                ours.final = ours_as_plain(await stream.get_final_run())
    return helper, raw, ours


# --- the written list of deviations --------------------------------------------------------


class Outcome:
    """What the three tell, and the events that the server sent."""

    def __init__(self, helper, raw, ours, events):
        self.helper, self.raw, self.ours, self.events = helper, raw, ours, events

    @property
    def names(self):
        return [event["type"] for event in self.events]

    def shown(self):
        return [each.shown() for each in (self.helper, self.raw, self.ours)]

    def excuse(self, reader):
        """Take what ours tells as what another reader would have told."""
        reader.text, reader.final, reader.error = self.ours.text, self.ours.final, self.ours.error

    def has_raised(self, error):
        """Whether the helper gave up with an error where its raw stream went on."""
        return self.helper.error == error and self.raw.error != error

    def is_silent(self):
        """Whether the SDK says nothing until the final response is asked for."""
        return (self.helper.error, self.raw.error) == ("RuntimeError", None)


DEVIATIONS = {}


def deviation(fn):
    DEVIATIONS[fn.__name__] = fn
    return fn


def our_status(o):
    return (o.ours.final or {}).get("status")


@deviation
def a_call_waits(o):
    """A response whose last item is a call that somebody must answer waits: its status is
    ``requires_action``; the SDK gives the word of the wire."""
    if our_status(o) != "requires_action":
        return
    for reader in (o.helper, o.raw):
        if reader.final and reader.final["status"] == "completed":
            reader.final = {**reader.final, "status": "requires_action"}


@deviation
def only_completed_is_final(o):
    """A response that failed, or ended early, is final too; the helper raises ``RuntimeError``."""
    ended_otherwise = our_status(o) in {"failed", "incomplete"} and "response.created" in o.names
    if o.has_raised("RuntimeError") and ended_otherwise:
        o.excuse(o.helper)


@deviation
def begins_in_the_middle(o):
    """A stream may begin in the middle of a response, as resumed ones do; the helper raises."""
    if o.has_raised("RuntimeError") and "response.created" not in o.names:
        o.excuse(o.helper)


@deviation
def announced_failures_are_data(o):
    """An ``error`` that announces ``response.failed`` is part of that failure, and the response is
    given; the SDK raises ``APIError`` at the first, and the second is lost."""
    failed = "error" in o.names and "response.failed" in o.names[o.names.index("error") :]
    if failed and our_status(o) == "failed":
        for reader in (o.helper, o.raw):
            if reader.error == "APIError":
                o.excuse(reader)


@deviation
def lone_errors_are_errors(o):
    """An ``error`` that is not wrapped in another is an error as well; the SDK passes it on as an
    event, and the helper then misses the final response."""
    if o.ours.error == "APIError" and "error" in o.names and o.is_silent():
        o.excuse(o.helper)
        o.excuse(o.raw)


@deviation
def truncation_is_an_error(o):
    """A stream without an end was cut; the raw stream ends as if it had one, and the helper raises
    ``RuntimeError`` when the final response is asked for."""
    if o.ours.error == "StreamTruncated" and not ENDS & {*o.names} and o.is_silent():
        o.excuse(o.helper)
        o.excuse(o.raw)


@deviation
def lost_beginnings_of_items(o):
    """Deltas of an item, or of a part, whose beginning was lost are read; the helper raises."""
    deltas = [event for event in o.events if event["type"].endswith(".delta")]
    begun = {e["output_index"] for e in o.events if e["type"] == "response.output_item.added"}
    parts = {e["output_index"] for e in o.events if e["type"] == "response.content_part.added"}
    if o.has_raised("RuntimeError") and any(e["output_index"] not in begun for e in deltas):
        o.excuse(o.helper)
    if o.has_raised("IndexError") and any(e["output_index"] not in parts for e in deltas):
        o.excuse(o.helper)


@deviation
def ids_are_hints(o):
    """A response whose ids change, as some servers' do, is one response, with its first id, and its
    items are known by their places; the helper raises."""
    told = [event["response"]["id"] for event in o.events if "response" in event]
    items = [(e["output_index"], e["item"]["id"]) for e in o.events if "item" in e]
    is_changed = len({*told}) > 1 or len({*items}) > len({place for place, _ in items})
    for reader in (o.helper, o.raw):
        if reader.final and is_changed:
            reader.final = {**reader.final, "id": told[0]}
    if o.has_raised("RuntimeError") and is_changed:
        o.excuse(o.helper)


@deviation
def left_out_output(o):
    """A final response whose output was left out has the items that came before; the raw stream
    gives it as it is, and the helper mends ``null`` (version 2 raises) and no empty list."""
    done = [event["item"] for event in o.events if event["type"] == "response.output_item.done"]
    if done and o.ours.final and o.ours.final.get("output") == plain(done):
        for reader in (o.helper, o.raw):
            if reader.final is not None and "output" not in reader.final:
                reader.final = {**reader.final, "output": plain(done)}
        if o.has_raised("TypeError"):
            o.excuse(o.helper)


@deviation
def pings_may_be_text(o):
    """An event whose data is no JSON is passed over, if its name is unknown; the SDK raises."""
    if "ping" in o.names:
        for reader in (o.helper, o.raw):
            if reader.error == "JSONDecodeError":
                o.excuse(reader)


def events_of(body):
    """The JSON of the events of a body; of a ping, its name."""
    events = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
        if lines.get(b"data", b"[DONE]") == b"[DONE]":
            continue
        name = lines.get(b"event", b"").decode()
        events.append({"type": name} if name == "ping" else from_json(lines[b"data"], name))
    return events


def deviations(helper, raw, ours, body):
    """The names of the deviations between the three. What none of them explains fails."""
    outcome, found = Outcome(helper, raw, ours, events_of(body)), set()
    for name, explain in DEVIATIONS.items():
        before = outcome.shown()
        if before[0] == before[1] == before[2]:
            break
        explain(outcome)
        if outcome.shown() != before:
            found.add(name)
    theirs, raw_, mine = outcome.shown()
    assert raw_ == mine
    assert theirs == mine
    return found


# --- recorded streams ----------------------------------------------------------------------


def test_recorded_streams(path):
    body = path.read_bytes()
    with serving() as (server, url):
        server.body = body
        told = read(url)
        later = asyncio.run(read_later(url))
    assert [each.shown() for each in later] == [each.shown() for each in told]
    assert deviations(*told, body) == RECORDED.get(path.stem, set())


WAITING = {
    "03-lmstudio-tool-call-1",
    "13-azure-tool-call-1",
    "16-openai-mcp-tool-approval-3",
    "25-openai-apply-patch-tool-delete-1",
    "33-test-openai-responses-phase-streamed-on-part-start-0",
    "39-test-openai-responses-stream-0",
    "51-stream-with-tools-responses-1",
    "dd-function-call",
    "dotnet-function-call",
    "prism-multi-tool-parallel",
    "pyai-freeform-custom-tool",
}
RECORDED = {
    "dotnet-background-resume-get": {"begins_in_the_middle"},
    "msaf-incomplete": {"only_completed_is_final"},
    "prism-rate-limited-failed": {"announced_failures_are_data"},
    **{name: {"a_call_waits"} for name in WAITING},
}
"""The recordings on which the three differ, and in what. On all others they agree."""


# --- every deviation occurs ----------------------------------------------------------------


def response(status, output=(), **more):
    told = {"id": "r1", "object": "response", "created_at": 1, "model": "m"}
    return {**told, "status": status, "output": output, **more}


def lifecycle(status, output=(), *, name=None, **more):
    return {"type": f"response.{name or status}", "response": response(status, output, **more)}


def message(status, *parts, item_id="m1"):
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": parts,
    }


def part(text):
    return {"type": "output_text", "text": text, "annotations": []}


CREATED = lifecycle("in_progress", name="created")
PLACE = {"item_id": "m1", "output_index": 0, "content_index": 0}
WHOLE = message("completed", part("Hello"))
ADDED_ITEM = {
    "type": "response.output_item.added",
    "output_index": 0,
    "item": message("in_progress"),
}
ADDED_PART = {"type": "response.content_part.added", **PLACE, "part": part("")}
DELTA = {"type": "response.output_text.delta", **PLACE, "delta": "Hello", "logprobs": []}
DONE = {"type": "response.output_item.done", "output_index": 0, "item": WHOLE}
COMPLETED = lifecycle("completed", [WHOLE])
SAID = (CREATED, ADDED_ITEM, ADDED_PART, DELTA)
CALL = {
    "id": "f1",
    "type": "function_call",
    "call_id": "c1",
    "name": "add",
    "arguments": "{}",
    "status": "completed",
}

OCCURS = {
    "a_call_waits": [(CREATED, lifecycle("completed", [CALL]))],
    "only_completed_is_final": [
        (*SAID, DONE, lifecycle("incomplete", [WHOLE])),
        (CREATED, lifecycle("failed", error={"code": "server_error", "message": "it broke"})),
    ],
    "begins_in_the_middle": [(DELTA, DONE, COMPLETED)],
    "announced_failures_are_data": [
        (
            CREATED,
            {"type": "error", "error": {"code": "server_error", "message": "it broke"}},
            lifecycle("failed", error={"code": "server_error", "message": "it broke"}),
        )
    ],
    "lone_errors_are_errors": [
        (*SAID, {"type": "error", "code": "server_error", "message": "it broke", "param": None})
    ],
    "truncation_is_an_error": [SAID, (*SAID, DONE)],
    "lost_beginnings_of_items": [
        (CREATED, DELTA, DONE, COMPLETED),
        (CREATED, ADDED_ITEM, DELTA, DONE, COMPLETED),
    ],
    "ids_are_hints": [
        pytest.param(
            (*SAID, {**DONE, "item": {**WHOLE, "id": "m2"}}, COMPLETED),
            marks=pytest.mark.skipif(SDK < 3, reason="version 2 does not compare ids of items"),
        ),
        (*SAID, DONE, lifecycle("completed", [WHOLE], id="r2")),
    ],
    "left_out_output": [
        (*SAID, DONE, lifecycle("completed")),
        (*SAID, DONE, lifecycle("completed", None)),
    ],
    "pings_may_be_text": [(*SAID, "event: ping\ndata: still here\n\n", DONE, COMPLETED)],
}


def numbered(events):
    """The events with their numbers, as bytes."""
    return b"".join(map(written, range(len(events)), events))


def written(number, event):
    if isinstance(event, str):
        return event.encode()
    data = to_json({**event, "sequence_number": number})
    return f"event: {event['type']}\ndata: {data.decode()}\n\n".encode()


def occurrences():
    for name, bodies in OCCURS.items():
        for each in bodies:
            given, marks = (each.values[0], each.marks) if hasattr(each, "marks") else (each, ())
            yield pytest.param(name, given, marks=marks)


@pytest.mark.parametrize(("name", "events"), list(occurrences()))
def test_every_deviation_occurs(name, events):
    body = numbered(events)
    with serving() as (server, url):
        server.body = body
        told = read(url)
    assert deviations(*told, body) == {name}


def test_a_whole_stream_is_the_same_for_all():
    body = numbered((*SAID, DONE, COMPLETED))
    with serving() as (server, url):
        server.body = body
        told = read(url)
    assert deviations(*told, body) == set()
    assert told[2].text == "Hello"


def test_every_deviation_has_a_reason_and_an_occurrence():
    assert DEVIATIONS.keys() == OCCURS.keys()
    assert all(each.__doc__ for each in DEVIATIONS.values())


def test_a_difference_that_is_not_listed_fails():
    body = numbered((*SAID, DONE, COMPLETED))
    with serving() as (server, url):
        server.body = body
        for name, other in (("text", "Hell"), ("error", "ValueError"), ("final", None)):
            for reader in range(3):
                told = read(url)
                setattr(told[reader], name, other)
                with pytest.raises(AssertionError):
                    deviations(*told, body)
