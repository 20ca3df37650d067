"""Vector stores, their files and batches."""

import json

import pytest

from rxassist.local import LocalService, fail, say, wait


@pytest.fixture
def caller(serve, connect):
    return connect(serve())


@pytest.fixture
def slow(serve, connect):
    """A caller of a service that takes in no file whose name does not begin with ``quick``."""

    def ingest(upload):
        if not upload.file.filename.startswith("quick"):
            yield wait(60)

    return connect(serve(ingest=ingest))


@pytest.fixture
def recorded(wire):
    return lambda name: json.loads((wire / "rest" / name).read_text())


def counts(**some):
    states = ("in_progress", "completed", "failed", "cancelled")
    return {**dict.fromkeys(states, 0), **some, "total": sum(some.values())}


def test_a_store_is_created_read_changed_and_deleted(caller, recorded):
    store = caller.post("/vector_stores", name="Papers", metadata={"a": "b"}, description="All")
    assert set(recorded("vector-store-completed.json")) <= set(store)
    assert store["id"].startswith("vs_")
    assert (store["name"], store["metadata"]) == ("Papers", {"a": "b"})
    assert (store["status"], store["file_counts"], store["usage_bytes"]) == (
        "completed",
        counts(),
        0,
    )
    path = f"/vector_stores/{store['id']}"
    assert caller.get(path) == store
    changed = caller.post(path, name="Other", metadata={}, expires_after=week())
    expiry = {"expires_after": week(), "expires_at": store["last_active_at"] + 7 * 86_400}
    assert changed == {**store, "name": "Other", "metadata": {}, **expiry}
    assert caller.get("/vector_stores")["data"] == [changed]
    nothing = {"name": None, "expires_after": None, "expires_at": None}
    assert caller.post(path, name=None, expires_after=None) == {**changed, **nothing}
    assert caller.delete(path) == {
        "id": store["id"],
        "object": "vector_store.deleted",
        "deleted": True,
    }
    error = caller.refused("GET", path, status=404)
    assert error["message"] == f"No vector store found with id '{store['id']}'."


def week():
    return {"anchor": "last_active_at", "days": 7}


def test_a_store_expires(caller, monkeypatch):
    path = caller.store(expires_after=week())
    expires_at = caller.get(path)["expires_at"]
    monkeypatch.setattr("rxassist.local.library.library.now", lambda: expires_at)
    assert caller.get(path)["status"] == "expired"
    monkeypatch.setattr("rxassist.local.library.filing.now", lambda: expires_at)
    caller.post(f"{path}/search", query="x")  # a use puts it off
    assert caller.get(path)["status"] == "completed"


def test_a_file_is_added_read_changed_and_removed(slow, recorded):
    file = slow.upload(name="slow.txt")
    path = slow.store()
    chunking = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}
    added = slow.post(
        f"{path}/files",
        file_id=file["id"],
        attributes={"year": 2024, "draft": True},
        chunking_strategy={"type": "static", "static": chunking},
    )
    assert set(recorded("vector-store-file-in-progress.json")) <= set(added)
    assert (added["id"], added["status"]) == (file["id"], "in_progress")
    assert added["attributes"] == {"year": 2024, "draft": True}
    assert added["chunking_strategy"] == {"type": "static", "static": chunking}
    store = slow.get(path)
    assert (store["status"], store["file_counts"]) == ("in_progress", counts(in_progress=1))
    item = f"{path}/files/{file['id']}"
    assert slow.get(item) == added
    assert slow.get(f"{item}/content")["data"] == []  # not parsed yet
    changed = slow.post(item, attributes={"year": 2025})
    assert changed == {**added, "attributes": {"year": 2025}} == slow.get(item)
    assert slow.delete(item) == {
        "id": file["id"],
        "object": "vector_store.file.deleted",
        "deleted": True,
    }
    assert slow.get(path)["file_counts"] == counts()
    assert slow.get(f"/files/{file['id']}") == file  # it was only taken out of the store
    error = slow.refused("GET", item, status=404)
    assert error["message"] == f"No vector store file found with id '{file['id']}'."


