"""What stands between a client and its service answers instead of it: never twice, never given up.

Over real sockets, with both clients, and over the HTTP library that is installed.
"""

import asyncio

import pytest

from rxassist import (
    APIConnectionError,
    AsyncClient,
    Client,
    RunOutcomeUnknown,
    RxAssistError,
    ThreadBusyError,
)
from rxassist.local import Fault, answer, call, forget, hang_up, refuse, say, stall, wait
from rxassist.local.server.faults import _instead, _nothing, _receiving

GONE = "upstream connect error or disconnect/reset before headers. reset reason: connection term"
PAGE = "<html><h1>Bad gateway</h1></html>"
SOON = {"retry-after": "0"}
TEXT = "one two three"


def words(_):
    yield say("one ", "two ", "three")


class Sync:
    """Drive a ``Client``."""

    def __init__(self, base_url, **options):
        self.client = Client(base_url=base_url, **options)

    def get(self, make):
        return make(self.client).run()

    def text(self, make):
        return "".join(make(self.client).text_deltas)

    def close(self):
        self.client.close()


class Async:
    """Drive an ``AsyncClient``, on an event loop of its own."""

    def __init__(self, base_url, **options):
        self.runner = asyncio.Runner()

        async def make():
            return AsyncClient(base_url=base_url, **options)

        self.client = self.runner.run(make())

    def get(self, make):
        async def wait_for():
            return await make(self.client)

        return self.runner.run(wait_for())

    def text(self, make):
        async def read():
            return "".join([text async for text in make(self.client).text_deltas])

        return self.runner.run(read())

    def close(self):
        self.runner.run(self.client.close())
        self.runner.close()


@pytest.fixture(params=[Sync, Async], ids=["Client", "AsyncClient"])
def connect(request):
    """Connect to a service: ``connect(service)``."""
    connected = []

    def connect(service, **options):
        connected.append(request.param(service.base_url, **options))
        return connected[-1]

    yield connect
    for each in connected:
        each.close()


def asked(service, end, method="POST"):
    """How many requests to such a path have come."""
    return sum((each, path.endswith(end)) == (method, True) for each, path in service.requests)


def creating(fault):
    """All that creates a run meets a fault; its queries are kept."""

    def faults(asked):
        faults.queries.append(asked.query)
        creates = asked.method == "POST" and asked.path.endswith("/runs")
        return fault if creates else None

    faults.queries = []
    return faults


# --- runs that are created -----------------------------------------------------------------

GATEWAYS = {
    "503 of Envoy": answer(GONE, "text/plain", status=503, headers=SOON, handled=True),
    "502": answer(PAGE, status=502, handled=True),
    "504": answer('{"message": "timed out"}', "application/json", status=504, handled=True),
    "429": answer("slow down", "text/plain", status=429, headers=SOON, handled=True),
    "408": answer("", "text/plain", status=408, handled=True),
    "500 of the service": refuse(500, handled=True),
    "a page": answer(PAGE, handled=True),
    "302 to nowhere": answer(PAGE, status=302, handled=True),
    "JSON": answer('{"status": "accepted"}', "application/json", handled=True),
    "a line that is no event": answer("data: [", "text/event-stream", handled=True),
    "no connection": hang_up(handled=True),
}
LATE = {
    "503": answer(GONE, "text/plain", status=503, headers=SOON, handled=True, after=0.4),
    "502": answer(PAGE, status=502, handled=True, after=0.4),
    "504": answer(PAGE, status=504, handled=True, after=0.4),
    "a page": answer(PAGE, handled=True, after=0.4),
    "no connection": hang_up(handled=True, after=0.4),
}


def created(client, place, **options):
    """Everything that creates a run on a thread."""
    thread_id, assistant_id = place
    runs = client.threads.runs
    return {
        "create": lambda: runs.create(thread_id, assistant_id=assistant_id, **options),
        "stream": lambda: runs.stream(thread_id=thread_id, assistant_id=assistant_id, **options),
        "create_and_poll": lambda: runs.create_and_poll(
            thread_id, assistant_id=assistant_id, poll_interval_ms=5, **options
        ),
        "create_and_run": lambda: client.threads.create_and_run(
            assistant_id=assistant_id, **options
        ),
        "create_and_run_stream": lambda: client.threads.create_and_run_stream(
            assistant_id=assistant_id, **options
        ),
        "create_and_run_poll": lambda: client.threads.create_and_run_poll(
            assistant_id=assistant_id, poll_interval_ms=5, **options
        ),
    }


CREATIONS = ["create", "stream", "create_and_poll"]
CREATIONS += ["create_and_run", "create_and_run_stream", "create_and_run_poll"]


