"""Polls that are left, or too late: what becomes of their runs, with both clients."""

import asyncio
import copy
import pickle
import signal
import threading
import time

import pytest
from reactivex import operators as ops

from rxassist import Client, NotFoundError, PollTimeout, StreamClosed
from rxassist.local import answer, call, refuse, say, stall, trickle, wait

LONG = 4.0  # seconds; nothing that goes well takes as long
SOON = 0.3  # seconds
DEADLINE = 1.0  # seconds, in which a service that is busy with other tests has answered
PAUSE = {"poll_interval_ms": 5}


def endless(_):
    yield say("word")
    yield wait(600)


def asks(_):
    yield call("work")
    yield wait(600)


def working(turn):
    """Ask once for an output, and go on for ever; or at once."""
    if turn.run.instructions == "ask":
        yield call("work")
    yield wait(600)


def begin(client, kind, assistant_id, thread_id, **options):
    """A poll of a run that goes on for ever, of each kind that there is."""
    runs, options = client.threads.runs, {**PAUSE, **options}
    if kind == "create_and_poll":
        return _just(runs.create_and_poll(thread_id, assistant_id=assistant_id, **options))
    if kind == "create_and_run_poll":
        return _just(client.threads.create_and_run_poll(assistant_id=assistant_id, **options))
    if kind == "poll":
        created = runs.create(thread_id, assistant_id=assistant_id)
        return created.pipe(ops.map(lambda run: runs.poll(run.id, thread_id=thread_id, **options)))

    def submitted(run):
        (asked,) = run.required_action.submit_tool_outputs.tool_calls
        outputs = [{"tool_call_id": asked.id, "output": "1"}]
        return runs.submit_tool_outputs_and_poll(
            run.id, thread_id=thread_id, tool_outputs=outputs, **options
        )

    created = runs.create_and_poll(
        thread_id, assistant_id=assistant_id, instructions="ask", **PAUSE
    )
    return created.pipe(ops.last(), ops.map(submitted))


def _just(poll):
    import reactivex as rx

    return rx.of(poll)


KINDS = ["create_and_poll", "create_and_run_poll", "poll", "submit_tool_outputs_and_poll"]


@pytest.fixture
def service(serve):
    return serve(working)


@pytest.fixture
def client(service):
    with Client(base_url=service.base_url) as client:
        yield client


@pytest.fixture
def poll(client):
    """Make a poll: ``poll(kind, **options)``."""

    def poll(kind, **options):
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        return begin(client, kind, assistant.id, thread.id, **options).run()

    return poll


async def async_poll(client, kind, **options):
    assistant = await client.assistants.create(model="m")
    thread = await client.threads.create()
    made = begin(client, kind, assistant.id, thread.id, **options)
    if kind.startswith("create"):
        return made.run()  # it is there: nothing is waited for
    return await made


def is_cancelled(service):
    service.wait_for(lambda: service.runs and not service.active_runs)
    assert sum(path.endswith("/cancel") for _, path in service.requests) == 1


def is_left_alone(client, service):
    """A request that comes after all that was on its way says so."""
    client.threads.create().run()
    assert service.active_runs
    assert not any(path.endswith("/cancel") for _, path in service.requests)


# --- leaving -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_to_dispose_cancels_the_run(service, poll, kind):
    seen = threading.Event()
    subscription = poll(kind, on_dispose="cancel").subscribe(lambda _: seen.set())
    assert seen.wait(LONG)
    subscription.dispose()
    is_cancelled(service)


@pytest.mark.parametrize("kind", KINDS)
def test_to_leave_the_loop_cancels_the_run(service, poll, kind):
    for _ in poll(kind, on_dispose="cancel"):
        break
    is_cancelled(service)


@pytest.mark.parametrize("kind", KINDS)
def test_to_leave_a_poll_leaves_its_run_alone_by_default(service, client, poll, kind):
    for _ in poll(kind):
        break
    is_left_alone(client, service)


