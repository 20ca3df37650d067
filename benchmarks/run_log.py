"""What a log in Redis costs: ``python -m benchmarks.run_log``, printed as Markdown.

A ``redis-server`` on a unix socket, one process that produces and one that follows; the peer is
bare redis-py (``XADD`` and ``XREAD``) with the same bytes at the same pace. Both sides in turns,
each round in fresh processes. The environment is the one that runs it: it needs the extra
``redis`` and a ``redis-server``. ``--quick`` is one small round, ``--rounds N`` runs each side so
often, ``--only NAME`` one row.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import redis

from benchmarks.environment import ROOT, environ, machine
from benchmarks.worker import raise_limits

_WAIT = 10.0  # seconds for a server to listen
_HEAD = ("what", "figure", "ours", "bare redis-py", "ratio", "goal", "met")

Measure = Callable[[str, str], float]
"""From the side and the URL of the server to a figure."""


@dataclass(frozen=True)
class Row:
    """A line of the table. ``most`` and ``least`` bound our figure, if there is a goal."""

    name: str
    what: str
    figure: str
    measure: Measure
    peer: str | None = "redis"
    most: float | None = None
    least: float | None = None

    @property
    def goal(self) -> str:
        """The goal, as text."""
        if self.most is not None:
            return f"≤ {self.most:g}"
        return "–" if self.least is None else f"≥ {self.least:,g}"

    def met(self, figure: float) -> str:
        """Whether a figure meets the goal."""
        if self.most is None and self.least is None:
            return ""
        least, most = self.least or 0.0, float("inf") if self.most is None else self.most
        return "yes" if least <= figure <= most else "no"


class Role:
    """A process of ``benchmarks.run_log_roles``, which speaks in lines."""

    def __init__(self, *arguments: object) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own module
            [sys.executable, "-m", "benchmarks.run_log_roles", *map(str, arguments)],
            cwd=ROOT,
            env=environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        process: Any = self._process  # both pipes are there
        self._writes, self._reads = process.stdin, process.stdout

    def hears(self) -> Any:
        """The next line that it prints."""
        line = self._reads.readline()
        if not line:
            self._process.wait()
            msg = f"{self._process.args!r} failed"
            raise RuntimeError(msg)
        return json.loads(line)

    def say(self, what: object) -> None:
        """Write a line to it."""
        self._writes.write(json.dumps(what) + "\n")
        self._writes.flush()

    def end(self) -> None:
        """Wait until it has ended."""
        self._process.communicate(timeout=_WAIT)


@contextmanager
def serving() -> Generator[str]:
    """The URL of a server with default settings, but without a file."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("there is no redis-server: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="rx") as folder:
        address = Path(folder) / "s"
        command = [program, "--port", "0", "--unixsocket", str(address), "--save", ""]
        with subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL) as server:  # noqa: S603
            until = time.monotonic() + _WAIT
            while not address.exists():
                if time.monotonic() > until:
                    sys.exit("redis-server does not start")
                time.sleep(0.01)
            try:
                yield f"unix://{address}"
            finally:
                server.terminate()


def latency(side: str, url: str, *, events: int, how: str, followers: int, pace: int) -> float:
    """The median of the milliseconds from the producer to each of the followers."""
    key = uuid4().hex
    producer = Role("produce", side, url, key, events, pace)
    producer.hears()  # there is a log
    follower = Role("follow", side, url, key, events, how, followers)
    follower.hears()  # all have its first event
    producer.say("go")
    sent = producer.hears()
    follower.say(sent["stamps"])
    waits = follower.hears()
    producer.end()
    follower.end()
    return float(waits["p50"])


def produced(side: str, url: str, *, events: int, pace: str, of: str) -> float:
    """What a producer needs for each event: ``seconds`` of time, or of its ``cpu``."""
    producer = Role("produce", side, url, uuid4().hex, events, pace)
    producer.hears()
    producer.say("go")
    took = producer.hears()
    producer.end()
    return float(took[of] / events)


def followed(side: str, url: str, *, events: int, how: str, of: str) -> float:
    """What a follower needs for each event of a log that is complete."""
    key = uuid4().hex
    producer = Role("produce", side, url, key, events, "batches")
    producer.hears()
    producer.say("go")
    producer.hears()
    follower = Role("read", side, url, key, events, how)
    took = follower.hears()
    producer.end()
    follower.end()
    return float(took[of] / events)


def rate(measure: Callable[..., float], side: str, url: str, **given: Any) -> float:
    """Events a second."""
    return 1 / measure(side, url, of="seconds", **given)


def work(measure: Callable[..., float], side: str, url: str, **given: Any) -> float:
    """Microseconds of CPU for an event, in the process that is measured."""
    return 1e6 * measure(side, url, of="cpu", **given)


