"""Clients and forks: who made one, who used it, and what a child leaves alone."""

import os
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside a thread
warnings.simplefilter("ignore", ResourceWarning)  # of asyncio, of a copy that a child collects
def say(word):
    os.write(1, f"{word}\\n".encode())  # at once, whole
def begin_child(work, leave=sys.exit):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(15)
        work()
        sys.stdout.flush()
        leave(0)
    return child
def end_child(child):
    _, status = os.waitpid(child, 0)
    assert status == 0, status
def in_child(work, leave=sys.exit):
    end_child(begin_child(work, leave))
"""


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


def test_a_client_that_was_used_is_left_alone_in_a_child(process):
    code = """
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


MAKERS = {
    "Client": """
client = make()
def use():
    say(client.threads.create().run().id[:6])
    client.close()
""",
    "AsyncClient": """
client = make_async()
async def main():
    async with client:
        say((await client.threads.create()).id[:6])
def use():
    asyncio.run(main())
""",
}


@pytest.mark.parametrize("which", MAKERS)
def test_several_children_at_once_use_a_client_that_was_made_before(process, which):
    code = """
children = [begin_child(use) for _ in range(4)]
for child in children:
    end_child(child)
use()
"""
    assert process(FORK + MAKERS[which] + code) == ["thread"] * 5


@pytest.mark.parametrize("which", MAKERS)
def test_a_worker_of_multiprocessing_uses_a_client_that_was_made_before(process, which):
    code = """
import multiprocessing
workers = [multiprocessing.get_context("fork").Process(target=use) for _ in range(2)]
sys.stdout.flush()
for worker in workers:
    worker.start()
for worker in workers:
    worker.join(15)
print([worker.exitcode for worker in workers] == [0, 0])
"""
    assert process(FORK + MAKERS[which] + code) == ["thread"] * 2 + ["True"]


@pytest.mark.parametrize("which", MAKERS)
def test_a_server_that_preloads_its_application_forks_again(process, which):
    code = """
for _ in range(2):  # a worker that ends is replaced, and its parent never used the client
    workers = [begin_child(use, leave=os._exit) for _ in range(2)]
    for worker in workers:
        end_child(worker)
print(threading.active_count())
"""
    assert process(FORK + MAKERS[which] + code) == ["thread"] * 4 + ["1"]


WAYS = {
    "collected": ("del globals()['client'], globals()['stream']; gc.collect()", "sys.exit"),
    "closed": ("close()", "sys.exit"),
    "used": ("refused()", "os._exit"),
    "left": ("pass", "sys.exit"),
    "left at once": ("pass", "os._exit"),
}
MIDDLE = {
    "Client": """
client = make()
assistant = client.assistants.create(model="m").run()
client.threads.create().run()
stream = client.threads.create_and_run_stream(assistant_id=assistant.id, read_ahead=8)
def refused():
    try:
        client.threads.create().run()
    except rxassist.WrongLoopError as error:
        print("fork" in str(error))
def close():
    client.close()
for number, event in enumerate(stream):
    if number == 3:
        in_child(work, leave)
print(number > 100)
client.threads.create().run()
client.close()
""",
    "AsyncClient": """
client, stream = make_async(), None
async def refused_there():
    try:
        await client.threads.create()
    except rxassist.WrongLoopError as error:
        print("fork" in str(error))
def elsewhere(coroutine):  # the loop of the parent seems to run in this thread of the child
    thread = threading.Thread(target=asyncio.run, args=(coroutine,))
    thread.start()
    thread.join()
def refused():
    elsewhere(refused_there())
def close():
    elsewhere(client.close())
async def main():
    global stream
    assistant = await client.assistants.create(model="m")
    await client.threads.create()
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id, read_ahead=8)
    number = 0
    async for event in stream:
        number += 1
        if number == 3:
            in_child(work, leave)
    print(number > 100)
    await client.threads.create()
    await client.close()
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
""",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", MIDDLE)
def test_a_child_disturbs_no_stream_of_its_parent(process, which, way):
    what, leave = WAYS[way]
    if sys.version_info >= (3, 14) and which == "AsyncClient" and leave == "sys.exit":
        pytest.skip("asyncio of 3.14 never ends the task of a fork that raises SystemExit")
    code = f"""
leave = {leave}
def work():
    {what}
"""
    said = ["True"] * (way == "used")
    assert process(FORK + code + MIDDLE[which]) == [*said, "True"]
