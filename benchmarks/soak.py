"""A thousand runs at once, one in ten cut at random, ten times: every text right, memory flat.

``python benchmarks/soak.py`` runs it, with the local service in another process, and prints the
figures of docs/reliability.md; ``--runs N`` and ``--rounds N`` make it smaller. Fails if a text is
wrong, if the server has another number of runs than were asked for, or if memory grows.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attrs import frozen

from rxassist import AsyncClient
from rxassist.local import Asked, Fault, LocalService, Say, Turn, cut, say

_WORDS = 30
_LENGTH = 11_000  # bytes of a stream, about
_CUT = 0.1  # of all streams
_SEED = 20_261_121
_SETTLED = 3  # rounds until memory is what it is
_GROWTH = 1.10  # of memory since then that is still flat
_PAUSE = 0.4  # seconds before each word, so that all runs are under way at once


def _text(name: str) -> str:
    return "".join(_words(name))


def _words(name: str) -> Iterable[str]:
    return (f"{name}.{number:02} " for number in range(_WORDS))


# --- the service, in a process of its own --------------------------------------------------


def serve() -> None:
    """Serve; for each line on standard input, print what ``Server.counted`` gives."""
    random_ = random.Random(_SEED)  # noqa: S311 -- no secret
    cuts = most = 0

    def faults(asked: Asked) -> Fault | None:
        nonlocal cuts, most
        most = max(most, service.open_streams)
        if asked.method != "POST" or not asked.path.endswith("/runs") or asked.attempt > 1:
            return None
        if random_.random() >= _CUT:
            return None
        cuts += 1
        return cut(random_.randrange(_LENGTH), reset=random_.random() < 0.5)  # noqa: PLR2004

    def script(turn: Turn) -> Iterable[Say]:
        yield say(*_words(turn.text))

    with LocalService(script, faults=faults, token_delay=_PAUSE) as service:
        print(service.base_url, flush=True)
        for _ in sys.stdin:
            print(len(service.runs), cuts, most, flush=True)
            service.runs.clear()
            service.requests.clear()
            cuts = most = 0


class Server:
    """The service as its parent sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._said: IO[str] = _pipe(process.stdout)
        self._ask: IO[str] = _pipe(process.stdin)
        self.base_url = self._said.readline().strip()

    def counted(self) -> tuple[int, int, int]:
        """Since the last time: how many runs, how many streams cut, and how many open at once."""
        self._ask.write("\n")
        self._ask.flush()
        runs, cuts, most = self._said.readline().split()
        return int(runs), int(cuts), int(most)


def _pipe(end: IO[str] | None) -> IO[str]:
    if end is None:
        msg = "the service was started without its pipes"
        raise RuntimeError(msg)
    return end


@contextmanager
def _serving() -> Generator[Server]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Server(process)
        _pipe(process.stdin).close()


# --- the rounds ----------------------------------------------------------------------------


@frozen
class Round:
    """What came of one round."""

    right: int
    runs: int
    cuts: int
    most: int
    seconds: float
    memory: float
    """MiB that the client's process holds."""


async def _one(client: AsyncClient, assistant_id: str, name: str) -> bool:
    """One run on a thread of its own: whether its text is right."""
    messages = [{"role": "user", "content": name}]
    thread = await client.threads.create(messages=messages)
    stream = client.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant_id, idempotent=True
    )
    pieces = list[str]()
    stream.text_deltas.subscribe(pieces.append, _ignore)
    final = (await stream.final_snapshot).text
    return "".join(pieces) == final == _text(name)


def _ignore(_: Exception) -> None:
    pass


async def _round(server: Server, number: int, runs: int) -> Round:
    began = time.perf_counter()
    async with AsyncClient(base_url=server.base_url) as client:
        assistant = await client.assistants.create(model="m")
        names = (f"r{number}.{each}" for each in range(runs))
        right = await asyncio.gather(*(_one(client, assistant.id, name) for name in names))
    seconds = time.perf_counter() - began
    there, cuts, most = server.counted()
    gc.collect()
    return Round(sum(right), there, cuts, most, seconds, _memory())


def _memory() -> float:
    """What this process holds now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _checked(done: Round, runs: int) -> Round:
    if (done.right, done.runs) != (runs, runs):
        msg = f"of {runs} runs {done.right} texts are right, and the server has {done.runs} runs"
        raise RuntimeError(msg)
    return done


def soak(runs: int, rounds: int) -> list[Round]:
    """Run all rounds. Raises ``RuntimeError`` where a text is wrong or a run is one too many."""
    found = list[Round]()
    print("| round | runs | at once | cut | texts right | on the server | seconds | MiB |")
    print("|---|---|---|---|---|---|---|---|")
    with _serving() as server:
        for number in range(1, rounds + 1):
            done = _checked(asyncio.run(_round(server, number, runs)), runs)
            found.append(done)
            cells = [
                number,
                runs,
                done.most,
                done.cuts,
                done.right,
                done.runs,
                f"{done.seconds:.1f}",
            ]
            print(f"| {' | '.join(map(str, cells))} | {done.memory:.1f} |", flush=True)
    return found


def _grown(found: list[Round]) -> float:
    """The memory of the last round, by that of the round in which it had settled."""
    return found[-1].memory / found[min(_SETTLED, len(found)) - 1].memory


def _raise_limits(wanted: int) -> None:
    """A thousand streams are a thousand files; the usual limit is 1,024."""
    try:
        import resource
    except ImportError:  # not on this system, which has no such limit
        return
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), most), most))


def main() -> None:
    """Serve, or soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    _raise_limits(4 * given.runs + 100)
    if given.serve:
        serve()
        return
    grown = _grown(soak(given.runs, given.rounds))
    print(f"\nMemory after the last round is {grown:.3f} of that after round {_SETTLED}.")
    if grown > _GROWTH:
        sys.exit(f"that is more than {_GROWTH}")


if __name__ == "__main__":
    main()
