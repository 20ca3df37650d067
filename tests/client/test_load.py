"""Many runs at once, and slow readers: every text whole, and what is in flight is bounded."""

import asyncio

import reactivex as rx
from reactivex import operators as ops

from rxassist import Client, demanding, iterate, map_async
from rxassist.local import say
from rxassist.reactive.backpressure import Demand

BUFFER = 16


def long_script(pieces):
    def script(_):
        yield say(*(f"{number} " for number in range(pieces)))

    return script


def echo(turn):
    yield say(*(f"{turn.text}{number} " for number in range(20)))


def test_two_hundred_runs_merged_all_complete_with_the_right_text(serve):
    service = serve(echo)
    names = [f"run-{number}-" for number in range(200)]
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()

        def text_of(name):
            thread = {"messages": [{"role": "user", "content": name}]}
            stream = client.threads.create_and_run_stream(assistant_id=assistant.id, thread=thread)
            return stream.text_deltas.pipe(
                ops.reduce(lambda text, piece: text + piece, ""),
                ops.map(lambda text: (name, text)),
            )

        texts = dict(iterate(rx.merge(*map(text_of, names))))
    assert texts == {name: "".join(f"{name}{n} " for n in range(20)) for name in names}
    service.wait_for(lambda: service.open_streams == 0)


def test_the_log_runs_ahead_of_a_sleeping_reader_by_read_ahead_and_no_more(serve, run_async):
    service = serve(long_script(5_000))

    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, read_ahead=100)
        reader = aiter(stream)
        for _ in range(10):
            await anext(reader)
        # The reader sleeps: what arrives meanwhile settles when the log is full.
        in_flight = -1
        while in_flight != len(stream._log.items):
            in_flight = len(stream._log.items)
            for _ in range(50):
                await asyncio.sleep(0)
        assert in_flight <= 10 + stream._buffer + 100
        assert service.open_streams == 1
        rest = [event async for event in reader]
        await reader.aclose()
        assert rest[-1].event == "done"
        return sum(event.event == "thread.message.delta" for event in rest)

    assert run_async(service, main) >= 5_000 - 10


def test_demand_reaches_sources_that_flat_map_subscribes_later(serve, run_async):
    service = serve(long_script(3_000))
    most = 0

    async def main(client):
        nonlocal most
        assistant = await client.assistants.create(model="m")
        sent = taken = 0

        def count(_):
            nonlocal sent, most
            sent += 1
            most = max(most, sent - taken)

        def begin(_):
            stream = client.threads.create_and_run_stream(
                assistant_id=assistant.id, replay=False, read_ahead=BUFFER
            )
            return stream.text_deltas

        texts = rx.from_(range(3)).pipe(ops.flat_map(begin), ops.do_action(count))
        async for _ in iterate(texts, buffer=BUFFER):
            taken += 1
            if taken % 100 == 0:
                await asyncio.sleep(0)
        return taken

    assert run_async(service, main) == 3 * 3_000
    assert most <= BUFFER + 3


def test_map_async_pauses_the_stream_while_it_is_behind(serve, run_async):
    service = serve(long_script(500))

    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, read_ahead=8)
        sent = done = most = 0

        def count(_):
            nonlocal sent, most
            sent += 1
            most = max(most, sent - done)

        async def work(text):
            nonlocal done
            await asyncio.sleep(0)
            done += 1
            return text

        counted = stream.text_deltas.pipe(ops.do_action(count), map_async(work), ops.count())
        assert await counted == 500
        return most

    assert run_async(service, main) <= 3


def test_a_paused_reader_stops_the_socket_and_not_the_run(serve, run_async):
    """With the demand closed nothing is read: the service's own bounded queue fills, not ours."""
    service = serve(lambda _: [say(*(["x" * 1_000] * 12_000))])  # 12 MB: no socket buffer holds it

    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, read_ahead=32)
        demand, got = Demand(), []
        with demanding(demand):
            subscription = stream.subscribe(got.append)
        demand.close()
        for seen in (lambda: service.active_runs, lambda: not service.active_runs):
            await asyncio.to_thread(service.wait_for, seen, 20)
        assert got == []
        assert len(stream._log.items) <= 32
        assert service.open_streams == 1  # still being written: it waits for the reader
        demand.open()
        last = await stream.pipe(ops.last())
        subscription.dispose()
        return last.event

    assert run_async(service, main) == "done"
