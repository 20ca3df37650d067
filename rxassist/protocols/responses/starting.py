"""Creating responses: once, on a free conversation, round by round of tools, to their end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import reactivex as rx
from attrs import evolve
from reactivex import Observable, abc
from reactivex import operators as ops

from rxassist.errors import (
    APIStatusError,
    ConflictError,
    PollTimeout,
    RunOutcomeUnknown,
    RxAssistError,
    StreamClosed,
)
from rxassist.protocols.responses.codec import EventDecoder
from rxassist.protocols.responses.events import Event, KeepAlive, OutputItemDone, ResponseEvent
from rxassist.protocols.responses.formats import with_format
from rxassist.protocols.responses.known import Known
from rxassist.protocols.responses.locks import when_unlocked
from rxassist.protocols.responses.models import OutputItem, Response
from rxassist.protocols.responses.parameters import (
    ResponseParameters,
    ResumeParameters,
    RetrieveParameters,
)
from rxassist.protocols.responses.protocol import PROTOCOL
from rxassist.protocols.responses.recovery import QUEUE_PATIENCE, Recovery, existing, recovering
from rxassist.protocols.responses.rounds import (
    OWN_ID,
    Chain,
    Outputs,
    flat_definitions,
    repeated,
    waits_for,
)
from rxassist.reactive.checks import check_not_negative, check_positive
from rxassist.reactive.kernel import linked, take_through
from rxassist.reactive.links import Link
from rxassist.reactive.loop import HomeT, from_batches
from rxassist.reactive.observable import LoopObservable
from rxassist.reactive.queues import Waiting
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.events import run_of
from rxassist.runs.operators.lifetime import is_done
from rxassist.runs.operators.resets import OnReset
from rxassist.runs.state import FINISHED, has_settled
from rxassist.runs.streams.creation import one_run
from rxassist.runs.streams.given import Given, ParametersClass, Tooling
from rxassist.runs.streams.leaving import Farewell, cancel_when_left
from rxassist.runs.streams.pipeline import Plan, then, unchanged
from rxassist.runs.streams.polls import follow_polled
from rxassist.runs.tools import Toolbox
from rxassist.runs.tools.calls import OnResult
from rxassist.runs.tools.rounds import Rounds
from rxassist.wire.arguments import path
from rxassist.wire.calls import Connection, Requests, poll_options
from rxassist.wire.transport import Request

_T = TypeVar("_T")

RESPONSES = "/responses"
RESPONSE = RESPONSES + "/{response_id}"

_SERVER_ERROR = 500
_CANCEL_DEADLINE = 5.0  # seconds for the service to report the end of a response that it cancels


class ResponseCall(Requests[HomeT]):
    """One call that creates a response, or follows one: its requests, its stream or its polls."""

    def __init__(
        self, connection: Connection[HomeT], parameters: Mapping[str, Any], takes: ParametersClass
    ) -> None:
        super().__init__(connection)
        given = dict(parameters)
        self._own_id: str | None = given.pop("response_id", None)
        if self._own_id is not None:
            path(RESPONSE, response_id=self._own_id)  # raises for what is no id
        self._queue_patience: float = given.pop("queue_patience", QUEUE_PATIENCE)
        check_positive("queue_patience", self._queue_patience)
        on_reset: OnReset = given.pop("on_reset", "raise")
        if given.get("text_format") is not None:
            given["text"] = with_format(given.get("text"), given["text_format"])
        given.pop("text_format", None)
        if isinstance(given.get("tools"), Toolbox):  # no stored object has its definitions
            given["tools"] = list(given["tools"])
        if given.get("if_busy", "fail") not in ("fail", "wait"):
            msg = f'if_busy must be "fail" or "wait", got {given["if_busy"]!r}'
            raise ValueError(msg)
        self.given: Given = Given.of(connection, given, takes, on_reset)
        self._waiting = Waiting()

    @property
    def _clock(self) -> abc.SchedulerBase:
        return self._connection.home.scheduler

    # --- the request ---

    def request(self) -> Request:
        """The request that creates the response."""
        asked = dict(self.given.asked)
        include = asked.pop("include", None)  # in the body here, and not in the query
        request = self._request(
            "POST", RESPONSES, flat_definitions(asked), ResponseParameters, careful=True
        )
        body = dict(request.body or {})
        if include is not None:
            body["include"] = list(cast("Iterable[str]", include))
        headers = {**request.headers, **({OWN_ID: self._own_id} if self._own_id else {})}
        return evolve(request, body=body, headers=headers)

    def _read(self, response_id: str, parameters: ParametersClass) -> Request:
        """A request that reads a response, with the options of the call."""
        known = {key: self.given.asked[key] for key in _READ & self.given.asked.keys()}
        where = path(RESPONSE, response_id=response_id)
        return self._request("GET", where, {**self.given.carried, **known}, parameters)

    # --- one response ---

    def create(self) -> LoopObservable[Response, HomeT]:
        """Create a response once."""
        request = self.request()
        return self._once(self.created(request))

    def created(self, request: Request) -> Observable[Response]:
        """The response to a request, which is sent once."""
        sent: Observable[Response] = self._call(Response, request)
        background = bool((request.body or {}).get("background"))
        found = self._fetched if background else self._ended
        return sent.pipe(self._one_response(request, _any, found))

    def _one_response(
        self,
        request: Request,
        begins: Callable[[_T], bool],
        found: Callable[[str], Observable[_T]],
    ) -> Operator[_T, _T]:
        """Create one response with a request, when its conversation is free."""
        one: Operator[_T, _T] = one_run(None, begins)
        own_id = request.headers.get(OWN_ID)

        def known(error: Exception, _: object) -> Observable[_T]:
            """The response that exists already under the id that was asked for."""
            if isinstance(error, RunOutcomeUnknown):
                return self._looked_for(request, error, found)
            exists = isinstance(error, ConflictError) and error.code == "response_id_conflict"
            return found(own_id) if exists and own_id is not None else rx.throw(error)

        def operator(source: Observable[_T]) -> Observable[_T]:
            return self._on_free_conversation(request, source.pipe(one, ops.catch(known)))

        return operator

    def _looked_for(
        self, request: Request, error: RunOutcomeUnknown, found: Callable[[str], Observable[_T]]
    ) -> Observable[_T]:
        """The response that may exist, if it has an id under which it can be read."""
        own_id = request.headers.get(OWN_ID)
        if own_id is None:
            return rx.throw(_unknown(error, _advice(_conversation_of(request))))

        def missing(why: Exception, _: object) -> Observable[Response]:
            if isinstance(why, StreamClosed) or not isinstance(why, RxAssistError):
                return rx.throw(why)
            advice = f"it was looked for once under its id {own_id!r}, in vain ({why}). {_AGAIN}"
            return rx.throw(_unknown(error, advice))

        looked = self._fetched(own_id).pipe(ops.catch(missing))
        return looked.pipe(ops.flat_map(lambda _: found(own_id)))

    def _on_free_conversation(self, request: Request, asked: Observable[_T]) -> Observable[_T]:
        """Send a request again while another response works on its conversation, if asked to."""
        conversation = _conversation_of(request)
        if self.given.start.if_busy == "fail" or conversation is None:
            return asked
        free: Operator[_T, _T] = when_unlocked(self._clock)
        return asked.pipe(free, self._connection.queues.in_turn(conversation, self._waiting))

    # --- streams ---

    def start(self) -> Plan[Event]:
        """The plan of the stream of a new response."""
        chain = Chain(self.request())
        return self._plan(self._leg(chain.first()), chain)

    def follow(self, known: Known) -> Plan[Event]:
        """The plan of the stream of a response that exists, after what is known of it.

        Raises for wrong arguments.
        """
        if known.number is not None:
            check_not_negative("after", known.number, whole=True)
        response_id = known.id or ""
        sent = {key: given for key, given in self.given.asked.items() if key != "tools"}
        self._request("GET", path(RESPONSE, response_id=response_id), sent, ResumeParameters)
        how = self._how(response_id, known.number, background=True)
        rest = existing(how, response_id, self._clock, known.newest)
        last: Operator[Event, Event] = unchanged
        if known.end is not None:  # perhaps its functions are still to be called
            rest, last = rx.of(known.end), ops.skip(1)
        plan = self._plan(rest, None, Response(response_id), known.outputs)
        return evolve(plan, tools=then(plan.tools, last))

    def _plan(
        self,
        answers: Observable[Event],
        chain: Chain | None,
        run: Response | None = None,
        outputs: Mapping[str, str] | None = None,
    ) -> Plan[Event]:
        """The plan of a stream; pass ``run`` instead of its chain if it exists already."""
        tools: Callable[[OnResult], Operator[Event, Event]] | None = None
        if self.given.tooling is not None:
            following = partial(self._after, chain, self._leg, run_of)
            call = partial(self._rounds, outputs=outputs or {})
            tools = partial(call, self.given.tooling, run_of, following)
        return Plan(
            protocol=PROTOCOL,
            options=self.given.follow,
            answers=answers,
            slot=self._slot(waits=run is None),
            ending=unchanged,  # each response has its own
            tools=tools,
            cancel=self._cancel,
            rest=self._rest,
            waiting=self._waiting,
            run=run,
            mark=self._own_id,
        )

    def _rest(self, events: Sequence[Event]) -> Observable[Event]:
        """The events of the responses of a stream after the first ones."""
        known = Known(events)
        response_id = known.id or ""
        how = self._how(response_id, None, background=True)
        return existing(how, response_id, self._clock, known.newest)

    def _leg(self, request: Request) -> Observable[Event]:
        """The events of one new response of a chain, to its end or its wait."""
        once: Operator[Event, Event] = self._one_response(request, _begins, self._found)
        events = self._events(request, body={**(request.body or {}), "stream": True})
        events = _with_output(once(events).pipe(take_through(is_done)))
        options = self.given.follow
        if not options.recover:
            return events.pipe(operators.check_ending())
        background = bool((request.body or {}).get("background"))
        how = partial(self._how, request.headers.get(OWN_ID), None, background=background)
        return events.pipe(recovering(how, keeps_events=options.replay))

    def _found(self, response_id: str) -> Observable[Event]:
        """The events of a response that exists under the id that was asked for."""
        how = self._how(response_id, None, background=True)
        return existing(how, response_id, self._clock)

    def _events(self, request: Request, response_id: str = "", **asked: Any) -> Observable[Event]:
        """The events of the answer to a request, as they come; ``asked`` makes it one for them."""
        connection = self._connection
        request = evolve(request, idle_timeout=self.given.follow.idle_timeout, **asked)
        decoder = partial(EventDecoder, response_id=response_id)
        return from_batches(connection.home, lambda: connection.transport.stream(request, decoder))

    def _how(self, response_id: str | None, number: int | None, *, background: bool) -> Recovery:
        return Recovery(
            self._resumed,
            self.settled,
            self._fetched,
            response_id=response_id,
            number=number,
            background=background,
            patience=self.given.follow.recovery_timeout,
            queue_patience=self._queue_patience,
        )

    def _resumed(self, response_id: str, number: int | None) -> Observable[Event]:
        """The events of a response after a number, as the service still has them."""
        request = self._read(response_id, ResumeParameters)
        after = [] if number is None else [("starting_after", str(number))]
        asked = [*request.query, ("stream", "true"), *after]
        events = self._events(request, response_id, query=asked)
        return _with_output(events.pipe(take_through(is_done)))

    # --- tools ---

    def _rounds(
        self,
        tooling: Tooling,
        run_of: Callable[[_T], Response | None],
        following: Callable[[Response, Outputs], Observable[_T]],
        on_result: OnResult | None = None,
        outputs: Mapping[str, str] | None = None,
    ) -> Operator[_T, _T]:
        """Call the functions that a response waits for, and go on with the next response.

        ``outputs`` are those of calls that were made before, by their ids.
        """
        rounds = Rounds(
            calls=tooling.calls,
            run_of=run_of,
            waits_for=partial(waits_for, toolbox=tooling.calls.toolbox),
            submit=following,
            cancel=self._cancel,
            max_rounds=tooling.max_rounds,
            on_result=on_result,
            outputs=outputs or {},
        )
        return rounds.operator()

    def _after(
        self,
        chain: Chain | None,
        send: Callable[[Request], Observable[_T]],
        run_of: Callable[[_T], Response | None],
        run: Response,
        outputs: Outputs,
    ) -> Observable[_T]:
        """The response after another one, which is created with the outputs of its calls.

        Without a chain it is asked for as the one before repeats it.
        """
        request = (chain or Chain(self._again(run))).after(run, outputs)
        background = bool((request.body or {}).get("background"))
        if not background or self.given.follow.on_dispose != "cancel":
            return send(request)
        return self._cancelled_unknown(send(request), run_of)

    def _again(self, run: Response) -> Request:
        """The request for a response of another program, without its input."""
        asked = {**self.given.carried, **repeated(run)}
        return self._request("POST", RESPONSES, asked, ResponseParameters, careful=True)

    def _cancelled_unknown(
        self, answers: Observable[_T], run_of: Callable[[_T], Response | None]
    ) -> Observable[_T]:
        """Cancel a response that is left before it is known, although it is not the first one.

        The farewell of the whole run knows only the response before it, which has ended.
        """
        known = False

        def cancel(run: Response) -> Observable[Response]:
            return rx.of(run) if known else self._cancel(run)

        def emitted(_: object) -> None:
            nonlocal known
            known = True

        home = self._connection.home
        followed: Operator[_T, _T] = cancel_when_left(Farewell(cancel, home), home, run_of)
        return answers.pipe(followed, ops.do_action(emitted))

    # --- polls ---

    def create_and_poll(self) -> LoopObservable[Response, HomeT]:
        """Create a response once, poll it to its end, and call its functions."""
        polls, _ = poll_options(self.given.polls)
        options = {**self.given.carried, **polls, "deadline": None}
        chain = Chain(self.request())

        def polled(request: Request) -> Observable[Response]:
            return self.created(request).pipe(ops.flat_map(partial(self._polled, options)))

        runs = polled(chain.first())
        if self.given.tooling is not None:
            following = partial(self._after, chain, polled, _same)
            runs = runs.pipe(self._rounds(self.given.tooling, _same, following))
        farewell = Farewell(self._cancel, self._connection.home)
        followed = follow_polled(
            runs,
            farewell,
            self._connection.home,
            self.given.follow,
            lambda deadline: _late(deadline, farewell.run),
            has_tools=self.given.tooling is not None,
        )
        return self._once(followed.pipe(self._slot(waits=True)))

    def _polled(self, options: Mapping[str, object], run: Response) -> Observable[Response]:
        """A response at each change, to its end or its wait, beginning with what is known."""
        if has_settled(run):
            return rx.of(run)
        polls = self._poll(Response, RESPONSE, {"response_id": run.id}, options, has_settled)
        return polls.pipe(ops.start_with(run), ops.distinct_until_changed())

    # --- stored responses ---

    def _fetched(self, response_id: str) -> Observable[Response]:
        return self._call(Response, self._read(response_id, RetrieveParameters))

    def _ended(self, response_id: str) -> Observable[Response]:
        """A response when it has ended, or waits."""
        return self.settled(response_id).pipe(ops.last())

    def settled(self, response_id: str) -> Observable[Response]:
        """Poll a response until it has ended, or waits."""
        patience = {"patience": self.given.follow.recovery_timeout}
        options = {**self.given.carried, **patience}
        return self._poll(Response, RESPONSE, {"response_id": response_id}, options, has_settled)

    def _cancel(self, run: Response) -> Observable[Response]:
        """Cancel a response in the background; any other ends when its connection is closed."""
        if not run.background or has_settled(run):
            return rx.of(run)
        where = path(RESPONSE + "/cancel", response_id=run.id)
        sent = self._call(Response, self._request("POST", where, self.given.carried))

        def look(error: Exception, _: object) -> Observable[Response]:
            """Read the response after a refusal: it may have ended, which is just as good."""
            if isinstance(error, APIStatusError) and error.status_code < _SERVER_ERROR:
                return self._fetched(run.id)
            return rx.throw(error)

        def ended(now: Response) -> Observable[Response]:
            return rx.of(now) if has_settled(now) else self.settled(run.id)

        cancelled = sent.pipe(ops.catch(look), ops.flat_map(ended))
        return cancelled.pipe(operators.deadline(_CANCEL_DEADLINE))


_READ = frozenset({"include", "include_obfuscation"})


_AGAIN = (
    "Request it again only if two responses do no harm; where the service takes ids (Azure AI "
    "Foundry), response_id= lets it be found"
)


def _advice(conversation: str | None) -> str:
    """What to do about a response that may exist and has no id."""
    if conversation is None:
        return f"no list of responses exists in which to look for it. {_AGAIN}"
    return (
        "when it has completed, its items are in "
        f"client.conversations.items.list({conversation!r}); until then the conversation is locked"
    )


def _unknown(error: RunOutcomeUnknown, advice: str) -> RunOutcomeUnknown:
    """The same error, with advice for responses."""
    unknown = RunOutcomeUnknown(None, str(error.__cause__), advice=advice)
    unknown.__cause__ = error.__cause__
    return unknown


def _conversation_of(request: Request) -> str | None:
    """The id of the conversation of a request."""
    given: object = (request.body or {}).get("conversation")
    if isinstance(given, Mapping):
        given = cast("Mapping[str, object]", given).get("id")
    return given if isinstance(given, str) else None


def _same(run: Response) -> Response:
    return run


def _late(deadline: float, run: Response | None) -> PollTimeout:
    return PollTimeout(deadline, run, {} if run is None else {"response_id": run.id})


def _any(_: object) -> bool:
    return True


def _begins(event: Event) -> bool:
    """Whether an event shows that there is a response: a sign of life does not."""
    return not isinstance(event, KeepAlive)


def _with_output(source: Observable[Event]) -> Observable[Event]:
    """Give a response that ended without its output the items that came before.

    Some services leave it out, and then nothing would say that the response waits for you.
    """
    operator: Operator[Event, Event] = linked(lambda observer, _: _Restoring(observer))
    return source.pipe(operator)


class _Restoring(Link[Event, Event]):
    """One subscription: the items that came whole. Nearly all events are deltas, and pass."""

    __slots__ = ("_items",)

    def __init__(self, observer: abc.ObserverBase[Event]) -> None:
        super().__init__(observer)
        self._items: dict[int, OutputItem] = {}

    def on_next(self, value: Event) -> None:
        """Pass an event on; the end of a response has its output."""
        self.observer.on_next(value if value.is_delta else self._restored(value))

    def _restored(self, event: Event) -> Event:
        if isinstance(event, OutputItemDone):
            self._items[event.output_index] = event.item
        elif isinstance(event, ResponseEvent) and event.run_status() in FINISHED:
            whole = tuple(self._items[index] for index in sorted(self._items))
            self._items.clear()
            if whole and not event.response.output:
                return evolve(event, response=evolve(event.response, output=whole))
        return event
