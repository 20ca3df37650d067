"""Tools in the stream, over real sockets, with both clients and with faults."""

import asyncio
import threading
from contextvars import ContextVar

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist import (
    APIConnectionError,
    AssistantEventHandler,
    BadRequestError,
    Client,
    ConflictError,
    InternalServerError,
    PollTimeout,
    RxAssistError,
    StreamClosed,
    Toolbox,
    ToolError,
    ToolResult,
    ToolRoundsExceeded,
    operators,
    tool,
)
from rxassist.errors import DecodeError
from rxassist.events import DoneEvent, ThreadRunRequiresAction
from rxassist.local import Fault, answer, call, cut, hang_up, refuse, say, stall, truncate

ADD, SHOUT = call("add", {"a": 1, "b": 2}), call("shout", {"text": "hi"})


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def shout(text: str) -> str:
    """Say it loudly."""
    await asyncio.sleep(0)
    return text.upper()


def script(_):
    """Two calls at once, one that waits for the sum, and then an answer."""
    total, loud = yield [ADD, SHOUT]
    again = yield call("add", {"a": int(total), "b": 10})
    yield say(f"{total} {loud} {again}")


def asking(*calls):
    """A script that asks once, and says what it was told."""

    def ask(_):
        outputs = yield list(calls)
        yield say(" ".join(outputs))

    return ask


@pytest.fixture
def begin(serve):
    """Start a stream: ``begin(script, tools, **options)``."""
    clients = []

    def stream(script, tools, faults=None, **options):
        service = serve(script, faults=faults)
        client = Client(base_url=service.base_url)
        clients.append(client)
        assistant = client.assistants.create(model="m").run()
        return client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=tools, **options
        )

    yield stream
    for client in clients:
        client.close()


class Submissions:
    """Counts submissions; to the numbered ones something happens."""

    def __init__(self, **faults):
        self.asked = 0
        self._faults = faults

    def __call__(self, asked):
        if not asked.path.endswith("/submit_tool_outputs"):
            return None
        self.asked += 1
        return self._faults.get(f"of_{self.asked}")


# --- one run -------------------------------------------------------------------------------


def test_all_rounds_are_one_run(begin):
    submissions = Submissions()
    told = []

    class Handler(AssistantEventHandler):
        def on_tool_call_done(self, tool_call):
            told.append(tool_call.function.name)

        def on_end(self):
            told.append("end")

    stream = begin(script, [add, shout], submissions, event_handler=Handler())
    events = list(stream)
    assert stream.snapshot.text == "3 HI 13"
    assert sum(isinstance(event, ThreadRunRequiresAction) for event in events) == 2
    assert [event for event in events if isinstance(event, DoneEvent)] == events[-1:]
    assert submissions.asked == 2
    assert sorted(told) == ["add", "add", "end", "shout"]
    assert told[-1] == "end"
    assert [made.function.name for made in stream.tool_calls] == ["add", "shout", "add"]
    run = stream.get_final_run()
    assert run.status == "completed"
    assert run.usage is not None
    assert len(stream.get_final_run_steps()) == 3
    assert len(stream.get_final_messages()) == 1
    outputs = [
        made.function.output
        for step in stream.get_final_run_steps()[:2]
        for made in step.step_details.tool_calls
    ]
    assert outputs == ["3", "HI", "13"]


def test_the_definitions_of_functions_are_the_tools_of_the_run(begin):
    stream = begin(script, [add, shout, {"type": "code_interpreter"}])
    kinds = [(each.type, getattr(each, "function", None)) for each in stream.get_final_run().tools]
    assert [kind for kind, _ in kinds] == ["function", "function", "code_interpreter"]
    assert kinds[0][1].description == "Add two numbers."


def test_a_toolbox_is_called_and_not_sent(serve, run_async):
    toolbox = Toolbox([add, shout])

    async def main(client):
        assistant = await client.assistants.create(model="m", tools=toolbox.definitions)
        thread = await client.threads.create()
        stream = client.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, tools=toolbox
        )
        results = [result async for result in stream.tool_results]
        assert sorted(result.output for result in results) == ["13", "3", "HI"]
        run = await stream.get_final_run()
        assert run.tools == assistant.tools
        assert stream.snapshot.text == "3 HI 13"

    run_async(serve(script), main)


