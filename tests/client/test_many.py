"""Many runs over real sockets: merged, under one budget, retried, and polled."""

import asyncio
import time

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist import (
    AsyncClient,
    Budget,
    Client,
    RateLimitError,
    iterate,
    merge_runs,
    operators,
    poll_many,
)
from rxassist.local import call, cut, fail, refuse, say


def echo(turn):
    yield say(*(f"{turn.text} {number} " for number in range(5)))


def said_by(name):
    return "".join(f"{name} {number} " for number in range(5))


def starting(client, **more):
    """A function that makes the stream of a run that is asked something."""
    assistant = client.assistants.create(model="m").run()

    def start(question):
        thread = {"messages": [{"role": "user", "content": question}]}
        return client.threads.create_and_run_stream(
            assistant_id=assistant.id, thread=thread, **more
        )

    return start


# --- merged --------------------------------------------------------------------------------


def adding(turn):
    """Ask for a sum, and say it."""
    number = int(turn.text)
    total = yield call("add", {"a": number, "b": 1})
    yield say(f"{number} and 1 is ", str(total))


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_a_thousand_merged_runs_with_tools_under_a_budget_of_fifty_each_right(serve):
    service = serve(adding)
    most = 0
    with Client(base_url=service.base_url, budget=Budget(max_runs=50)) as client:
        start = starting(client, tools=[add])
        streams = {number: start(str(number)) for number in range(1_000)}
        merged = merge_runs(streams)
        texts = dict.fromkeys(streams, "")
        summaries = []
        for item in iterate(merged):
            most = max(most, len(service.active_runs))
            if item.summary is not None:
                summaries.append(item.summary)
                texts[item.key] = streams[item.key].snapshot.text
    assert texts == {number: f"{number} and 1 is {number + 1}" for number in range(1_000)}
    assert {summary.status for summary in summaries} == {"completed"}
    assert all(summary.usage.total_tokens for summary in summaries)
    assert all(0 < summary.time_to_first_delta <= summary.duration for summary in summaries)
    assert 25 <= most <= 50
    service.wait_for(lambda: service.open_streams == 0)


def test_thousands_of_streams_are_made_only_as_places_come_free(serve):
    service = serve(echo)
    with Client(base_url=service.base_url) as client:
        start = starting(client)
        made = ended = most = 0

        def streams():
            nonlocal made, most
            for number in range(200):
                made += 1
                most = max(most, made - ended)
                yield f"run {number}", start(f"run {number}")

        def count(item):
            nonlocal ended
            ended += item.event is None

        texts = {}
        merged = merge_runs(streams(), max_concurrent=10).pipe(ops.do_action(count))
        latest = merged.pipe(operators.latest_snapshots())
        for snapshots in iterate(latest):
            texts = snapshots
    names = [f"run {number}" for number in range(200)]
    assert {name: texts[name].text for name in names} == {name: said_by(name) for name in names}
    assert most <= 10


def test_streams_that_begin_later_do_so_also_where_run_blocks(serve):
    """``run()`` lends a scheduler that says that it blocks: they begin on the loop's thread."""
    service = serve(echo)
    with Client(base_url=service.base_url) as client:
        start = starting(client)
        merged = merge_runs([start("ann"), start("bob")], max_concurrent=1)
        ends = merged.pipe(operators.run_summaries(), ops.to_list()).run()
    assert [summary.status for summary in ends] == ["completed", "completed"]


def test_an_observable_of_streams_may_be_made_of_a_list(serve):
    service = serve(echo)
    with Client(base_url=service.base_url) as client:
        start = starting(client)
        for _ in range(3):
            client.assistants.create(model="m").run()
        streams = client.assistants.list().pipe(ops.map(lambda each: (each.id, start(each.id))))
        merged = merge_runs(streams, max_concurrent=2).pipe(operators.latest_snapshots())
        *_, latest = iterate(merged)
    assert {key: latest[key].text for key in latest} == {key: said_by(key) for key in latest}
    assert len(latest) == 4


def test_a_run_whose_connection_is_lost_says_so_in_its_summary(serve):
    service = serve(
        echo,
        faults=lambda asked: cut(at=2_000) if asked.path.endswith("/runs") else None,
    )
    with Client(base_url=service.base_url) as client:
        merged = merge_runs({"ann": starting(client)("ann")})
        *_, last = iterate(merged)
    assert (last.summary.status, last.summary.recoveries, last.error) == ("completed", 1, None)