def test_a_file_is_in_soon(caller):
    file = caller.upload(b"some words")
    path = caller.store(file["id"])
    item = caller.get(f"{path}/files/{file['id']}")
    assert (item["status"], item["last_error"], item["usage_bytes"]) == ("completed", None, 10)
    assert item["chunking_strategy"]["static"]["max_chunk_size_tokens"] == 800
    store = caller.get(path)
    assert (store["status"], store["file_counts"]) == ("completed", counts(completed=1))
    assert store["usage_bytes"] == 10
    assert caller.get(f"{path}/files/{file['id']}/content") == {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": "some words"}],
        "has_more": False,
        "next_page": None,
    }


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("notes.txt", b"\xff\xfe", "completed"),
        ("unknown.xyz", "größer".encode(), "completed"),
        ("Makefile", b"", "completed"),
        ("photo.png", b"\x89PNG\xff", "failed"),
    ],
)
def test_what_is_no_text_is_not_supported(caller, name, content, status):
    file = caller.upload(content, name)
    path = caller.store(file["id"])
    item = caller.get(f"{path}/files/{file['id']}")
    assert item["status"] == status
    if status == "failed":
        assert item["last_error"]["code"] == "unsupported_file"
        assert "photo.png" in item["last_error"]["message"]
        assert caller.get(path)["file_counts"] == counts(failed=1)
        assert caller.get(f"{path}/files/{file['id']}/content")["data"] == []


def test_a_script_says_what_happens_to_a_file(serve, connect):
    def ingest(upload):
        match upload.text.split():
            case ["fail", code, *words]:
                return [wait(0), fail(code, " ".join(words))]
            case ["raise"]:
                raise RuntimeError(upload.file.filename)
            case ["odd"]:
                return [say("hi")]
        return []

    service = serve(ingest=ingest)
    caller = connect(service)
    texts = ["fine", "fail invalid_file too odd", "raise", "odd"]
    ids = [caller.upload(text.encode(), "x.txt")["id"] for text in texts]
    path = caller.store(*ids)
    service.wait_for(lambda: caller.get(path)["status"] == "completed")
    items = [caller.get(f"{path}/files/{file_id}") for file_id in ids]
    assert [item["status"] for item in items] == ["completed", "failed", "failed", "failed"]
    assert [item["last_error"] for item in items] == [
        None,
        {"code": "invalid_file", "message": "too odd"},
        {"code": "server_error", "message": "The script raised RuntimeError: x.txt"},
        {
            "code": "server_error",
            "message": f"The script yielded {say('hi')!r}, which is no move",
        },
    ]
    assert caller.get(path)["file_counts"] == counts(completed=1, failed=3)


def test_files_of_a_store_are_listed_by_status_and_by_page(slow):
    quick = [slow.upload(name=f"quick{number}.txt")["id"] for number in range(3)]
    late = slow.upload(name="late.txt")["id"]
    path = slow.store(*quick, late)

    def listed(**query):
        page = slow.get(f"{path}/files", **query)
        return [item["id"] for item in page["data"]], page["has_more"]

    assert listed() == ([late, *reversed(quick)], False)
    assert listed(filter="in_progress") == ([late], False)
    assert listed(filter="completed", order="asc", limit=2) == (quick[:2], True)
    assert listed(filter="completed", order="asc", limit=2, after=quick[1]) == (quick[2:], False)
    assert listed(before=quick[2]) == ([late], False)
    error = slow.refused("GET", f"{path}/files", query={"filter": "done"})
    assert (error["param"], error["code"]) == ("filter", "invalid_value")


def test_files_are_added_as_a_batch(slow, recorded):
    ids = [slow.upload(name=name)["id"] for name in ("quick.txt", "late.txt")]
    path = slow.store()
    batch = slow.post(f"{path}/file_batches", file_ids=[*ids, ids[0]], attributes={"a": 1})
    assert set(batch) == set(recorded("vector-store-file-batch-in-progress.json"))
    assert (batch["status"], batch["file_counts"]) == ("in_progress", counts(in_progress=2))
    where = f"{path}/file_batches/{batch['id']}"
    now = slow.get(where)
    assert (now["status"], now["file_counts"]) == (
        "in_progress",
        counts(in_progress=1, completed=1),
    )
    page = slow.get(f"{where}/files", filter="completed")
    assert [(item["id"], item["attributes"]) for item in page["data"]] == [(ids[0], {"a": 1})]
    slow.post(f"{path}/files/{ids[0]}", attributes={"b": 2})
    assert slow.get(f"{where}/files", order="asc")["data"][0]["attributes"] == {"b": 2}
    cancelled = slow.post(f"{where}/cancel")
    expected = ("cancelled", counts(completed=1, cancelled=1))
    assert (cancelled["status"], cancelled["file_counts"]) == expected
    assert slow.get(where) == cancelled == slow.post(f"{where}/cancel")
    store = slow.get(path)
    assert (store["status"], store["file_counts"]) == ("completed", expected[1])
    assert slow.get(f"{path}/files", filter="cancelled")["data"][0]["id"] == ids[1]


