"""Streams that are cut, anywhere and in every way, and what their readers are told."""

import asyncio
import re
from pathlib import Path

import pytest

from rxassist import RunOutcomeUnknown
from rxassist.local import call, cut, replay, say

WIRE = Path(__file__).parent.parent / "wire" / "assistants"
CUTS = 200  # of each recording
ENTIRE = {"azure-openai-run-failed-rate-limit.sse"}  # of which every position is cut
SUBMITTED = {  # and the calls whose outputs were
    "dotnet-tool-1b-submitted.sse": "call_xyFYaEeyocjyE6jN64QTcxip",
    "oa4j-submit-tool-outputs.sse": "call_DH64pJ1iQZ1IsjyrR6heYat8",
}
RUN_ID = re.compile(rb'"run_id": ?"(\w+)"')
ABRIDGED = "doc-createRun-1.sse"  # some of its deltas were left out
RECORDINGS = sorted(
    path.name
    for path in WIRE.glob("*.sse")
    if path.name not in {"oa4j-error-then-done.sse", "php-no-blank-lines.sse", ABRIDGED}
)


def named(event):
    """The name of an event and the object's id."""
    return event.event, getattr(event.data, "id", None)


async def everything(stream):
    """What a stream gives, as far as it can be compared; no whole object may come twice."""
    text, calls, names = [], [], []
    stream.text_deltas.subscribe(text.append, lambda _: None)
    stream.tool_calls.subscribe(calls.append, lambda _: None)
    stream.subscribe(lambda event: names.append(named(event)), lambda _: None)
    snapshot = await stream.final_snapshot
    whole = [name for name in names if "delta" not in name[0] and name[0] != "done"]
    assert len(whole) == len(set(whole))
    return {
        "text": "".join(text),
        "calls": calls,
        "events": whole,
        "run": snapshot.run,
        "messages": snapshot.messages,
        "steps": snapshot.run_steps,
    }


def cuts():
    for name in RECORDINGS:
        size = (WIRE / name).stat().st_size
        yield pytest.param(name, range(0, size, size // CUTS), False, id=f"{name}-closed")
        yield pytest.param(name, range(0, size, size // CUTS * 8), True, id=f"{name}-reset")
        if name in ENTIRE:
            for begin in range(0, size, 250):
                every = range(begin, min(begin + 250, size))
                yield pytest.param(name, every, False, id=f"{name}-{begin}")


@pytest.mark.parametrize(("name", "positions", "reset"), [*cuts()])
def test_a_recording_that_is_cut_anywhere_is_whole_again(serve, run_async, name, positions, reset):
    recording = (WIRE / name).read_bytes()
    told_at = recording.index(b"\n\n", recording.index(b"thread.run."))
    plays = replay(recording)

    def faults(asked):
        played = plays(asked)
        at = asked.headers.get("x-cut")
        if played is None or at is None or asked.method != "POST":
            return played
        return played | cut(int(at), reset=reset)

    async def main(client):
        runs, limit = client.threads.runs, asyncio.Semaphore(20)

        def stream(**headers):
            if name in SUBMITTED:
                return runs.submit_tool_outputs_stream(
                    thread_id="t",
                    run_id=RUN_ID.search(recording)[1].decode(),
                    tool_outputs=[{"tool_call_id": SUBMITTED[name], "output": ""}],
                    extra_headers=headers,
                )
            return runs.stream(thread_id="t", assistant_id="a", extra_headers=headers)

        whole = await everything(stream())

        async def check(at):
            async with limit:
                try:
                    again = await everything(stream(**{"x-cut": str(at)}))
                except RunOutcomeUnknown:
                    assert at <= told_at + 1
                    return 0
                assert again == whole, f"cut at {at}"
                return 1

        recovered = sum(await asyncio.gather(*map(check, positions)))
        assert recovered >= sum(at > told_at + 1 for at in positions)

    run_async(serve(faults=faults), main)


def test_a_cut_within_a_function_call_is_recovered_from_the_local_service(serve, run_async):
    def script(_):
        output = yield call("f", {"a": "a long argument, in many pieces", "b": "ü"})
        yield say(f"more {output}")

    def faults(asked):
        at = asked.headers.get("x-cut")
        return cut(int(at)) if at and asked.method == "POST" else None

    async def main(client):
        assistant = await client.assistants.create(model="m")

        async def calls_of(**headers):
            stream = client.threads.create_and_run_stream(
                assistant_id=assistant.id, extra_headers=headers
            )
            calls = [c async for c in stream.tool_calls]
            assert (await stream.get_final_run()).status == "requires_action"
            return [(c.function.name, c.function.arguments) for c in calls]

        whole = await calls_of()
        for at in range(3500, 8500, 250):
            assert await calls_of(**{"x-cut": str(at)}) == whole, at

    run_async(serve(script, faults=faults), main)
