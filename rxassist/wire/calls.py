"""The parts of every resource: calls, lists, streams, polls; bound to a client."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import wraps
from inspect import isfunction
from typing import Any, Generic, ParamSpec, TypeVar, cast
from urllib.parse import unquote

from attrs import evolve, field, frozen
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import APITimeoutError, DecodeError, PollTimeout, excerpt
from rxassist.reactive.budget import Budget, Share
from rxassist.reactive.checks import check_not_negative, check_positive
from rxassist.reactive.kernel import change_error, choose
from rxassist.reactive.log import Log
from rxassist.reactive.loop import HomeT, ThreadLoop, from_batches, on_loop, scheduled
from rxassist.reactive.observable import Call, LoopObservable, note_call
from rxassist.reactive.polling import (
    PATIENCE,
    Herd,
    check_id,
    is_passing,
    patiently,
    poll_beside_others,
)
from rxassist.reactive.queues import Queues
from rxassist.reactive.typing import Operator
from rxassist.wire.arguments import (
    Timeouts,
    check_encodable,
    checked,
    path,
    query,
    request_options,
    stated,
)
from rxassist.wire.json import from_json
from rxassist.wire.options import PollOptions, RequestOptions
from rxassist.wire.structure import structure, to_request
from rxassist.wire.transport import Answer, Request, Transport, Upload
from rxassist.wire.values import Deleted, Page

_T = TypeVar("_T")
_B = TypeVar("_B")
_P = ParamSpec("_P")


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CREATE = frozenset({"POST", "PATCH"})  # repeating one may create twice
_PATH = re.compile(r"/[^?#\s\x00-\x1f\x7f-\U0010ffff]*")
_POLL_INTERVAL = 1.0
_MOST_IN_VAIN = 20  # empty pages in a row
_POLL_ONLY = PollOptions.__annotations__.keys() - RequestOptions.__annotations__.keys()


@frozen
class Connection(Generic[HomeT]):
    """What a client shares with its resources: its loop, its transport, its settings."""

    home: HomeT
    transport: Transport
    timeouts: Timeouts
    idle_timeout: float | None
    max_retries: int
    budget: Share | None = None
    queues: Queues = field(factory=Queues)
    ended: Mapping[str, str] = field(factory=dict[str, str])
    """What the service has no more: the first part of a path, and what a call of it raises."""
    shares: dict[Budget, Share] = field(factory=dict["Budget", "Share"])
    """What the clients that share these connections have of their budgets."""
    polls: Herd = field(factory=Herd)


@frozen
class Polled(Generic[_T]):
    """A state, and the seconds that the service wants between two polls."""

    state: _T
    after: float | None = field(default=None, eq=False)


class Requests(Generic[HomeT]):
    """Binds requests to Observables, with a client's connection and settings."""

    def __init__(self, connection: Connection[HomeT]) -> None:
        self._connection = connection

    def _request(
        self,
        method: str,
        where: str,
        given: Mapping[str, object],
        parameters: Any = RequestOptions,  # noqa: ANN401 -- a TypedDict
        *,
        careful: bool = False,
        upload: Upload | None = None,
    ) -> Request:
        """A request from the arguments: the endpoint's parameters, and request options."""
        ended = self._connection.ended.get(where.removeprefix("/").partition("/")[0])
        if ended is not None:
            raise ValueError(ended)
        options = request_options(given)
        plain = checked({key: given[key] for key in given if key not in options}, parameters)
        asked = query({"include": plain.pop("include", None)} if method == "POST" else plain)
        body = plain if method == "POST" else None
        if body is not None and "extra_body" in options:
            body |= options["extra_body"]
        for name, value in (body or {}).items() if upload is not None else ():
            check_encodable("a name in extra_body", name)  # JSON escapes it, a form cannot
            check_encodable(name, value)
        bounds: Timeouts = options.get("timeout", self._connection.timeouts)
        return Request(
            method,
            where,
            [*asked, *query(options.get("extra_query", {}))],
            body,
            options.get("extra_headers", {}),
            upload=upload,
            careful=careful,
            timeout=bounds.answer,
            max_retries=options.get("max_retries", self._connection.max_retries),
            connect_timeout=bounds.connect,
            on_response=options.get("on_response"),
        )

    def _json(
        self,
        method: str,
        where: str,
        body: Mapping[str, object] | None,
        options: Mapping[str, object],
    ) -> LoopObservable[Any, HomeT]:
        """The JSON of an endpoint's answer, ``None`` if it is empty; creates only once."""
        if method not in _METHODS:
            msg = f"method must be one of {', '.join(_METHODS)}, got {excerpt(method)}"
            raise ValueError(msg)
        if not _PATH.fullmatch(where) or ".." in where.split("/"):
            expected = 'a path below base_url such as "/threads/thread_1", without a query'
            msg = f"path must be {expected}, got {excerpt(where)}; a query is extra_query"
            raise ValueError(msg)
        creates = method in _CREATE
        request = self._request(method, where, options, careful=creates)
        if body is not None:
            if not isinstance(cast("object", body), Mapping):
                msg = f"body must be a mapping, got {excerpt(body)}"
                raise TypeError(msg)
            request = evolve(request, body={**to_request(body), **(request.body or {})})

        def read(content: bytes) -> Any:  # noqa: ANN401 -- JSON is anything
            return from_json(content, str(request)) if content.strip() else None

        answered = self._contents(request).pipe(ops.map(read))
        return self._once(answered) if creates else self._as_call(answered)

    def _bound(self, source: Observable[_T]) -> LoopObservable[_T, HomeT]:
        return LoopObservable(self._connection.home, source)

    def _answers(self, target: type[_T], request: Request) -> LoopObservable[Polled[_T], HomeT]:
        """A cold Observable of the answer, with the service's wish for the next poll."""
        transport = self._connection.transport
        before: _T | None = None  # most answers to a poll are equal to the one before

        async def answers() -> AsyncGenerator[tuple[Polled[_T]]]:
            nonlocal before
            answer = await transport.send(request)
            before = _read(request, answer, target, before)
            yield (Polled(before, answer.poll_after),)

        return self._bound(from_batches(self._connection.home, answers))

    def _as_call(self, source: Observable[_T]) -> LoopObservable[_T, HomeT]:
        return Call(self._connection.home, source)

    def _call(self, target: type[_T], request: Request) -> LoopObservable[_T, HomeT]:
        """A cold Observable of the answer: each subscription sends a request of its own."""
        return self._as_call(self._answers(target, request).pipe(choose(_state)))

    def _create(self, target: type[_T], request: Request) -> LoopObservable[_T, HomeT]:
        """The created object: one request, however many subscriptions."""
        return self._once(self._call(target, request))

    def _delete(self, where: str, options: Mapping[str, object]) -> LoopObservable[Deleted, HomeT]:
        return self._call(Deleted, self._request("DELETE", where, options))

    def _content(self, request: Request) -> LoopObservable[bytes, HomeT]:
        """A cold Observable of the bytes of a file, without a limit on its size."""
        return self._as_call(self._contents(evolve(request, max_bytes=None)))

    def _contents(self, request: Request) -> Observable[bytes]:
        transport = self._connection.transport

        async def contents() -> AsyncGenerator[tuple[bytes]]:
            yield ((await transport.send(request)).content,)

        return from_batches(self._connection.home, contents)

    def _once(self, source: Observable[_T]) -> LoopObservable[_T, HomeT]:
        """The same for any number of subscribers, but subscribed once: for creations."""
        home = self._connection.home
        return self._as_call(Log(scheduled(home, source), post=home.post, report=home.report))

    def _list(
        self,
        item: type[_T],
        where: str,
        given: Mapping[str, object],
        parameters: Any,  # noqa: ANN401 -- a TypedDict
    ) -> Listing[_T, HomeT]:
        """A cold Observable of the items of a list; it fetches each page when it is needed."""
        return self._items(item, self._request("GET", where, given, parameters))

    def _items(self, item: type[_T], first: Request) -> Listing[_T, HomeT]:
        return Listing(self._connection, item, first)

    def _poll(
        self,
        target: type[_T],
        template: str,
        ids: Mapping[str, str],
        given: Mapping[str, object],
        until: Callable[[_T], bool],
    ) -> LoopObservable[_T, HomeT]:
        """Poll the state of the object with these ids; takes poll and request options."""
        options, rest = _apart(given)
        where = path(template, **ids)
        request = self._request("GET", where, rest)
        milliseconds: float | None = options.get("poll_interval_ms")
        interval = _POLL_INTERVAL if milliseconds is None else milliseconds / 1000

        def pause(polled: Polled[_T]) -> float:
            return interval if milliseconds is not None or polled.after is None else polled.after

        answers = self._answers(target, request)
        asked: Observable[Polled[_T]] = answers
        if options.get("patience") is not None:
            ours: Operator[Polled[_T], Polled[_T]] = choose(_only(where))
            name = self._connection.transport.name_of(request)
            out_of_patience: Operator[Polled[_T], Polled[_T]] = change_error(
                lambda error: _out_of_patience(error, name)
            )
            patient = patiently(
                lambda: answers.pipe(ours), is_passing, interval, options["patience"]
            )
            asked = patient.pipe(out_of_patience)
        polls = poll_beside_others(
            lambda: asked,
            until=lambda polled: until(polled.state),
            interval=pause,
            deadline=options.get("deadline"),
            herd=None if options.get("at_once") else self._connection.polls,
            over=interval,
        )
        unwrapped: Operator[Polled[_T], Polled[_T]] = change_error(_unwrapped(ids))
        told = polls.pipe(unwrapped).pipe(choose(_state))
        return self._bound(on_loop(self._connection.home, told))

    def _slot(self, *, waits: bool) -> Operator[_T, _T]:
        """Take a slot in the client's budget for as long as a run is followed.

        A new run waits for one; a run that exists already takes one at once.
        """
        connection = self._connection
        if connection.budget is None:
            return _same
        return connection.budget.place(connection.home, waits=waits)

    def _then(
        self, created: LoopObservable[_B, HomeT], following: Callable[[_B], Observable[_T]]
    ) -> LoopObservable[_T, HomeT]:
        """Create an object and continue with it, once for any number of subscribers."""
        return self._once(created.pipe(ops.flat_map(following)))


