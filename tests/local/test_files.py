"""Uploads, and what they hold."""

import json
import socket

import httpx
import pytest

from rxassist.local import LocalService


@pytest.fixture
def caller(serve, connect):
    return connect(serve())


def test_a_file_is_uploaded_read_and_deleted(caller, wire):
    file = caller.upload(b"a,b\n1,2\n", "table.csv")
    recorded = json.loads(
        (wire / "rest" / "exchanges-dotnet-vs-canusebatchingestion.json").read_text()
    )
    assert set(file) == set(recorded[1]["response"])
    assert file["id"].startswith("file-")
    assert (file["filename"], file["bytes"], file["purpose"]) == ("table.csv", 8, "assistants")
    assert (file["status"], file["expires_at"]) == ("processed", None)
    path = f"/files/{file['id']}"
    assert caller.get(path) == file
    content = caller.http.get(f"{path}/content")
    assert content.content == b"a,b\n1,2\n"
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-length"] == "8"
    assert caller.delete(path) == {"id": file["id"], "object": "file", "deleted": True}
    for gone in (path, f"{path}/content"):
        error = caller.refused("GET", gone, status=404)
        assert error["message"] == f"No file found with id '{file['id']}'."


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 3 * 1024 * 1024 + 7])
def test_any_bytes_come_back_as_they_were(caller, size):
    content = bytes(range(256)) * (size // 256 + 1)
    file = caller.upload(content[:size], "blob.bin")
    assert file["bytes"] == size
    assert caller.http.get(f"/files/{file['id']}/content").content == content[:size]


def test_a_name_may_have_any_letters(caller):
    assert caller.upload(name="Übersicht 漢字.md")["filename"] == "Übersicht 漢字.md"


def test_a_file_may_expire(caller):
    fields = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    file = caller.upload(**fields)
    assert file["expires_at"] == file["created_at"] + 3600


def test_files_are_listed_by_purpose_and_by_page(caller):
    ids = [caller.upload(name=name)["id"] for name in "abc"]
    other = caller.upload(purpose="vision")["id"]
    everything = caller.get("/files", limit=10_000)
    assert [file["id"] for file in everything["data"]] == [other, *reversed(ids)]
    page = caller.get("/files", purpose="assistants", limit=2, order="asc")
    assert [file["id"] for file in page["data"]] == ids[:2]
    assert (page["last_id"], page["has_more"]) == (ids[1], True)
    page = caller.get("/files", purpose="assistants", order="asc", after=ids[1])
    assert ([file["id"] for file in page["data"]], page["has_more"]) == ([ids[2]], False)
    assert caller.get("/files", purpose="evals")["data"] == []
    assert caller.refused("GET", "/files", query={"limit": 10_001})["param"] == "limit"


@pytest.mark.parametrize(
    ("form", "param", "code"),
    [
        ({"data": {"purpose": "assistants"}}, "file", "missing_required_parameter"),
        ({"files": {"file": ("a", b"a")}}, "purpose", "missing_required_parameter"),
        ({"json": {"purpose": "assistants"}}, "file", "missing_required_parameter"),
        ({"data": {"file": "text"}, "files": {"x": ("a", b"a")}}, "file", "invalid_type"),
        ({"data": {"purpose": "fun"}, "files": {"file": ("a", b"a")}}, "purpose", "invalid_value"),
        (
            {
                "data": {"purpose": "assistants", "expires_after[seconds]": "soon"},
                "files": {"file": ("a", b"a")},
            },
            "expires_after[seconds]",
            "invalid_type",
        ),
        (
            {
                "data": {"purpose": "assistants", "expires_after[seconds]": "1"},
                "files": {"file": ("a", b"a")},
            },
            "expires_after[seconds]",
            "integer_below_min_value",
        ),
    ],
)
def test_a_form_that_is_wrong_is_refused(caller, form, param, code):
    answer = caller.http.post("/files", **form)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)
    assert caller.get("/files")["data"] == []


def test_a_form_that_is_none_is_refused(caller):
    headers = {"content-type": "multipart/form-data"}
    answer = caller.http.post("/files", content=b"--x", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Missing boundary in multipart."


def test_an_upload_that_breaks_off_leaves_nothing(serve, connect, caplog):
    service = serve()
    url = httpx.URL(service.base_url)
    with socket.create_connection((url.host, url.port)) as half:
        half.sendall(
            b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n"
            b"content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        service.wait_for(lambda: service.requests)
    caller = connect(service)
    assert caller.get("/files")["data"] == []
    service.close()
    assert caplog.records == []


def test_files_are_kept_with_the_database(connect, tmp_path):
    path = tmp_path / "state.sqlite"
    with LocalService(database=path) as service:
        file = connect(service).upload(b"kept")
    with LocalService(database=path) as service:
        caller = connect(service)
        assert caller.get(f"/files/{file['id']}") == file
        assert caller.http.get(f"/files/{file['id']}/content").content == b"kept"
