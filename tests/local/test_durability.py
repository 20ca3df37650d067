"""Services that keep their state in a file: nothing they answered is lost, and nobody shares it."""

import json
import sqlite3
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from rxassist.local import LocalService

ROUNDS = 3
KILLING = {"x-kill": "yes"}
PROGRAM = """
import os, signal, sys
from rxassist.local import Fault, LocalService, call, say

def script(turn):
    if turn.text == "ask":
        yield call("f")
    yield say("an answer")

def around(app):
    async def dying(scope, receive, send):
        async def send_and_die(message):
            await send(message)
            if message["type"] == "http.response.body":
                os.kill(os.getpid(), signal.SIGKILL)
        await app(scope, receive, send_and_die)
    return dying

service = LocalService(
    script,
    database=sys.argv[1],
    faults=lambda asked: Fault(around) if "x-kill" in asked.headers else None,
)
service.start()
print(service.base_url, flush=True)
service.serve_forever()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX has them")


@contextmanager
def serving(path, before=""):
    """A service in a process of its own, which an answer to a request that is KILLING ends."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", before + PROGRAM, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            with httpx.Client(base_url=process.stdout.readline().strip(), timeout=10) as http:
                yield process, http
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


def killed_after(path, asked, method="POST", prepare=None, **request):
    """The answer of a service that dies as soon as it has sent it, and what was prepared."""
    with serving(path) as (process, http):
        prepared = None if prepare is None else prepare(http)
        answer = http.request(method, asked.format(prepared), headers=KILLING, **request)
        assert process.wait(10) < 0
    assert answer.status_code == 200, answer.text
    return answer.json(), prepared


def assistant(http):
    return http.post("/assistants", json={"model": "m", "name": "before"}).json()["id"]


@pytest.mark.parametrize(
    ("request_path", "request_body"),
    [
        ("/assistants", {"json": {"model": "m"}}),
        ("/threads", {"json": {}}),
        ("/files", {"files": {"file": ("a.txt", b"words")}, "data": {"purpose": "assistants"}}),
        ("/vector_stores", {"json": {"name": "a store"}}),
    ],
)
def test_what_was_created_is_there_after_a_kill(path, connect, request_path, request_body):
    ids = [killed_after(path, request_path, **request_body)[0]["id"] for _ in range(ROUNDS)]
    with LocalService(database=path) as service:
        caller = connect(service)
        assert [caller.get(f"{request_path}/{each}")["id"] for each in ids] == ids


def test_what_was_changed_is_changed_after_a_kill(path, connect):
    ids = [
        killed_after(path, "/assistants/{}", prepare=assistant, json={"name": "after"})[1]
        for _ in range(ROUNDS)
    ]
    with LocalService(database=path) as service:
        caller = connect(service)
        names = {caller.get(f"/assistants/{each}")["name"] for each in ids}
    assert names == {"after"}


def test_what_was_deleted_stays_deleted_after_a_kill(path, connect):
    ids = [
        killed_after(path, "/assistants/{}", "DELETE", prepare=assistant)[1] for _ in range(ROUNDS)
    ]
    with LocalService(database=path) as service:
        caller = connect(service)
        for each in ids:
            caller.refused("GET", f"/assistants/{each}", status=404)


def test_an_event_that_was_sent_is_there_after_a_kill(path, connect):
    heard = []
    for _ in range(ROUNDS):
        with serving(path) as (process, http):
            body = {"assistant_id": assistant(http), "stream": True}
            with http.stream("POST", "/threads/runs", json=body, headers=KILLING) as answer:
                lines = answer.iter_lines()
                heard.append(next(each for each in lines if '"object":"thread.run"' in each))
            assert process.wait(10) < 0
    with LocalService(database=path) as service:
        caller = connect(service)
        for line in heard:
            run = json.loads(line.removeprefix("data: "))
            assert caller.get(f"/threads/{run['thread_id']}/runs/{run['id']}")["id"] == run["id"]


def test_an_answer_that_cannot_be_made_durable_is_an_error(path, connect):
    """The disk is full: what was not written is not promised, now or later."""
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
    kept = []
    with serving(path, full) as (process, http):
        for _ in range(100):
            answer = http.post("/assistants", json={"model": "m", "instructions": "x" * 5_000})
            if answer.status_code != 200:
                break
            kept.append(answer.json()["id"])
        assert answer.json()["error"]["type"] == "server_error"
        assert http.post("/threads").status_code == 500
        process.terminate()
        _, told = process.communicate(timeout=10)
    assert "cannot write to its database" in told
    with LocalService(database=path) as service:
        page = connect(service).get("/assistants", limit=100)["data"]
        assert [each["id"] for each in page[::-1]] == kept


def waiting_run(http):
    """The path of a run that waits for outputs, once it waits."""
    thread = {"messages": [{"role": "user", "content": "ask"}]}
    run = http.post(
        "/threads/runs", json={"assistant_id": assistant(http), "thread": thread}
    ).json()
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    while http.get(path).json()["status"] != "requires_action":
        pass
    return path


def test_a_file_belongs_to_one_service_at_a_time(path):
    with serving(path) as (_, http):
        run = waiting_run(http)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match=r"state\.sqlite.*another service"):
                LocalService(database=path).start()
        with LocalService(database=path.with_name("other.sqlite")):
            pass
        assert http.get(run).json()["status"] == "requires_action"


def test_a_second_service_in_the_same_process_is_refused_too(path):
    second = LocalService(database=path)
    with (
        LocalService(database=path),
        pytest.raises(sqlite3.OperationalError, match="another service"),
    ):
        second.start()
    with second:
        pass


def test_a_run_whose_service_was_killed_has_failed_in_the_next_one(path, connect):
    with serving(path) as (process, http):
        run = waiting_run(http)
        process.kill()
        process.wait(10)
    with LocalService(database=path) as service:
        told = connect(service).get(run)
    assert (told["status"], told["last_error"]["code"]) == ("failed", "server_error")
