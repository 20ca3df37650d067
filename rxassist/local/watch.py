"""What can be seen of a running service from outside its thread."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watch:
    """Counts what the service does, and wakes who waits for a change.

    Only the service's thread changes it; any thread reads it.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.open_streams = 0
        self.active_runs: frozenset[str] = frozenset()
        self._changed = threading.Condition()

    def request(self, method: str, path: str) -> None:
        """A request came."""
        with self._changed:
            self.requests.append((method, path))
            self._changed.notify_all()

    def stream(self, step: int) -> None:
        """A streamed response was opened (+1) or is over (-1), whoever closed it."""
        with self._changed:
            self.open_streams += step
            self._changed.notify_all()

    def run_began(self, run_id: str) -> None:
        """A run was created."""
        with self._changed:
            self.active_runs |= {run_id}
            self._changed.notify_all()

    def run_changed(self, run_id: str, *, finished: bool) -> None:
        """A run changed its status."""
        with self._changed:
            if finished:
                self.active_runs -= {run_id}
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], object], timeout: float) -> None:
        """Block until the condition holds; looks again whenever something changed."""
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                msg = f"the condition did not hold within {timeout} seconds"
                raise TimeoutError(msg)


__all__ = ["Watch"]