def new_place(connected):
    assistant = connected.get(lambda client: client.assistants.create(model="m"))
    thread = connected.get(lambda client: client.threads.create())
    return thread.id, assistant.id


CASES = [
    *((gateway, "stream") for gateway in GATEWAYS),
    *(("503 of Envoy", name) for name in CREATIONS if name != "stream"),
    *(("a page", name) for name in ("create", "create_and_run_poll")),
]


@pytest.mark.parametrize(("gateway", "name"), CASES)
def test_what_a_gateway_answers_never_makes_two_runs(serve, connect, gateway, name):
    service = serve(words, faults=creating(GATEWAYS[gateway]))
    connected = connect(service)
    place = new_place(connected)
    with pytest.raises(RunOutcomeUnknown) as caught:
        connected.get(lambda client: created(client, place)[name]())
    assert caught.value.thread_id == (None if "_run" in name else place[0])
    assert caught.value.__cause__ is not None
    service.wait_for(lambda: service.runs and not service.active_runs)
    assert (len(service.runs), asked(service, "/runs")) == (1, 1)


@pytest.mark.parametrize(("gateway", "name"), CASES)
def test_idempotent_finds_the_run_that_a_gateway_says_nothing_of(serve, connect, gateway, name):
    faults = creating(GATEWAYS[gateway])
    service = serve(words, faults=faults)
    connected = connect(service)
    place = new_place(connected)

    def create(client):
        return created(client, place, idempotent=True)[name]()

    if "stream" in name:
        assert connected.text(create) == TEXT
    else:
        assert connected.get(create).id == service.runs[0]
    assert (len(service.runs), asked(service, "/runs")) == (1, 1)
    (query,) = [query for query in faults.queries if "order=desc" in query]
    assert "limit=100" in query


@pytest.mark.parametrize(("gateway", "name"), list(zip(LATE, CREATIONS, strict=False)))
def test_a_service_that_acts_late_is_found_to_have_acted(serve, connect, gateway, name):
    service = serve(words, faults=creating(LATE[gateway]))
    connected = connect(service)
    place = new_place(connected)
    run = connected.get(lambda client: created(client, place, idempotent=True)[name]())
    assert run is not None
    assert (len(service.runs), asked(service, "/runs")) == (1, 1)


@pytest.mark.parametrize("gateway", ["502", "503 of Envoy", "a page", "no connection"])
def test_a_service_that_keeps_no_metadata_never_gets_two_runs(serve, connect, gateway):
    service = serve(words, faults=creating(forget("metadata") | GATEWAYS[gateway]))
    connected = connect(service)
    place = new_place(connected)
    with pytest.raises(RunOutcomeUnknown, match="has no metadata") as caught:
        connected.get(
            lambda client: created(client, place, idempotent=True, patience=0.3)["stream"]()
        )
    assert service.runs[0] in str(caught.value)
    assert (len(service.runs), asked(service, "/runs")) == (1, 1)


@pytest.mark.parametrize("name", ["create", "stream", "create_and_poll", "create_and_run_poll"])
def test_patience_bounds_the_search(serve, connect, name):
    service = serve(words, faults=creating(answer(PAGE, status=502)))
    connected = connect(service)
    place = new_place(connected)
    with pytest.raises(RunOutcomeUnknown, match=r"it was looked for during 0\.2 seconds"):
        connected.get(lambda client: created(client, place, idempotent=True, patience=0.2)[name]())
    with pytest.raises(RunOutcomeUnknown, match="it was looked for once, and not found"):
        connected.get(lambda client: created(client, place, idempotent=True, patience=None)[name]())
    assert service.runs == []


def test_a_search_that_nobody_answers_ends_in_time(serve, connect):
    fault = creating(hang_up(handled=True))

    def faults(asked):
        return stall(0) if asked.method == "GET" else fault(asked)

    connected = connect(serve(words, faults=faults))
    place = new_place(connected)
    with pytest.raises(RunOutcomeUnknown, match=r"looked for during 0\.3 seconds"):
        connected.get(
            lambda client: created(client, place, idempotent=True, patience=0.3)["create"]()
        )


@pytest.mark.parametrize("patience", [0, -1, "long", True])
def test_what_is_no_patience_is_refused(client, place, patience):
    with pytest.raises((TypeError, ValueError), match="patience must be"):
        client.threads.runs.stream(**place, idempotent=True, patience=patience)


def twice():
    """A gateway that sends each request twice, and tells the second answer."""

    def around(app):
        async def sending(scope, receive, send):
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            first = asyncio.ensure_future(app(scope, _receiving(body), _instead(_nothing)))
            await asyncio.wait([first], timeout=0.1)
            await app(scope, _receiving(body), send)
            await first

        return sending

    return Fault(around)


def slowly(_):
    yield say("one ")
    yield wait(1.0)
    yield say("two ", "three")


