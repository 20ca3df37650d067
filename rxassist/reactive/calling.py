"""Calling a user's functions on a loop or in a thread, as an Observable of the result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from typing import Any, cast

from reactivex import Observable

from rxassist.reactive.backpressure import demanding
from rxassist.reactive.coroutines import _give
from rxassist.reactive.loop import Home, _raise, from_batches
from rxassist.reactive.observable import _is_async


def calling(home: Home) -> Callable[[Callable[[], object]], Observable[Any]]:
    """A function that calls functions for a client, as a cold Observable of the returned value.

    An ``async def`` runs on the client's event loop, every other function in a thread of its own,
    with the context variables of the subscription. To dispose cancels a coroutine; a thread cannot
    be stopped, it is left alone, and keeps neither the client nor the program from ending.
    """

    def call(function: Callable[[], object]) -> Observable[Any]:
        async def returned() -> AsyncGenerator[tuple[object]]:
            with demanding(None):  # the reader of the run must not pause what a function reads
                value = await _awaited(home, function)
            yield (value,)

        return from_batches(home, returned)

    return call


async def _awaited(home: Home, function: Callable[[], object]) -> object:
    called: object = function
    while isinstance(called, partial):
        called = cast("partial[object]", called).func
    try:
        value = function() if _is_async(called) else await _in_thread(home, function)
        while isawaitable(value) and not isinstance(value, Observable):
            value = await value
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        msg = "it was cancelled, but not by its caller"  # only its caller may end the task
        raise RuntimeError(msg) from None
    return value


async def _in_thread(home: Home, function: Callable[[], object]) -> object:
    ended: asyncio.Future[Callable[[], object]] = asyncio.get_running_loop().create_future()
    context = copy_context()

    def work() -> None:
        try:
            value = context.run(function)
        except BaseException as error:  # noqa: BLE001 -- it goes on, where it is awaited
            outcome: Callable[[], object] = partial(_raise, error)
        else:
            outcome = partial(_give, value)
        home.post(partial(_set_outcome, ended, outcome))

    threading.Thread(target=work, name="rxassist tool", daemon=True).start()
    return (await ended)()


def _set_outcome(
    ended: asyncio.Future[Callable[[], object]], outcome: Callable[[], object]
) -> None:
    if not ended.done():
        ended.set_result(outcome)


__all__ = ["calling"]