def test_files_of_a_batch_have_their_own_settings(caller):
    ids = [caller.upload()["id"] for _ in range(2)]
    path = caller.store()
    files = [{"file_id": file_id, "attributes": {"of": file_id}} for file_id in ids]
    batch = caller.post(f"{path}/file_batches", files=files)
    where = f"{path}/file_batches/{batch['id']}"
    done = caller.get(where)
    assert (done["status"], done["file_counts"]) == ("completed", counts(completed=2))
    assert caller.post(f"{where}/cancel") == done  # it is over
    page = caller.get(f"{where}/files")
    assert [item["attributes"]["of"] for item in page["data"]] == ids[::-1]


def test_a_file_that_leaves_does_not_hold_up_its_batch(slow):
    removed, again = (slow.upload(name=f"late{number}.txt")["id"] for number in range(2))
    path = slow.store()
    batch = slow.post(f"{path}/file_batches", file_ids=[removed, again])
    where = f"{path}/file_batches/{batch['id']}"
    slow.delete(f"{path}/files/{removed}")
    slow.post(f"{path}/files", file_id=again)
    now = slow.get(where)
    assert (now["status"], now["file_counts"]) == ("completed", counts(cancelled=2))
    assert slow.get(path)["file_counts"] == counts(in_progress=1)


def test_a_file_that_is_deleted_leaves_every_store(slow):
    file = slow.upload(name="late.txt")["id"]
    paths = [slow.store(file), slow.store(file)]
    slow.delete(f"/files/{file}")
    for path in paths:
        assert slow.get(path)["file_counts"] == counts()


def test_a_store_that_is_deleted_leaves_the_files(slow):
    files = [slow.upload(name=name)["id"] for name in ("quick.txt", "late.txt")]
    path, other = slow.store(*files), slow.store(*files)
    batch = slow.post(f"{path}/file_batches", file_ids=files)
    slow.delete(path)
    slow.refused("GET", f"{path}/file_batches/{batch['id']}", status=404)
    for file in files:
        slow.get(f"/files/{file}")
    assert slow.get(other)["file_counts"] == counts(completed=1, in_progress=1)


