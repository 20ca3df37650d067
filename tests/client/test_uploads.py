"""Files of every kind are sent whole, from where they stand, or refused before the first byte."""

import asyncio
import gzip
import io
import os
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest

from rxassist import (
    APIConnectionError,
    AsyncClient,
    Client,
    DecodeError,
    FilesFailed,
    UploadError,
    from_dict,
)
from rxassist.local import LocalService
from rxassist.models import VectorStoreFile

CONTENTS = bytes(range(256)) * 700  # several reads
LIBRARIES = ["httpx", *(["aiohttp"] if find_spec("httpx_aiohttp") else [])]


@pytest.fixture(scope="module")
def service():
    with LocalService() as service:
        yield service


@pytest.fixture(params=LIBRARIES)
def client(service, request):
    with Client(base_url=service.base_url, http_client=request.param) as client:
        yield client


class OnlyRead:
    """An object that has nothing but ``read()``."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def read(self, size=-1):
        return self._content.read(size)


class SeeksSilently(OnlyRead):
    """Says where it stands, but its ``seek()`` gives nothing."""

    def tell(self):
        return self._content.tell()

    def seek(self, offset, whence=os.SEEK_SET):
        self._content.seek(offset, whence)


def a_pipe(_):
    program = f"import sys; sys.stdout.buffer.write({CONTENTS[:256]!r} * 700)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    process.stdout.closing = process
    return process.stdout


def a_descriptor(_):
    reads, writes = os.pipe()
    os.write(writes, CONTENTS[:1000])
    os.close(writes)
    return os.fdopen(reads, "rb")


def a_socket(_):
    reads, writes = socket.socketpair()
    writes.sendall(CONTENTS[:1000])
    writes.close()
    opened = reads.makefile("rb")
    reads.close()
    return opened


def a_gzip_file(folder):
    path = folder / "some.gz"
    path.write_bytes(gzip.compress(CONTENTS))
    return gzip.open(path)


def a_url(folder):
    path = folder / "some.bin"
    path.write_bytes(CONTENTS)
    return urlopen(path.as_uri())


def half_read(_):
    opened = io.BytesIO(b"before" + CONTENTS)
    opened.read(6)
    return opened


def spooled(_):
    opened = tempfile.SpooledTemporaryFile()  # noqa: SIM115 -- the test closes it
    opened.write(CONTENTS)
    opened.seek(0)
    return opened


KINDS = {
    "a subprocess' stdout": (a_pipe, CONTENTS),
    "a descriptor": (a_descriptor, CONTENTS[:1000]),
    "a socket": (a_socket, CONTENTS[:1000]),
    "a gzip file": (a_gzip_file, CONTENTS),
    "a URL": (a_url, CONTENTS),
    "a half-read file": (half_read, CONTENTS),
    "a spooled file": (spooled, CONTENTS),
    "an object with read()": (lambda _: OnlyRead(CONTENTS), CONTENTS),
    "an object whose seek() gives nothing": (lambda _: SeeksSilently(CONTENTS), CONTENTS),
    "nothing": (lambda _: io.BytesIO(), b""),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("told_of", [False, True])
def test_every_kind_of_file_is_sent_whole(client, tmp_path, kind, told_of):
    make, expected = KINDS[kind]
    opened, told = make(tmp_path), []
    options = {"upload_progress": lambda *now: told.append(now)} if told_of else {}
    sent = client.files.create(file=("some.bin", opened), purpose="assistants", **options).run()
    getattr(opened, "close", bool)()
    if process := getattr(opened, "closing", None):
        assert process.wait(5) == 0
    assert client.files.content(sent.id).run() == expected
    if told_of and expected:
        assert told[-1][0] == len(expected)
        assert {total for _, total in told} <= {None, len(expected)}


def test_a_file_that_grows_is_sent_as_it_was(client, tmp_path):
    path = tmp_path / "grows.bin"
    path.write_bytes(CONTENTS)

    def grow(*_):
        with path.open("ab") as opened:
            opened.write(b"more")

    sent = client.files.create(file=path, purpose="assistants", upload_progress=grow).run()
    assert client.files.content(sent.id).run() == CONTENTS


class FromABrowser:
    """As Starlette and FastAPI give a file to a route: ``read`` is a coroutine function."""

    def __init__(self):
        self.file, self.filename, self.content_type = io.BytesIO(CONTENTS), "a.txt", "text/plain"

    async def read(self, size=-1):
        return self.file.read(size)


def test_the_upload_of_a_web_framework_is_taken(client):
    sent = client.files.create(file=FromABrowser(), purpose="assistants").run()
    assert sent.filename == "a.txt"
    assert client.files.content(sent.id).run() == CONTENTS


def test_the_upload_of_a_web_framework_is_taken_by_an_async_client(service):
    async def main():
        async with AsyncClient(base_url=service.base_url) as client:
            sent = await client.files.create(file=FromABrowser(), purpose="assistants")
            assert await client.files.content(sent.id) == CONTENTS

    asyncio.run(main())


class FromAForm(OnlyRead):
    """As Flask gives a file to a route: its ``name`` is that of the field of the form."""

    def __init__(self, content):
        super().__init__(content)
        self.stream, self.filename, self.content_type = self._content, "a.txt", "text/plain"
        self.name = "attachment"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (lambda: FromAForm(CONTENTS), "a.txt"),
        (lambda: ("b.csv", FromAForm(CONTENTS)), "b.csv"),
        (lambda: ("b.csv", FromABrowser()), "b.csv"),
    ],
    ids=["Flask", "Flask, named", "Starlette, named"],
)
def test_the_upload_of_any_web_framework_may_be_named(client, file, name):
    sent = client.files.create(file=file(), purpose="assistants").run()
    assert sent.filename == name
    assert client.files.content(sent.id).run() == CONTENTS


class AsyncRead:
    async def read(self, size=-1):
        return b""


class ReadsText:
    def read(self, size=-1):
        return "text"


def test_what_must_be_awaited_is_refused_before_any_request(client):
    with pytest.raises(TypeError, match="async def"):
        client.files.create(file=("a.txt", AsyncRead()), purpose="assistants")


def test_a_read_that_gives_text_is_told(client):
    expected = (TypeError, APIConnectionError)  # aiohttp tells of it as of a lost connection
    with pytest.raises(expected, match="binary mode"):
        client.files.create(file=("a.txt", ReadsText()), purpose="assistants").run()


def standard_input():
    opened = io.BytesIO(b"text")
    opened.name = "<stdin>"  # as that of sys.stdin.buffer
    return opened


@pytest.mark.parametrize(
    "file", [b"text", io.BytesIO(b"text"), standard_input()], ids=["bytes", "open", "stdin"]
)
def test_a_vector_store_wants_a_name(service, client, file):
    stores, before = client.vector_stores, len(service.requests)
    for upload in (
        lambda: stores.files.upload(vector_store_id="vs_1", file=file),
        lambda: stores.files.upload_and_poll(vector_store_id="vs_1", file=file),
        lambda: stores.file_batches.upload_and_poll("vs_1", files=[("a.txt", b"1"), file]),
    ):
        with pytest.raises(ValueError, match=r'needs a name .*\("notes.txt", content\)'):
            upload()
    assert len(service.requests) == before


def test_a_batch_has_a_bound_that_is_told_before_the_first_byte(service, client):
    batches, before = client.vector_stores.file_batches, len(service.requests)
    files = [(f"{number}.txt", b"1") for number in range(499)]
    with pytest.raises(ValueError, match="500 files, got 501"):
        batches.upload_and_poll("vs_1", files=files, file_ids=["file-1", "file-2"])
    assert len(service.requests) == before


def test_content_that_is_no_text_names_what_gives_bytes(client):
    sent = client.files.create(file=("a.png", b"\x89PNG\xff"), purpose="assistants").run()
    with pytest.raises(DecodeError, match=r"files\.content\(file_id\)"):
        client.files.retrieve_content(sent.id).run()


def test_a_path_without_a_file_is_told_before_any_request(service, client, tmp_path):
    before = len(service.requests)
    with pytest.raises(IsADirectoryError, match="is a folder; pass its files one by one"):
        client.files.create(file=tmp_path, purpose="assistants")
    with pytest.raises(FileNotFoundError, match=r"there is no file at .*; for content pass bytes"):
        client.files.create(file=tmp_path / "notes.txt", purpose="assistants")
    assert len(service.requests) == before


def test_files_that_failed_are_named_as_the_user_did(client):
    def named(file_id):
        error = {"code": "unsupported_file", "message": "no text"}
        data = {"id": file_id, "status": "failed", "last_error": error}
        return from_dict(VectorStoreFile, data)

    error = FilesFailed([named("file-1"), named("file-2")], {"file-1": "3.txt"})
    assert "3.txt (file-1) no text; file-2 no text" in str(error)
    assert error.names == {"file-1": "3.txt"}


def test_an_exception_of_the_progress_is_raised_as_it_is(client):
    store = client.vector_stores.create().run().id
    files = [("a.txt", b"text"), ("b.txt", b"text")]

    def fails(sent, total):
        raise ZeroDivisionError

    upload = client.vector_stores.file_batches.upload_and_poll
    with pytest.raises(ZeroDivisionError):
        upload(vector_store_id=store, files=files, upload_progress=fails).run()
    with pytest.raises(ZeroDivisionError):
        client.files.create(file=files[0], purpose="assistants", upload_progress=fails).run()


@pytest.mark.parametrize(
    ("file", "called"),
    [
        (("salary.txt", b"Anna earns 1"), "'salary.txt'"),
        (b"Anna earns 1", "a file (bytes)"),
        (Path("salary.txt"), "'salary.txt'"),
        ([("salary.txt", b"Anna earns 1")], "1 file"),
    ],
)
def test_an_error_names_a_file_and_shows_nothing_of_it(file, called):
    error = UploadError(file, ValueError("no"), [])
    assert str(error) == f"the upload of {called} failed: no"
