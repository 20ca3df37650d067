"""Every endpoint of the API, over real sockets; and files on their way up."""

import io

import pytest
from reactivex import Subject
from reactivex import operators as ops

from rxassist import APIError, Client, FilesFailed, NotFoundError, PollTimeout, UploadError
from rxassist.local import LocalService, fail, refuse, wait


def test_assistants(client):
    made = client.assistants.create(model="m", name="first").run()
    assert client.assistants.retrieve(made.id).run() == made
    assert client.assistants.update(made.id, name="second").run().name == "second"
    assert [each.name for each in client.assistants.list()] == ["second"]
    deleted = client.assistants.delete(made.id).run()
    assert (deleted.id, deleted.deleted) == (made.id, True)
    with pytest.raises(NotFoundError):
        client.assistants.retrieve(made.id).run()


def test_threads_and_messages(client):
    thread = client.threads.create(metadata={"a": "1"}).run()
    assert client.threads.retrieve(thread.id).run() == thread
    assert client.threads.update(thread.id, metadata={"a": "2"}).run().metadata == {"a": "2"}
    messages = client.threads.messages
    made = messages.create(thread.id, role="user", content="hello").run()
    assert messages.retrieve(made.id, thread_id=thread.id).run() == made
    changed = messages.update(made.id, thread_id=thread.id, metadata={"b": "1"}).run()
    assert changed.metadata == {"b": "1"}
    assert [each.id for each in messages.list(thread.id)] == [made.id]
    assert messages.delete(made.id, thread_id=thread.id).run().deleted
    assert list(messages.list(thread.id)) == []
    assert client.threads.delete(thread.id).run().deleted


def test_runs_and_steps(client, place):
    runs, thread = client.threads.runs, place["thread_id"]
    run = runs.create_and_poll(thread, assistant_id=place["assistant_id"], poll_interval_ms=5).run()
    assert runs.retrieve(run.id, thread_id=thread).run() == run
    assert runs.update(run.id, thread_id=thread, metadata={"a": "1"}).run().metadata == {"a": "1"}
    (step,) = runs.steps.list(run.id, thread_id=thread)
    assert runs.steps.retrieve(step.id, thread_id=thread, run_id=run.id).run() == step
    created = client.threads.create_and_run(assistant_id=place["assistant_id"])
    assert created.run().id == created.run().id
    resources = {"code_interpreter": {"file_ids": ["file_1"]}}
    run = runs.create(thread, assistant_id=place["assistant_id"], tool_resources=resources).run()
    assert run.tool_resources.code_interpreter.file_ids == ("file_1",)


def test_pages(client):
    thread = client.threads.create().run()
    for number in range(5):
        client.threads.messages.create(thread.id, role="user", content=str(number)).run()
    listed = client.threads.messages.list(thread.id, limit=2, order="asc")
    pages = list(listed.pages())
    assert [len(page.data) for page in pages] == [2, 2, 1]
    assert [page.has_more for page in pages] == [True, True, False]
    assert len(list(listed)) == 5


CONTENTS = b"The favourite food of Filip is cake."


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "food.txt"
    file.write_bytes(CONTENTS)
    return file


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (lambda path: path, "food.txt"),
        (str, "food.txt"),
        (lambda _: CONTENTS, "upload"),
        (lambda _: io.BytesIO(CONTENTS), "upload"),
        (lambda _: ("cake.txt", CONTENTS), "cake.txt"),
        (lambda path: ("cake.txt", path, "text/plain"), "cake.txt"),
    ],
    ids=["path", "text", "bytes", "open", "named", "typed"],
)
def test_a_file_is_uploaded_from_anything(client, path, given, name):
    file = client.files.create(file=given(path), purpose="assistants").run()
    assert (file.filename, file.bytes, file.purpose) == (name, len(CONTENTS), "assistants")
    assert client.files.content(file.id).run() == CONTENTS
    assert client.files.retrieve(file.id).run() == file
    assert [each.id for each in client.files.list(purpose="assistants")] == [file.id]
    assert client.files.delete(file.id).run().deleted


def test_an_open_file_is_left_open_and_a_path_is_not(client, path):
    with path.open("rb") as opened:
        client.files.create(file=opened, purpose="assistants").run()
        assert not opened.closed


