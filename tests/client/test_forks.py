"""Clients and forks: who made one, who used it, and what a child leaves alone."""

import os

import pytest

FORK = """
def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(15)
        work()
        sys.exit()
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@forks
def test_a_client_that_was_never_used_belongs_to_the_process_that_uses_it(process):
    code = """
client = make()
call = client.threads.create()
def work():
    print(call.run().id[:6])
    client.close()
in_child(work)
in_child(work)
work()
"""
    assert process(FORK + code) == ["thread"] * 3


@forks
def test_a_client_that_was_used_is_left_alone_in_a_child(process):
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside a thread
client = make()
stream = client.threads.create()
stream.run()
held = client._home._gate, client._home._lock
holds, over = threading.Event(), threading.Event()
def hold():
    with held[0], held[1]:
        holds.set()
        over.wait()
thread = threading.Thread(target=hold)
thread.start()
holds.wait()
def work():
    global client, stream
    try:
        stream.run()
    except rxassist.WrongLoopError as error:
        print("fork" in str(error))
    client.close()
    del client, stream
    gc.collect()
in_child(work)
over.set()
thread.join()
stream.run()
client.close()
"""
    assert process(FORK + code) == ["True"]
