"""Hosts that are looked up by name after the main thread has ended, as processes."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

BEGIN = """
import atexit, sys, threading
from rxassist import Client
client = Client(base_url=sys.argv[1], http_client=sys.argv[2], max_retries=0)
client.threads.retrieve("t").run()

def call():
    print(client.threads.retrieve("t").run().id)
    client.close()
"""

A_THREAD = """
def late():
    threading.main_thread().join()
    call()

threading.Thread(target=late).start()
"""

AT_EXIT = "atexit.register(call)"

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 18\r\n\r\n"
ANSWER = HEAD + b'{"id": "thread_1"}'


@pytest.mark.parametrize("over", ["httpx", "aiohttp"])
@pytest.mark.parametrize("when", [A_THREAD, AT_EXIT], ids=["a thread", "atexit"])
def test_a_name_is_looked_up_until_the_end(raw, over, when):
    if over == "aiohttp" and find_spec("httpx_aiohttp") is None:
        pytest.skip("the extra aiohttp is not installed")
    last = raw(ANSWER)
    port = last.server_address[1]
    there = (
        b"HTTP/1.1 307 Go\r\nLocation: http://localhost:%d/v1/threads/t\r\n"  # not looked up yet
        b"Connection: close\r\nContent-Length: 0\r\n\r\n" % port
    )
    first = raw(ANSWER, there)
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + when, first.url.replace("127.0.0.1", "localhost"), over],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"NO_PROXY": "*"},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("thread_1\n", "", 0)
    assert len(last.heads) == 1
