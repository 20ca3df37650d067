"""The state of a running service, as other threads can read it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Watch:
    """Records requests, streams and runs, and wakes threads that wait for a change.

    Only the thread of the service changes it; any thread can read it.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.open_streams: int = 0
        self.runs: list[str] = []
        self.active_runs: frozenset[str] = frozenset()
        self._changes = 0
        self._changed = threading.Condition()

    def request(self, method: str, path: str) -> None:
        """A request came."""
        self.requests.append((method, path))
        self._notify()

    def stream(self, step: int) -> None:
        """A streamed response opened (+1), or ended (-1) for any reason."""
        self.open_streams += step
        self._notify()

    def run_began(self, run_id: str) -> None:
        """A run was created."""
        self.runs.append(run_id)
        self.active_runs |= {run_id}
        self._notify()

    def run_changed(self, run_id: str, *, finished: bool) -> None:
        """A run changed its status."""
        if finished:
            self.active_runs -= {run_id}
        self._notify()

    def wait_for(self, condition: Callable[[], object], timeout: float) -> None:
        """Block until the condition holds; call it again after every change.

        The condition is called without a lock, so it may make requests to the service.
        """
        deadline = time.monotonic() + timeout
        while True:
            seen = self._changes
            if condition():
                return
            with self._changed:
                left = deadline - time.monotonic()
                changed = self._changed.wait_for(lambda: self._changes != seen, left)  # noqa: B023
                if left < 0 or not changed:
                    msg = f"the condition did not hold within {timeout} seconds"
                    raise TimeoutError(msg)

    def _notify(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()


__all__ = ["Watch"]
