"""Waiting for all that a client has open: scripts whose last line is a subscription."""

import os
import subprocess
import sys

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist import BlockingCallError, Client


def test_a_client_waits_for_its_streams(client, place, numbers):
    heard = []
    stream = client.threads.runs.stream(**place)
    stream.text_deltas.subscribe(heard.append)
    assert client.wait()
    assert "".join(heard) == numbers


def test_a_client_waits_for_polls_timers_and_what_follows(client, place):
    heard = []
    poll = client.threads.runs.create_and_poll(
        place["thread_id"], assistant_id=place["assistant_id"], poll_interval_ms=30
    )
    poll.subscribe(lambda run: heard.append(run.status))
    later = client.threads.create().pipe(
        ops.delay(0.1),
        ops.flat_map(lambda _: client.threads.create()),
        ops.delay(0.1),
        ops.flat_map(lambda _: client.threads.create()),
    )
    later.subscribe(lambda _: heard.append("later"))
    assert client.wait(30)
    assert {"completed", "later"} <= set(heard)


def test_a_wait_is_bounded(forever):
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run().id
        stream = client.threads.create_and_run_stream(assistant_id=assistant)
        subscription = stream.subscribe()
        assert not client.wait(0.1)
        subscription.dispose()
        assert client.wait(30)


def test_nothing_to_wait_for(service):
    client = Client(base_url=service.base_url)
    assert client.wait()
    client.threads.create().run()
    assert client.wait()
    client.close()
    assert client.wait()


def test_a_callback_cannot_wait(client):
    errors = []

    def wait(_):
        try:
            client.wait()
        except BlockingCallError as error:
            errors.append(error)

    client.threads.create().pipe(ops.do_action(wait)).run()
    assert len(errors) == 1


@pytest.mark.parametrize("wrong", [-1, "1", float("nan")])
def test_what_is_no_time_is_refused(client, wrong):
    with pytest.raises((TypeError, ValueError), match="timeout"):
        client.wait(wrong)


SCRIPT = """
from rxassist import Client
client = Client()
assistant = client.assistants.create(model="m").run()
stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
stream.text_deltas.subscribe(lambda text: print(text, end=""))
"""


@pytest.mark.parametrize(
    ("last", "told"), [("", True), ("client.wait()", False), ("client.close()", False)]
)
def test_a_script_is_told_what_it_did_not_wait_for(forever, service, last, told):
    url = (forever if told else service).base_url
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT + last],
        env={**os.environ, "RXASSIST_BASE_URL": url},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ("client.wait() waits for them" in done.stderr) is told
    assert len(done.stderr.splitlines()) == (last != "client.wait()")


BUSY = """
import threading, time
begun = threading.Event()
client._home.post(lambda: (begun.set(), time.sleep(0.1)))
begun.wait()
stream.text_deltas"""


def test_a_script_is_told_of_a_subscription_that_has_not_begun(forever):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT.replace("\nstream.text_deltas", BUSY)],
        env={**os.environ, "RXASSIST_BASE_URL": forever.base_url},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "client.wait() waits for them" in done.stderr


def test_subscriptions_of_many_clients_are_waited_for_one_by_one(service):
    with Client(base_url=service.base_url) as one, Client(base_url=service.base_url) as two:
        heard = []
        rx.merge(one.threads.create(), two.threads.create()).subscribe(heard.append)
        assert one.wait(30)
        assert two.wait(30)
    assert len(heard) == 2
