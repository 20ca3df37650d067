"""How runs are started and gone on with: once, on a free thread, and followed to their end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar, cast
from uuid import uuid4

import reactivex as rx
from attrs import evolve, frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxassist.errors import PollTimeout, StreamTruncated
from rxassist.protocols.assistants.awaited import awaited
from rxassist.protocols.assistants.busy import RUN, RUNS, OnThread, by_told_ids, carried
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.protocols.assistants.events import Event, ThreadCreated, ThreadRunCreated
from rxassist.protocols.assistants.models import Message, Run, RunStep
from rxassist.protocols.assistants.outputs import outputs_once
from rxassist.protocols.assistants.parameters import (
    HandlerT,
    MessageListParameters,
    StartOptions,
    StepListParameters,
    StreamOptions,
    ToolOptions,
    ToolOutputsParameters,
)
from rxassist.protocols.assistants.protocol import PROTOCOL
from rxassist.protocols.assistants.recovery import (
    INTERVAL,
    PATIENCE,
    Recovery,
    recovering,
    unrecovered,
)
from rxassist.protocols.assistants.run_tools import MAX_ROUNDS, Calls, Submission, tool_rounds
from rxassist.reactive.calling import calling
from rxassist.reactive.checks import check_positive
from rxassist.reactive.kernel import take_through
from rxassist.reactive.loop import HomeT, from_batches
from rxassist.reactive.observable import LoopObservable
from rxassist.reactive.queues import Waiting
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.events import run_of
from rxassist.runs.operators.lifetime import is_done
from rxassist.runs.state import has_settled, is_lost
from rxassist.runs.streams.creation import SEARCH_PATIENCE, Search, one_run
from rxassist.runs.streams.leaving import Farewell, OnDispose, cancel_when_left, check_on_dispose
from rxassist.runs.streams.results import OnResult
from rxassist.runs.streams.run_stream import StreamT
from rxassist.runs.tools import Toolbox
from rxassist.runs.tools.tool import functions_in, with_definitions
from rxassist.wire.arguments import missing, path
from rxassist.wire.calls import Polled
from rxassist.wire.options import ListParameters, RequestOptions
from rxassist.wire.transport import Request

_T = TypeVar("_T")

STEPS = RUN + "/steps"
OUTPUTS = RUN + "/submit_tool_outputs"
MESSAGES = "/threads/{thread_id}/messages"

_NONCE = "rxassist_nonce"
_MOST_METADATA = 16
_PAGE = 100  # items of a list that one request gives, at most


@frozen
class Tooling:
    """How the tools of a run are called."""

    calls: Calls
    max_rounds: int


@frozen
class Following:
    """How one run is followed by polls: for how long, and what becomes of it then."""

    farewell: Farewell
    waiting: Waiting
    thread_id: str | None
    on_dispose: OnDispose
    deadline: float | None
    calls_tools: bool

    def late(self) -> Exception:
        """The error of a run that has not ended in time. One that nobody goes on with is left."""
        if self.calls_tools and self.farewell.waits:
            self.farewell.leave()
        run = self.farewell.run
        thread_id = (run and run.thread_id) or self.thread_id
        ids = {"run_id": run and run.id, "thread_id": thread_id}
        known = {name: each for name, each in ids.items() if each}
        last = run if run is not None and run.status else None
        error = PollTimeout(self.deadline or 0.0, last, known, str(self.waiting))
        error.__cause__ = self.waiting.in_the_way
        return error

    def say_farewell(self, error: Exception, _: Observable[Run]) -> Observable[Run]:
        """The error. That of a deadline comes when the run is cancelled, if it is to be."""
        if not isinstance(error, PollTimeout) or self.farewell.run is None:
            return rx.throw(error)

        def subscribe(
            observer: abc.ObserverBase[Run], _: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self.farewell.when_over(lambda: observer.on_error(error))
            return Disposable()

        return Observable(subscribe)


def not_of_following(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, without what says how a run is followed."""
    return {key: given[key] for key in given if key not in {"on_dispose", "deadline"}}


