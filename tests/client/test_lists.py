"""Lists, whatever servers make of their pages: every item once, in order, with an end."""

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import evolve, field, frozen, mutable
from hypothesis import given, settings
from hypothesis import strategies as st

from rxassist import AsyncClient, BlockingCallError, Client, DecodeError

ABSENT = object()


@frozen
class Quirks:
    """How a server makes its pages."""

    count: int = 0
    largest: int = 100  # of which it gives no more at a time, whatever the limit
    has_more: str = "right"
    last_id: str = "right"
    includes_cursor: bool = False
    behind_the_end: str = "nothing"  # or the last page, or the first, again
    gaps: bool = False  # an empty page before each, which says where to go on


HAS_MORE = ["right", "missing", "null", "text", "always"]
LAST_ID = ["right", "missing", "null", "empty", "first", "fixed"]


@mutable
class Model:
    """A list and its pages."""

    quirks: Quirks
    asked: list = field(factory=list)

    def ids(self, order):
        ids = [f"msg_{number}" for number in range(self.quirks.count)]
        return ids if order == "asc" else ids[::-1]

    def page(self, query):
        quirks, order, after = self.quirks, query.get("order", "desc"), query.get("after")
        self.asked.append(after)
        ids = self.ids(order)
        if quirks.gaps and not (after or "").startswith("gap_"):
            return self.told([], f"gap_{after or ''}", more=True)
        after = (after or "").removeprefix("gap_") or None
        size = min(int(query.get("limit", 20)), quirks.largest)
        begin = 0 if after is None else ids.index(after) + (not quirks.includes_cursor)
        if begin >= len(ids) and quirks.behind_the_end != "nothing":
            begin = 0 if quirks.behind_the_end == "first" else max(0, len(ids) - size)
        chosen = ids[begin : begin + size]
        return self.told(chosen, chosen[-1] if chosen else None, more=begin + size < len(ids))

    def told(self, ids, last, *, more):
        quirks = self.quirks
        has_more = {
            "right": more,
            "missing": ABSENT,
            "null": None,
            "text": str(more).lower(),
            "always": True,
        }[quirks.has_more]
        last_id = {
            "right": last,
            "missing": ABSENT,
            "null": None,
            "empty": "",
            "first": ids[0] if ids else None,
            "fixed": "msg_0",
        }[quirks.last_id]
        data = [{"id": each, "object": "thread.message", "role": "user"} for each in ids]
        page = {"object": "list", "data": data, "has_more": has_more, "last_id": last_id}
        return {key: value for key, value in page.items() if value is not ABSENT}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment

    def do_GET(self):
        query = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
        body = json.dumps(self.server.model.page(query)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Answers with the pages of its model."""

    daemon_threads = True
    model = Model(Quirks())

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def serving():
    with Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server():
    with serving() as server:
        yield server


def ids_of(items):
    return [item.id for item in items]


quirks = st.builds(
    Quirks,
    count=st.integers(0, 9) | st.integers(10, 40),
    largest=st.sampled_from([2, 3, 100]),
    has_more=st.sampled_from(HAS_MORE),
    last_id=st.sampled_from(LAST_ID),
    includes_cursor=st.booleans(),
    behind_the_end=st.sampled_from(["nothing", "last", "first"]),
)


def test_every_item_comes_once_whatever_the_pages_say(server):
    """The law of lists."""

    @settings(max_examples=250, deadline=None)
    @given(quirks, st.integers(2, 4), st.sampled_from(["asc", "desc"]))
    def law(quirks, limit, order):
        if quirks.has_more == "always" and not quirks.count:
            return  # which is an error, below
        server.model = Model(quirks)
        listed = client.threads.messages.list("thread_1", limit=limit, order=order)
        assert ids_of(listed) == server.model.ids(order)
        requests = len(server.model.asked)
        step = min(limit, quirks.largest) - quirks.includes_cursor
        assert requests <= quirks.count // step + 3
        pages = list(listed.pages())
        assert [item.id for page in pages for item in page.data] == server.model.ids(order)
        assert all(page.data for page in pages[1:])
        assert pages

    with Client(base_url=server.base_url) as client:
        law()


@pytest.mark.parametrize("has_more", ["right", "always"])
def test_pages_that_are_empty_but_say_where_to_go_on(server, has_more):
    server.model = Model(Quirks(5, gaps=True, has_more=has_more))
    with Client(base_url=server.base_url) as client:
        listed = client.threads.messages.list("thread_1", limit=2, order="asc")
        assert ids_of(listed) == server.model.ids("asc")
        assert [len(page.data) for page in listed.pages()] == [0, 2, 2, 1]


def test_an_asynchronous_client_lists_as_well(server, run_async):
    async def main(client):
        listed = client.threads.messages.list("thread_1", limit=3, order="asc")
        return [item.id async for item in listed]

    for has_more in HAS_MORE:
        server.model = Model(Quirks(7, has_more=has_more, last_id="missing"))
        assert run_async(server, main) == server.model.ids("asc")


def test_a_list_goes_on_behind_an_item_that_is_known(server):
    """Also where a server gives that one once more."""
    for includes_cursor in (False, True):
        server.model = Model(Quirks(7, includes_cursor=includes_cursor))
        with Client(base_url=server.base_url) as client:
            listed = client.threads.messages.list("thread_1", order="asc", limit=2, after="msg_3")
            assert ids_of(listed) == ["msg_4", "msg_5", "msg_6"]


def test_nothing_behind_an_item_that_is_known(server):
    server.model = Model(Quirks(7, includes_cursor=True, has_more="always"))
    with Client(base_url=server.base_url) as client:
        assert ids_of(client.threads.messages.list("thread_1", order="asc", after="msg_6")) == []


@pytest.mark.parametrize("after", [{}, {"after": "msg_1"}])
def test_a_first_page_that_is_empty_and_says_that_there_is_more(server, after):
    server.model = Model(Quirks(2 * len(after), has_more="always", last_id="null"))
    with Client(base_url=server.base_url) as client:
        listed = client.threads.messages.list("thread_1", order="asc", **after)
        for asked in (listed, listed.pages()):
            with pytest.raises(DecodeError, match=r"messages: at \$.data expected items"):
                list(asked)
    assert len(server.model.asked) == 2


class Endless(Model):
    """Nothing but empty pages, each of which says where to go on."""

    def page(self, query):
        self.asked.append(query.get("after"))
        return self.told([], f"msg_{len(self.asked)}", more=True)


def test_empty_pages_without_an_end_are_an_error(server):
    server.model = Endless(Quirks())
    with (
        Client(base_url=server.base_url) as client,
        pytest.raises(DecodeError, match="has_more"),
    ):
        list(client.threads.messages.list("thread_1"))
    assert len(server.model.asked) < 50


@pytest.mark.parametrize("kind", ["assistants", "files", "vector_stores"])
def test_all_lists_are_made_so(server, kind):
    server.model = Model(Quirks(7, last_id="null", has_more="missing"))
    with Client(base_url=server.base_url) as client:
        assert ids_of(getattr(client, kind).list(limit=3)) == server.model.ids("desc")


def test_a_page_says_whether_a_server_said_that_there_is_more(server):
    for has_more, told in {"right": False, "text": False, "null": None, "missing": None}.items():
        server.model = Model(evolve(Quirks(1), has_more=has_more))
        with Client(base_url=server.base_url) as client:
            (page,) = client.threads.messages.list("thread_1").pages()
            assert page.has_more is told


def test_items_without_an_id_are_given_as_well(raw):
    body = b'{"object": "list", "data": [{"id": null, "role": "user"}, {"id": "", "role": "user"}]}'
    server = raw(
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )
    with Client(base_url=server.url) as client:
        assert len(list(client.threads.messages.list("thread_1"))) == 2


def test_the_first_page_alone_is_one_request(server, run_async):
    server.model = Model(Quirks(5))
    with Client(base_url=server.base_url) as client:
        listed = client.threads.messages.list("thread_1", order="asc", limit=2)
        assert ids_of(listed.first_page().run().data) == ids_of(listed.data) == ["msg_0", "msg_1"]
        assert listed.data[0].id == "msg_0"
    assert server.model.asked == [None] * 3

    async def main(client):
        listed = client.threads.messages.list("thread_1", order="asc", limit=2)
        with pytest.raises(BlockingCallError):
            _ = listed.data
        return await listed.first_page()

    assert ids_of(run_async(server, main).data) == ["msg_0", "msg_1"]


def test_the_first_page_of_an_empty_list_is_empty(server):
    server.model = Model(Quirks(0))
    with Client(base_url=server.base_url) as client:
        assert client.threads.messages.list("thread_1").data == []


def test_two_subscriptions_of_a_list_are_independent(server):
    server.model = Model(Quirks(5, has_more="missing"))

    async def main():
        async with AsyncClient(base_url=server.base_url) as client:
            listed = client.threads.messages.list("thread_1", order="asc", limit=2)
            return [[item.id async for item in listed] for _ in range(2)]

    assert asyncio.run(main()) == [server.model.ids("asc")] * 2
