"""What every resource is made of: a call, a list, a run that is created once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen
from reactivex import Observable

from rxassist.client._arguments import checked, path, query
from rxassist.client.parameters import StreamOptions
from rxassist.codec import structure
from rxassist.consumers import LoopObservable
from rxassist.log import Log
from rxassist.loop import Home, from_batches
from rxassist.models import Page, Run
from rxassist.run_stream import RunObservable
from rxassist.transport import Request, Transport

_T = TypeVar("_T")

RUN = "/threads/{thread_id}/runs/{run_id}"
StreamT = TypeVar("StreamT", bound=RunObservable)


@frozen
class Connection(Generic[StreamT]):
    """What a client lends its resources: where it lives, how it speaks, what its streams are."""

    home: Home
    transport: Transport
    stream_class: type[StreamT]


class Resource(Generic[StreamT]):
    """A part of the API; its methods bind requests to Observables."""

    def __init__(self, connection: Connection[StreamT]) -> None:
        self._connection = connection

    def _call(
        self,
        target: type[_T],
        method: str,
        where: str,
        body: dict[str, Any] | None = None,
        asked: Sequence[tuple[str, str]] = (),
    ) -> LoopObservable[_T]:
        """A cold Observable of the answer: each subscription makes a request of its own."""
        connection = self._connection
        request = Request(method, where, asked, body)

        async def answers() -> AsyncGenerator[tuple[_T]]:
            async for (answer,) in connection.transport.send(request):
                yield (structure(answer, target),)

        return LoopObservable(connection.home, from_batches(connection.home, answers))

    def _once(self, call: LoopObservable[_T]) -> LoopObservable[_T]:
        """The same call, made once whatever the number of subscribers: for what creates a run."""
        home = self._connection.home
        return LoopObservable(home, Log(call, post=home.post, report=home.report))

    def _list(
        self, item: type[_T], where: str, parameters: Mapping[str, Any]
    ) -> LoopObservable[_T]:
        """A cold Observable of the items of a list, which fetches the next page when it is due."""
        connection = self._connection
        asked = query(parameters)
        first = Request("GET", where, asked)
        page_type: type[Page[_T]] = Page[item]  # type: ignore[valid-type]

        async def pages() -> AsyncGenerator[tuple[_T, ...]]:
            request, more = first, True
            while more:
                async for (answer,) in connection.transport.send(request):
                    page = structure(answer, page_type)
                    yield page.data
                    last = dict(request.query).get("after")
                    more = page.has_more and page.last_id not in {None, last} and bool(page.data)
                    rest = [pair for pair in asked if pair[0] != "after"]
                    request = evolve(first, query=[*rest, ("after", page.last_id or "")])

        return LoopObservable(connection.home, from_batches(connection.home, pages))

    def _stream(self, where: str, given: Mapping[str, object], parameters: Any) -> StreamT:  # noqa: ANN401 -- a TypedDict
        """The stream of a run: what is given are the endpoint's parameters and stream options."""
        connection = self._connection
        options: Any = {
            name: given[name] for name in StreamOptions.__annotations__ if name in given
        }
        body = checked({name: given[name] for name in given.keys() - options.keys()}, parameters)
        asked = query({"include": body.pop("include", None)})
        request = Request("POST", where, asked, {**body, "stream": True})
        events = from_batches(connection.home, lambda: connection.transport.stream(request))
        return connection.stream_class(connection.home, events, cancel=self._cancel_run, **options)

    def _cancel_run(self, run: Run) -> Observable[Run]:
        where = path(RUN + "/cancel", thread_id=run.thread_id, run_id=run.id)
        return self._call(Run, "POST", where)
