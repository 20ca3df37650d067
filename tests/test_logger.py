"""The log cannot be forged: whatever a server says, a record is one line that shows no control."""

import asyncio
import logging
import traceback
from contextlib import contextmanager

import pytest
import reactivex as rx
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reactivex.testing import TestScheduler

from rxassist.errors import (
    APIConnectionError,
    APIError,
    RunFailed,
    RxAssistError,
    StreamClosed,
    status_error,
)
from rxassist.errors.redaction import Secrets
from rxassist.models import LastError, Run
from rxassist.operators import citations, recover, retry_run
from rxassist.polling import poll_many
from rxassist.protocols.assistants.codec import decode_event
from rxassist.reactive.logger import logger
from rxassist.reactive.observable import _unheard
from rxassist.runs.streams.creation import Search, one_run
from rxassist.runs.streams.web import to_sse
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent

FORGED = "x\nroot FORGED\x1b[31m\r\u2028\x07\u202e\ud800\x85\x00"
TEXTS = st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs", "L"]), max_size=30)
TEXTS |= st.text(max_size=30).map(lambda text: f"{text}\n{text}")


class Lines(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


@contextmanager
def logged():
    """The lines that are logged meanwhile."""
    lines = Lines()
    level, propagates = logger.level, logger.propagate
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield lines.lines
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
        logger.propagate = propagates


def heard(name, **data):
    return decode_event(ServerSentEvent(name, to_json(data).decode()))


def recovered(text):
    created = heard("thread.run.created", id=f"run{text}", thread_id=f"t{text}", status="queued")
    source = rx.concat(rx.of(created), rx.throw(APIConnectionError(f"reset {text}")))
    lost = rx.throw(status_error(text, status_code=404))
    return source.pipe(recover(lambda *_: lost, lambda *_: lost, lambda *_: lost, patience=1))


def retried(text):
    error = {"code": "rate_limit_exceeded", "message": text}
    failed = heard("thread.run.failed", id=f"run{text}", status="failed", last_error=error)
    return rx.of(failed).pipe(retry_run(times=1, when=lambda run: True))


def cited(text):
    annotation = {
        "type": "file_citation",
        "index": 0,
        "text": "【4:0†source】",
        "file_citation": {"file_id": f"file{text}"},
    }
    content = [
        {
            "index": 0,
            "type": "text",
            "text": {"value": "【4:0†source】", "annotations": [annotation]},
        }
    ]
    delta = heard("thread.message.delta", id="msg_1", delta={"content": content})
    unknown = rx.throw(status_error(text, status_code=404))
    return rx.of(delta).pipe(citations(str, file_name=lambda _: unknown))


def looked_for(text):
    search = Search(rx.empty, lambda _: False, rx.of, patience=None)
    asked = rx.throw(APIConnectionError(f"reset {text}"))
    return asked.pipe(one_run("thread_1", lambda _: True, search))


def listed(text):
    ended = Run("run_1", status="completed")
    return poll_many(
        lambda _: rx.of(ended),
        [f"run_{number}" for number in range(50)],
        until=lambda _: True,
        fetch_list=lambda _: rx.throw(ValueError(text)),
    )


def unheard(text):
    _unheard(StreamClosed(f"closed: {text}"))
    return rx.empty()


PLACES = {
    "recovery": recovered,
    "retry": retried,
    "citations": cited,
    "creation": looked_for,
    "polls": listed,
    "a subscriber without on_error": unheard,
}


@pytest.mark.parametrize("place", PLACES)
@settings(deadline=None)
@given(text=TEXTS)
@example(text=FORGED)
def test_what_a_server_says_is_one_line_of_the_log(place, text):
    with logged() as lines:
        scheduler = TestScheduler()
        scheduler.start(lambda: PLACES[place](text), disposed=10_000)
    assert lines
    for line in lines:
        assert line.isprintable(), line
        line.encode()


@settings(deadline=None)
@given(text=TEXTS)
@example(text=FORGED)
def test_what_failed_for_a_browser_is_one_line_of_the_log(text):
    async def main():
        async for _ in rx.throw(LookupError(text)).pipe(to_sse(keep_alive=None)):
            pass

    with logged() as lines:
        asyncio.run(main())
    (line,) = lines
    assert line.isprintable()
    assert "a stream for a browser failed: LookupError: " in line


def test_what_failed_for_a_browser_says_where():
    def broken(_):
        message = "x\ny"
        raise KeyError(message)

    async def main():
        async for _ in rx.of(1).pipe(rx.operators.map(broken), to_sse(keep_alive=None)):
            pass

    with logged() as lines:
        asyncio.run(main())
    (line,) = lines
    number = broken.__code__.co_firstlineno + 2
    assert line.endswith(rf"failed: KeyError: 'x\ny' (at {__file__}:{number})")


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_every_argument_is_one_line(texts):
    with logged() as lines:
        logger.info("%s" * len(texts), *texts)
        logger.info("%r", texts)
        logger.info("%d %.2f", 1, 2.5)
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == "rxassist INFO 1 2.50"


def test_an_ordinary_argument_is_shown_as_it_is():
    with logged() as lines:
        logger.info("run %s: %s", "run_abc-1", APIError("Désolé, « ça » ne va pas."))
    assert lines == ["rxassist INFO run run_abc-1: Désolé, « ça » ne va pas."]


def test_a_long_argument_is_cut_and_holds_no_secret():
    secrets = Secrets(1)
    secrets.add("secret-1-x")
    with logged() as lines:
        logger.info("%s", f"{'.' * 495}secret-1-x{'.' * 10_000}")
        logger.info("%s", ["secret-1-x"])
    assert lines[0] == f"rxassist INFO {'.' * 495}***..… (10505 characters)"
    assert lines[1] == "rxassist INFO ['***']"
    assert secrets.kept


# --- errors in tracebacks, which others log ------------------------------------------------

ERRORS = {
    "message": APIError,
    "status": lambda text: status_error(text, status_code=400, request_id=text),
    "any": RxAssistError,
    "run": lambda text: RunFailed(
        Run(f"run{text}", status="failed", last_error=LastError(text, text))
    ),
}


@pytest.mark.parametrize("kind", ERRORS)
@settings(deadline=None)
@given(text=TEXTS)
@example(text=FORGED)
def test_an_error_is_one_line_in_a_traceback(kind, text):
    error = ERRORS[kind](text)
    error.add_note(f"note {text}")
    lines = "".join(traceback.format_exception(error)).splitlines(keepends=True)
    assert len(lines) == 2
    assert all(line.removesuffix("\n").isprintable() for line in lines)