class Starting(OnThread[HomeT], Generic[StreamT, HandlerT, HomeT]):
    """A part of the API that starts runs."""

    # --- requests ---

    def _start_request(
        self,
        where: str,
        given: Mapping[str, object],
        parameters: Any,  # noqa: ANN401 -- a TypedDict
    ) -> Request:
        """The request for a run, marked if it is to be found again."""
        for name in ("idempotent", "recover", "replay"):
            if not isinstance(given.get(name, True), bool):
                msg = f"{name} must be True or False, got {given[name]!r}"
                raise TypeError(msg)
        if given.get("patience") is not None:
            check_positive("patience", given["patience"])
        rest = {key: value for key, value in given.items() if key not in _NOT_SENT}
        if isinstance(rest.get("tools"), Toolbox):
            msg = "a Toolbox is called, and this call calls nothing; pass its definitions as tools"
            raise TypeError(msg)
        rest = with_definitions(rest)
        request = self._request("POST", where, rest, parameters, careful=True)
        if not given.get("idempotent"):
            return request
        body = dict(request.body or {})
        metadata: dict[str, Any] = {**(body.get("metadata") or {}), _NONCE: uuid4().hex}
        if len(metadata) > _MOST_METADATA:
            msg = f"metadata may have {_MOST_METADATA - 1} entries, as idempotent=True adds one"
            raise ValueError(msg)
        return evolve(request, body={**body, "metadata": metadata})

    # --- flows ---

    def _started(
        self,
        asked: Observable[_T],
        request: Request,
        thread_id: str | None,
        begins: Callable[[_T], bool],
        found: Callable[[Run], Observable[_T]],
        given: Mapping[str, object],
        waiting: Waiting | None,
    ) -> Observable[_T]:
        """One run on a free thread, of an Observable that asks for it."""
        search: Search[_T] | None = None
        if given.get("idempotent") and thread_id is not None:
            mark = (request.body or {})["metadata"][_NONCE]
            search = Search(
                lambda: self._runs(thread_id, given),
                lambda run: run.metadata.get(_NONCE) == mark,
                found,
                cast("float | None", given.get("patience", SEARCH_PATIENCE)),
            )
        source = asked.pipe(one_run(thread_id, begins, search, _created_thread))
        return self._on_free_thread(source, thread_id, given, waiting)

    def _runs(self, thread_id: str, given: Mapping[str, object]) -> Observable[Run]:
        """The runs of a thread, newest first."""
        where = path(RUNS, thread_id=thread_id)
        return self._items(Run, self._read(where, given, ListParameters, order="desc", limit=_PAGE))

    def _create_run(
        self,
        where: str,
        given: Mapping[str, object],
        parameters: Any,  # noqa: ANN401 -- a TypedDict
        thread_id: str | None = None,
        waiting: Waiting | None = None,
    ) -> LoopObservable[Run, HomeT]:
        """A run that is created once, and left working."""
        for name in StreamOptions.__annotations__.keys() & given.keys():
            msg = f"{name} is an option of streams, and this call makes none"
            raise TypeError(msg)
        request = self._start_request(where, given, parameters)
        created = self._answers(Run, request)

        def found(run: Run) -> Observable[Polled[Run]]:
            return rx.of(Polled(run))

        started = self._started(created, request, thread_id, _any, found, given, waiting)
        return self._once(started.pipe(ops.map(_state)))

    def _place(self, *, waits: bool = True) -> Operator[_T, _T]:
        """What keeps a place in the client's budget for a run that is followed."""
        connection = self._connection
        if connection.budget is None:
            return _as_it_is
        return connection.budget.place(connection.home, waits=waits)

    # --- polls ---

    def _following(
        self,
        given: Mapping[str, Any],
        thread_id: str | None = None,
        run_id: str | None = None,
        *,
        calls_tools: bool = False,
    ) -> Following:
        """How the run of a call is followed by polls."""
        on_dispose, deadline = given.get("on_dispose", "detach"), given.get("deadline")
        check_on_dispose(on_dispose)
        if deadline is not None:
            check_positive("deadline", deadline)
        known = None if run_id is None else Run(run_id, thread_id=thread_id or "")
        cancel = partial(self._cancel_run, given, thread_id)
        farewell = Farewell(cancel, self._connection.home, known)
        return Following(farewell, Waiting(), thread_id, on_dispose, deadline, calls_tools)

    def _follow(self, runs: Observable[Run], following: Following) -> Observable[Run]:
        """A run at each of its changes, to its end or until it is left: to be subscribed once.

        All of it has to end within the deadline, also what comes before the run exists.
        """
        farewell = following.farewell
        if following.on_dispose == "cancel":
            followed = runs.pipe(cancel_when_left(farewell, self._connection.home, _as_it_is))
        else:
            followed = runs.pipe(ops.do_action(farewell.told))
        if following.deadline is not None:
            in_time: Operator[Run, Run] = operators.deadline(
                following.deadline, late=following.late
            )
            followed = followed.pipe(in_time, ops.catch(following.say_farewell))
        return followed

    def _created_and_followed(
        self,
        created: Observable[Run],
        following: Following,
        then: Callable[[Run], Observable[Run]],
        *,
        waits: bool = True,
    ) -> LoopObservable[Run, HomeT]:
        """A run that is created, or goes on, once, and has a place while it is followed."""
        begun = created.pipe(ops.do_action(following.farewell.told))
        followed = self._follow(begun.pipe(ops.flat_map(by_told_ids(then))), following)
        return self._once(followed.pipe(self._place(waits=waits)))

    def _poll_on(self, run: Run, options: Mapping[str, object]) -> LoopObservable[Run, HomeT]:
        """Poll a run that was just created."""
        ids = {"run_id": run.id, "thread_id": run.thread_id}
        return self._poll(Run, RUN, ids, options, has_settled)

    # --- streams ---

    def _run_events(
        self,
        where: str,
        given: Mapping[str, object],
        parameters: Any,  # noqa: ANN401 -- a TypedDict
        thread_id: str | None,
        waiting: Waiting | None = None,
    ) -> Observable[Event]:
        """The events of a new run, as they come."""
        request = self._streamed(self._start_request(where, given, parameters), given)
        return self._started(
            self._events(request), request, thread_id, _tells_of_a_run, _found, given, waiting
        )

    def _output_stream(
        self,
        where: str,
        given: Mapping[str, object],
        parameters: Any,  # noqa: ANN401 -- a TypedDict
        thread_id: str,
        run_id: str,
    ) -> StreamT:
        """The stream of a run that goes on with what is submitted, once."""
        request = self._streamed(self._start_request(where, given, parameters), given)
        check_outputs(request)
        calls = _calls_of(request)
        events = self._events(request).pipe(self._submits(request, thread_id, run_id, given))
        return self._stream(events, given, thread_id, run_id, submitted=calls)

    def _submits(
        self,
        request: Request,
        thread_id: str,
        run_id: str,
        given: Mapping[str, object],
        **how: Any,
    ) -> Operator[_T, _T]:
        """What makes sure that outputs are taken once, of what submits them when subscribed."""
        return outputs_once(
            lambda: self._retrieve(thread_id, run_id, given),
            _calls_of(request),
            again=request.max_retries > 0,
            **how,
        )

    def _submitted(
        self,
        request: Request,
        thread_id: str,
        run_id: str,
        given: Mapping[str, object],
        *,
        follow: bool = False,
    ) -> Observable[Run]:
        """The run that has taken outputs, which are submitted once."""
        asked: Observable[Run] = self._call(Run, request)
        submits: Operator[Run, Run] = self._submits(
            request, thread_id, run_id, given, went_on=_as_read, follow=follow
        )
        return asked.pipe(submits)

    def _streamed(self, request: Request, given: Mapping[str, object]) -> Request:
        idle = given.get("idle_timeout", self._connection.idle_timeout)
        if idle is not None:
            check_positive("idle_timeout", idle)
        body = {**(request.body or {}), "stream": True}
        return evolve(request, body=body, idle_timeout=cast("float | None", idle))

    def _events(self, request: Request) -> Observable[Event]:
        connection = self._connection
        return from_batches(
            connection.home, lambda: connection.transport.stream(request, EventDecoder)
        )

    def _stream(
        self,
        events: Observable[Event],
        given: Mapping[str, object],
        thread_id: str | None = None,
        run_id: str | None = None,
        submitted: Collection[str] | None = None,
        tooling: Tooling | None = None,
        waiting: Waiting | None = None,
    ) -> StreamT:
        """The stream of a run, with what was given for it."""
        options: Any = {key: given[key] for key in StreamOptions.__annotations__ if key in given}
        for name in ("idle_timeout", "recover", "recovery_timeout"):  # of the requests
            options.pop(name, None)

        cancel = partial(self._cancel_run, given, thread_id)
        tools: Callable[[OnResult], Operator[Event, Event]] | None = None
        if tooling is not None:
            leg = self._leg(given, thread_id)
            patience = cast("float", given.get("recovery_timeout", PATIENCE))
            read = partial(self._awaited, given, thread_id, INTERVAL, patience)
            tools = partial(self._called, cancel, tooling, run_of, leg, read)
        stream: StreamT = self._connection.stream_class(
            self._connection.home,
            events,
            PROTOCOL,
            recovery=self._recovery(given, thread_id, run_id, submitted),
            tools=tools,
            cancel=cancel,
            waiting=waiting,
            thread_id=thread_id,
            known=None if run_id is None else Run(run_id, thread_id=thread_id or ""),
            place=self._place(waits=run_id is None),
            **options,
        )
        return stream

    def _recovery(
        self,
        given: Mapping[str, Any],
        thread_id: str | None,
        run_id: str | None,
        submitted: Collection[str] | None,
    ) -> Operator[Event, Event]:
        """What makes sure of the ending of a stream."""
        patience = given.get("recovery_timeout", PATIENCE)
        check_positive("recovery_timeout", patience)
        recovery: Operator[Event, Event] = operators.check_ending()
        if given.get("recover", True):
            how = partial(self._how_to_recover, given, thread_id, run_id, submitted, patience)
            recovery = recovering(how, keeps_events=given.get("replay", True))
        return recovery

    def _how_to_recover(
        self,
        given: Mapping[str, Any],
        thread_id: str | None,
        run_id: str | None,
        submitted: Collection[str] | None,
        patience: float,
    ) -> Recovery:
        return Recovery(
            by_told_ids(lambda thread, run: self._retrieve(thread, run, given)),
            by_told_ids(lambda thread, run: self._steps(thread, run, given)),
            by_told_ids(lambda thread, run: self._messages(thread, run, given)),
            thread_id=thread_id,
            run_id=run_id,
            submitted=submitted,
            patience=patience,
        )

    # --- tools ---

    def _tooling(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], Tooling | None]:
        """What was given, with tools as they are sent, and how those are called that can be."""
        rest = {key: given[key] for key in given if key not in ToolOptions.__annotations__}
        tools, toolbox = rest.get("tools"), Toolbox([])
        if isinstance(tools, Toolbox):
            toolbox = rest.pop("tools")
        elif isinstance(tools, Iterable) and not isinstance(tools, str | bytes | Mapping):
            listed = list(cast("Iterable[object]", tools))
            toolbox, rest["tools"] = functions_in(listed), listed
        max_rounds = given.get("max_rounds", MAX_ROUNDS)
        check_positive("max_rounds", max_rounds, whole=True)
        calls = Calls(
            toolbox,
            calling(self._connection.home),
            given.get("approve"),
            given.get("on_tool_error", "tell"),
            given.get("tool_timeout"),
            given.get("max_concurrent_tools"),
        )
        if not toolbox and calls.approve is None:
            return rest, None
        return rest, Tooling(calls, max_rounds)

    def _called(
        self,
        cancel: Callable[[Run], Observable[Run]],
        tooling: Tooling,
        run_of: Callable[[_T], Run | None],
        submit: Callable[[Run, Submission], Observable[_T]],
        read: Callable[[Run], Observable[Run]],
        on_result: OnResult | None = None,
    ) -> Operator[_T, _T]:
        """The operator that calls the functions that a run asks for."""
        return tool_rounds(
            tooling.calls,
            run_of,
            submit,
            cancel=cancel,
            max_rounds=tooling.max_rounds,
            on_result=on_result,
            read=read,
        )

    def _awaited(
        self,
        given: Mapping[str, object],
        thread_id: str | None,
        interval: float,
        patience: float,
        run: Run,
    ) -> Observable[Run]:
        """A run that does not say what it waits for, with what that is."""
        thread_id = run.thread_id or thread_id or ""
        return awaited(
            run,
            lambda: self._retrieve(thread_id, run.id, given),
            lambda: self._steps(thread_id, run.id, given),
            interval=interval,
            patience=patience,
        )

    def _outputs_request(
        self, run: Run, submission: Submission, given: Mapping[str, object]
    ) -> Request:
        """The request that submits outputs, made as that for the run was."""
        where = path(OUTPUTS, thread_id=run.thread_id, run_id=run.id)
        asked = {**carried(given), **submission}
        return self._request("POST", where, asked, ToolOutputsParameters, careful=True)

    def _leg(
        self, given: Mapping[str, object], thread_id: str | None
    ) -> Callable[[Run, Submission], Observable[Event]]:
        """What submits outputs and streams what the run does then, to its end or its next wait."""

        def leg(run: Run, submission: Submission) -> Observable[Event]:
            run = evolve(run, thread_id=run.thread_id or thread_id or "")
            request = self._streamed(self._outputs_request(run, submission, given), given)
            follow = bool(given.get("recover", True))  # else nothing would find how it ended
            submits: Operator[Event, Event] = self._submits(
                request, run.thread_id, run.id, given, follow=follow
            )
            events, calls = self._events(request).pipe(submits), _calls_of(request)
            to_the_end = events.pipe(take_through(is_done))
            return to_the_end.pipe(self._recovery(given, run.thread_id, run.id, calls))

        return by_told_ids(leg)

    def _polled(
        self,
        run: Run,
        polls: Mapping[str, Any],
        given: Mapping[str, object],
        tooling: Tooling | None,
    ) -> Observable[Run]:
        """The run at each change, to its end, and the functions called that it asks for."""
        if tooling is None:
            return self._poll_on(run, polls)

        def polled() -> Observable[Run]:
            return self._poll_on(run, polls)

        def submit(waiting: Run, submission: Submission) -> Observable[Run]:
            request = self._outputs_request(waiting, submission, given)
            taken = self._submitted(request, run.thread_id, run.id, given, follow=True)

            def lost(error: Exception, _: Observable[Run]) -> Observable[Run]:
                """The run as it can be read later, where nobody knows if it took the outputs."""
                found = polled().pipe(
                    ops.take(1), ops.catch(lambda why, _: rx.throw(unrecovered(why, error)))
                )
                return found if is_lost(error) else rx.throw(error)

            def follow(now: Run) -> Observable[Run]:
                if has_settled(now):  # perhaps it is the state of before
                    return polled()
                return polled().pipe(ops.start_with(now), ops.distinct_until_changed())

            return taken.pipe(ops.catch(lost), ops.flat_map(follow))

        milliseconds: float | None = polls.get("poll_interval_ms")
        interval = INTERVAL if milliseconds is None else milliseconds / 1000
        patience: float = polls.get("patience") or PATIENCE
        read = partial(self._awaited, given, run.thread_id, interval, patience)
        cancel = partial(self._cancel_run, given, run.thread_id)
        return polled().pipe(self._called(cancel, tooling, _as_it_is, submit, read))

    # --- what is stored ---

    def _retrieve(
        self, thread_id: str, run_id: str, given: Mapping[str, object]
    ) -> Observable[Run]:
        where = path(RUN, thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._read(where, given, RequestOptions))

    def _steps(
        self, thread_id: str, run_id: str, given: Mapping[str, object]
    ) -> Observable[RunStep]:
        where = path(STEPS, thread_id=thread_id, run_id=run_id)
        asked: dict[str, object] = {"order": "asc", "limit": _PAGE}
        if "include" in given:
            asked["include"] = given["include"]
        return self._items(RunStep, self._read(where, given, StepListParameters, **asked))

    def _messages(
        self, thread_id: str, run_id: str, given: Mapping[str, object]
    ) -> Observable[Message]:
        where = path(MESSAGES, thread_id=thread_id)
        asked = {"order": "asc", "limit": _PAGE, "run_id": run_id}
        return self._items(Message, self._read(where, given, MessageListParameters, **asked))


