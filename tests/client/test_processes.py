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


DROP = """
def count():
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
async def settled(wanted):
    until = time.monotonic() + 10
    while count() != wanted and time.monotonic() < until:
        gc.collect()
        await asyncio.sleep(0)
    return count() == wanted or (wanted, count())
async def use():
    client = make_async()
    assistant = await client.assistants.create(model="m")
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    del client
    await FOLLOW
async def early(stream):
    events = aiter(stream)
    await anext(events)
    del events
"""
FOLLOWED = {"to the end": "stream.until_done()", "left early": "early(stream)"}


@pytest.mark.parametrize("how", FOLLOWED)
def test_an_async_client_that_nobody_has_leaves_nothing_on_its_loop(process, how):
    code = """
async def main():
    async with make_async() as client:
        await client.threads.create()
    before = count()
    for _ in range(20):
        await use()
    print(await settled(before))
asyncio.run(main())
"""
    assert process(DROP.replace("FOLLOW", FOLLOWED[how]) + code) == ["True"]


@pytest.mark.parametrize("how", FOLLOWED)
def test_an_async_client_that_nobody_has_leaves_nothing_after_its_loop(process, how):
    code = """
asyncio.run(use())
before = count()
for _ in range(20):
    asyncio.run(use())
print(asyncio.run(settled((before[0], before[1] + 3))))  # and the files of a loop
"""
    assert process(DROP.replace("FOLLOW", FOLLOWED[how]) + code) == ["True"]


def test_a_stream_whose_loop_was_closed_in_the_middle_is_collected(process, forever):
    if process.library == "httpx":
        pytest.skip("anyio, below httpx, keeps each task that was interrupted inside it")
    code = """
import warnings
warnings.simplefilter("ignore")  # of asyncio, of sockets that nobody could close
async def begin():
    client = make_async()
    assistant = await client.assistants.create(model="m")
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    begun = asyncio.Event()
    stream.text_deltas.subscribe(lambda _: begun.set(), lambda _: None)
    await begun.wait()
def files():
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # asyncio complains of the tasks
    loop.run_until_complete(begin())
    loop.close()
    for _ in range(3):
        gc.collect()
    return len(os.listdir("/proc/self/fd"))
files()
assert files() == files() == files()
"""
    assert process(code, forever.base_url) == []


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


def test_a_client_whose_thread_cannot_start_says_so(process):
    code = """
start = threading.Thread.start
def refused(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refused
def files():
    return len(os.listdir("/proc/self/fd"))
client, other = make(), make()
before = files()
call, stream = client.threads.create(), client.threads.create_and_run_stream(assistant_id="a")
def listen():
    failed = []
    stream.subscribe(print, failed.append)
    raise failed[0]
poll = client.threads.runs.poll("run_1", thread_id="thread_1")
for use in (call.run, call.run, stream.until_done, lambda: list(stream), listen, poll.run):
    try:
        use()
    except RuntimeError as error:
        assert "cannot start: can't start new thread" in str(error), error
    else:
        print("no error")
stream.close()
other.close()
assert files() == before
threading.Thread.start = start
print(call.run().id[:6])
client.close()
"""
    assert process(code) == ["thread"]


def test_a_name_is_looked_up_where_no_more_thread_can_start(process, service):
    code = """
os.environ["NO_PROXY"] = "*"
start = threading.Thread.start
def refused(self):
    if "worker" in self.name:
        raise RuntimeError("can't start new thread")
    start(self)
threading.Thread.start = refused
with make() as client:
    print(client.threads.create().run().id[:6])
"""
    url = service.base_url.replace("127.0.0.1", "localhost")
    assert process(code, url) == ["thread"]


def test_a_subscriber_without_on_error_is_one_line_when_its_client_closes(process, forever):
    code = """
sys.stderr = sys.stdout
client = make()
assistant = client.assistants.create(model="m").run()
stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
begun = threading.Event()
stream.text_deltas.subscribe(lambda _: begun.set())
begun.wait()
client.close()
"""
    line = "a subscriber without on_error was closed: the client is closed; make a new one"
    assert process(code, forever.base_url) == line.split()


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
interrupted(stream._pipe, "_fold_on")
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
import rxassist.reactive.loop
rxassist.reactive.loop._INTERRUPTING_TIMEOUT = 0.5
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


@pytest.mark.parametrize("how", ["client.close()", "stream.close()", "list(stream)"])
def test_what_an_object_does_that_outlives_all_threads_returns(process, how):
    """An object that is never let go of: where its ``__del__`` comes, other threads stand still."""
    code = f"""
import logging
logging.getLogger("rxassist").setLevel(logging.ERROR)
class Owner:
    def __init__(self):
        self.client, self.failed = make(), RuntimeError
        self.client.threads.create().run()
        handler = rxassist.AssistantEventHandler()
        self.stream = self.client.threads.create_and_run_stream(
            assistant_id="asst_1", event_handler=handler, on_dispose="cancel"
        )
    def __del__(self):
        client, stream = self.client, self.stream
        try:
            {how}
        except self.failed as error:
            assert "before the program ends" in str(error)
        print("left", flush=True)
owner = Owner()
"""
    assert process(code) == ["left"]
