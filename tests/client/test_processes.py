"""What a client does to the process it lives in, and at its end: exits, threads, files."""

import sys

import pytest

from rxassist import Client

def test_a_client_that_nobody_has_leaves_no_thread_and_no_file(process):
    code = """
def count():
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
def use():
    client = make()
    assistant = client.assistants.create(model="m").run()
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    del client
    stream.until_done()
use()
def settled(wanted):
    until = time.monotonic() + 10
    while count() != wanted and time.monotonic() < until:
        gc.collect()
        threading.Event().wait(0.01)
    return count() == wanted
with make() as client:
    pass
until = time.monotonic() + 10
while threading.active_count() > 1 and time.monotonic() < until:
    gc.collect()
    threading.Event().wait(0.01)
before = count()
for _ in range(20):
    use()
print(settled(before) or (before, count()))
"""
    assert process(code) == ["True"]


def test_a_client_that_nobody_has_goes_on_while_somebody_listens(process):
    code = """
said, over = [], threading.Event()
def use():
    client = make()
    assistant = client.assistants.create(model="m").run()
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    stream.text_deltas.subscribe(said.append, print, over.set)
use()
gc.collect()
assert over.wait(20)
print(len(said))
"""
    assert process(code) == ["100"]


def status(service, thread_id, run_id):
    with Client(base_url=service.base_url) as client:
        return client.threads.runs.retrieve(run_id, thread_id=thread_id).run().status


@pytest.mark.parametrize("registered", ["before the first request", "at the end"])
def test_a_client_closed_by_atexit_cancels_its_run(process, forever, registered):
    code = """
def close():
    client.close()
    print("closed")
if "before" in REGISTERED:
    atexit.register(close)
client = make()
assistant = client.assistants.create(model="m").run()
stream = client.threads.create_and_run_stream(assistant_id=assistant.id, on_dispose="cancel")
begun = threading.Event()
stream.text_deltas.subscribe(lambda _: begun.set(), lambda error: print(type(error).__name__))
assert begun.wait(10)
run = stream.current_run
print(run.thread_id, run.id)
if "end" in REGISTERED:
    atexit.register(close)
"""
    thread_id, run_id, *said = process(f"REGISTERED = {registered!r}" + code, forever.base_url)
    assert said == ["ClientClosed", "closed"]
    assert status(forever, thread_id, run_id) == "cancelled"


def test_an_async_client_closed_by_atexit_cancels_its_run(process, forever):
    code = """
import asyncio
loop = asyncio.new_event_loop()
def close():
    loop.run_until_complete(client.close())
    loop.close()
    print("closed")
atexit.register(close)
async def begin():
    client = rxassist.AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2])
    assistant = await client.assistants.create(model="m")
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id, on_dispose="cancel")
    begun = asyncio.Event()
    stream.text_deltas.subscribe(lambda _: begun.set(), lambda error: print(type(error).__name__))
    await begun.wait()
    print(stream.current_run.thread_id, stream.current_run.id)
    return client
client = loop.run_until_complete(begin())
"""
    thread_id, run_id, *said = process(code, forever.base_url)
    assert said == ["ClientClosed", "closed"]
    assert status(forever, thread_id, run_id) == "cancelled"


ENDS = {
    "a thread": "client = make()\nclient.threads.create().run()",
    "a loop": """
import asyncio
async def use():
    global client
    client = rxassist.AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2])
    await client.threads.create()
asyncio.run(use())
""",
}


@pytest.mark.parametrize("where", ENDS)
def test_a_client_that_is_never_closed_ends_quietly(process, where):
    assert process(ENDS[where]) == []


@pytest.mark.parametrize("where", ["in a thread", "in an atexit function"])
def test_a_first_use_after_the_end_of_main_works_or_says_why(process, where):
    code = """
client = make()
main = threading.main_thread()
def use():
    if threading.current_thread() is not main:
        main.join()
    try:
        client.threads.create().run()
    except RuntimeError as error:
        print("refused" if "use it before the program ends" in str(error) else error)
    else:
        print("works")
    client.close()
    print("closed")
if "atexit" in WHERE:
    atexit.register(use)
else:
    threading.Thread(target=use).start()
"""
    no_thread_starts = sys.version_info[:2] == (3, 12)  # 3.11 and 3.13 start threads to the end
    said = process(f"WHERE = {where!r}" + code)
    assert said == ["refused" if no_thread_starts else "works", "closed"]


def test_close_in_a_signal_handler_and_from_several_threads(process):
    code = """
client = make()
client.threads.create().run()
signal.signal(signal.SIGALRM, lambda *_: (client.close(), print("closed")))
threads = [threading.Thread(target=client.close) for _ in range(4)]
for thread in threads:
    thread.start()
signal.raise_signal(signal.SIGALRM)
for thread in threads:
    thread.join()
client.close()
"""
    assert process(code) == ["closed"]


INTERRUPTED = {
    "a post": """
client.threads.create().run()
loop = client._home._loop
interrupted(loop, "call_soon_threadsafe")
""",
    "the start of the thread": "interrupted(threading.Thread, 'start')",
    "the end of the start": "interrupted(threading.Thread, 'start', after=True)",
    "the look at a stream": """
assistant = client.assistants.create(model="m").run()
stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
begun = threading.Event()
stream.subscribe(lambda _: begun.set(), lambda _: None)
begun.wait()
interrupted(rxassist.run_stream, "fold")
def use():
    stream.snapshot
""",
    "another close": """
client.threads.create().run()
interrupted(client._home, "post")
use = client.close
""",
}


@pytest.mark.parametrize("where", INTERRUPTED)
def test_close_in_a_signal_handler_that_interrupts_this_library_returns(process, where):
    code = """
import rxassist.loop, rxassist.run_stream
rxassist.loop._INTERRUPTING_TIMEOUT = 0.5
client = make()
def handler(*_):
    client.close()
    print("closed")
signal.signal(signal.SIGALRM, handler)
def interrupted(owner, name, after=False):
    inner, signals = getattr(owner, name), [signal.SIGALRM]
    def call(*args, **kwargs):
        here = threading.current_thread() is threading.main_thread()
        once = here and signals and signals.pop()
        if once and not after:
            signal.raise_signal(once)
        try:
            return inner(*args, **kwargs)
        finally:
            if once and after:
                signal.raise_signal(once)
    setattr(owner, name, call)
def use():
    try:
        client.threads.create().run()
    except rxassist.ClientClosed:
        pass
"""
    end = """
use()
client.close()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(10)
print(threading.active_count())
"""
    assert process(code + INTERRUPTED[where] + end) == ["closed", "1"]