def check_outputs(request: Request) -> None:
    """Raise ``TypeError`` where a request submits nothing."""
    if not {"tool_outputs", "tool_approvals"} & (request.body or {}).keys():
        name = "tool_outputs"
        raise missing(name)


_NOT_SENT = frozenset({*StartOptions.__annotations__, *StreamOptions.__annotations__})


def _any(_: object) -> bool:
    return True


def _state(polled: Polled[_T]) -> _T:
    return polled.state


def _as_it_is(given: _T) -> _T:
    return given


def searching(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a call that creates and polls was given for both: how long it looks for its run."""
    return {"patience": given["patience"]} if "patience" in given else {}


def _calls_of(request: Request) -> set[str]:
    """The ids of the calls that a submission answers."""
    body = request.body or {}
    outputs = [*body.get("tool_outputs", ()), *body.get("tool_approvals", ())]
    return {str(output.get("tool_call_id")) for output in outputs}


def _as_read(run: Run, _: Exception) -> Observable[Run]:
    return rx.of(run)


def _created_thread(item: object) -> str | None:
    return item.data.id if isinstance(item, ThreadCreated) else None


def _tells_of_a_run(event: Event) -> bool:
    return not isinstance(event, ThreadCreated)


def _found(run: Run) -> Observable[Event]:
    """A run that was found again, whose stream was lost before its first event."""
    told: Observable[Event] = rx.of(ThreadRunCreated(evolve(run, status="queued")))
    return told.pipe(ops.concat(rx.throw(StreamTruncated("the run was found, its stream was not"))))


__all__ = ["MESSAGES", "OUTPUTS", "STEPS", "Starting", "not_of_following", "searching"]