@pytest.mark.parametrize("if_busy", ["fail", "wait", "cancel"])
def test_a_thread_that_is_busy_with_our_own_run(serve, connect, if_busy):
    """The gateway has sent the creation twice: it is neither waited for nor cancelled."""
    service = serve(slowly, faults=creating(twice()))
    connected = connect(service)
    place = new_place(connected)
    options = {"idempotent": True, "if_busy": if_busy}
    assert connected.text(lambda client: created(client, place, **options)["stream"]()) == TEXT
    assert (len(service.runs), asked(service, "/cancel")) == (1, 0)


def test_a_thread_that_is_busy_with_another_run_is_an_error(serve, connect):
    service = serve(slowly)
    connected = connect(service)
    place = new_place(connected)
    connected.get(lambda client: created(client, place)["create"]())
    with pytest.raises(ThreadBusyError):
        connected.get(lambda client: created(client, place, idempotent=True)["create"]())
    assert len(service.runs) == 1


# --- outputs that are submitted ------------------------------------------------------------

TAKEN = {
    "409": refuse(409, handled=True),
    "503 of Envoy": answer(GONE, "text/plain", status=503, headers=SOON, handled=True),
    "502": answer(PAGE, status=502, handled=True),
    "504": refuse(504, handled=True),
    "429": answer("slow down", "text/plain", status=429, headers=SOON, handled=True),
    "408": answer("", "text/plain", status=408, handled=True),
    "a page": answer(PAGE, handled=True),
    "302 to nowhere": answer(PAGE, status=302, handled=True),
    "JSON": answer('{"status": "accepted"}', "application/json", handled=True),
    "a line that is no event": answer("data: [", "text/event-stream", handled=True),
    "no connection": hang_up(handled=True),
    "a reset": hang_up(handled=True, reset=True),
}


def asking(_):
    """Ask for one output, and repeat it."""
    told = yield call("f")
    yield wait(0.1)  # the run still works when it is read
    yield say(f"it is {told}")


def f() -> str:
    """Tell."""
    return "foggy"


def submitting(fault, *, times=1, reads=None, vain=10**9):
    """Submissions meet a fault, and so many reads of the run after them another one."""

    def faults(asked):
        if asked.path.endswith("/submit_tool_outputs"):
            faults.left = vain
            return fault if asked.attempt <= times else None
        reading = asked.method == "GET" and "/runs/run_" in asked.path
        faults.left -= reading
        return reads if reading and faults.left >= 0 else None

    faults.left = 0
    return faults


def with_tools(client, assistant_id, **options):
    """Everything that calls functions."""
    given = {"assistant_id": assistant_id, "tools": [f], **options}
    return {
        "stream": lambda: client.threads.create_and_run_stream(**given),
        "poll": lambda: client.threads.create_and_run_poll(**given, poll_interval_ms=5),
    }


def by_hand(client, run, **options):
    """Everything that submits outputs which the caller has."""
    asked = run.required_action.submit_tool_outputs.tool_calls[0]
    outputs = [{"tool_call_id": asked.id, "output": "foggy"}]
    where = {"run_id": run.id, "thread_id": run.thread_id, "tool_outputs": outputs, **options}
    runs = client.threads.runs
    return {
        "call": lambda: runs.submit_tool_outputs(**where),
        "stream": lambda: runs.submit_tool_outputs_stream(**where),
        "poll": lambda: runs.submit_tool_outputs_and_poll(**where, poll_interval_ms=5),
    }


def waiting_run(connected):
    assistant = connected.get(lambda client: client.assistants.create(model="m"))
    return connected.get(
        lambda client: client.threads.create_and_run_poll(
            assistant_id=assistant.id, poll_interval_ms=5
        )
    )


def says_foggy(connected, service):
    """The run that took the outputs has ended well, and nobody has cancelled it."""
    service.wait_for(lambda: not service.active_runs)
    thread_id = next(path.split("/")[3] for _, path in service.requests if "/runs/" in path)
    messages = connected.get(lambda client: client.threads.messages.list(thread_id))
    assert messages.content[0].text.value == "it is foggy"
    assert asked(service, "/cancel") == 0


@pytest.mark.parametrize("name", ["stream", "poll"])
@pytest.mark.parametrize("gateway", TAKEN)
def test_a_run_whose_outputs_were_taken_goes_on(serve, connect, gateway, name):
    service = serve(asking, faults=submitting(TAKEN[gateway]))
    connected = connect(service)
    assistant = connected.get(lambda client: client.assistants.create(model="m"))

    def begin(client):
        return with_tools(client, assistant.id)[name]()

    if name == "stream":
        assert connected.text(begin) == "it is foggy"
    else:
        assert connected.get(begin).status == "completed"
    says_foggy(connected, service)
    assert asked(service, "/submit_tool_outputs") == 1