@pytest.mark.parametrize("kind", KINDS)
def test_a_poll_that_is_left_before_its_first_answer_cancels_the_run(serve, kind):
    asked = threading.Event()
    stalls = []

    def faults(told):
        if not stalls or "/runs/run_" not in told.path or told.path.endswith("/cancel"):
            return None
        asked.set()
        return stalls[0]

    service = serve(working, faults=faults)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        made = begin(client, kind, assistant.id, thread.id, on_dispose="cancel").run()
        stalls.append(stall(0))
        subscription = made.subscribe(on_error=lambda _: None)
        assert asked.wait(LONG)
        stalls.clear()
        subscription.dispose()
        is_cancelled(service)


def test_a_creation_that_is_on_its_way_is_followed_until_it_told_its_run(serve):
    slow = trickle(0, every=0.001)  # the answer to the creation takes a second
    service = serve(endless, faults=lambda told: slow if told.path.endswith("/runs") else None)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        polling = client.threads.create_and_run_poll(
            assistant_id=assistant.id, on_dispose="cancel", **PAUSE
        )
        subscription = polling.subscribe(on_error=lambda _: None)
        service.wait_for(lambda: service.runs)
        assert service.requests[-1] == ("POST", "/v1/threads/runs")
        subscription.dispose()
        is_cancelled(service)


def test_the_last_subscriber_that_leaves_cancels_and_not_the_first(service, client, poll):
    for kind in ("create_and_poll", "poll"):
        polling, told = poll(kind, on_dispose="cancel"), (threading.Event(), threading.Event())
        first, second = (polling.subscribe(lambda _, seen=seen: seen.set()) for seen in told)
        assert all(seen.wait(LONG) for seen in told)
        first.dispose()
        is_left_alone(client, service)
        second.dispose()
        is_cancelled(service)
        service.requests.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_callback_that_raises_cancels_the_run(service, poll, kind, caplog):
    def broken(_):
        raise ValueError("my own fault")  # noqa: EM101, TRY003 -- as users write it

    poll(kind, on_dispose="cancel").subscribe(broken)
    is_cancelled(service)
    assert "my own fault" in caplog.text


