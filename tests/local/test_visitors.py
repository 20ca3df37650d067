"""Pages in browsers, which may not speak to a service, and bodies that are too large for it."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from rxassist.local import LocalService

MIB = 1024 * 1024


@pytest.fixture
def caller(serve, connect):
    return connect(serve())


def asked(caller, method="GET", path="/assistants", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.http.request(method, path, headers=named)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8765",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]:8765",
        "192.168.1.5:80",
        "box",
        "my-service_1:8765",
    ],
)
def test_addresses_and_names_without_a_dot_are_hosts_of_a_service(caller, host):
    assert asked(caller, host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1.evil.example", "",
     "a:b:c", "[::1", "127.0.0.1@evil.example", "localhost:x", "localhost.", "a b"],
)  # fmt: skip
def test_a_name_that_was_bound_to_this_machine_is_turned_away(caller, host):
    answer = asked(caller, "POST", "/threads", host=host)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "host_not_allowed"
    assert repr(host) in error["message"]
    assert "allowed_hosts" in error["message"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_a_page_of_another_origin_is_turned_away(caller, origin, method):
    answer = asked(caller, method, origin=origin)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "origin_not_allowed"
    assert "access-control-allow-origin" not in answer.headers


def test_what_a_page_merely_embeds_is_turned_away(caller):
    assert asked(caller, sec_fetch_site="cross-site").status_code == 403
    assert asked(caller, sec_fetch_site="same-site").status_code == 403
    assert asked(caller, sec_fetch_site="none").status_code == 200


def test_what_is_turned_away_has_no_effect(caller):
    page = {"origin": "http://evil.example"}
    caller.http.post("/assistants", json={"model": "m"}, headers=page)
    assert caller.get("/assistants")["data"] == []


def test_hosts_and_origins_can_be_allowed_by_name(serve, connect):
    origin = "http://localhost:3000"
    service = serve(allowed_hosts=["Box.lan"], allowed_origins=[origin], api_key="right")
    caller = connect(service)
    key = {"authorization": "Bearer right"}
    assert asked(caller, host="box.LAN:80", **key).status_code == 200
    assert asked(caller, host="other.lan", **key).status_code == 403
    told = asked(caller, origin=origin, sec_fetch_site="same-site", **key)
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == origin
    assert asked(caller, origin="http://localhost:3001", **key).status_code == 403
    before = asked(
        caller,
        "OPTIONS",
        origin=origin,
        access_control_request_method="DELETE",
        access_control_request_headers="authorization,openai-beta",
    )
    assert before.status_code == 200  # a browser asks so without the key
    assert "DELETE" in before.headers["access-control-allow-methods"]
    assert "openai-beta" in before.headers["access-control-allow-headers"]
    assert asked(caller, origin=origin).status_code == 401


def test_the_name_that_a_service_listens_on_is_its_own(serve, connect):
    assert connect(serve(host="localhost")).get("/assistants")["data"] == []


@pytest.mark.parametrize(
    "named",
    [
        {"allowed_hosts": ["http://box"]},
        {"allowed_hosts": ["box:80"]},
        {"allowed_hosts": [""]},
        {"allowed_origins": ["*"]},
        {"allowed_origins": ["box"]},
        {"allowed_origins": ["http://box/path"]},
        {"allowed_origins": ["null"]},
    ],
)
def test_what_is_no_name_cannot_be_allowed(named):
    with pytest.raises(ValueError, match=next(iter(named))):
        LocalService(**named)


def test_one_text_is_no_list_of_names():
    with pytest.raises(TypeError, match="allowed_hosts must be a list"):
        LocalService(allowed_hosts="box")


# --- bodies --------------------------------------------------------------------------------


def pieces(size):
    """A JSON string of so many bytes, in chunks, so that no length is told before."""
    yield b'{"model": "'
    for _ in range(size // MIB):
        yield b"x" * MIB
    yield b'"}'


@pytest.mark.parametrize("path", ["/assistants", "/threads", "/vector_stores"])
def test_a_body_that_is_too_large_is_refused(caller, path):
    large = b'{"model": "' + b"x" * 26 * MIB + b'"}'
    for content in (large, pieces(26 * MIB)):
        answer = caller.http.post(path, content=content)
        assert answer.status_code == 413
        assert answer.json()["error"] == {
            "message": "Maximum content size limit (26214400) exceeded.",
            "type": "invalid_request_error",
            "param": None,
            "code": "content_too_large",
        }
    assert caller.get("/assistants")["data"] == []


def test_a_body_below_the_limit_is_taken(caller):
    text = "x" * (20 * MIB)
    answer = caller.http.post("/assistants", json={"model": "m", "name": None, "metadata": text})
    assert answer.status_code == 400  # it is looked at, and wrong
    assert answer.json()["error"]["param"] == "metadata"


def test_a_file_that_is_too_large_is_refused(caller, monkeypatch):
    monkeypatch.setattr("rxassist.local.library.endpoints._LARGEST_FILE", MIB)
    upload = {"files": {"file": ("a.txt", b"x" * (MIB + 1))}, "data": {"purpose": "assistants"}}
    assert caller.http.post("/files", **upload).status_code == 413
    upload["files"] = {"file": ("a.txt", b"x" * 3 * MIB)}
    assert caller.http.post("/files", **upload).json()["error"]["code"] == "content_too_large"
    assert caller.get("/files")["data"] == []
    assert caller.upload(b"x" * MIB)["bytes"] == MIB


def test_a_form_field_that_is_too_large_is_refused(caller):
    upload = {"files": {"file": ("a.txt", b"x")}, "data": {"purpose": "x" * 2 * MIB}}
    answer = caller.http.post("/files", **upload)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the memory")
def test_three_hundred_megabytes_are_not_read_into_memory(serving):
    with subprocess.Popen(
        [sys.executable, "-c", serving], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            url = process.stdout.readline().strip()
            answer = httpx.post(f"{url}/assistants", content=pieces(300 * MIB), timeout=60)
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        finally:
            process.kill()
    assert answer.status_code == 413
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 250 * 1024  # kilobytes
