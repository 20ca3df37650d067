"""Threads for functions that block: of an event loop that must work until the program has ended."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_MOST = 32  # at a time, as asyncio's own


class DaemonThreads(ThreadPoolExecutor):
    """An executor for ``loop.set_default_executor`` whose threads keep no program from ending.

    A ``ThreadPoolExecutor`` takes nothing after the main thread has ended, so no other thread and
    no ``atexit`` function could look up a host by its name. A thread of this executor ends when no
    function waits. Some Pythons (3.12) start no thread at that time: the caller runs the function.
    """

    def __init__(self) -> None:
        super().__init__(_MOST)
        self._gate = threading.Lock()
        self._due: deque[Callable[[], None]] = deque()
        self._working = 0

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run a function in a thread; what it returns or raises goes to the future."""
        future: Future[_T] = Future()
        with self._gate:
            self._due.append(partial(_run, future, partial(fn, *args, **kwargs)))
            if self._working >= _MOST:
                return future
            self._working += 1
        try:
            threading.Thread(target=self._work, name="rxassist worker", daemon=True).start()
        except RuntimeError:  # the interpreter ends
            self._work()
        return future

    def _work(self) -> None:
        while True:
            with self._gate:
                if not self._due:
                    self._working -= 1
                    return
                run = self._due.popleft()
            run()


def _run(future: Future[Any], function: Callable[[], object]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = function()
    except BaseException as error:  # noqa: BLE001 -- the future carries it
        future.set_exception(error)
    else:
        future.set_result(value)


__all__ = ["DaemonThreads"]