@pytest.mark.parametrize(
    ("gateway", "name"),
    [
        *((gateway, "stream") for gateway in TAKEN),
        *((gateway, "call") for gateway in ("409", "503 of Envoy", "a page", "no connection")),
        *((gateway, "poll") for gateway in ("409", "503 of Envoy", "a page", "no connection")),
    ],
)
def test_so_does_one_whose_outputs_were_submitted_by_hand(serve, connect, gateway, name):
    service = serve(asking, faults=submitting(TAKEN[gateway]))
    connected = connect(service)
    run = waiting_run(connected)

    def submit(client):
        return by_hand(client, run)[name]()

    if name == "stream":
        assert connected.text(submit) == "it is foggy"
    else:
        status = connected.get(submit).status
        assert status == "completed" if name == "poll" else status != "requires_action"
    says_foggy(connected, service)
    assert asked(service, "/submit_tool_outputs") == 1


UNREADABLE = {"500": refuse(500), "a page": answer(PAGE), "404": refuse(404)}


@pytest.mark.parametrize("name", ["stream", "poll"])
@pytest.mark.parametrize(
    ("gateway", "reads"),
    [("503 of Envoy", "500"), ("409", "404"), ("a page", "a page"), ("no connection", "500")],
)
def test_a_run_that_cannot_be_read_is_not_cancelled(serve, connect, gateway, name, reads):
    service = serve(asking, faults=submitting(TAKEN[gateway], reads=UNREADABLE[reads]))
    connected = connect(service, max_retries=0)
    assistant = connected.get(lambda client: client.assistants.create(model="m"))
    patience = {"recovery_timeout": 0.2} if name == "stream" else {"patience": 0.2}
    with pytest.raises(RxAssistError):
        connected.get(lambda client: with_tools(client, assistant.id, **patience)[name]())
    service.wait_for(lambda: not service.active_runs)
    says_foggy(connected, service)
    assert asked(service, "/submit_tool_outputs") == 1


@pytest.mark.parametrize("name", ["stream", "poll"])
def test_a_run_that_can_be_read_later_goes_on(serve, connect, name):
    faults = submitting(TAKEN["503 of Envoy"], reads=refuse(500), vain=2)
    service = serve(asking, faults=faults)
    connected = connect(service, max_retries=0)
    assistant = connected.get(lambda client: client.assistants.create(model="m"))
    run = connected.get(lambda client: with_tools(client, assistant.id)[name]())
    assert getattr(run, "status", None) == "completed" or name == "stream"
    says_foggy(connected, service)
    assert asked(service, "/submit_tool_outputs") == 1


REFUSED = {
    "409": refuse(409),
    "400": refuse(400),
    "503 of Envoy": answer(GONE, "text/plain", status=503, headers=SOON),
    "a page": answer(PAGE),
}


@pytest.mark.parametrize("name", ["call", "stream", "poll"])
@pytest.mark.parametrize("gateway", REFUSED)
def test_a_refusal_though_the_run_still_waits_is_the_error(serve, connect, gateway, name):
    service = serve(asking, faults=submitting(REFUSED[gateway], times=9))
    connected = connect(service)
    run = waiting_run(connected)
    with pytest.raises(RxAssistError) as caught:
        connected.get(lambda client: by_hand(client, run)[name]())
    assert not isinstance(caught.value, APIConnectionError)
    assert asked(service, "/submit_tool_outputs") == 1


@pytest.mark.parametrize("name", ["call", "stream", "poll"])
@pytest.mark.parametrize(("times", "tries"), [(1, 2), (9, 2)], ids=["once", "each time"])
def test_outputs_are_submitted_once_more_where_the_connection_broke(
    serve, connect, name, times, tries
):
    service = serve(asking, faults=submitting(hang_up(handled=False), times=times))
    connected = connect(service)
    run = waiting_run(connected)
    if times == 1:
        connected.get(lambda client: by_hand(client, run)[name]())
        says_foggy(connected, service)
    else:
        with pytest.raises(APIConnectionError, match="the outputs were not taken"):
            connected.get(lambda client: by_hand(client, run)[name]())
    assert asked(service, "/submit_tool_outputs") == tries


@pytest.mark.parametrize("name", ["stream", "poll"])
def test_outputs_that_a_gateway_sends_twice(serve, connect, name):
    """The first are taken, and the second refused: the run works."""
    service = serve(asking, faults=submitting(twice()))
    connected = connect(service)
    assistant = connected.get(lambda client: client.assistants.create(model="m"))
    connected.get(lambda client: with_tools(client, assistant.id)[name]())
    says_foggy(connected, service)