def test_functions_are_sent_wherever_tools_are(client):
    assistant = client.assistants.create(model="m", tools=[add]).run()
    assert assistant.tools[0].function.name == "add"
    thread = client.threads.create().run()
    run = client.threads.runs.create(thread.id, assistant_id=assistant.id, tools=[shout]).run()
    assert run.tools[0].function.name == "shout"
    with pytest.raises(TypeError, match="pass its definitions"):
        client.threads.runs.create(thread.id, assistant_id=assistant.id, tools=Toolbox([add]))


def test_tools_that_are_no_functions_leave_the_calls_to_you(begin):
    definition = {"type": "function", "function": {"name": "add"}}
    stream = begin(asking(ADD), [definition])
    assert stream.get_final_run().status == "requires_action"
    assert list(stream.tool_results) == []


@pytest.mark.parametrize("name", ["create_and_poll", "create_and_run_poll"])
def test_polls_call_too(serve, name):
    submissions = Submissions()
    with Client(base_url=serve(script, faults=submissions).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        given = {"assistant_id": assistant.id, "tools": [add, shout], "poll_interval_ms": 1}
        if name == "create_and_poll":
            polling = client.threads.runs.create_and_poll(client.threads.create().run().id, **given)
        else:
            polling = client.threads.create_and_run_poll(**given)
        statuses = [run.status for run in polling]
        run = polling.run()
        assert statuses.count("requires_action") == submissions.asked == 2
        assert run.status == statuses[-1] == "completed"
        messages = client.threads.messages.list(run.thread_id).run()
        assert messages.content[0].text.value == "3 HI 13"


def test_the_deadline_of_a_poll_bounds_its_tools_as_well(serve):
    forgotten = threading.Event()

    def hang() -> None:
        forgotten.wait(20)

    with Client(base_url=serve(asking(call("hang"))).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, tools=[hang], deadline=0.2, poll_interval_ms=1
        )
        with pytest.raises(PollTimeout) as raised:
            polling.run()
        assert raised.value.last.status == "requires_action"
    forgotten.set()


# --- how functions are called --------------------------------------------------------------


def test_the_calls_of_a_round_run_at_the_same_time(begin):
    together = threading.Barrier(8, timeout=10)

    def meet() -> int:
        return together.wait()

    stream = begin(asking(*[call("meet")] * 8), [meet])
    assert sorted(stream.get_final_messages()[0].content[0].text.value.split()) == list("01234567")


def test_at_most_so_many_run_at_a_time(begin):
    running, most = [], []

    async def count() -> None:
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0.01)
        running.pop()

    stream = begin(asking(*[call("count")] * 6), [count], max_concurrent_tools=2)
    stream.until_done()
    assert max(most) == 2
    assert len(most) == 6


def test_functions_run_in_threads_and_coroutines_on_the_loop(begin):
    told = ContextVar("told", default="nothing")
    seen = {}

    def in_thread() -> None:
        seen["thread"] = (threading.current_thread().name, told.get())

    async def on_loop() -> None:
        seen["loop"] = (threading.current_thread().name, told.get())

    told.set("something")
    begin(asking(call("in_thread"), call("on_loop")), [in_thread, on_loop]).until_done()
    assert seen == {"thread": ("rxassist tool", "something"), "loop": ("rxassist", "something")}


def test_a_tool_may_give_an_observable(begin):
    def numbers() -> rx.Observable[int]:
        return rx.of(1, 2, 3)

    assert begin(asking(call("numbers")), [numbers]).snapshots.run().text == "3"


def test_a_tool_may_use_the_client(serve):
    with Client(base_url=serve(asking(call("threads"))).base_url) as client:

        def threads() -> str:
            return client.threads.create().run().object

        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, tools=[threads])
        assert stream.snapshots.run().text == "thread"


# --- what fails ----------------------------------------------------------------------------


def fail() -> None:
    msg = "no luck"
    raise ValueError(msg)