def test_a_refused_run_carries_its_error_and_the_others_go_on(serve):
    service = serve(echo, faults=lambda asked: refuse(400) if "key" in str(asked.headers) else None)
    with Client(base_url=service.base_url) as client:
        start = starting(client)
        refused = client.threads.create_and_run_stream(
            assistant_id="asst_1", extra_headers={"x-key": "1"}
        )
        merged = merge_runs({"refused": refused, "ann": start("ann"), "bob": start("bob")})
        ends = {item.key: item for item in iterate(merged) if item.event is None}
    assert ends["refused"].error.status_code == 400
    assert ends["refused"].summary.status is None
    assert [ends[name].summary.status for name in ("ann", "bob")] == ["completed", "completed"]


def test_a_slow_reader_pauses_every_merged_stream(serve, run_async):
    service = serve(lambda _: [say(*(["x" * 100] * 3_000))])

    async def main(client):
        assistant = await client.assistants.create(model="m")
        streams = [
            client.threads.create_and_run_stream(assistant_id=assistant.id, read_ahead=16)
            for _ in range(6)
        ]
        reader = aiter(iterate(merge_runs(streams, max_concurrent=3)))
        for _ in range(10):
            await anext(reader)
        held = -1
        while held != sum(len(stream._log.items) for stream in streams):
            held = sum(len(stream._log.items) for stream in streams)
            for _ in range(100):
                await asyncio.sleep(0)
        assert held <= 10 + 3 * (16 + 2) + 16
        rest = [item async for item in reader]
        await reader.aclose()
        return sum(item.summary is not None for item in rest)

    assert run_async(service, main) == 6


# --- a budget ------------------------------------------------------------------------------


def test_two_clients_on_different_loops_share_one_budget(serve):
    service = serve(echo)
    budget = Budget(max_runs=4)
    most = 0

    async def many():
        nonlocal most
        async with AsyncClient(base_url=service.base_url, budget=budget) as other:
            with Client(base_url=service.base_url, budget=budget) as client:
                assistant = await other.assistants.create(model="m")
                start = starting(client)
                streams = [start(f"sync {number}") for number in range(20)]
                for number in range(20):
                    thread = {"messages": [{"role": "user", "content": f"async {number}"}]}
                    streams.append(
                        other.threads.create_and_run_stream(
                            assistant_id=assistant.id, thread=thread
                        )
                    )
                ended = 0
                async for item in iterate(merge_runs(streams)):
                    most = max(most, len(service.active_runs))
                    ended += item.event is None and item.summary.status == "completed"
                return ended

    assert asyncio.run(many()) == 40
    assert most <= 4


def test_a_429_of_one_pauses_every_member_of_the_budget(serve):
    """Also a client of another thread, that was never told."""
    told = []

    def faults(asked):
        told.append((time.monotonic(), asked.path))
        limited = asked.path.endswith("/assistants") and asked.attempt == 2
        return refuse(429, {"retry-after": "0.4"}) if limited else None

    service = serve(echo, faults=faults)
    budget = Budget()
    with (
        Client(base_url=service.base_url, budget=budget) as one,
        Client(base_url=service.base_url, budget=budget, max_retries=0) as other,
    ):
        one.assistants.create(model="m").run()
        with pytest.raises(RateLimitError):
            other.assistants.create(model="m").run()
        refused = told[-1][0]
        one.threads.create().run()
    assert told[-1][0] - refused >= 0.4


def test_polls_creations_and_retries_draw_on_the_requests_of_the_budget(serve):
    asked = drawn = 0

    def faults(asking):
        nonlocal asked
        asked += 1
        return refuse(503, {"retry-after": "0"}) if asking.attempt == 1 else None

    class Counting(Budget):
        async def request(self, longest_pause=None):
            nonlocal drawn
            drawn += 1
            await super().request(longest_pause)

    service = serve(echo, faults=faults)
    with Client(base_url=service.base_url, budget=Counting()) as client:
        assistant = client.assistants.create(model="m").run()
        client.threads.create_and_run_poll(assistant_id=assistant.id).run()
    assert drawn == asked >= 6


def test_create_and_poll_keeps_its_place_to_the_end(serve):
    service = serve(lambda _: [say("a", "b")], token_delay=0.01)
    most = 0

    def look(_):
        nonlocal most
        most = max(most, len(service.active_runs))

    with Client(base_url=service.base_url, budget=Budget(max_runs=2)) as client:
        assistant = client.assistants.create(model="m").run()
        polls = [client.threads.create_and_run_poll(assistant_id=assistant.id) for _ in range(8)]
        ended = list(iterate(rx.merge(*polls).pipe(ops.do_action(look))))
    assert sum(run.status == "completed" for run in ended) == 8
    assert most <= 2


