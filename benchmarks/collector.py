"""What a program can do about Python's garbage collector, and what the collector takes.

``frozen`` keeps what there is so far out of all collections (``gc.freeze()``), ``seldom`` lets it
run less often (``gc.set_threshold``), ``both`` does both.
"""

from __future__ import annotations

import gc
import time

_SELDOM = (50_000, 20, 50)  # as docs/performance.md has it


def prepare(how: str) -> None:
    """Do one of these, or nothing: ``as it is``."""
    if how in {"frozen", "both"}:
        gc.collect()
        gc.freeze()
    if how in {"seldom", "both"}:
        gc.set_threshold(*_SELDOM)


class Pauses:
    """The CPU seconds that each collection took: what others do on the machine adds nothing."""

    def __init__(self) -> None:
        self._seconds = [0.0]
        self._begun = 0.0
        gc.callbacks.append(self._called)

    def _called(self, phase: str, _: object) -> None:
        now = time.process_time()
        if phase == "start":
            self._begun = now
        else:
            self._seconds.append(now - self._begun)

    def end(self, cpu: float) -> dict[str, float]:
        """The percentage that all of them took of so many CPU seconds, and the longest one."""
        gc.callbacks.remove(self._called)
        return {"collector": 100 * sum(self._seconds) / cpu, "longest_pause": max(self._seconds)}