@pytest.mark.parametrize(
    ("asked", "told", "error"),
    [
        (call("fail"), "ValueError: no luck", ValueError),
        (call("add", {"a": 1, "b": "2"}), "DecodeError: add: at $.b expected", DecodeError),
        (call("add", "{"), "DecodeError: add: at $ expected JSON", DecodeError),
        (call("multiply"), "LookupError: there is no function 'multiply'", LookupError),
    ],
)
def test_what_fails_is_told_the_model(begin, asked, told, error):
    stream = begin(asking(asked), [add, fail])
    (result,) = stream.tool_results
    assert isinstance(result.error, error)
    assert result.output.startswith(f'{{"error":"{told}')
    assert stream.snapshots.run().text == result.output
    assert "Traceback" not in result.output


def test_a_tool_that_raises_may_end_the_stream_and_the_run(serve):
    with Client(base_url=serve(asking(call("fail"))).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=[fail], on_tool_error="raise"
        )
        with pytest.raises(ToolError, match="'fail' failed: ValueError: no luck") as raised:
            stream.until_done()
        assert isinstance(raised.value.__cause__, ValueError)
        assert raised.value.call.function.name == "fail"
        run = client.threads.runs.retrieve(
            raised.value.run_id, thread_id=raised.value.thread_id
        ).run()
        assert run.status == "cancelled"
        results = []
        stream.tool_results.subscribe(results.append, lambda _: None)
        stream.pipe().subscribe(on_error=lambda _: None)
        with pytest.raises(ToolError):
            stream.tool_results.run()
        assert [type(result.error) for result in results] == [ValueError]


def test_a_function_may_say_what_is_told(begin):
    async def mend(asked, error):
        return {"sorry": asked.function.name, "why": str(error)}

    stream = begin(asking(call("fail")), [fail], on_tool_error=mend)
    assert stream.snapshots.run().text == '{"sorry":"fail","why":"no luck"}'


def test_what_that_function_raises_ends_the_stream(begin):
    def worse(*_):
        raise OSError

    with pytest.raises(ToolError, match="the tool 'fail' failed: OSError"):
        begin(asking(call("fail")), [fail], on_tool_error=worse).until_done()


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_a_tool_that_hangs(begin, kind):
    released, cancelled = threading.Event(), []

    def hang() -> None:
        released.wait(20)

    async def hang_on() -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    name = "hang" if kind == "function" else "hang_on"
    stream = begin(asking(call(name)), [hang, hang_on], tool_timeout=0.05)
    text = stream.snapshots.run().text
    assert text == '{"error":"TimeoutError: no answer within 0.05 seconds"}'
    assert cancelled == ([] if kind == "function" else [True])
    released.set()


def test_a_model_that_calls_for_ever_is_stopped(begin):
    def for_ever(_):
        while True:
            yield ADD

    stream = begin(for_ever, [add], max_rounds=3)
    with pytest.raises(ToolRoundsExceeded, match=r"after 3 rounds of calls.*max_rounds=3"):
        stream.until_done()
    results = []
    stream.tool_results.subscribe(results.append, lambda _: None)
    with pytest.raises(ToolRoundsExceeded):
        stream.tool_results.run()
    assert len(results) == 3


# --- disposing -----------------------------------------------------------------------------


def test_to_dispose_during_a_coroutine_cancels_it_and_submits_nothing(serve, run_async):
    submissions = Submissions()

    async def main(client):
        begun, ended = asyncio.Event(), asyncio.Event()

        async def hang() -> None:
            begun.set()
            try:
                await asyncio.sleep(20)
            finally:
                ended.set()

        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, tools=[hang])
        subscription = stream.subscribe(on_error=lambda _: None)
        await begun.wait()
        subscription.dispose()
        await ended.wait()

    run_async(serve(asking(call("hang")), faults=submissions), main)
    assert submissions.asked == 0


def test_to_close_during_a_thread_abandons_it_and_submits_nothing(begin):
    submissions = Submissions()
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        released.wait(20)
        ended.set()

    stream = begin(asking(call("hang")), [hang], submissions)
    stream.subscribe(on_error=lambda _: None)
    assert begun.wait(10)
    stream.close()
    with pytest.raises(StreamClosed):
        stream.until_done()
    released.set()
    assert ended.wait(10)
    with pytest.raises(StreamClosed):
        stream.tool_results.run()
    assert submissions.asked == 0


