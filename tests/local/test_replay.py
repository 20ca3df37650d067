"""Recorded streams, said again by the local service."""

from functools import reduce
from itertools import islice
from pathlib import Path

import httpx
import pytest

from rxassist.errors import StreamTruncated
from rxassist.local import cut, framing, replay
from rxassist.models import Message, Run, RunStep
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.protocols.assistants.snapshots import Snapshot, fold
from rxassist.wire.structure import structure

FOLDER = Path(__file__).parents[1] / "wire" / "assistants"
FILES = sorted(set(FOLDER.glob("*.sse")) - {FOLDER / "php-no-blank-lines.sse"})


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def recorded(request):
    return request.param.read_bytes()


@pytest.fixture
def snapshot(recorded):
    decoder = EventDecoder()
    return reduce(fold, [*decoder.feed(recorded), *decoder.flush()], Snapshot())


def test_a_stream_is_said_again_and_the_objects_are_as_at_its_end(
    serve, connect, recorded, snapshot
):
    http = connect(serve(faults=replay(recorded))).http
    for path in ("/threads/runs", "/threads/t/runs", "/threads/t/runs/r/submit_tool_outputs"):
        said = http.post(path, json={"stream": True})
        assert said.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert said.content == recorded
    run = http.get("/threads/t/runs/r")
    if snapshot.run is None:
        assert run.status_code == 404
    else:
        assert structure(run.json(), Run) == snapshot.run
    for path, kind, items in (
        ("/threads/t/runs/r/steps", RunStep, snapshot.run_steps),
        ("/threads/t/messages", Message, snapshot.messages),
    ):
        for order in ("asc", "desc"):
            page = http.get(path, params={"limit": 100, "order": order}).json()
            in_order = page["data"] if order == "asc" else page["data"][::-1]
            assert [structure(item, kind) for item in in_order] == list(items)
            ids = [item["id"] for item in page["data"]] or [None]
            assert (page["first_id"], page["last_id"]) == (ids[0], ids[-1])
            assert page["has_more"] is False
        assert http.get(path).json() == page


def test_the_newest_is_listed_first_unless_it_is_asked_for(serve, connect):
    (path,) = (each for each in FILES if each.stem == "dotnet-tool-1b-submitted")
    caller = connect(serve(faults=replay(path.read_bytes())))
    newest, *_, oldest = caller.get("/threads/t/runs/r/steps")["data"]
    assert newest["created_at"] > oldest["created_at"]


def test_all_else_is_up_to_the_service(serve, connect):
    caller = connect(serve(faults=replay(FILES[0].read_bytes())))
    assert caller.get("/assistants")["data"] == []
    assert caller.get(f"/threads/{caller.thread()}")["object"] == "thread"


@pytest.mark.parametrize("at", [0, 1, 1000])
def test_a_recording_can_be_cut(serve, connect, at):
    recorded = FILES[0].read_bytes()
    plays = replay(recorded)
    http = connect(serve(faults=lambda asked: plays(asked) | framing(chunk=1) | cut(at))).http
    with http.stream("POST", "/threads/t/runs") as answered:
        pieces = answered.iter_raw()
        assert b"".join(islice(pieces, at)) == recorded[:at]
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            next(pieces)


def test_a_recording_that_is_cut_itself_is_refused(wire):
    (path,) = (wire / "assistants").glob("php-no-blank-lines.sse")
    with pytest.raises(StreamTruncated, match="in the middle of an event"):
        replay(path.read_bytes())