def memory(side: str, url: str, *, events: int, pace: str) -> float:
    """Bytes in Redis for each event, of the whole log."""
    key = uuid4().hex
    producer = Role("produce", side, url, key, events, pace)
    producer.hears()
    producer.say("go")
    producer.hears()
    producer.end()
    with redis.Redis.from_url(url, protocol=2) as client:
        name = f"rxassist:{{{key}}}:log" if side == "rxassist" else key
        used: Any = client.memory_usage(name, samples=0)
    return float(used / events)


def _both(
    name: str, what: str, measure: Callable[..., float], least: float | None = None
) -> list[Row]:
    """Two rows: how many events a second, and the CPU for one, which others do not disturb."""
    return [
        Row(name, what, "events a second", partial(rate, measure), least=least),
        Row(f"{name}-cpu", "the same", "CPU of an event, µs", partial(work, measure)),
    ]


def rows(*, quick: bool) -> list[Row]:
    """What is measured."""
    few, many = (50, 2_000) if quick else (500, 50_000)
    crowd = 20 if quick else 1_000
    paced = partial(latency, events=few, pace=50)
    return [
        Row(
            "latency-1",
            "one follower, 50 events a second",
            "latency p50, ms",
            partial(paced, how="events", followers=1),
            most=2,
        ),
        Row(
            "latency-100",
            f"{crowd // 10:,} followers in one process; the peer has a connection for each",
            "latency p50, ms",
            partial(paced, how="events", followers=crowd // 10),
        ),
        Row(
            "latency-1000",
            f"{crowd:,} followers of one run in one process, 50 events a second",
            "latency p50, ms",
            partial(paced, how="events", followers=crowd),
            peer=None,
            most=5,
        ),
        Row(
            "latency-1000-sse",
            f"{crowd:,} bodies of `sse` in one process, 50 events a second",
            "latency p50, ms",
            partial(paced, how="sse", followers=crowd),
            peer=None,
        ),
        *_both(
            "singly",
            "written one by one, each when the one before is stored",
            partial(produced, events=many // 10, pace="singly"),
            least=4_000,
        ),
        *_both(
            "batches",
            "written as fast as they come, 64 at once",
            partial(produced, events=many, pace="batches"),
            least=80_000,
        ),
        *_both(
            "read",
            "a log that is there, followed as events",
            partial(followed, events=many, how="events"),
        ),
        *_both(
            "read-sse",
            "a log that is there, followed as bytes",
            partial(followed, events=many, how="sse"),
        ),
        Row(
            "memory-singly",
            "a delta of 178 bytes, written one by one",
            "bytes in Redis",
            partial(memory, events=many // 10, pace="singly"),
            most=260,
        ),
        Row(
            "memory-batches",
            "a delta of 178 bytes, 64 at once",
            "bytes in Redis",
            partial(memory, events=many // 10, pace="batches"),
            most=260,
        ),
    ]


def _line(row: Row, url: str, rounds: int) -> tuple[str, ...]:
    """The figures of a row: both sides in turns."""
    sides = ["rxassist", *([row.peer] if row.peer else [])]
    figures: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            figures[side].append(row.measure(side, url))
    ours = median(figures["rxassist"])
    theirs = median(figures[row.peer]) if row.peer else None
    return (
        f"{row.what} (`{row.name}`)",
        row.figure,
        _shown(figures["rxassist"]),
        "–" if row.peer is None else _shown(figures[row.peer]),
        "–" if theirs is None else f"{ours / theirs:.2f}×",
        row.goal,
        row.met(ours),
    )


def _shown(figures: list[float]) -> str:
    low, middle, high = (_number(each) for each in (min(figures), median(figures), max(figures)))
    return middle if len(figures) == 1 else f"{middle} ({low}–{high})"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004


def _is_wanted(name: str, only: list[str] | None) -> bool:
    return only is None or any(fnmatch(name, each) for each in only)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", metavar="NAME", help="may have *")
    given = parser.parse_args()
    raise_limits()
    chosen = [row for row in rows(quick=given.quick) if _is_wanted(row.name, given.only)]
    lines = [_HEAD, tuple("---" for _ in _HEAD)]
    print("| " + " | ".join(_HEAD) + " |")
    print("|" + " --- |" * len(_HEAD))
    with serving() as url:
        for row in chosen:
            line = _line(row, url, 1 if given.quick else given.rounds)
            lines.append(line)
            print("| " + " | ".join(line) + " |", flush=True)
        with redis.Redis.from_url(url, protocol=2) as client:
            info: Any = client.info("server")
    print(f"\nredis-server {info['redis_version']}, redis-py {redis.__version__}; {machine()}.")


if __name__ == "__main__":
    main()