def test_to_leave_during_a_tool_may_cancel_the_run(serve):
    begun, released = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        released.wait(20)

    with Client(base_url=serve(asking(call("hang"))).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=[hang], on_dispose="cancel"
        )
        subscription = stream.subscribe(on_error=lambda _: None)
        assert begun.wait(10)
        run = stream.current_run
        subscription.dispose()
        polling = client.threads.runs.poll(run.id, thread_id=run.thread_id, poll_interval_ms=5)
        statuses = iter(polling.pipe(ops.repeat()))
        assert any(status.status == "cancelled" for status in statuses)
    released.set()


def test_a_slow_reader_pauses_every_round(serve, run_async):
    def long(_):
        yield ADD
        yield say(*(f"{number} " for number in range(2000)))

    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=[add], read_ahead=16
        )
        ahead, seen = [], 0
        async for _ in stream:
            seen += 1
            if seen % 100 == 0:
                await asyncio.sleep(0.005)
                ahead.append(len(stream._log.items) - seen)
        assert seen > 2000
        assert max(ahead) <= 32  # those of the reader's own buffer included

    run_async(serve(long), main)


def test_a_client_that_closes_does_not_wait_for_a_thread(serve):
    begun, released = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        released.wait(20)

    with Client(base_url=serve(asking(call("hang"))).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, tools=[hang])
        stream.subscribe(on_error=lambda _: None)
        assert begun.wait(10)
    assert not released.is_set()
    released.set()


# --- submissions that are cut --------------------------------------------------------------


CUTS = {
    "before it is handled": hang_up(handled=False),
    "reset before it is handled": hang_up(handled=False, reset=True),
    "once it is handled": hang_up(handled=True),
    "behind the headers": cut(0),
    "in the first event": cut(50),
    "in the middle": cut(900, reset=True),
    "in the next call": cut(2500),
}


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("which", [1, 2])
def test_outputs_are_never_submitted_twice(begin, name, which):
    made = []

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        made.append((a, b))
        return a + b

    whole = begin(script, [add, shout])
    expected = [type(event).__name__ for event in whole if "Delta" not in type(event).__name__]
    made.clear()

    submissions = Submissions(**{f"of_{which}": CUTS[name]})
    stream = begin(script, [add, shout], submissions)
    events = list(stream)
    assert stream.snapshot.text == "3 HI 13"
    assert made == [(1, 2), (3, 10)]
    assert submissions.asked == (3 if "before it is handled" in name else 2)
    names = [type(event).__name__ for event in events if "Delta" not in type(event).__name__]
    assert names == expected
    assert len(stream.get_final_run_steps()) == 3
    assert [each.function.name for each in stream.tool_calls] == ["add", "shout", "add"]


@pytest.mark.parametrize("name", CUTS)
def test_nor_are_those_of_an_async_client(serve, run_async, name):
    made = []

    async def add(a: int, b: int) -> int:
        made.append((a, b))
        return a + b

    submissions = Submissions(of_1=CUTS[name])

    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, tools=[add, shout])
        await stream.until_done()
        assert stream.snapshot.text == "3 HI 13"

    run_async(serve(script, faults=submissions), main)
    assert made == [(1, 2), (3, 10)]
    assert submissions.asked == (3 if "before it is handled" in name else 2)


def test_an_async_client_is_told_of_a_tool_that_raises(serve, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=[fail], on_tool_error="raise"
        )
        with pytest.raises(ToolError) as raised:
            await stream.until_done()
        run = await client.threads.runs.retrieve(
            raised.value.run_id, thread_id=raised.value.thread_id
        )
        assert run.status == "cancelled"

    run_async(serve(asking(call("fail"))), main)