def test_outputs_are_submitted_while_every_place_is_taken(serve):
    service = serve(lambda _: [call("f", {}), say("done")])
    with Client(base_url=service.base_url, budget=Budget(max_runs=1)) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)

        def submit(waiting):
            calls = waiting.required_action.submit_tool_outputs.tool_calls
            outputs = [{"tool_call_id": each.id, "output": "1"} for each in calls]
            return client.threads.runs.submit_tool_outputs_stream(
                run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs
            )

        waits = operators.runs()
        going_on = stream.pipe(
            waits, ops.filter(lambda run: run.status == "requires_action"), ops.flat_map(submit)
        )
        texts = list(iterate(going_on.pipe(operators.text_deltas())))
    assert "".join(texts) == "done"


def test_a_client_that_closes_tells_who_waits_for_a_place(serve):
    service = serve(lambda _: [say(*["x"] * 1000)], token_delay=0.01)
    client = Client(base_url=service.base_url, budget=Budget(max_runs=1))
    start = starting(client)
    first, second = start("a"), start("b")
    errors = []
    first.subscribe(on_error=errors.append)
    second.subscribe(on_error=errors.append)
    next(iter(first))
    client.close()
    assert [type(error).__name__ for error in errors] == ["ClientClosed", "ClientClosed"]


def test_a_budget_must_be_one():
    with pytest.raises(TypeError, match=r"budget must be a Budget, such as Budget\(max_runs=50\)"):
        Client(base_url="http://127.0.0.1:1/v1", budget=50)


# --- retry_run -----------------------------------------------------------------------------


def test_runs_that_exceed_a_rate_limit_are_started_anew(serve):
    tries = {}

    def limited(turn):
        tries[turn.text] = tries.get(turn.text, 0) + 1
        if tries[turn.text] < 3:
            yield fail("rate_limit_exceeded", "Slow down.")
        yield say("at last")

    service = serve(limited)
    with Client(base_url=service.base_url) as client:
        start = starting(client)

        def trying(name):
            return rx.defer(lambda _: start(name)).pipe(operators.retry_run(3, backoff=0.01))

        merged = merge_runs({name: trying(name) for name in ("ann", "bob")})
        items = list(iterate(merged))
    ends = {item.key: item.summary for item in items if item.event is None}
    assert {name: (end.status, end.retries) for name, end in ends.items()} == {
        "ann": ("completed", 2),
        "bob": ("completed", 2),
    }
    created = [item for item in items if item.event and item.event.event == "thread.run.created"]
    assert len(created) == 2


# --- poll_many -----------------------------------------------------------------------------


def test_many_runs_are_polled_to_their_ends(serve):
    service = serve(lambda _: [say("a", "b", "c")], token_delay=0.02)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        runs = [client.threads.create_and_run(assistant_id=assistant.id).run() for _ in range(20)]
        threads = {run.id: run.thread_id for run in runs}
        polled = poll_many(
            lambda run_id: client.threads.runs.retrieve(run_id, thread_id=threads[run_id]),
            threads,
            until=lambda run: run.status == "completed",
            interval=0.05,
        )
        ended = {item.key: item.state.status for item in iterate(polled)}
    assert ended == dict.fromkeys(threads, "completed")


def test_the_files_of_a_batch_are_polled_by_their_list(serve):
    """One request for all of them, as long as more than one is open."""
    lists = singles = 0

    def faults(asked):
        nonlocal lists, singles
        if asked.method == "GET":
            lists += asked.path.endswith("/files")
            singles += "/files/" in asked.path

    service = serve(faults=faults)
    with Client(base_url=service.base_url) as client:
        store = client.vector_stores.create(name="pages").run()
        files = [(f"{number}.txt", b"page") for number in range(30)]
        client.vector_stores.file_batches.upload_and_poll(store.id, files=files).run()
        ids = [file.id for file in iterate(client.vector_stores.files.list(store.id))]
        lists = singles = 0
        polled = poll_many(
            lambda file_id: client.vector_stores.files.retrieve(file_id, vector_store_id=store.id),
            ids,
            until=lambda file: file.status == "completed",
            fetch_list=lambda _: client.vector_stores.files.list(store.id, limit=100),
        )
        ended = {item.key: item.state.status for item in iterate(polled)}
    assert ended == dict.fromkeys(ids, "completed")
    assert (lists, singles) == (1, 0)