class Resource(Requests[HomeT]):
    """A part of the API: its public methods are what users call."""

    def __init_subclass__(cls) -> None:
        """Let every public method ignore arguments that mean "not given"."""
        super().__init_subclass__()
        for name, method in list(vars(cls).items()):
            if isfunction(method) and not name.startswith("_"):
                setattr(cls, name, _taking_what_is_given(method))


def _same(given: _T) -> _T:
    return given


def _taking_what_is_given(method: Callable[_P, _T]) -> Callable[_P, _T]:
    @wraps(method)
    def call(*arguments: _P.args, **given: _P.kwargs) -> _T:
        returned = method(*arguments, **stated(given))
        note_call(returned, method.__qualname__)
        return returned

    return call


def poll_options(given: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split the arguments of a call that creates and polls: those for its polls, and the others.

    Request options are for both. The polls are patient: a new object may be stored late.
    """
    polls, rest = _apart(given)
    return {"patience": PATIENCE, **polls}, rest


def _apart(given: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split arguments: those for polls, and the others."""
    polls = {key: given[key] for key in PollOptions.__annotations__ if key in given}
    if polls.get("poll_interval_ms") is not None:
        check_not_negative("poll_interval_ms", polls["poll_interval_ms"])
    for name in ("deadline", "patience"):
        if polls.get(name) is not None:
            check_positive(name, polls[name])
    if not isinstance(polls.get("at_once", False), bool):
        msg = f"at_once must be True or False, got {excerpt(polls['at_once'])}"
        raise TypeError(msg)
    return polls, {key: given[key] for key in given if key not in _POLL_ONLY}


def _only(where: str) -> Callable[[Polled[_T]], Polled[_T]]:
    """Raise if a state is not of the object at the end of a path."""
    kind, _, id_ = where.rpartition("/")

    def check(polled: Polled[_T]) -> Polled[_T]:
        check_id(kind.rpartition("/")[2], unquote(id_), getattr(polled.state, "id", ""))
        return polled

    return check


def _out_of_patience(error: Exception, name: str) -> Exception:
    """The last error of a poll that ran out of patience."""
    if not isinstance(error, PollTimeout):
        return error
    if isinstance(error.last, Exception):
        return error.last
    return APITimeoutError(f"{name}: no answer within the patience of {error.deadline:g} seconds")


def _unwrapped(ids: Mapping[str, str]) -> Callable[[Exception], Exception]:
    """The error of a poll, with the last state unwrapped, and the polled ids."""

    def unwrap(error: Exception) -> Exception:
        if not isinstance(error, PollTimeout):
            return error
        last = cast("Polled[object] | None", error.last)
        return PollTimeout(error.deadline, None if last is None else last.state, ids)

    return unwrap


def _read(
    request: Request,
    answer: Answer,
    target: type[_T],
    before: _T | None = None,
) -> _T:
    return structure(from_json(answer.content, str(request)), target, before=before)


def _state(polled: Polled[_T]) -> _T:
    return polled.state


class Listing(LoopObservable[_T, HomeT], Generic[_T, HomeT]):
    """A cold Observable of the items of a list: it fetches the next page on demand.

    Each subscription begins at the first page, or after ``after``. No item comes twice, whatever
    the pages repeat. Completes with the page that is marked as the last, or that has nothing new.
    ``pages()`` gives whole pages, ``first_page()`` the first alone, ``data`` its items.
    ``run()`` and ``await`` fetch all pages and give the last item, as of any Observable;
    ``list(…)`` gives all items, and ``pipe(ops.to_list())`` is their Observable. Sends
    ``DecodeError`` to ``on_error`` if a server says that there is more, but gives neither items nor
    a cursor.
    """

    def __init__(self, connection: Connection[HomeT], item: type[_T], first: Request) -> None:
        self._connection = connection
        self._first = first
        self._name = f"the list {first}"
        self._page_type: type[Page[_T]] = Page[item]  # type: ignore[valid-type]
        super().__init__(connection.home, from_batches(connection.home, self._items))

    def pages(self) -> LoopObservable[Page[_T], HomeT]:
        """A cold Observable of the pages, each without the items of earlier pages."""
        home = self._connection.home
        return LoopObservable(home, from_batches(home, self._single_pages))

    def first_page(self) -> LoopObservable[Page[_T], HomeT]:
        """A cold Observable of the first page alone: one request."""
        return LoopObservable(self._home, from_batches(self._home, self._first_page))

    @property
    def data(self: Listing[_T, ThreadLoop]) -> list[_T]:
        """The items of the first page, as in the official SDK: fetches it, and waits for it.

        For a ``Client``: with an ``AsyncClient`` it is ``(await ….first_page()).data``, and this
        raises ``BlockingCallError``.
        """
        return list(self.first_page().run().data)

    async def _pages(self) -> AsyncGenerator[Page[_T]]:
        transport, request = self._connection.transport, self._first
        rest = [pair for pair in request.query if pair[0] != "after"]
        course = _Course(dict(request.query).get("after"))
        while True:
            answer = await transport.send(request)
            page = _read(request, answer, self._page_type)
            fresh = course.take(page, str(request))
            if fresh or request is self._first:
                yield page if len(fresh) == len(page.data) else evolve(page, data=fresh)
            if course.following is None:
                return
            request = evolve(self._first, query=[*rest, ("after", course.following)])

    async def _first_page(self) -> AsyncGenerator[tuple[Page[_T]]]:
        async with aclosing(self._pages()) as pages:
            yield (await anext(pages),)

    async def _items(self) -> AsyncGenerator[tuple[_T, ...]]:
        async for page in self._pages():
            yield page.data

    async def _single_pages(self) -> AsyncGenerator[tuple[Page[_T]]]:
        async for page in self._pages():
            yield (page,)


class _Course:
    """The way through the pages of a list: the items given so far, and the next cursor."""

    def __init__(self, after: str | None) -> None:
        self.following: str | None = None
        self._given = {after}
        self._asked = {after}
        self._any_given = False
        self._in_vain = 0  # pages in a row

    def take(self, page: Page[_T], name: str) -> tuple[_T, ...]:
        """The items of a page that were not given before."""
        fresh = tuple(item for item in page.data if self._is_new(item))
        self._any_given = self._any_given or bool(fresh)
        self._in_vain = 0 if fresh else self._in_vain + 1
        self.following = None if page.has_more is False else self._cursor(page, fresh)
        is_lost = self._in_vain > _MOST_IN_VAIN or not (self.following or self._any_given)
        if page.has_more and not page.data and is_lost:
            expected = "items, as has_more says that there are some"
            raise DecodeError(name, "$.data", page.data, expected)
        self._asked.add(self.following)
        return fresh

    def _is_new(self, item: object) -> bool:
        id_ = _id_of(item)
        if id_ and id_ in self._given:
            return False
        self._given.add(id_)
        return True

    def _cursor(self, page: Page[Any], fresh: tuple[object, ...]) -> str | None:
        """The cursor of the next page, if there may be one.

        It is the id of the last item: not all servers send ``last_id``, or the right one. A page
        that only repeats items is the last one. An empty page is not the last one if it says that
        there is more, and has a ``last_id``.
        """
        last = _id_of(fresh[-1]) if fresh else ""
        says_where = fresh or (page.has_more and not page.data)
        cursor = last or (page.last_id if says_where else None)
        return None if cursor in self._asked else cursor or None


def _id_of(item: object) -> str:
    return getattr(item, "id", "")