@pytest.mark.parametrize("name", ["before it is handled", "once it is handled"])
def test_nor_are_those_of_a_poll(serve, name):
    made = []

    def add(a: int, b: int) -> int:
        made.append((a, b))
        return a + b

    submissions = Submissions(of_1=CUTS[name])
    with Client(base_url=serve(script, faults=submissions).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, tools=[add, shout], poll_interval_ms=1
        )
        assert polling.run().status == "completed"
    assert made == [(1, 2), (3, 10)]
    assert submissions.asked == (3 if name == "before it is handled" else 2)


def handled_but(status):
    """The outputs are taken, and the answer is a refusal."""

    def around(app):
        async def refusing(scope, receive, send):
            async def unheard(_):
                await asyncio.sleep(0)

            await app(scope, receive, unheard)
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            said = b'{"error":{"message":"Runs in this status do not accept tool outputs."}}'
            await send({"type": "http.response.body", "body": said})

        return refusing

    return Fault(around)


TAKEN = {
    "late": {"of_1": hang_up(handled=False), "of_2": handled_but(400)},
    "by a gateway that gave up": {"of_1": handled_but(502)},
    "half": {"of_1": truncate(200)},
}


@pytest.mark.parametrize("name", TAKEN)
def test_outputs_that_were_taken_though_they_seem_refused(begin, name):
    stream = begin(script, [add, shout], Submissions(**TAKEN[name]))
    assert stream.snapshots.run().text == "3 HI 13"
    assert sorted(result.output for result in stream.tool_results) == ["13", "3", "HI"]


@pytest.mark.parametrize("name", TAKEN)
def test_a_poll_goes_on_where_they_were_taken(serve, name):
    service = serve(script, faults=Submissions(**TAKEN[name]))
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, tools=[add, shout], poll_interval_ms=1
        )
        assert polling.run().status == "completed"


@pytest.mark.parametrize("start", ["create_and_run_stream", "create_and_run_poll"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refuse(500), InternalServerError),
        (refuse(504), InternalServerError),
        (refuse(400), BadRequestError),
        (refuse(409), ConflictError),
        (answer("garbage"), RxAssistError),
    ],
    ids=["500", "504", "400", "409", "garbage"],
)
def test_a_run_whose_outputs_are_not_taken_is_cancelled(serve, start, fault, kind):
    def submissions(asked):
        return fault if asked.path.endswith("/submit_tool_outputs") else None

    with Client(base_url=serve(script, faults=submissions).base_url, max_retries=0) as client:
        assistant = client.assistants.create(model="m").run()
        following = getattr(client.threads, start)(assistant_id=assistant.id, tools=[add, shout])
        with pytest.raises(kind) as raised:
            following.run()
        run_id, thread_id = raised.value.run_id, raised.value.thread_id
        assert client.threads.runs.retrieve(run_id, thread_id=thread_id).run().status == "cancelled"


def test_the_errors_of_a_poll_name_the_run(serve):
    with Client(base_url=serve(asking(call("fail"))).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, tools=[fail], on_tool_error="raise", poll_interval_ms=1
        )
        with pytest.raises(ToolError) as raised:
            polling.run()
        run_id, thread_id = raised.value.run_id, raised.value.thread_id
        assert client.threads.runs.retrieve(run_id, thread_id=thread_id).run().status == "cancelled"


def test_a_service_that_never_takes_outputs_is_an_error_and_calls_nothing_again(begin):
    made = []

    def add(a: int, b: int) -> int:
        made.append((a, b))
        return a + b

    lost = dict.fromkeys(("of_1", "of_2", "of_3"), hang_up(handled=False))
    submissions = Submissions(**lost)
    with pytest.raises(APIConnectionError, match="the outputs were not taken"):
        begin(script, [add, shout], submissions).until_done()
    assert submissions.asked == 2
    assert made == [(1, 2)]


def test_a_submission_that_falls_silent_is_recovered(begin):
    submissions = Submissions(of_1=stall(400))
    stream = begin(script, [add, shout], submissions, idle_timeout=0.2)
    assert stream.snapshots.run().text == "3 HI 13"
    assert submissions.asked == 2


def test_without_recovery_a_cut_submission_is_an_error(begin):
    stream = begin(script, [add, shout], Submissions(of_1=cut(400)), recover=False)
    with pytest.raises(APIConnectionError, match="submit_tool_outputs"):
        stream.until_done()


