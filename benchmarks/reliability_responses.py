"""What becomes of a response under each fault, as a table.

``python benchmarks/reliability_responses.py`` prints the second table of docs/reliability.md. One
local service injects the faults; each row is a response of 8 words by ``Client`` and by
``AsyncClient``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field, frozen

from rxassist import AsyncClient, Client
from rxassist.local import (
    Asked,
    Fault,
    LocalService,
    Moves,
    Turn,
    append,
    cut,
    drop,
    duplicate,
    error_form,
    fail,
    final_output,
    hang,
    hang_up,
    incomplete,
    keepalive,
    other_final_ids,
    queued,
    refuse,
    rename,
    renumber,
    reset,
    restart_numbers,
    retell,
    rewind,
    rotate_ids,
    say,
    stall,
    unstreamed,
)
from rxassist.local.faults import Plain, Retell

_WORDS = tuple(f"{number} " for number in range(8))
_TEXT = "".join(_WORDS)
_HEADER = "x-row"
_BACKGROUND: Mapping[str, Any] = {"background": True}
_OWN_ID: Mapping[str, Any] = {"background": True, "response_id": "resp_own"}
_SILENCE = 0.5  # seconds

Faults = Callable[[Asked], Fault | None]


def _stopping() -> Retell:
    """The body ends properly after nine events, in the middle of the text."""
    left = 9

    def told(event: Plain) -> Iterable[Plain]:
        nonlocal left
        left -= 1
        return [event] if left >= 0 else []

    return told


_LOST = retell(_stopping)


def _creating(fault: Fault) -> Faults:
    return lambda asked: fault if asked.method == "POST" else None


def _lost(again: Fault | None = None, read: Fault | None = None) -> Faults:
    """The first stream is lost; a stream that goes on, and a read, meet faults of their own."""

    def faults(asked: Asked) -> Fault | None:
        if asked.method == "POST":
            return _LOST
        return again if "stream=true" in asked.query else read

    return faults


def _kept(fault: Fault) -> Faults:
    """The first stream is lost, and a fault is that of both streams."""
    return lambda asked: _LOST | fault if asked.method == "POST" else fault


@frozen
class Row:
    """A fault, what the request asks for, and the test that shows the same."""

    name: str
    faults: Faults
    test: str
    options: Mapping[str, Any] = field(factory=dict[str, Any])
    text: str = ""


_IS_RESUMED = "test_a_stream_that_is_lost_at_any_event_is_resumed"
_IS_POLLED = "test_a_response_is_polled_if_its_stream_is_refused"
_IS_UNKNOWN = "test_a_request_that_is_lost_is_never_sent_again"
_IS_HARMLESS = "test_what_other_servers_send_changes_nothing"
_IS_FOUND = "test_a_lost_response_is_found_under_its_own_id"

ROWS = (
    Row("lost in the text", _lost(), _IS_RESUMED, _BACKGROUND),
    Row(
        "lost, and events come twice",
        _lost(rewind(3)),
        "test_events_that_come_twice_are_dropped",
        _BACKGROUND,
    ),
    Row(
        "lost, and keepalives take numbers",
        _kept(keepalive(3)),
        "test_keepalives_take_numbers",
        _BACKGROUND,
    ),
    Row("lost, and 400: older than 5 minutes", _lost(refuse(400)), _IS_POLLED, _BACKGROUND),
    Row("lost, and 404", _lost(refuse(404)), _IS_POLLED, _BACKGROUND),
    Row("lost, and 409: evicted", _lost(refuse(409)), _IS_POLLED, _BACKGROUND),
    Row("lost, and JSON for a stream", _lost(unstreamed()), _IS_POLLED, _BACKGROUND),
    Row("lost, and silence", _lost(stall(0)), _IS_POLLED, _BACKGROUND),
    Row("lost, and numbers are missing", _lost(renumber(lambda n: n + 3)), _IS_POLLED, _BACKGROUND),
    Row("lost, and no numbers", _lost(renumber(lambda _: None)), _IS_POLLED, _BACKGROUND),
    Row("lost, and numbers restart", _lost(restart_numbers()), _IS_POLLED, _BACKGROUND),
    Row(
        "lost, and the stored text does not continue the streamed one",
        lambda asked: (
            duplicate("response.output_text.delta") | cut(5000)
            if asked.method == "POST"
            else refuse(404)
            if "stream=true" in asked.query
            else None
        ),
        "test_a_stored_text_that_diverges_is_an_error",
        _BACKGROUND,
    ),
    Row(
        "lost, and queued for ever",
        lambda asked: refuse(400) if "stream=true" in asked.query else queued(),
        "test_a_response_that_stays_queued_is_given_up",
        {**_BACKGROUND, "queue_patience": 0.5},
    ),
    Row(
        "lost, not in the background",
        lambda asked: _LOST if asked.method == "POST" else refuse(404),
        "test_a_stream_in_the_foreground_ends_with_its_connection",
    ),
    Row(
        "lost, not in the background, and it had ended",
        _lost(),
        "test_a_response_that_had_ended_before_its_connection_broke_is_whole",
    ),
    Row(
        "closed at the very end",
        _creating(cut(None)),
        "test_a_connection_that_breaks_after_the_end_is_no_error",
    ),
    Row("the request is lost, not handled", _creating(hang_up(handled=False)), _IS_UNKNOWN),
    Row("the request is lost, handled", _creating(hang_up(handled=True)), _IS_UNKNOWN, _BACKGROUND),
    Row("502 of a gateway", _creating(refuse(502)), _IS_UNKNOWN),
    Row("the request is lost, handled", _creating(hang_up(handled=True)), _IS_FOUND, _OWN_ID),
    Row(
        "an `error`, and the response fails",
        _creating(error_form()),
        "test_an_error_that_the_response_carries_as_well_is_data",
        text="fail",
    ),
    Row(
        "an `error` alone",
        _creating(error_form(alone=True)),
        "test_an_error_alone_ends_the_stream",
        text="fail",
    ),
    Row(
        "a failed response whose stream hangs",
        _creating(hang()),
        "test_a_failed_response_whose_stream_hangs_has_ended",
        text="fail",
    ),
    Row(
        "`response.completed` that carries `incomplete`",
        _creating(rename("response.incomplete", to="response.completed")),
        "test_a_completion_that_carries_incomplete_is_incomplete",
        text="incomplete",
    ),
    Row("the output is null at the end", _creating(final_output(None)), _IS_HARMLESS),
    Row("other ids at the end", _creating(other_final_ids()), _IS_HARMLESS),
    Row(
        "ids change with each event",
        _creating(rotate_ids()),
        "test_ids_that_rotate_are_no_other_response",
    ),
    Row("the ends of items and parts never come", _creating(drop("*.done")), _IS_HARMLESS),
    Row("no numbers", _creating(renumber(lambda _: None)), _IS_HARMLESS),
    Row("`[DONE]` at the end", _creating(append(b"data: [DONE]\n\n")), _IS_HARMLESS),
    Row(
        "the response begins anew",
        lambda _: None,
        "test_a_response_that_begins_anew_cannot_unsay_a_text",
        text="reset",
    ),
)


def _script(turn: Turn) -> Moves:
    yield say(*_WORDS)
    if turn.text == "fail":
        yield fail("server_error", "No.")
    elif turn.text == "incomplete":
        yield incomplete()
    elif turn.text == "reset":
        yield reset()
        yield say("other")


def _faults(asked: Asked) -> Fault | None:
    row = asked.headers.get(_HEADER)
    return None if row is None else ROWS[int(row)].faults(asked)


def _described(pieces: list[str], status: str | None, error: BaseException | None) -> str:
    text = "".join(pieces)
    some = f"{len(pieces)} of {len(_WORDS)} words" if text else "no text"
    if text != _TEXT and not _TEXT.startswith(text):
        some = f"{len(pieces)} words, one of them twice"
    said = "the whole text" if text == _TEXT else some
    return f"{said}, {status if error is None else f'`{type(error).__name__}`'}"


def _begin(row: Row, client: Any) -> tuple[Any, list[str]]:
    pieces = list[str]()
    stream = client.responses.stream(
        model="m",
        input=row.text or "hi",
        idle_timeout=_SILENCE,
        extra_headers={_HEADER: str(ROWS.index(row))},
        **row.options,
    )
    stream.text_deltas.subscribe(pieces.append, _ignore)
    return stream, pieces


def _ignore(_: object) -> None:
    pass


def _by_client(row: Row, client: Client) -> str:
    stream, pieces = _begin(row, client)
    try:
        list(stream.text_deltas)
        status = stream.get_final_run().status
    except Exception as error:  # noqa: BLE001 -- it is what the table tells
        return _described(pieces, None, error)
    return _described(pieces, status, None)


async def _by_async_client(row: Row, client: AsyncClient) -> str:
    stream, pieces = _begin(row, client)
    try:
        _ = [text async for text in stream.text_deltas]
        status = (await stream.get_final_run()).status
    except Exception as error:  # noqa: BLE001 -- it is what the table tells
        return _described(pieces, None, error)
    return _described(pieces, status, None)


def _all_by_client() -> tuple[list[str], list[int]]:
    """What a ``Client`` emits in each row, and how many responses there were then."""
    with (
        LocalService(_script, faults=_faults, foundry=True) as service,
        Client(base_url=service.base_url) as client,
    ):
        outcomes, counts = list[str](), list[int]()
        for row in ROWS:
            before = len(service.runs)
            outcomes.append(_by_client(row, client))
            counts.append(len(service.runs) - before)
        return outcomes, counts


async def _all_by_async_client() -> list[str]:
    with LocalService(_script, faults=_faults, foundry=True) as service:
        async with AsyncClient(base_url=service.base_url) as client:
            return [await _by_async_client(row, client) for row in ROWS]


def _options(row: Row) -> str:
    given = ", ".join(f"`{name}={value!r}`" for name, value in row.options.items())
    return f"with {given}: " if given else ""


def table() -> str:
    """Run everything, and give the table in Markdown."""
    one, counts = _all_by_client()
    another = asyncio.run(_all_by_async_client())
    lines = ["| fault | rxassist | responses | shown by |", "|---|---|---|---|"]
    for row, by_client, by_async_client, count in zip(ROWS, one, another, counts, strict=True):
        both = by_client
        if by_client != by_async_client:
            both = f"`Client`: {by_client}; `AsyncClient`: {by_async_client}"
        lines.append(f"| {row.name} | {_options(row)}{both} | {count} | `{row.test}` |")
    return "\n".join(lines)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # of the service, about who hangs up in the middle
    print(table())