def test_an_upload_tells_how_far_it_is(client, tmp_path):
    big = tmp_path / "big.bin"
    big.write_bytes(b"x" * 1_000_000)
    told = []
    client.files.create(
        file=big, purpose="assistants", upload_progress=lambda *now: told.append(now)
    ).run()
    assert told[-1] == (1_000_000, 1_000_000)
    assert len(told) > 1
    assert told == sorted(told)


def test_the_progress_of_an_upload_is_an_observable_too(client):
    progress = Subject()
    told = []
    progress.subscribe(told.append, told.append, lambda: told.append("end"))
    client.files.create(file=b"12345", purpose="assistants", upload_progress=progress).run()
    assert told == [(5, 5), "end"]


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("there/is/none", FileNotFoundError),
        (5, TypeError),
        (io.StringIO("text"), TypeError),
        (("name",), TypeError),
        (("", b"x"), TypeError),
    ],
    ids=["missing", "number", "text", "short", "unnamed"],
)
def test_what_is_no_file_is_refused_before_any_request(service, client, file, error):
    with pytest.raises(error, match="file"):
        client.files.create(file=file, purpose="assistants")
    assert service.requests == []


def test_an_upload_is_tried_again_from_its_start(path):
    def faults(asked):
        first = asked.attempt == 1 and asked.method == "POST"
        return refuse(503, {"retry-after": "0"}) if first else None

    with LocalService(faults=faults) as service, Client(base_url=service.base_url) as client:
        file = client.files.create(file=path, purpose="assistants").run()
        assert client.files.content(file.id).run() == CONTENTS


# --- vector stores -------------------------------------------------------------------------


def test_vector_stores(client, path):
    stores = client.vector_stores
    store = stores.create(name="food").run()
    assert stores.retrieve(store.id).run().name == "food"
    assert stores.update(store.id, name="cake").run().name == "cake"
    assert [each.id for each in stores.list()] == [store.id]

    taken = stores.files.upload_and_poll(vector_store_id=store.id, file=path).run()
    assert taken.status == "completed"
    assert stores.poll(store.id).run().file_counts.completed == 1
    assert stores.files.retrieve(taken.id, vector_store_id=store.id).run().id == taken.id
    changed = stores.files.update(taken.id, vector_store_id=store.id, attributes={"a": 1}).run()
    assert changed.attributes == {"a": 1}
    text = stores.files.content(taken.id, vector_store_id=store.id).run()
    assert "".join(part.text for part in text.data) == CONTENTS.decode()
    assert [each.id for each in stores.files.list(store.id)] == [taken.id]
    found = stores.search(store.id, query="favourite food").run()
    assert found.data[0].file_id == taken.id
    assert stores.files.delete(taken.id, vector_store_id=store.id).run().deleted
    assert stores.delete(store.id).run().deleted


def test_a_batch_is_uploaded_and_polled_with_its_counts(serve):
    def ingest(upload):
        yield wait(0.02)
        if upload.file.filename == "bad":
            yield fail("invalid_file", "it is bad")

    service = serve(ingest=ingest)
    with Client(base_url=service.base_url) as client:
        store = client.vector_stores.create().run()
        files = [(f"good-{number}", b"text") for number in range(5)] + [("bad", b"text")]
        polling = client.vector_stores.file_batches.upload_and_poll(
            store.id, files=files, max_concurrency=2, poll_interval_ms=5
        )
        states = list(polling)
        assert states[0].file_counts.total == 6
        assert states[-1].status == "completed"
        assert (states[-1].file_counts.completed, states[-1].file_counts.failed) == (5, 1)
        assert polling.run() == states[-1]  # once, whoever subscribes
        batches = client.vector_stores.file_batches
        batch = batches.retrieve(states[-1].id, vector_store_id=store.id).run()
        listed = list(batches.list_files(batch.id, vector_store_id=store.id, filter="failed"))
        assert [file.last_error.message for file in listed] == ["it is bad"]
        outcomes = batches.file_outcomes(batch.id, vector_store_id=store.id)
        assert sorted(file.status for file in outcomes) == ["completed"] * 5 + ["failed"]
        with pytest.raises(FilesFailed, match=r"bad \(file-\w+\) it is bad") as caught:
            outcomes.raise_for_status().run()
        assert list(caught.value.files) == listed
        good = batches.file_outcomes(batch.id, vector_store_id=store.id, filter="completed")
        assert len(list(good.raise_for_status())) == 5
        assert len(list(client.files.list())) == 6


