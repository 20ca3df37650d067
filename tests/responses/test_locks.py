"""Requests that wait for a locked conversation, in virtual time."""

import itertools

import pytest
import reactivex as rx
from reactivex.testing import TestScheduler

from rxassist.errors import BadRequestError, ConflictError, InternalServerError
from rxassist.protocols.responses.locks import when_unlocked


def refusal(kind, status, code):
    return kind("Another process works on it.", status_code=status, code=code)


LOCKED = refusal(BadRequestError, 400, "conversation_locked")


@pytest.fixture
def attempted():
    """When a source was subscribed, whose attempts end so, and what was received of it."""

    def attempt(*outcomes, until=100.0):
        clock = TestScheduler()
        at, received, left = [], [], list(outcomes)

        def subscribe(observer, scheduler=None):
            at.append(clock.now.timestamp())
            outcome = left.pop(0)
            source = rx.throw(outcome) if isinstance(outcome, Exception) else rx.of(outcome)
            return source.subscribe(observer, scheduler=clock)

        waiting = rx.create(subscribe).pipe(when_unlocked(clock))
        held = waiting.subscribe(received.append, received.append)
        clock.advance_to(until)
        held.dispose()
        return at, received

    return attempt


def test_a_free_conversation_is_not_waited_for(attempted):
    assert attempted("response") == ([0.0], ["response"])


def test_pauses_grow_to_eight_seconds(attempted):
    at, received = attempted(*[LOCKED] * 6, "response")
    pauses = [after - before for before, after in itertools.pairwise(at)]
    assert pauses == pytest.approx([1, 2, 4, 8, 8, 8], abs=0.1)
    assert received == ["response"]


def test_another_service_says_it_with_409(attempted):
    locked = refusal(ConflictError, 409, "conversation_locked")
    assert attempted(locked, "response")[1] == ["response"]


@pytest.mark.parametrize(
    "error",
    [
        refusal(BadRequestError, 400, "invalid_value"),
        refusal(ConflictError, 409, "response_id_conflict"),
        refusal(InternalServerError, 500, None),
        ValueError("other"),
    ],
)
def test_other_errors_pass_at_once(attempted, error):
    assert attempted(error) == ([0.0], [error])


def test_a_request_that_is_left_is_not_sent_again(attempted):
    at, received = attempted(LOCKED, LOCKED, until=0.5)
    assert (at, received) == ([0.0], [])
