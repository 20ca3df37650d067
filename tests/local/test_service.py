"""Starting, watching and ending a service."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import httpx
import pytest

from rxassist.local import LocalService, call, say, wait


def test_the_address_is_known_only_while_it_runs():
    service = LocalService()
    with pytest.raises(RuntimeError, match="with LocalService"):
        _ = service.base_url
    with service:
        assert httpx.get(f"{service.base_url}/assistants").status_code == 200
    with pytest.raises(RuntimeError, match="does not run"):
        _ = service.base_url


def test_it_starts_again_with_empty_hands():
    service = LocalService()
    with service:
        httpx.post(f"{service.base_url}/threads")
        httpx.post(f"{service.base_url}/assistants", json={"model": "m"})
    with service:
        assert httpx.get(f"{service.base_url}/assistants").json()["data"] == []


def test_start_and_close_may_be_called_twice():
    service = LocalService()
    service.start()
    url = service.base_url
    service.start()
    assert service.base_url == url
    service.close()
    service.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_it_closes_at_once_with_streams_open(serve, connect):
    service = LocalService(lambda _: [say("begun"), wait(60)])
    service.start()
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    with caller.streaming(path, assistant_id=caller.assistant()) as events:
        while next(events).event != "thread.message.completed":
            pass
        began = time.monotonic()
        service.close()
        assert time.monotonic() - began < 1
        with pytest.raises(httpx.TransportError):
            list(events)
    assert service.open_streams == 0
    assert service.active_runs == frozenset()


def test_it_closes_while_a_reader_does_not_read(connect):
    service = LocalService(lambda _: [say(*["x" * 10_000] * 2_000)])
    service.start()
    caller = connect(service)
    path = f"/threads/{caller.thread('hi')}/runs"
    with caller.streaming(path, assistant_id=caller.assistant()) as events:
        next(events)
        service.wait_for(lambda: not service.active_runs)
        began = time.monotonic()
        service.close()
        assert time.monotonic() - began < 1


def test_connections_that_come_while_it_closes_are_closed_too():
    """Otherwise collecting their sockets warns, which fails this test."""
    for _ in range(20):
        with LocalService() as service:
            host, _, port = service.base_url.split("/")[2].rpartition(":")
            connections = [socket.create_connection((host, int(port))) for _ in range(3)]
        for connection in connections:
            connection.close()


def test_a_script_cleans_up_when_the_service_closes():
    cleaned = threading.Event()

    def script(_):
        try:
            yield wait(60)
        finally:
            cleaned.set()

    with LocalService(script) as service:
        assistant = httpx.post(f"{service.base_url}/assistants", json={"model": "m"}).json()["id"]
        httpx.post(f"{service.base_url}/threads/runs", json={"assistant_id": assistant})
        service.wait_for(lambda: service.active_runs)
    assert cleaned.is_set()


def test_requests_are_counted(serve, connect):
    service = serve()
    thread = connect(service).thread()
    connect(service).get(f"/threads/{thread}")
    assert service.requests == [("POST", "/v1/threads"), ("GET", f"/v1/threads/{thread}")]
    service.requests.clear()
    assert service.requests == []


def test_waiting_for_what_does_not_happen_times_out(serve):
    with pytest.raises(TimeoutError, match=r"0\.01 seconds"):
        serve().wait_for(lambda: False, timeout=0.01)


def test_waiting_for_what_is_asked_of_the_service_itself_times_out(serve, connect):
    service = serve()
    caller = connect(service)
    with pytest.raises(TimeoutError):  # although each question is a change
        service.wait_for(lambda: caller.get("/assistants")["data"], timeout=0.01)


def test_a_port_that_is_taken_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = LocalService(port=taken.getsockname()[1])
        with pytest.raises(OSError, match=r"port \d+ of 127.0.0.1 is in use"):
            service.start()
        service.close()


def test_a_database_that_is_none_is_an_error(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("This is no database, but long enough to look at. " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        LocalService(database=path).start()


@pytest.mark.parametrize("name", ["token_delay", "cancel_delay"])
def test_a_negative_delay_is_an_error(name):
    with pytest.raises(ValueError, match=name):
        LocalService(**{name: -1})


def test_it_listens_on_version_6_too(connect):
    try:
        service = LocalService(host="::1")
        service.start()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert service.base_url.startswith("http://[::1]:")
    assert connect(service).get("/assistants")["data"] == []
    service.close()


def test_state_is_kept_in_a_file(serve, connect, tmp_path):
    path = tmp_path / "state.sqlite"
    service = LocalService(lambda _: [say("kept")], database=path)
    with service:
        caller = connect(service)
        run = caller.perform("hi")[-2].data
    service = LocalService(database=path)
    with service:
        caller = connect(service)
        assert caller.get(f"/threads/{run.thread_id}/runs/{run.id}")["status"] == "completed"
        texts = [
            message["content"][0]["text"]["value"]
            for message in caller.get(f"/threads/{run.thread_id}/messages")["data"]
        ]
        assert texts == ["kept", "hi"]
        caller.post(f"/threads/{run.thread_id}/messages", role="user", content="more")
        assert len(caller.get(f"/threads/{run.thread_id}/messages")["data"]) == 3


def test_runs_that_were_cut_off_have_failed_after_a_restart(connect, tmp_path):
    path = tmp_path / "state.sqlite"

    def script(turn):
        if turn.text == "ask":
            yield call("f")
        yield say(*["word "] * 1000)

    with LocalService(script, database=path, token_delay=0.01) as service:
        caller = connect(service)
        asking = caller.perform("ask")[-2].data
        writing = caller.thread("write")
        with caller.streaming(
            f"/threads/{writing}/runs", assistant_id=caller.assistant()
        ) as events:
            while next(events).event != "thread.message.delta":
                pass
    with LocalService(database=path) as service:
        caller = connect(service)
        for thread_id in (asking.thread_id, writing):
            (run,) = caller.get(f"/threads/{thread_id}/runs")["data"]
            assert run["status"] == "failed"
            assert run["last_error"] == {
                "code": "server_error",
                "message": "The service was restarted.",
            }
            (step,) = caller.get(f"/threads/{thread_id}/runs/{run['id']}/steps")["data"]
            assert step["status"] == "failed"
        assert caller.get(f"/threads/{writing}/messages")["data"][0]["status"] == "incomplete"
        assert caller.perform("again", thread_id=writing)[-2].event == "thread.run.completed"


@pytest.mark.parametrize("name", ["python_multipart", "uvicorn"])
def test_a_missing_extra_is_told(name):
    program = f"import sys; sys.modules[{name!r}] = None; import rxassist.local"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.stderr.endswith(
        "ModuleNotFoundError: the local service needs packages: "
        'pip install python-multipart starlette uvicorn (the extra "local")\n'
    )


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(serving, number):
    program = f"{serving}print('ended', flush=True)\n"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/assistants").status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "ended\n", "")