def test_an_operator_that_raises_in_a_run_cancels_the_run(service, poll):
    with pytest.raises(ZeroDivisionError):
        poll("create_and_poll", on_dispose="cancel").pipe(ops.map(lambda _: 1 / 0)).run()
    is_cancelled(service)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_closes_cancels_the_run(service, client, poll, kind):
    seen, told = threading.Event(), []
    poll(kind, on_dispose="cancel").subscribe(lambda _: seen.set(), told.append)
    assert seen.wait(LONG)
    client.close()
    is_cancelled(service)
    assert isinstance(told[0], StreamClosed)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_in_a_run_cancels_the_run(service, poll):
    main = threading.main_thread().ident
    polling = poll("create_and_poll", on_dispose="cancel")
    interrupt = polling.pipe(ops.do_action(lambda _: signal.pthread_kill(main, signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        interrupt.run()
    is_cancelled(service)


def test_a_poll_that_ends_is_not_cancelled(serve):
    service = serve(lambda _: [say("A")])
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        made = client.threads.create_and_run_poll(
            assistant_id=assistant.id, on_dispose="cancel", **PAUSE
        )
        assert made.run().status == "completed"
    assert not any(path.endswith("/cancel") for _, path in service.requests)


def test_a_run_that_waits_for_you_has_ended_its_poll_and_is_not_cancelled(serve):
    service = serve(asks)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        made = client.threads.create_and_run_poll(
            assistant_id=assistant.id, on_dispose="cancel", **PAUSE
        )
        assert made.run().status == "requires_action"
        is_left_alone(client, service)


# --- asyncio -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["task", "timeout", "for", "dispose"])
def test_a_wait_that_is_cancelled_is_left(service, run_async, kind, how):
    async def main(client):
        polling, seen = await async_poll(client, kind, on_dispose="cancel"), asyncio.Event()
        waited = polling.pipe(ops.do_action(lambda _: seen.set()))

        async def wait_for_it():
            return await waited

        if how == "task":
            task = asyncio.create_task(wait_for_it())
            await seen.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif how == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(DEADLINE):
                    await waited
        elif how == "for":
            async for _ in waited:
                break
        else:
            subscription = waited.subscribe()
            await seen.wait()
            subscription.dispose()
        await asyncio.to_thread(is_cancelled, service)

    run_async(service, main)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wait_that_is_cancelled_right_before_the_client_closes(service, run_async, kind):
    async def main(client):
        polling = await async_poll(client, kind, on_dispose="cancel")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(DEADLINE):
                await polling

    run_async(service, main)
    is_cancelled(service)


# --- too late ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_poll_that_is_too_late_names_its_run(service, client, poll, kind):
    with pytest.raises(PollTimeout, match=r"run run_\w+, thread thread_\w+: no end with") as late:
        poll(kind, deadline=DEADLINE).run()
    error = late.value
    assert error.run_id == service.runs[-1]
    assert error.thread_id == error.last.thread_id
    assert error.last.status == "in_progress"
    assert error.run_id in repr(error)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(again), again.run_id, again.last) == (str(error), error.run_id, error.last)
    is_left_alone(client, service)


@pytest.mark.parametrize("kind", KINDS)
def test_a_poll_that_is_too_late_cancels_its_run_if_it_is_to(serve, kind):
    service = serve(working, cancel_delay=SOON)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        made = begin(client, kind, assistant.id, thread.id, deadline=DEADLINE, on_dispose="cancel")
        with pytest.raises(PollTimeout):
            made.run().run()
        assert not service.active_runs  # it has ended by now
        is_cancelled(service)


def test_a_poll_of_one_kind_of_thing_names_that(serve):
    service = serve(faults=_never_ends)
    with Client(base_url=service.base_url) as client:
        stores, late = client.vector_stores, {"deadline": DEADLINE, **PAUSE}
        polls = {
            "vector store vs_1": stores.poll("vs_1", **late),
            "file file_1, vector store vs_1": stores.files.poll(
                "file_1", vector_store_id="vs_1", **late
            ),
            "batch vsfb_1, vector store vs_1": stores.file_batches.poll(
                "vsfb_1", vector_store_id="vs_1", **late
            ),
            "file file_1": client.files.wait_for_processing("file_1", **late),
        }
        for name, polling in polls.items():
            with pytest.raises(PollTimeout, match=f"^{name}: no end") as caught:
                polling.run()
            error = caught.value
            ids = (error.vector_store_id, error.batch_id, error.file_id)
            assert [each for each in ids if each] == [
                part.split()[-1] for part in reversed(name.split(", "))
            ]
            assert (error.run_id, error.thread_id) == (None, None)


def _never_ends(asked):
    id_ = asked.path.rpartition("/")[2]
    body = f'{{"id": "{id_}", "status": "in_progress", "file_counts": {{"in_progress": 1}}}}'
    return answer(body, "application/json") if asked.method == "GET" else None


# --- too late, with tools ------------------------------------------------------------------


@pytest.fixture
def hang():
    """A tool that takes too long, and is let go at the end of the test."""
    release = threading.Event()

    def work() -> str:
        """Take too long."""
        release.wait(2 * LONG)
        return "late"

    yield work
    release.set()


async def hang_on() -> str:
    """Take too long."""
    await asyncio.sleep(600)
    return "late"


hang_on.__name__ = "work"


def tool_poll(client, tool, **options):
    assistant = client.assistants.create(model="m").run()
    return client.threads.create_and_run_poll(
        assistant_id=assistant.id, tools=[tool], deadline=DEADLINE, **PAUSE, **options
    )


@pytest.mark.parametrize("on_dispose", ["detach", "cancel"])
def test_a_run_whose_tools_work_is_cancelled_and_then_it_is_too_late(serve, hang, on_dispose):
    service = serve(asks, cancel_delay=SOON)
    with Client(base_url=service.base_url) as client:
        with pytest.raises(PollTimeout, match="requires_action") as late:
            tool_poll(client, hang, on_dispose=on_dispose).run()
        assert not service.active_runs
        is_cancelled(service)
        assert late.value.run_id == service.runs[0]


def test_a_run_whose_tools_work_is_cancelled_on_an_async_client(serve, run_async):
    service = serve(asks, cancel_delay=SOON)

    async def main(client):
        assistant = await client.assistants.create(model="m")
        thread = await client.threads.create()
        polling = client.threads.runs.create_and_poll(
            thread.id, assistant_id=assistant.id, tools=[hang_on], deadline=DEADLINE, **PAUSE
        )
        with pytest.raises(PollTimeout):
            await polling
        assert not service.active_runs

    run_async(service, main)
    is_cancelled(service)


def test_a_run_that_works_though_it_had_tools_is_left_alone(serve):
    service = serve(endless)
    with Client(base_url=service.base_url) as client:
        with pytest.raises(PollTimeout, match="in_progress"):
            tool_poll(client, hang_on).run()
        is_left_alone(client, service)


def test_a_run_that_went_on_with_its_outputs_is_left_alone(serve):
    def work() -> str:
        """Be quick."""
        return "done"

    service = serve(asks)
    with Client(base_url=service.base_url) as client:
        with pytest.raises(PollTimeout, match="in_progress"):
            tool_poll(client, work).run()
        is_left_alone(client, service)


@pytest.mark.parametrize("fault", [refuse(403), stall(0)], ids=["refused", "no answer"])
def test_a_cancellation_that_fails_is_logged_and_it_is_too_late_all_the_same(
    serve, hang, fault, caplog, monkeypatch
):
    monkeypatch.setattr("rxassist.protocols.assistants.busy._CANCEL_DEADLINE", SOON)
    service = serve(asks, faults=lambda asked: fault if asked.path.endswith("cancel") else None)
    with Client(base_url=service.base_url) as client, caplog.at_level("INFO", "rxassist"):
        began = time.monotonic()
        with pytest.raises(PollTimeout, match="requires_action"):
            tool_poll(client, hang).run()
        assert time.monotonic() - began < LONG
    assert f"run {service.runs[0]} could not be cancelled" in caplog.text


def test_a_creation_that_is_never_answered_is_too_late_in_time(serve):
    service = serve(asks, faults=lambda asked: stall(0) if asked.path.endswith("runs") else None)
    with Client(base_url=service.base_url) as client:
        began = time.monotonic()
        with pytest.raises(PollTimeout) as late:
            tool_poll(client, hang_on, on_dispose="cancel").run()
        assert time.monotonic() - began < LONG
        assert late.value.run_id is None


# --- options -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_dispose_does_is_one_of_two(poll, kind):
    with pytest.raises(ValueError, match='on_dispose must be "detach" or "cancel", got \'now\''):
        poll(kind, on_dispose="now")


def test_a_poll_of_a_run_that_is_not_there_fails(client):
    polling = client.threads.runs.poll("run_1", thread_id="thread_1", on_dispose="cancel")
    with pytest.raises(NotFoundError):
        polling.run()


@pytest.mark.parametrize("name", ["vector_stores", "files"])
def test_what_is_for_runs_is_refused_elsewhere(client, name):
    poll = getattr(client, name)
    poll = poll.poll if name == "vector_stores" else poll.wait_for_processing
    with pytest.raises(TypeError, match="on_dispose is not a parameter"):
        poll("id_1", on_dispose="cancel")
