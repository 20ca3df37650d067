"""What can be seen of a running service from outside its thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Watch:
    """Counts what the service does, and wakes who waits for a change.

    Only the service's thread changes it; any thread reads it.
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
        self._tell()

    def stream(self, step: int) -> None:
        """A streamed response was opened (+1) or is over (-1), whoever closed it."""
        self.open_streams += step
        self._tell()

    def run_began(self, run_id: str) -> None:
        """A run was created."""
        self.runs.append(run_id)
        self.active_runs |= {run_id}
        self._tell()

    def run_changed(self, run_id: str, *, finished: bool) -> None:
        """A run changed its status."""
        if finished:
            self.active_runs -= {run_id}
        self._tell()

    def wait_for(self, condition: Callable[[], object], timeout: float) -> None:
        """Block until the condition holds; looks again whenever something changed.

        The condition is called without a lock, so it may ask the service itself.
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

    def _tell(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()


__all__ = ["Watch"]
