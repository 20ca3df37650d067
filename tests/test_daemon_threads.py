"""Functions that block, in threads that keep no program from ending."""

import threading

import pytest

from rxassist.reactive.daemon_threads import DaemonThreads


def test_what_a_function_returns_or_raises_is_given():
    executor = DaemonThreads()
    assert executor.submit(divmod, 7, 2).result(5) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 7, 0).result(5)
    with pytest.raises(SystemExit):
        executor.submit(exit).result(5)
    assert list(executor.map(abs, [-1, 2, -3])) == [1, 2, 3]


def test_many_functions_share_a_few_threads_and_leave_none():
    executor, go, threads = DaemonThreads(), threading.Event(), set()

    def work():
        threads.add(threading.current_thread())
        return go.wait(5)

    given = [executor.submit(work) for _ in range(100)]
    assert given[-1].cancel()  # it waits for a thread
    go.set()
    assert all(each.result(5) for each in given[:-1])
    assert len(threads) <= 32
    assert all(thread.daemon for thread in threads)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_where_no_thread_can_start_the_caller_works(monkeypatch):
    def refuse(_):
        msg = "can't create new thread at interpreter shutdown"
        raise RuntimeError(msg)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    executor = DaemonThreads()
    for _ in range(100):
        future = executor.submit(threading.get_ident)
        assert future.result(0) == threading.get_ident()
