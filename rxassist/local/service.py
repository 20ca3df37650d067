"""The local service: the server, the library, and the protocols, with one store for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, contextmanager
from os import PathLike, fspath

from starlette.types import ASGIApp

from rxassist.local.assistants import endpoints as assistants
from rxassist.local.assistants.runner import Runner, fail_unfinished
from rxassist.local.library import endpoints as library
from rxassist.local.library.ingestion import Ingest, default_ingest
from rxassist.local.library.library import Library
from rxassist.local.responses import endpoints as responses
from rxassist.local.responses.conversations import ConversationsEndpoints
from rxassist.local.responses.runner import Rules
from rxassist.local.responses.runner import Runner as ResponsesRunner
from rxassist.local.responses.runner import fail_unfinished as fail_unfinished_responses
from rxassist.local.scripts.default import default_script
from rxassist.local.scripts.playback import Pace
from rxassist.local.scripts.turn import Script
from rxassist.local.server.application import application
from rxassist.local.server.background import BackgroundServer
from rxassist.local.server.durations import check_duration
from rxassist.local.server.faults import Faults
from rxassist.local.server.store import Store
from rxassist.local.server.visitors import Visitors
from rxassist.local.server.watch import Watch

_POLL_AFTER_MS = 50  # a script is faster than a model: clients need not wait as long


class LocalService(BackgroundServer):
    """A service that speaks the Assistants and the Responses protocol on this machine.

    A context manager: it runs in a background thread from ``with`` to its end. ``script`` defines
    what happens in a run (see ``rxassist.local.moves``), by default a reply that says that it is
    scripted. ``port`` 0 is any free one. State is kept in memory, or in the file ``database``,
    which one service uses at a time; a reply is sent only when its effect is durable, even if the
    process is killed. ``token_delay`` is the pause before each piece of text, in seconds;
    ``cancel_delay`` is how long a cancelled run stays ``cancelling``. With ``api_key``, requests
    need that key; without it, they need none, and any is accepted.

    A page in a browser cannot use the service, unless its origin (``http://localhost:3000``) is in
    ``allowed_origins``. Requests must be made to an address, to a name without a dot, to ``host``,
    or to one of the names in ``allowed_hosts``.

    ``ingest`` defines what happens to a file that is added to a vector store (see ``Ingest``): by
    default a text is ``completed`` at once, and any other file ``failed``. ``faults`` is called at
    each request, and returns what goes wrong with it: it is refused, answered with garbage, cut,
    stalled, … (see ``rxassist.local.faults``). ``poll_after_ms`` is how long clients that poll are
    advised to wait, and may be changed while the service runs; with ``None`` they get no advice.

    The events of a background response can be streamed again for ``resume_window`` seconds after
    its creation; they are kept for the last ``kept_logs`` responses. With ``foundry`` the service
    behaves like hosted agents of Azure AI Foundry: a request can choose the id of its response, in
    the header ``x-agent-response-id``; the stream of a cancelled response ends with
    ``response.failed``, whose status is ``cancelled``; a busy conversation is refused with 409.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        database: str | PathLike[str] | None = None,
        token_delay: float = 0.0,
        cancel_delay: float = 0.0,
        api_key: str | None = None,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        ingest: Ingest | None = None,
        faults: Faults | None = None,
        poll_after_ms: int | None = _POLL_AFTER_MS,
        resume_window: float = 300.0,
        kept_logs: int = 1000,
        foundry: bool = False,
    ) -> None:
        super().__init__(host, port)
        check_duration("token_delay", token_delay)
        check_duration("cancel_delay", cancel_delay)
        check_duration("resume_window", resume_window)
        if kept_logs < 0:
            msg = f"kept_logs must not be negative, got {kept_logs}"
            raise ValueError(msg)
        if not host:
            msg = "host must be an address to listen on ('0.0.0.0' is all of them), got ''"
            raise ValueError(msg)
        if database is not None and not fspath(database):
            msg = f"database must be the path of a file, or None to keep nothing, got {database!r}"
            raise ValueError(msg)
        self.poll_after_ms = poll_after_ms
        self._script = script or default_script
        self._ingest = ingest or default_ingest
        self._faults = faults
        self._database = None if database is None else fspath(database)
        self._pace = Pace(token_delay, cancel_delay)
        self._visitors = Visitors.named(host, allowed_hosts, allowed_origins)
        self._api_key = api_key
        self._rules = Rules(resume_window, kept_logs, foundry)
        self._watch = Watch()

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of each request so far, in order: the list itself, it may be cleared."""
        return self._watch.requests

    @property
    def open_streams(self) -> int:
        """The number of streamed responses that are open now."""
        return self._watch.open_streams

    @property
    def runs(self) -> list[str]:
        """The ids of all runs and responses, in order: the list itself, it may be cleared."""
        return self._watch.runs

    @property
    def active_runs(self) -> frozenset[str]:
        """The ids of the runs that work or wait now, and of the responses that work."""
        return self._watch.active_runs

    def wait_for(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        """Block until a condition on the state of the service holds.

        The condition is called again whenever a request comes, a stream opens or closes, or a run
        changes its status. Raises ``TimeoutError``.
        """
        self._watch.wait_for(condition, timeout)

    def _poll_after(self) -> int | None:
        return self.poll_after_ms

    @contextmanager
    def _application(self) -> Generator[ASGIApp]:
        loop = asyncio.get_running_loop()
        parents = {**assistants.PARENTS, **responses.PARENTS, **library.PARENTS}
        with closing(Store(self._database, loop.call_soon, parents)) as store:
            fail_unfinished(store)
            fail_unfinished_responses(store)
            runner = Runner(self._script, store, self._watch, loop, self._pace)
            other = ResponsesRunner(self._script, store, self._watch, loop, self._pace, self._rules)
            files = Library(self._ingest, store, loop)
            files.resume()
            routes = [
                *assistants.AssistantsEndpoints(
                    store, self._poll_after, runner, self._watch
                ).routes(),
                *responses.ResponsesEndpoints(
                    store, self._poll_after, other, self._watch, foundry=self._rules.foundry
                ).routes(),
                *ConversationsEndpoints(store, self._poll_after, other).routes(),
                *library.LibraryEndpoints(store, self._poll_after, files).routes(),
            ]
            try:
                yield application(
                    routes, self._watch, store.commit, self._visitors, self._api_key, self._faults
                )
            finally:
                files.drop()
                runner.close()
                other.close()


__all__ = ["LocalService"]
