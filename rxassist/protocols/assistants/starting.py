"""Starting runs, and resuming them with tool outputs: once, on a free thread, to their end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import reactivex as rx
from attrs import evolve
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import PollTimeout, StreamTruncated
from rxassist.protocols.assistants.awaited import awaited
from rxassist.protocols.assistants.busy import RUN, RUNS, ThreadCall, by_received_ids
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.protocols.assistants.events import Event, ThreadCreated, ThreadRunCreated
from rxassist.protocols.assistants.known import Known, with_waits
from rxassist.protocols.assistants.models import Message, Run, RunStep
from rxassist.protocols.assistants.outputs import outputs_once
from rxassist.protocols.assistants.parameters import (
    HandlerT,
    MessageListParameters,
    RunFollowParameters,
    StepListParameters,
    ToolOutputsParameters,
)
from rxassist.protocols.assistants.protocol import PROTOCOL
from rxassist.protocols.assistants.recovery import (
    INTERVAL,
    Recovery,
    existing,
    recovering,
    unrecovered,
)
from rxassist.protocols.assistants.run_tools import Submission, tool_rounds
from rxassist.reactive.kernel import take_through
from rxassist.reactive.loop import HomeT, from_batches
from rxassist.reactive.observable import LoopObservable
from rxassist.reactive.polling import PATIENCE
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.events import run_of
from rxassist.runs.operators.lifetime import is_done
from rxassist.runs.state import has_settled, is_lost
from rxassist.runs.streams.creation import Search, found_run, one_run
from rxassist.runs.streams.given import Given, ParametersClass, Tooling
from rxassist.runs.streams.leaving import Farewell
from rxassist.runs.streams.options import StreamOptions
from rxassist.runs.streams.pipeline import Plan, then, unchanged
from rxassist.runs.streams.polls import follow_polled
from rxassist.runs.streams.run_stream import StreamT
from rxassist.runs.tools import Toolbox
from rxassist.runs.tools.calls import OnResult
from rxassist.runs.tools.tool import with_definitions
from rxassist.wire.arguments import missing, path
from rxassist.wire.calls import Connection, Resource, poll_options
from rxassist.wire.options import ListParameters, RequestOptions
from rxassist.wire.transport import Request

_T = TypeVar("_T")

STEPS = RUN + "/steps"
OUTPUTS = RUN + "/submit_tool_outputs"
MESSAGES = "/threads/{thread_id}/messages"

_NONCE = "rxassist_nonce"
_MOST_METADATA = 16
_PAGE = 100  # the most items of a list in one answer


class Starting(Resource[HomeT], Generic[StreamT, HandlerT, HomeT]):
    """A part of the API that starts runs, whose streams are of the given class."""

    def __init__(self, connection: Connection[HomeT], stream_class: type[StreamT]) -> None:
        super().__init__(connection)
        self._stream_class = stream_class

    def _begin(
        self,
        parameters: Mapping[str, object],
        takes: ParametersClass,
        thread_id: str | None = None,
    ) -> RunCall[HomeT]:
        """A call with its arguments; ``takes`` is the class of its parameters."""
        given = Given.of(self._connection, parameters, takes)
        return RunCall(self._connection, given, thread_id)

    def _stream(self, plan: Plan[Event]) -> StreamT:
        return self._stream_class(self._connection.home, plan)


class RunCall(ThreadCall[HomeT]):
    """One call that starts a run, or resumes one: its requests, its stream or its polls."""

    # --- the request ---

    def request(self, where: str, parameters: ParametersClass) -> Request:
        """The request for a run, with a mark if the call must be able to find the run again."""
        for name in StreamOptions.__annotations__.keys() & self.given.asked.keys():
            msg = f"{name} is an option of streams, and this call makes none"
            raise TypeError(msg)
        if isinstance(self.given.asked.get("tools"), Toolbox):
            msg = "a Toolbox is called, and this call calls nothing; pass its definitions as tools"
            raise TypeError(msg)
        asked = with_definitions(self.given.asked)
        request = self._request("POST", where, asked, parameters, careful=True)
        mark = self.given.start.mark
        if mark is None:
            return request
        body = dict(request.body or {})
        metadata: dict[str, Any] = {**(body.get("metadata") or {}), _NONCE: mark}
        if len(metadata) > _MOST_METADATA:
            msg = f"metadata may have {_MOST_METADATA - 1} entries, as idempotent=True adds one"
            raise ValueError(msg)
        return evolve(request, body={**body, "metadata": metadata})

    def _one_run(
        self,
        begins: Callable[[_T], bool],
        found: Callable[[Run], Observable[_T]],
    ) -> Operator[_T, _T]:
        """Create one run, when the thread is free."""
        thread_id, mark = self._thread_id, self.given.start.mark
        search: Search[_T] | None = None
        if mark is not None and thread_id is not None:
            search = self._search(thread_id, mark, found)
        one: Operator[_T, _T] = one_run(thread_id, begins, search, _created_thread)

        def operator(source: Observable[_T]) -> Observable[_T]:
            return self.on_free_thread(source.pipe(one))

        return operator

    def _search(
        self, thread_id: str, mark: str, found: Callable[[Run], Observable[_T]]
    ) -> Search[_T]:
        return Search(
            lambda: self._runs(thread_id),
            lambda run: run.metadata.get(_NONCE) == mark,
            found,
            self.given.start.patience,
        )

    def create(self, request: Request) -> LoopObservable[Run, HomeT]:
        """Create a run once, and leave it working."""
        created: Observable[Run] = self._call(Run, request)
        return self._once(created.pipe(self._one_run(_any, rx.of)))

    # --- streams ---

    def start(self, where: str, parameters: ParametersClass) -> Plan[Event]:
        """The plan of the stream of a new run."""
        request = self.request(where, parameters)
        return self.plan(self._events(request), self._one_run(_is_of_a_run, _found))

    def started(self, request: Request) -> Observable[Event]:
        """The events of a new run, which is created once."""
        return self._events(request).pipe(self._one_run(_is_of_a_run, _found))

    def resume(self, run: Run) -> Plan[Event]:
        """The plan of the stream of a run that the call resumes with its outputs."""
        request = self._own_outputs(run)
        once: Operator[Event, Event] = self._taken_once(request, run)
        return self.plan(self._events(request), once, run, _calls_of(request))

    def follow(self, known: Known) -> Plan[Event]:
        """The plan of the stream of a run that exists, after the events that are known of it.

        Raises for wrong arguments.
        """
        sent = {key: given for key, given in self.given.asked.items() if key != "tools"}
        where = path(RUN, thread_id=self._thread_id or "", run_id=known.id or known.mark or "")
        self._request("GET", where, sent, RunFollowParameters)
        polls, _ = poll_options(self.given.polls)
        milliseconds: float | None = polls.get("poll_interval_ms")
        interval = INTERVAL if milliseconds is None else milliseconds / 1000
        run = None if known.id is None else Run(known.id, thread_id=self._thread_id or "")
        plan = self.plan(self._known_or_found(known, interval), run=run, outputs=known.outputs)
        return evolve(
            plan,
            ending=unchanged,  # each part has its own
            slot=self._slot(waits=False),
            tools=then(plan.tools, with_waits(known)),
        )

    def _known_or_found(self, known: Known, interval: float) -> Observable[Event]:
        """The events of a run that exists; one of which only the mark is known is found first."""

        def follow(known: Known) -> Observable[Event]:
            how = evolve(self._how(None, known.submitted), run_id=known.id, interval=interval)
            return existing(how, known, self._connection.home.scheduler)

        thread_id, mark = self._thread_id, known.mark
        if known.id is not None or thread_id is None or mark is None:
            return follow(known)

        def found(run: Run) -> Observable[Event]:
            return follow(evolve(known, run_id=run.id))

        search = evolve(self._search(thread_id, mark, found), patience=known.patience)
        return found_run(search, thread_id, "the program that requested it is gone")

    def _rest(self, events: Sequence[Event]) -> Observable[Event]:
        """The events of the run of a stream after the first ones: no outputs made it go on."""
        known = Known(events)
        how = self._how(known.run, None)
        return existing(how, known, self._connection.home.scheduler, resumed=False)

    def plan(
        self,
        answers: Observable[Event],
        once: Operator[Event, Event] = unchanged,
        run: Run | None = None,
        submitted: Collection[str] | None = None,
        outputs: Mapping[str, str] | None = None,
    ) -> Plan[Event]:
        """The plan of a stream; pass ``run`` if it exists already."""
        given, tools = self.given, None
        if given.tooling is not None:
            resume = by_received_ids(self._resumed)
            patience = given.follow.recovery_timeout
            call = partial(self._call_tools, outputs=outputs or {})
            tools = partial(call, given.tooling, run_of, resume, INTERVAL, patience)
        return Plan(
            protocol=PROTOCOL,
            options=given.follow,
            answers=answers,
            once=once,
            slot=self._slot(waits=run is None),
            ending=self._ending(run, submitted),
            tools=tools,
            cancel=self._cancel_run,
            rest=self._rest,
            waiting=self._waiting,
            thread_id=self._thread_id,
            run=run,
            mark=self.given.start.mark,
        )

    def _events(self, request: Request) -> Observable[Event]:
        """The events of the answer to a request, as they come."""
        connection, body = self._connection, {**(request.body or {}), "stream": True}
        request = evolve(request, body=body, idle_timeout=self.given.follow.idle_timeout)
        return from_batches(
            connection.home, lambda: connection.transport.stream(request, EventDecoder)
        )

    def _ending(self, run: Run | None, submitted: Collection[str] | None) -> Operator[Event, Event]:
        """Make sure that a stream ends as its run did; recover lost events if asked to."""
        options = self.given.follow
        if not options.recover:
            return operators.check_ending()
        return recovering(partial(self._how, run, submitted), keeps_events=options.replay)

    def _how(self, run: Run | None, submitted: Collection[str] | None) -> Recovery:
        return Recovery(
            by_received_ids(self._retrieve),
            by_received_ids(self._steps),
            by_received_ids(self._messages),
            thread_id=self._thread_id if run is None else run.thread_id,
            run_id=None if run is None else run.id,
            submitted=submitted,
            patience=self.given.follow.recovery_timeout,
        )

    # --- tools ---

    def _call_tools(
        self,
        tooling: Tooling,
        run_of: Callable[[_T], Run | None],
        submit: Callable[[Run, Submission], Observable[_T]],
        interval: float,
        patience: float,
        on_result: OnResult | None = None,
        outputs: Mapping[str, str] | None = None,
    ) -> Operator[_T, _T]:
        """Call the functions that a run requires, and resume it with their results.

        ``outputs`` are those of calls that were made before, by their ids.
        """

        def read_calls(run: Run) -> Observable[Run]:
            """Read the calls that a run waits for, if the run does not list them."""
            thread_id = run.thread_id or self._thread_id or ""
            return awaited(
                run,
                lambda: self._retrieve(thread_id, run.id),
                lambda: self._steps(thread_id, run.id),
                interval=interval,
                patience=patience,
            )

        return tool_rounds(
            tooling.calls,
            run_of,
            submit,
            cancel=self._cancel_run,
            max_rounds=tooling.max_rounds,
            on_result=on_result,
            read=read_calls,
            outputs=outputs,
        )

    def _resumed(self, run: Run, submission: Submission) -> Observable[Event]:
        """Submit outputs, and stream the events after them, to the run's end or its next wait."""
        run = evolve(run, thread_id=run.thread_id or self._thread_id or "")
        request = self._outputs(run, {**self.given.carried, **submission})
        recover = self.given.follow.recover  # otherwise no code would find its end
        once: Operator[Event, Event] = self._taken_once(request, run, follow=recover)
        events = once(self._events(request)).pipe(take_through(is_done))
        return events.pipe(self._ending(run, _calls_of(request)))

    # --- outputs ---

    def submit(self, run: Run) -> LoopObservable[Run, HomeT]:
        """Submit the outputs of the call, once: an Observable of the run that has taken them."""
        return self._once(self._submitted(self._own_outputs(run), run))

    def _submitted(self, request: Request, run: Run, *, follow: bool = False) -> Observable[Run]:
        sent: Observable[Run] = self._call(Run, request)
        once: Operator[Run, Run] = self._taken_once(request, run, went_on=_as_read, follow=follow)
        return sent.pipe(once)

    def _own_outputs(self, run: Run) -> Request:
        """The request that submits the outputs of the call."""
        request = self._outputs(run, self.given.asked)
        if not {"tool_outputs", "tool_approvals"} & (request.body or {}).keys():
            name = "tool_outputs"
            raise missing(name)
        return request

    def _outputs(self, run: Run, asked: Mapping[str, object]) -> Request:
        """A request that submits outputs."""
        where = path(OUTPUTS, thread_id=run.thread_id, run_id=run.id)
        return self._request("POST", where, asked, ToolOutputsParameters, careful=True)

    def _taken_once(self, request: Request, run: Run, **how: Any) -> Operator[_T, _T]:
        """Make sure that a run takes the outputs of a request once."""
        return outputs_once(
            lambda: self._retrieve(run.thread_id, run.id),
            _calls_of(request),
            again=request.max_retries > 0,
            **how,
        )

    # --- polls ---

    def poll(self, run: Run) -> LoopObservable[Run, HomeT]:
        """Poll a run that exists."""
        given = self.given
        poll_options(given.polls)  # raises for wrong ones
        options = {**given.asked, **given.polls}
        if given.follow.on_dispose == "detach":
            return self._polled(run, options)
        polled = self._polled(run, {**options, "deadline": None})
        return self._once(self._followed(polled, self._farewell(run)))

    def poll_on(self, begun: Observable[Run], run: Run | None = None) -> LoopObservable[Run, HomeT]:
        """Poll a run that is created once, or resumed once, and call its functions.

        Pass ``run`` if it exists already.
        """
        polls, _ = poll_options(self.given.polls)
        polls["deadline"] = None  # the deadline counts from the subscription, not from here
        farewell = self._farewell(run)
        then = by_received_ids(partial(self._polled_with_tools, polls))
        runs = begun.pipe(ops.do_action(farewell.told), ops.flat_map(then))
        return self._once(self._followed(runs, farewell).pipe(self._slot(waits=run is None)))

    def _farewell(self, run: Run | None) -> Farewell:
        return Farewell(self._cancel_run, self._connection.home, run)

    def _followed(self, runs: Observable[Run], farewell: Farewell) -> Observable[Run]:
        """Follow a run to its end, its deadline, or until it is left."""
        return follow_polled(
            runs,
            farewell,
            self._connection.home,
            self.given.follow,
            lambda deadline: self._late(deadline, farewell.run),
            has_tools=self.given.tooling is not None,
        )

    def _late(self, deadline: float, run: Run | None) -> PollTimeout:
        """The error of a run that is late."""
        ids = {"run_id": run and run.id, "thread_id": (run and run.thread_id) or self._thread_id}
        known = {name: each for name, each in ids.items() if each}
        last = run if run is not None and run.status else None
        error = PollTimeout(deadline, last, known, str(self._waiting))
        error.__cause__ = self._waiting.in_the_way
        return error

    def _polled(self, run: Run, options: Mapping[str, object]) -> LoopObservable[Run, HomeT]:
        ids = {"run_id": run.id, "thread_id": run.thread_id}
        return self._poll(Run, RUN, ids, options, has_settled)

    def _polled_with_tools(self, polls: Mapping[str, Any], run: Run) -> Observable[Run]:
        """Emit a run at each change, to its end, and call the functions that it requires."""
        options = {**self.given.carried, **polls}

        def polled() -> Observable[Run]:
            return self._polled(run, options)

        def submit(waiting: Run, submission: Submission) -> Observable[Run]:
            request = self._outputs(waiting, {**self.given.carried, **submission})
            taken = self._submitted(request, run, follow=True)

            def lost(error: Exception, _: Observable[Run]) -> Observable[Run]:
                """If the answer to the outputs was lost, read the run later."""
                found = polled().pipe(
                    ops.take(1), ops.catch(lambda why, _: rx.throw(unrecovered(why, error)))
                )
                return found if is_lost(error) else rx.throw(error)

            def follow(now: Run) -> Observable[Run]:
                if has_settled(now):  # perhaps this is still the state before the submission
                    return polled()
                return polled().pipe(ops.start_with(now), ops.distinct_until_changed())

            return taken.pipe(ops.catch(lost), ops.flat_map(follow))

        if self.given.tooling is None:
            return polled()
        milliseconds: float | None = polls.get("poll_interval_ms")
        interval = INTERVAL if milliseconds is None else milliseconds / 1000
        patience: float = polls.get("patience") or PATIENCE
        return polled().pipe(
            self._call_tools(self.given.tooling, _same, submit, interval, patience)
        )

    # --- stored objects ---

    def _runs(self, thread_id: str) -> Observable[Run]:
        """The runs of a thread, newest first."""
        where = path(RUNS, thread_id=thread_id)
        return self._items(Run, self._read(where, ListParameters, order="desc", limit=_PAGE))

    def _retrieve(self, thread_id: str, run_id: str) -> Observable[Run]:
        where = path(RUN, thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._read(where, RequestOptions))

    def _steps(self, thread_id: str, run_id: str) -> Observable[RunStep]:
        where = path(STEPS, thread_id=thread_id, run_id=run_id)
        asked: dict[str, object] = {"order": "asc", "limit": _PAGE}
        if "include" in self.given.asked:
            asked["include"] = self.given.asked["include"]
        return self._items(RunStep, self._read(where, StepListParameters, **asked))

    def _messages(self, thread_id: str, run_id: str) -> Observable[Message]:
        where = path(MESSAGES, thread_id=thread_id)
        asked = {"order": "asc", "limit": _PAGE, "run_id": run_id}
        return self._items(Message, self._read(where, MessageListParameters, **asked))


def _any(_: object) -> bool:
    return True


def _same(given: _T) -> _T:
    return given


def _calls_of(request: Request) -> set[str]:
    """The ids of the calls that a submission answers."""
    body = request.body or {}
    outputs = [*body.get("tool_outputs", ()), *body.get("tool_approvals", ())]
    return {str(output.get("tool_call_id")) for output in outputs}


def _as_read(run: Run, _: Exception) -> Observable[Run]:
    return rx.of(run)


def _created_thread(item: object) -> str | None:
    return item.data.id if isinstance(item, ThreadCreated) else None


def _is_of_a_run(event: Event) -> bool:
    return not isinstance(event, ThreadCreated)


def _found(run: Run) -> Observable[Event]:
    """The events of a run whose stream was lost before its first event."""
    created: Observable[Event] = rx.of(ThreadRunCreated(evolve(run, status="queued")))
    lost = StreamTruncated("the run was found, its stream was not")
    return created.pipe(ops.concat(rx.throw(lost)))


__all__ = ["MESSAGES", "OUTPUTS", "STEPS", "RunCall", "Starting"]
