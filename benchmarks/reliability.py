"""What becomes of a run under each fault: rxassist beside the official SDK, as a table.

``python benchmarks/reliability.py`` prints the table of docs/reliability.md. One local service
injects the faults; each row is a run of 30 words by ``Client``, by ``AsyncClient`` and by the
``AssistantEventHandler`` stream of the official SDK, with the same bounds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import openai
from attrs import field, frozen

from rxassist import AsyncClient, Client
from rxassist.local import (
    Asked,
    Fault,
    Faults,
    LocalService,
    Moves,
    Turn,
    answer,
    break_chunk,
    call,
    cut,
    drop,
    duplicate,
    empty,
    finish,
    forget,
    framing,
    garble,
    hang_up,
    insert,
    lagging,
    refuse,
    say,
    shorten,
    stall,
    swap,
    trickle,
    truncate,
)
from rxassist.wire.sse import ServerSentEvent

_WORDS = tuple(f"{number} " for number in range(30))
_TEXT = "".join(_WORDS)
_LONG = 60.0  # seconds of silence that nobody waits for
_SILENCE = 2.0  # seconds of silence that both sides bear, where it is tested
_PATIENCE = 8.0  # seconds after which what still waits is left to wait
_MIDDLE = 6_000  # a byte of the text, inside an event
_DELTA = 15  # an event of the text
_AT_ONCE = 6  # rows of each side: more would be too slow for their timeouts
_HEADER = "x-fault"

_ERROR = '{"message": "it broke", "type": "server_error"}'
_PAGE = "<html><h1>Bad gateway</h1></html>"
_DEEP = '{"id": "m", "delta": ' + "[" * 1_000 + "]" * 1_000 + "}"
_LARGE = '{"id": "m", "delta": ' + "1" * 1_000_000 + "}"
_SOON = {"retry-after": "0.01"}
_GONE = "upstream connect error or disconnect/reset before headers"
_TELL: Any = {"type": "function", "function": {"name": "tell"}}
_UNAVAILABLE = 503
_LATE = 3.0  # seconds after which a service acts that a gateway did not wait for


# --- the faults ----------------------------------------------------------------------------


def _starting(fault: Fault, *, times: int = 1) -> Faults:
    """What creates the run meets a fault, so many times."""

    def faults(asked: Asked) -> Fault | None:
        return fault if asked.method == "POST" and asked.attempt <= times else None

    return faults


def _submitting(fault: Fault) -> Faults:
    """What submits the outputs of tools meets a fault, once."""

    def faults(asked: Asked) -> Fault | None:
        submits = asked.path.endswith("/submit_tool_outputs")
        return fault if submits and asked.attempt == 1 else None

    return faults


def _gateway(status: int = 200, *, after: float = 0.0) -> Fault:
    """A gateway answers that has lost the service, which acts, or acts later."""
    if status == _UNAVAILABLE:
        return answer(_GONE, "text/plain", status=status, headers=_SOON, handled=True, after=after)
    return answer(_PAGE, status=status, handled=True, after=after)


def _reading(fault: Fault, then: Fault, *, times: int = 1_000) -> Faults:
    """Its stream meets a fault, and what reads the run afterwards another one."""

    def faults(asked: Asked) -> Fault | None:
        if asked.method == "POST":
            return fault
        return then if asked.attempt <= times else None

    return faults


def _late(**lags: Fault) -> Faults:
    """Its stream is closed, and what is stored of it is there late, for the first two reads."""
    lag = lagging(2, **lags)

    def faults(asked: Asked) -> Fault | None:
        return cut(_MIDDLE) if asked.method == "POST" else lag(asked)

    return faults


def _instead(data: str, name: str = "thread.message.delta") -> Fault:
    return insert(ServerSentEvent(name, data), at=_DELTA)


@frozen
class Row:
    """A fault, the test that shows what rxassist does, and with which of its options."""

    name: str
    faults: Faults
    test: str
    options: Mapping[str, Any] = field(factory=dict[str, Any])
    silence: float | None = None
    """Seconds of silence that both sides bear, where that matters."""
    tools: bool = False
    """Whether the run asks for the output of a function first."""
    late: float = 0.0
    """Seconds after which the service has acted, before its runs are counted."""


_IS_RECOVERED = "test_a_lost_stream_is_recovered"
_IS_READ_AGAIN = "test_what_is_stored_late_is_read_again"
_IS_HARMLESS = "test_what_is_harmless_changes_nothing"
_IS_TOLD = "test_a_delta_that_comes_twice_or_late_is_told_so_and_the_end_is_right"
_IS_AN_ERROR = "test_what_is_wrong_is_an_error_that_says_where_the_run_stood"
_IS_NO_ANSWER = "test_an_answer_that_is_none_is_an_error"
_IS_UNKNOWN = "test_a_connection_lost_before_any_answer_never_makes_two_runs"
_IS_ONE = "test_idempotent_makes_exactly_one"
_IS_NO_WORD = "test_what_a_gateway_answers_never_makes_two_runs"
_IS_FOUND = "test_idempotent_finds_the_run_that_a_gateway_says_nothing_of"
_IS_LATE = "test_a_service_that_acts_late_is_found_to_have_acted"
_ARE_TAKEN = "test_a_run_whose_outputs_were_taken_goes_on"
_IDEMPOTENT = {"idempotent": True}
_IMPATIENT = {"idempotent": True, "patience": 1}

ROWS = (
    Row("closed after 900 bytes", _starting(cut(900)), _IS_RECOVERED),
    Row("closed in the text", _starting(cut(_MIDDLE)), _IS_RECOVERED),
    Row("reset in the text", _starting(cut(_MIDDLE, reset=True)), _IS_RECOVERED),
    Row("truncated: the body ends properly", _starting(truncate(_MIDDLE)), _IS_RECOVERED),
    Row("stalled in the text", _starting(stall(_MIDDLE)), _IS_RECOVERED, silence=_SILENCE),
    Row(
        "the end of the run and `done` never come",
        _starting(drop("thread.run.completed", "done")),
        _IS_RECOVERED,
    ),
    Row("`done` in the text", _starting(finish(_DELTA)), "test_done_at_every_place_of_a_run"),
    Row(
        "a malformed chunk in the text",
        _starting(break_chunk(_MIDDLE)),
        "test_a_stream_whose_chunks_break_fails_at_once",
    ),
    Row(
        "closed in the text",
        _starting(cut(_MIDDLE)),
        "test_a_lost_stream_is_an_error_without_recovery",
        {"recover": False},
    ),
    Row(
        "closed, and the first read of each kind as well",
        _reading(cut(_MIDDLE), cut(10), times=1),
        "test_a_fault_during_recovery_is_survived",
    ),
    Row("closed, and the run is not found twice", _late(run=refuse(404)), _IS_READ_AGAIN),
    Row("closed, and the messages are there late", _late(messages=empty()), _IS_READ_AGAIN),
    Row("closed, and the text is stored late", _late(messages=shorten(9)), _IS_READ_AGAIN),
    Row(
        "closed, and the service is away for good",
        _reading(cut(_MIDDLE), hang_up(handled=False)),
        "test_a_service_that_is_away_for_good_is_given_up",
        {"recovery_timeout": 1},
    ),
    Row(
        "closed, and the service accepts but never answers again",
        _reading(cut(_MIDDLE), stall(0)),
        "test_a_service_that_is_away_for_good_is_given_up",
        {"recovery_timeout": 1},
    ),
    Row(
        "closed, and the stored text does not continue the streamed one",
        _starting(duplicate(_DELTA) | cut(_MIDDLE + 1_000)),
        "test_a_stored_text_that_diverges_is_an_error",
    ),
    Row("lost before an answer, not handled", _starting(hang_up(handled=False)), _IS_UNKNOWN),
    Row("lost before an answer, handled", _starting(hang_up(handled=True)), _IS_UNKNOWN),
    Row(
        "lost before an answer, handled, each time",
        _starting(hang_up(handled=True), times=9),
        _IS_UNKNOWN,
    ),
    Row(
        "lost before an answer, not handled",
        _starting(hang_up(handled=False)),
        "test_idempotent_never_asks_again_for_what_is_not_found",
        _IMPATIENT,
    ),
    Row("lost before an answer, handled", _starting(hang_up(handled=True)), _IS_ONE, _IDEMPOTENT),
    Row("503 of a gateway, handled", _starting(_gateway(503)), _IS_NO_WORD),
    Row("503 of a gateway, handled", _starting(_gateway(503)), _IS_FOUND, _IDEMPOTENT),
    Row("502 of a gateway, handled", _starting(_gateway(502)), _IS_FOUND, _IDEMPOTENT),
    Row("a page of a gateway, handled", _starting(_gateway()), _IS_FOUND, _IDEMPOTENT),
    Row(
        "502 of a gateway, handled three seconds later",
        _starting(_gateway(502, after=_LATE)),
        _IS_LATE,
        _IDEMPOTENT,
        late=_LATE,
    ),
    Row(
        "504 of a gateway, handled three seconds later",
        _starting(_gateway(504, after=_LATE)),
        _IS_LATE,
        _IDEMPOTENT,
        late=_LATE,
    ),
    Row(
        "502 of a gateway, handled, and metadata is dropped",
        _starting(forget("metadata") | _gateway(502)),
        "test_a_service_that_keeps_no_metadata_never_gets_two_runs",
        _IMPATIENT,
    ),
    Row(
        "outputs: 409, handled",
        _submitting(refuse(409, _SOON, handled=True)),
        _ARE_TAKEN,
        tools=True,
    ),
    Row("outputs: 503 of a gateway, handled", _submitting(_gateway(503)), _ARE_TAKEN, tools=True),
    Row("outputs: a page of a gateway, handled", _submitting(_gateway()), _ARE_TAKEN, tools=True),
    Row(
        "outputs: lost before an answer, not handled",
        _submitting(hang_up(handled=False)),
        "test_outputs_are_submitted_once_more_where_the_connection_broke",
        tools=True,
    ),
    Row("closed at the very end", _starting(cut(None)), _IS_HARMLESS),
    Row("`done` never comes", _starting(drop("done")), _IS_HARMLESS),
    Row(
        "`done` never comes, and the connection stays open",
        _starting(drop("done") | stall(None)),
        _IS_HARMLESS,
        silence=_SILENCE,
    ),
    Row("CRLF", _starting(framing(line_end="\r\n")), _IS_HARMLESS),
    Row("CR", _starting(framing(line_end="\r")), _IS_HARMLESS),
    Row("comments between and inside events", _starting(framing(comments=True)), _IS_HARMLESS),
    Row("a byte order mark", _starting(framing(bom=True)), _IS_HARMLESS),
    Row("a chunk for each byte", _starting(framing(chunk=1)), _IS_HARMLESS),
    Row("garbage after `done`", _starting(garble(12_000, b"\0\xff")), _IS_HARMLESS),
    Row("whole objects twice", _starting(duplicate("thread.message.created")), _IS_HARMLESS),
    Row("created after in_progress", _starting(swap(5)), _IS_HARMLESS),
    Row(
        "the message's created never comes", _starting(drop("thread.message.created")), _IS_HARMLESS
    ),
    Row("a delta twice", _starting(duplicate(_DELTA)), _IS_TOLD),
    Row("a delta after the next one", _starting(swap(_DELTA)), _IS_TOLD),
    Row("a delta never comes", _starting(drop(_DELTA)), _IS_TOLD),
    Row("an `error` event", _starting(_instead(_ERROR, "error")), _IS_AN_ERROR),
    Row(
        "an `error` event, wrapped",
        _starting(_instead(f'{{"error": {_ERROR}}}', "error")),
        _IS_AN_ERROR,
    ),
    Row("garbage in an event", _starting(garble(_MIDDLE, b"\0\xff\xfe")), _IS_AN_ERROR),
    Row("JSON a thousand deep", _starting(_instead(_DEEP)), _IS_AN_ERROR),
    Row("a number of a million digits", _starting(_instead(_LARGE)), _IS_AN_ERROR),
    Row(
        "an endless line",
        _starting(trickle(_MIDDLE, every=0.001, piece=b"x" * 60_000)),
        _IS_AN_ERROR,
    ),
    Row(
        "a byte a minute",
        _starting(trickle(_MIDDLE, every=60)),
        _IS_AN_ERROR,
        {"deadline": 2},
    ),
    Row(
        "an endless header",
        _starting(answer("", "text/event-stream", headers={"x-long": "x" * 3_000_000}), times=9),
        _IS_NO_ANSWER,
    ),
    Row("an HTML page", _starting(answer(_PAGE), times=9), _IS_NO_ANSWER),
    Row("an HTML page with 502", _starting(answer(_PAGE, status=502), times=9), _IS_NO_ANSWER),
    Row("JSON", _starting(answer('{"id": 1}', "application/json"), times=9), _IS_NO_ANSWER),
    Row("an empty body", _starting(answer("", "text/event-stream"), times=9), _IS_NO_ANSWER),
    Row("429 twice, with `Retry-After`", _starting(refuse(429, _SOON), times=2), _IS_HARMLESS),
    Row(
        "503 three times and then fine",
        _starting(refuse(503, _SOON), times=3),
        "test_503_of_the_service_three_times_and_then_fine",
        {"max_retries": 3},
    ),
    Row(
        "500 three times and then fine",
        _starting(refuse(500, _SOON), times=3),
        "test_500_says_nothing_of_a_run",
        _IMPATIENT,
    ),
)


# --- what came of it -----------------------------------------------------------------------


@frozen
class Outcome:
    """What a reader was told: pieces of text, the finished message, an error, or nothing yet."""

    pieces: list[str]
    final: str | None = None
    error: BaseException | None = None
    waits: bool = False

    def described(self, runs: int) -> str:
        """In words, with the number of runs that there are on the server."""
        words = [self._text(), self._end()]
        if runs > 1:
            words.append(f"**{runs} runs on the server**")
        return ", ".join(words)

    def _text(self) -> str:
        text = "".join(self.pieces)
        if text == _TEXT:
            return "the whole text"
        if _TEXT.startswith(text):
            return f"{len(self.pieces)} of {len(_WORDS)} words" if text else "no text"
        right = "; the finished message is right" if self.final == _TEXT else ""
        return f"{_what_is_wrong(self.pieces)}{right}"

    def _end(self) -> str:
        if self.waits:
            return f"**still waits** after {_PATIENCE:g} s"
        if self.error is None:
            whole = _TEXT in {"".join(self.pieces), self.final}
            return "completed" if whole else "**completed as if that were all**"
        kind = type(self.error)
        package = kind.__module__.partition(".")[0]
        known = package in {"builtins", "openai", "rxassist"}
        return f"`{kind.__name__}`" if known else f"`{package}.{kind.__name__}`"


def _what_is_wrong(pieces: list[str]) -> str:
    if len(set(pieces)) < len(pieces):
        return f"{len(pieces)} words, one of them twice"
    return "two words in the wrong order" if len(pieces) == len(_WORDS) else "a word is missing"


def tell() -> str:
    """Tell something."""
    return "something"


@frozen
class Place:
    """Where the runs of a row are."""

    assistant_id: str
    thread_id: str


class Rxassist:
    """What a reader of one of our streams was told."""

    def __init__(self, row: Row, client: Any, place: Place) -> None:
        silence = {} if row.silence is None else {"idle_timeout": row.silence}
        tools = {"tools": [tell]} if row.tools else {}
        self._pieces = list[str]()
        self._finals = list[str]()
        self.stream = client.threads.runs.stream(
            thread_id=place.thread_id,
            assistant_id=place.assistant_id,
            extra_headers={_HEADER: str(ROWS.index(row))},
            **row.options,
            **silence,
            **tools,
        )
        self.stream.text_deltas.subscribe(self._pieces.append, _ignore)
        self.stream.messages.subscribe(self._keep, _ignore)

    def _keep(self, message: Any) -> None:
        self._finals.append(message.content[0].text.value)

    def outcome(self, error: BaseException | None = None, *, waits: bool = False) -> Outcome:
        return Outcome(self._pieces, self._finals[-1] if self._finals else None, error, waits)


def _by_client(row: Row, client: Client, place: Place) -> Outcome:
    ours = Rxassist(row, client, place)
    try:
        ours.stream.final_snapshot.run()
    except Exception as error:  # noqa: BLE001 -- it is what the table tells
        return ours.outcome(error)
    return ours.outcome()


async def _by_async_client(row: Row, client: AsyncClient, place: Place) -> Outcome:
    ours = Rxassist(row, client, place)
    try:
        await ours.stream.until_done()
    except Exception as error:  # noqa: BLE001 -- it is what the table tells
        return ours.outcome(error)
    return ours.outcome()


def _by_openai(row: Row, client: openai.OpenAI, place: Place) -> Outcome:
    """The text deltas of an ``AssistantEventHandler`` stream, waited for with patience."""
    pieces, finals, errors = list[str](), list[str](), list[BaseException]()
    how: dict[str, Any] = {
        "extra_headers": {_HEADER: str(ROWS.index(row))},
        "timeout": openai.Timeout(_LONG if row.silence is None else row.silence),
    }

    def told(stream: Any) -> None:
        pieces.extend(stream.text_deltas)
        with suppress(RuntimeError):  # there is none
            finals.extend(_text_of(message) for message in stream.get_final_messages())

    def read() -> None:
        try:
            with client.beta.threads.runs.stream(
                thread_id=place.thread_id,
                assistant_id=place.assistant_id,
                tools=[_TELL] if row.tools else openai.omit,
                **how,
            ) as stream:
                told(stream)
                run = stream.current_run
            if run is not None and run.required_action is not None:
                asked = run.required_action.submit_tool_outputs.tool_calls
                with client.beta.threads.runs.submit_tool_outputs_stream(
                    run_id=run.id,
                    thread_id=run.thread_id,
                    tool_outputs=[{"tool_call_id": each.id, "output": tell()} for each in asked],
                    **how,
                ) as stream:
                    told(stream)
        except Exception as error:  # noqa: BLE001 -- it is what the table tells
            errors.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(_PATIENCE)
    error = errors[0] if errors else None
    return Outcome(pieces, finals[-1] if finals else None, error, waits=reader.is_alive())


def _warm_up(client: openai.OpenAI, place: Place) -> None:
    """A run without a fault: the official SDK imports much at its first call."""
    with client.beta.threads.runs.stream(
        thread_id=place.thread_id, assistant_id=place.assistant_id
    ) as stream:
        stream.until_done()


def _text_of(message: Any) -> str:
    return "".join(part.text.value for part in message.content)


def _ignore(_: object) -> None:
    pass


# --- the table -----------------------------------------------------------------------------


def _faults(asked: Asked) -> Fault | None:
    row = asked.headers.get(_HEADER)
    return None if row is None else ROWS[int(row)].faults(asked)


def _script(turn: Turn) -> Moves:
    if turn.run.tools:
        yield call("tell")
    yield say(*_WORDS)


def _each(follow: Callable[[Row, Any, Place], Outcome], client: Any, places: Client) -> list[str]:
    """What one side was told, row by row; many rows at once."""

    def described(row: Row) -> str:
        place = _new_place(places)
        outcome = follow(row, client, place)
        time.sleep(row.late)
        return outcome.described(_runs_at(places, place))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(described, ROWS))


def _new_place(client: Client) -> Place:
    assistant = client.assistants.create(model="m").run()
    return Place(assistant.id, client.threads.create().run().id)


def _runs_at(client: Client, place: Place) -> int:
    """How many runs there are on a thread."""
    return len(list(client.threads.runs.list(place.thread_id)))


def _options(row: Row) -> str:
    """What rxassist was given beyond its defaults."""
    given = ", ".join(f"`{name}={value}`" for name, value in row.options.items())
    return f"with {given}: " if given else ""


def _cell(by_client: str, by_async_client: str) -> str:
    if by_client == by_async_client:
        return by_client
    return f"`Client`: {by_client}; `AsyncClient`: {by_async_client}"


def table() -> str:
    """Run everything, and give the table in Markdown."""
    with (
        LocalService(_script, faults=_faults) as service,
        Client(base_url=service.base_url) as ours,
    ):
        loop = asyncio.new_event_loop()
        living = threading.Thread(target=loop.run_forever)
        living.start()
        ours_too = AsyncClient(base_url=service.base_url)

        def by_async_client(row: Row, client: AsyncClient, place: Place) -> Outcome:
            following = _by_async_client(row, client, place)
            return asyncio.run_coroutine_threadsafe(following, loop).result()

        theirs = openai.OpenAI(base_url=service.base_url, api_key="any")
        try:
            _warm_up(theirs, _new_place(ours))
            sides: list[tuple[Any, Any]] = [
                (_by_client, ours),
                (by_async_client, ours_too),
                (_by_openai, theirs),
            ]
            with ThreadPoolExecutor(len(sides)) as pool:
                told = list(pool.map(lambda side: _each(side[0], side[1], ours), sides))
        finally:
            asyncio.run_coroutine_threadsafe(ours_too.close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            living.join()
            loop.close()
    lines = [
        f"| fault | rxassist | shown by | openai {openai.__version__} |",
        "|---|---|---|---|",
    ]
    for row, one, another, their in zip(ROWS, *told, strict=True):
        ours_said = f"{_options(row)}{_cell(one, another)}"
        lines.append(f"| {row.name} | {ours_said} | `{row.test}` | {their} |")
    return "\n".join(lines)


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # of the official SDK
    logging.disable(logging.WARNING)  # of the service, about who hangs up in the middle
    print(table())