def test_what_was_cut_off_goes_on_after_a_restart(connect, tmp_path):
    path = tmp_path / "state.sqlite"
    cleaned = []

    def ingest(upload):
        try:
            yield wait(60)
        finally:
            cleaned.append(upload.file.filename)

    with LocalService(database=path, ingest=ingest) as service:
        caller = connect(service)
        alone, batched = (caller.upload(name=name)["id"] for name in ("alone.md", "batched.md"))
        store = caller.store(alone)
        batch = caller.post(f"{store}/file_batches", file_ids=[batched])
    assert sorted(cleaned) == ["alone.md", "batched.md"]
    with LocalService(database=path) as service:
        caller = connect(service)
        assert caller.get(store)["file_counts"] == counts(completed=2)
        where = f"{store}/file_batches/{batch['id']}"
        assert caller.get(where)["file_counts"] == counts(completed=1)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"nmae": "x"}, "nmae"),
        ("", {"file_ids": "file-x"}, "file_ids"),
        ("", {"file_ids": [1]}, "file_ids"),
        ("", {"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days"),
        ("", {"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ("", {"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ("/{store}/files", {}, "file_id"),
        ("/{store}/files", {"file_id": "{file}", "attributes": 1}, "attributes"),
        ("/{store}/files", {"file_id": "{file}", "attributes": {"a": []}}, "attributes.a"),
        (
            "/{store}/files",
            {"file_id": "{file}", "attributes": dict.fromkeys("abcdefghijklmnopq", 1)},
            "attributes",
        ),
        ("/{store}/files", {"file_id": "{file}", "chunking_strategy": 1}, "chunking_strategy"),
        (
            "/{store}/files",
            {"file_id": "{file}", "chunking_strategy": {"type": "best"}},
            "chunking_strategy.type",
        ),
        *(
            (
                "/{store}/files",
                {
                    "file_id": "{file}",
                    "chunking_strategy": {
                        "type": "static",
                        "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap},
                    },
                },
                f"chunking_strategy.static.{name}",
            )
            for size, overlap, name in [
                (99, 0, "max_chunk_size_tokens"),
                (4097, 0, "max_chunk_size_tokens"),
                ("many", 0, "max_chunk_size_tokens"),
                (100, 51, "chunk_overlap_tokens"),
            ]
        ),
        ("/{store}/files/{file}", {}, "attributes"),
        ("/{store}/file_batches", {}, "file_ids"),
        ("/{store}/file_batches", {"file_ids": []}, "file_ids"),
        ("/{store}/file_batches", {"files": [{}]}, "file_id"),
        ("/{store}/file_batches", {"files": [], "file_ids": []}, "files"),
        ("/{store}/search", {}, "query"),
        ("/{store}/search", {"query": 1}, "query"),
        ("/{store}/search", {"query": "a", "max_num_results": 51}, "max_num_results"),
        ("/{store}/search", {"query": "a", "max_num_results": "5"}, "max_num_results"),
        (
            "/{store}/search",
            {"query": "a", "ranking_options": {"score_threshold": "x"}},
            "ranking_options.score_threshold",
        ),
        ("/{store}/search", {"query": "a", "filters": 1}, "filters"),
        ("/{store}/search", {"query": "a", "filters": {"type": "like"}}, "filters.type"),
        (
            "/{store}/search",
            {"query": "a", "filters": {"type": "in", "key": "a", "value": 1}},
            "filters.value",
        ),
        (
            "/{store}/search",
            {"query": "a", "filters": {"type": "or", "filters": [{"type": "x"}]}},
            "filters.filters[0].type",
        ),
    ],
)
def test_a_parameter_that_is_wrong_is_named(caller, path, body, param):
    file = caller.upload()["id"]
    store = caller.store(file).removeprefix("/vector_stores/")
    if body.get("file_id") == "{file}":
        body = {**body, "file_id": file}
    before = caller.get("/vector_stores")
    error = caller.refused(
        "POST", f"/vector_stores{path.format(store=store, file=file)}", body=body
    )
    assert error["param"] == param
    assert caller.get("/vector_stores") == before


@pytest.mark.parametrize(
    ("method", "path", "body", "what"),
    [
        ("GET", "/files/file-x", None, "file"),
        ("DELETE", "/files/file-x", None, "file"),
        ("POST", "/vector_stores", {"file_ids": ["file-x"]}, "file"),
        ("GET", "/vector_stores/vs_x/files", None, "vector store"),
        ("POST", "/vector_stores/vs_x", {}, "vector store"),
        ("POST", "/vector_stores/vs_x/search", {"query": "a"}, "vector store"),
        ("POST", "{store}/files", {"file_id": "file-x"}, "file"),
        ("POST", "{store}/file_batches", {"file_ids": ["file-x"]}, "file"),
        ("GET", "{store}/file_batches/vsfb_x", None, "vector store file batch"),
        ("GET", "{store}/file_batches/vsfb_x/files", None, "vector store file batch"),
        ("POST", "{store}/file_batches/vsfb_x/cancel", None, "vector store file batch"),
        ("GET", "{store}/files/file-x", None, "vector store file"),
        ("GET", "{store}/files/file-x/content", None, "vector store file"),
        ("GET", "{store}/files?after=file-x", None, "vector store file"),
    ],
)
def test_what_is_not_there_is_not_found(caller, method, path, body, what):
    error = caller.refused(method, path.format(store=caller.store()), status=404, body=body)
    assert error["message"].startswith(f"No {what} found with id '")
    assert caller.get("/vector_stores", limit=2)["has_more"] is False