@pytest.mark.parametrize("start", ["stream", "create_and_poll"])
def test_a_run_that_is_cancelled_while_a_tool_works_ends_as_it_did(serve, start):
    with Client(base_url=serve(asking(call("cancel"))).base_url) as client:

        def cancel() -> None:
            run = client.threads.runs.list(thread.id).run()
            client.threads.runs.cancel(run.id, thread_id=thread.id).run()

        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        following = getattr(client.threads.runs, start)(
            thread_id=thread.id, assistant_id=assistant.id, tools=[cancel]
        )
        runs = following if start == "create_and_poll" else following.pipe(operators.runs())
        assert [run.status for run in runs][-1] == "cancelled"


def test_outputs_that_you_submit_to_a_run_that_was_cancelled_are_refused(serve):
    with Client(base_url=serve(asking(call("wait"))).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        run = client.threads.create_and_run_stream(assistant_id=assistant.id).get_final_run()
        where = {"run_id": run.id, "thread_id": run.thread_id}
        client.threads.runs.cancel(**where).run()
        outputs = [{"tool_call_id": "call_1", "output": "1"}]
        stream = client.threads.runs.submit_tool_outputs_stream(**where, tool_outputs=outputs)
        with pytest.raises(BadRequestError):
            stream.until_done()


# --- approval ------------------------------------------------------------------------------


async def later(asked):
    await asyncio.sleep(0)
    return asked.function.name == "shout"


@pytest.mark.parametrize(
    ("approve", "why"),
    [
        (lambda asked: asked.function.name == "shout", ""),
        (later, ""),
        (lambda asked: rx.of(asked.function.name == "shout"), ""),
        (lambda asked: asked.function.name == "shout" or "too hard", ": too hard"),
    ],
    ids=["function", "coroutine", "observable", "reason"],
)
def test_a_refusal_is_told_the_model(begin, approve, why):
    stream = begin(asking(ADD, SHOUT), [add, shout], approve=approve)
    refused = f'{{"error":"this call was refused, and not made{why}"}}'
    assert stream.snapshots.run().text == f"{refused} HI"
    results = {result.call.function.name: result for result in stream.tool_results}
    assert isinstance(results["add"], ToolResult)
    assert results["add"].error is None


def test_what_approve_raises_is_an_error_of_the_call_which_is_not_made(begin):
    made = []

    @tool(name="add")
    def adding(a: int, b: int) -> int:
        made.append(a)
        return a + b

    def approve(_):
        raise LookupError

    stream = begin(asking(ADD), [adding], approve=approve)
    assert stream.snapshots.run().text == '{"error":"LookupError: "}'
    assert made == []


# --- what is passed ------------------------------------------------------------------------


OTHER = {"type": "function", "function": {"name": "other"}}


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_rounds": 0}, ValueError, "max_rounds must be at least 1, got 0"),
        ({"tool_timeout": 0}, ValueError, "tool_timeout must be above 0, got 0"),
        ({"max_concurrent_tools": 1.5}, TypeError, "max_concurrent_tools must be a whole number"),
        ({"on_tool_error": "ignore"}, ValueError, 'must be "tell", "raise" or a function'),
        ({"approve": "yes"}, TypeError, "approve must be a function"),
        ({"tools": [add, add]}, ValueError, "two tools are called 'add'"),
        ({"max_rounds": None}, TypeError, "max_rounds must be a whole number, got None"),
        ({"tool_timeout": "x"}, TypeError, "tool_timeout must be a number, got 'x'"),
        ({"tools": [add, OTHER]}, ValueError, "a definition of 'other', which cannot be called"),
        ({"tools": [OTHER, OTHER]}, ValueError, "two tools are called 'other'"),
        ({"tools": [add, tool(add).definition]}, ValueError, "two tools are called 'add'"),
        ({"tools": add}, TypeError, "tools must be a list of functions"),
    ],
)
def test_what_is_wrong_is_said_before_any_request(client, options, error, text):
    with pytest.raises(error, match=text):
        client.threads.create_and_run_stream(assistant_id="a", **{"tools": [add], **options})