def test_an_upload_that_fails_says_which_and_names_the_others(service, client):
    store = client.vector_stores.create().run()

    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError("the disk is gone")  # noqa: EM101, TRY003 -- as the system says it

    files = [("a", b"1"), ("b", b"2"), ("c", Broken(b"3"))]
    with pytest.raises(UploadError, match="the disk is gone") as caught:
        client.vector_stores.file_batches.upload_and_poll(
            store.id, files=files, max_concurrency=1
        ).run()
    assert caught.value.file is files[2]
    assert caught.value.file_ids == [file.id for file in client.files.list(order="asc")]
    assert len(caught.value.file_ids) == 2


def test_uploads_under_way_end_after_a_failure_and_no_other_begins(service, client):
    """The first of five that begin together fails; the four beside it end after that."""
    store = client.vector_stores.create().run()
    begun = []

    class Slow(io.BytesIO):
        def __init__(self, name):
            super().__init__(b"x" * 200_000)
            self.asked = name

        def read(self, *size):
            begun.append(self.asked)
            if self.asked == "bad":
                raise OSError("the disk is gone")  # noqa: EM101, TRY003 -- as the system says it
            return super().read(*size)

    files = [(name, Slow(name)) for name in ("bad", *"abcdefghijklmnopqrst")]
    with pytest.raises(UploadError, match="the disk is gone") as caught:
        client.vector_stores.file_batches.upload_and_poll(store.id, files=files).run()
    assert caught.value.file is files[0]
    assert caught.value.__cause__ is caught.value.error
    there = {file.id: file.filename for file in client.files.list()}
    named = [there[file_id] for file_id in caught.value.file_ids]
    assert named == sorted(there.values())
    assert {"a", "b", "c", "d"} <= set(named)
    assert "t" not in begun
    assert not any("file_batches" in path for _, path in service.requests)


@pytest.fixture
def no_store(client):
    """The id of a vector store that was deleted: files can be uploaded, but not added."""
    store = client.vector_stores.create().run()
    client.vector_stores.delete(store.id).run()
    return store.id


def test_files_that_cannot_be_added_are_named(client, no_store):
    files = [("a", b"1"), ("b", b"2")]
    uploading = client.vector_stores.file_batches.upload_and_poll(no_store, files=files)
    with pytest.raises(UploadError) as caught:
        uploading.run()
    assert caught.value.file_ids == [file.id for file in client.files.list(order="asc")]
    assert isinstance(caught.value.__cause__, NotFoundError)
    assert caught.value.file == files
    assert str(caught.value).startswith("2 files could not be added to the vector store")


def test_a_file_that_cannot_be_added_is_named(client, no_store):
    uploading = client.vector_stores.files.upload(vector_store_id=no_store, file=("1.txt", b"1"))
    with pytest.raises(UploadError) as caught:
        uploading.run()
    assert caught.value.file_ids == [file.id for file in client.files.list()]
    assert isinstance(caught.value.__cause__, NotFoundError)
    assert str(caught.value).startswith("'1.txt' could not be added to the vector store")


def test_the_progress_of_a_batch_is_that_of_all_files(client, path):
    store = client.vector_stores.create().run()
    told = []
    progress = Subject()
    progress.subscribe(told.append, told.append, lambda: told.append("end"))
    files = [path, ("some.txt", b"12345"), ("more", io.BytesIO(b"678"))]
    batches = client.vector_stores.file_batches
    batches.upload_and_poll(store.id, files=files, upload_progress=progress).run()
    whole = len(CONTENTS) + 8
    assert told[-2:] == [(whole, whole), "end"]
    assert told[:-1] == sorted(told[:-1])
    assert {total for _, total in told[:-1]} == {whole}

    called = []
    batches.upload_and_poll(
        store.id,
        files=[("1.txt", b"1"), ("2.txt", b"2")],
        upload_progress=lambda *now: called.append(now),
    ).run()
    assert called == [(1, 2), (2, 2)]


def test_request_options_go_with_every_request_of_an_upload(serve):
    asked = []

    def faults(request):
        asked.append((request.method, request.path.split("/")[-1], request.headers.get("x-me")))
        return refuse(503) if request.attempt == 1 and request.path == "/v1/files" else None

    service = serve(faults=faults)
    with Client(base_url=service.base_url) as client:
        stores = client.vector_stores
        store = stores.create().run()
        options = {"extra_headers": {"x-me": "yes"}, "max_retries": 0}
        one = stores.files.upload_and_poll(
            vector_store_id=store.id, file=("1.txt", b"1"), **options
        )
        with pytest.raises(APIError, match="503"):
            one.run()
        assert asked[1:] == [("POST", "files", "yes")]
        many = stores.file_batches.upload_and_poll(store.id, files=[("1.txt", b"1")], **options)
        many.run()
        assert {mark for _, _, mark in asked[1:]} == {"yes"}
        assert ("POST", "file_batches", "yes") in asked


