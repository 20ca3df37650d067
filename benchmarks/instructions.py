"""Instructions per event: the same whatever else the machine does, so a change of 1 % shows.

Counted by ``perf`` where the machine has counters, else by ``valgrind``, which is fifty times
slower. A worker runs with two numbers of passes; what it costs besides cancels out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import lru_cache

from benchmarks.environment import ROOT, environ

_FEW, _MORE = 1, 3  # passes
_VALGRIND = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")

Counter = Callable[[Sequence[str]], int | None]
"""The instructions of a command, ``None`` where they cannot be counted."""


def per_event(worker: Sequence[str], events: int) -> float | None:
    """Of a worker's command, without its ``repeats``; ``None`` where nothing can count them."""
    counter = _counter()
    if counter is None:
        return None
    few, more = (counter([*worker, f"repeats={repeats}"]) for repeats in (_FEW, _MORE))
    return None if few is None or more is None else (more - few) / (_MORE - _FEW) / events


@lru_cache(maxsize=1)
def _counter() -> Counter | None:
    return next((counter for counter in (_perf, _valgrind) if counter(["true"])), None)


def _perf(command: Sequence[str]) -> int | None:
    said = _said("perf", "stat", "-x,", "-e", "instructions:u", "--", *command)
    found = re.search(r"^(\d+),.*instructions", said, re.MULTILINE)
    return int(found[1]) if found else None


def _valgrind(command: Sequence[str]) -> int | None:
    found = re.search(r"I\s+refs:\s+([\d,]+)", _said("valgrind", *_VALGRIND, *command))
    return int(found[1].replace(",", "")) if found else None


def _said(program: str, *arguments: str) -> str:
    """What a program writes to its standard error, nothing if it is not there or fails."""
    found = shutil.which(program)
    if found is None:
        return ""
    env = {**environ(), "PYTHONHASHSEED": "0"}
    done = subprocess.run(  # noqa: S603
        [found, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    return "" if done.returncode else done.stderr
