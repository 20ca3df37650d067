"""The law of a log: the first k events and what follows them are all events, at every k."""

import reactivex as rx
from reactivex import Subject

from rxassist.redis import InMemoryStore, RunLog
from rxassist.wire.sse import encode

END = b"event: end\ndata: null\n\n"


def chunks_of(events):
    """The events as the log hands them on."""
    encoded = [encode(event.protocol().encode(event)) for event in events]
    return [b"id: 1-%d\n" % (n + 1) + chunk for n, chunk in enumerate(encoded)]


async def body(runs, key, after=None):
    return b"".join([chunk async for chunk in runs.sse(key, after)])


async def heard(runs, key, after=None):
    return [event async for event in runs.follow(key, after)]


def test_every_recording_there_and_back(recorded, run, stream_of):
    events = recorded.events

    async def main():
        async with RunLog(InMemoryStore()) as runs:
            stream = stream_of(rx.from_iterable(events), of_responses=recorded.of_responses)
            key = await runs.publish(stream)
            assert await heard(runs, key) == events
            assert await body(runs, key) == b"".join(chunks_of(events)) + END
            for k in range(0, len(events) + 1, len(events) // 4 + 1):
                assert await heard(runs, key, k) == events[k:]

    run(main)


def test_the_first_k_events_and_what_follows_them_are_all(shorts, run, logs, stream_of):
    events, chunks = shorts.events, chunks_of(shorts.events)

    async def main():
        async with logs() as producing, logs() as runs:
            stream = stream_of(rx.from_iterable(events), of_responses=shorts.of_responses)
            key = await producing.publish(stream)
            for k in range(len(events) + 1):
                begins = b"id: 1-%d\n\n" % k
                assert await body(runs, key, f"1-{k}") == begins + b"".join(chunks[k:]) + END
                assert await heard(runs, key, k) == events[k:]
                assert await heard(runs, key, f"1-{k}") == events[k:]

    run(main)


def test_a_log_that_grows_is_followed_from_every_place(shorts, run, logs, stream_of):
    events, source = shorts.events, Subject()

    async def main():
        async with logs() as producing, logs() as runs:
            stream = stream_of(source, of_responses=shorts.of_responses)
            key = await producing.publish(stream)
            all_of_it = runs.follow(key)
            results, followed = [], []
            for k, event in enumerate(events):
                if k % 5 == 0:
                    results.append((k, []))
                    followed.append(runs.follow(key, k).subscribe(results[-1][1].append))
                source.on_next(event)
            source.on_completed()
            assert [event async for event in all_of_it] == events
            for k, result in results:
                assert result == events[k:]

    run(main)