BAD_INGESTION = [
    ({"poll_interval_ms": -1}, ValueError),
    ({"deadline": 0}, ValueError),
    ({"attributes": 5}, TypeError),
    ({"atributes": {}}, TypeError),
    ({"upload_progress": 5}, TypeError),
    ({"timeout": -1}, ValueError),
]
OPEN_FILE = io.BytesIO(b"line")
BAD_BATCHES = [
    *BAD_INGESTION,
    ({"max_concurrency": "5"}, TypeError),
    ({"max_concurrency": True}, TypeError),
    ({"max_concurrency": 0}, ValueError),
    ({"files": "abc.txt"}, TypeError),
    ({"files": OPEN_FILE}, TypeError),
    ({"files": []}, ValueError),
    ({"file_ids": "file-1"}, TypeError),
    ({"file_ids": [5]}, TypeError),
    ({"file_ids": [""]}, ValueError),
]


def named(value):
    """The value, without the address that an open file shows: workers must agree on names."""
    return "an open file" if value == {"files": OPEN_FILE} else repr(value)


@pytest.mark.parametrize(("bad", "error"), BAD_INGESTION, ids=named)
def test_a_bad_argument_is_found_before_the_file_is_uploaded(service, client, bad, error):
    with pytest.raises(error, match=next(iter(bad))):
        client.vector_stores.files.upload_and_poll(
            vector_store_id="vs_1", file=("1.txt", b"1"), **bad
        )
    assert service.requests == []


@pytest.mark.parametrize(("bad", "error"), BAD_BATCHES, ids=named)
def test_a_bad_argument_is_found_before_any_file_is_uploaded(service, client, bad, error):
    given = {"files": [("1.txt", b"1")], **bad}
    with pytest.raises(error, match=next(iter(bad))):
        client.vector_stores.file_batches.upload_and_poll("vs_1", **given)
    assert service.requests == []


def test_the_smaller_helpers_of_the_sdk(client, path):
    store = client.vector_stores.create().run()
    taken = client.vector_stores.files.upload(vector_store_id=store.id, file=path).run()
    assert taken.vector_store_id == store.id
    assert client.files.wait_for_processing(taken.id).run().status == "processed"
    assert client.files.retrieve_content(taken.id).run() == CONTENTS.decode()


def test_a_batch_is_cancelled_and_a_poll_has_a_deadline(serve):
    service = serve(ingest=lambda _: [wait(60)])
    with Client(base_url=service.base_url) as client:
        store = client.vector_stores.create().run()
        file = client.files.create(file=b"text", purpose="assistants").run()
        batches = client.vector_stores.file_batches
        batch = batches.create(store.id, file_ids=[file.id]).run()
        polling = batches.poll(batch.id, vector_store_id=store.id, deadline=0.2, poll_interval_ms=5)
        with pytest.raises(PollTimeout) as caught:
            polling.run()
        assert caught.value.last.file_counts.in_progress == 1
        batches.cancel(batch.id, vector_store_id=store.id).run()
        ended = batches.poll(batch.id, vector_store_id=store.id, poll_interval_ms=5).run()
        assert ended.status == "cancelled"


def test_the_service_says_how_long_polls_wait_each_time(serve):
    service = serve(lambda _: [wait(0.3)], poll_after_ms=20)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        client.threads.create_and_run_poll(assistant_id=assistant.id).run()
        asked = sum(method == "GET" for method, _ in service.requests)
    assert 3 <= asked <= 20  # 300 ms in steps of 20 and what they take; a second would be one step


def test_create_and_poll_of_one_file(client):
    store = client.vector_stores.create().run()
    file = client.files.create(file=b"text", purpose="assistants").run()
    polling = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    assert polling.pipe(ops.last()).run().status == "completed"
    batches = client.vector_stores.file_batches
    again = client.files.create(file=b"text", purpose="assistants").run()
    assert batches.create_and_poll(store.id, file_ids=[again.id]).run().status == "completed"
