"""What is measured, and the targets: the table, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Arguments = Mapping[str, str | int]

Comparison = Literal["times less", "times at most", "at most"]
"""How a figure meets its target: peer / ours above it, ours / peer below it, ours below it."""


@dataclass(frozen=True)
class Figure:
    """One number that a measurement gives, by its name there; ``unit`` is how it is shown."""

    name: str
    title: str
    unit: str
    target: float | None = None
    comparison: Comparison = "times less"


@dataclass(frozen=True)
class Subject:
    """One side of a comparison: what ``measure`` of the benchmark's module is called with."""

    label: str
    side: str
    arguments: Arguments = field(default_factory=dict[str, str | int])


@dataclass(frozen=True)
class Benchmark:
    """Two subjects, run in turns in fresh processes.

    ``delivers`` is whether both are to deliver the same. ``quick`` says with which arguments
    ``--quick`` runs it, ``None`` that it leaves it out. ``rounds`` is how often each side runs,
    ``counted`` whether its instructions can be counted.
    """

    name: str
    module: str
    row: str
    case: str
    figures: tuple[Figure, ...]
    ours: Subject
    peer: Subject
    delivers: bool = True
    rounds: int = 5
    quick: Arguments | None = None
    counted: bool = False


_CPU = "CPU per event"


def _sides(peer: str, **arguments: str | int) -> tuple[Subject, Subject]:
    return Subject("rxassist", "rxassist", arguments), Subject(peer, peer, arguments)


def _in_memory(
    row: str,
    view: str,
    mode: str,
    deltas: int,
    *,
    cut: str = "event",
    shape: str = "text",
    target: float | None = None,
    quick: bool = False,
    peer_side: str = "openai",
) -> Benchmark:
    """A row whose bytes are in memory: both clients over a transport that hands them out."""
    ours, peer = _sides(peer_side, view=view, mode=mode, deltas=deltas, cut=cut, shape=shape)
    size = "recorded streams" if shape == "recorded" else f"{deltas:,} deltas"
    chunks = {"event": "an event a chunk", "16k": "16 KiB chunks"}[cut]
    which = "raw-" if peer_side == "openai-raw" else ""
    name = f"{view}-{which}{mode}-{shape if shape == 'recorded' else deltas}-{cut}"
    return Benchmark(
        name,
        "in_memory",
        row,
        f"{mode}, {size}, {chunks}",
        (Figure("cpu", _CPU, "µs", target),),
        ours,
        peer,
        rounds=5 if quick else 3,
        quick={} if quick else None,
        counted=quick and mode == "async",
    )


INSTRUCTIONS = Figure("instructions", "instructions per event", "thousand")


_TEXT = "bytes → `text_deltas`, a subscription beside openai's iteration"
_ITERATED = "bytes → `text_deltas`, iteration beside iteration"
_SUBSCRIBED = "bytes → `text_deltas`, a subscription beside openai's handler"
_HANDLER = "an event handler beside openai's, `on_text_delta` that reads `snapshot.value`"
_HANDLER_ALL = "an event handler beside openai's, all callbacks"
_READ = "bytes → snapshots, each text read, a subscription beside openai's handler"
_KEPT = "bytes → snapshots, kept and not read, a subscription beside openai's handler"
_VIEWS = "text, tool calls and snapshots of one stream, subscriptions beside openai's handler"

_SHORT = 1_000

_BYTES = (
    _in_memory(_TEXT, "text", "async", 1_000, target=16, quick=True),
    _in_memory(_TEXT, "text", "async", 1_000, cut="16k", target=16),
    _in_memory(_TEXT, "text", "async", 10_000, target=16),
    _in_memory(_TEXT, "text", "sync", 1_000, target=16, quick=True),
    _in_memory(_TEXT, "text", "sync", 1_000, cut="16k", target=16),
    _in_memory(_TEXT, "text", "sync", 10_000, target=16),
    _in_memory(_TEXT, "text", "async", 1_000, shape="recorded"),
    _in_memory(_ITERATED, "iterated", "async", 1_000, target=12),
    _in_memory(_ITERATED, "iterated", "async", 10_000, target=12),
    _in_memory(_ITERATED, "iterated", "sync", 1_000, target=12, quick=True),
    _in_memory(_ITERATED, "iterated", "sync", 10_000, target=12),
    *(
        _in_memory(_SUBSCRIBED, "subscribed", mode, deltas)
        for mode in ("async", "sync")
        for deltas in (1_000, 10_000)
    ),
    *(
        _in_memory(row, view, mode, deltas, target=target, quick=deltas == _SHORT)
        for row, view, targets in (
            (_HANDLER, "handler", {"sync": 10, "async": 8}),
            (_HANDLER_ALL, "handler-all", {"sync": 6, "async": 5}),
        )
        for mode, target in targets.items()
        for deltas in (_SHORT, 10_000)
    ),
    _in_memory(_READ, "read", "async", 1_000, target=12, quick=True),
    _in_memory(_READ, "read", "sync", 1_000, target=12),
    _in_memory(_READ, "read", "async", 1_000, cut="16k", target=12),
    _in_memory(_KEPT, "kept", "async", 1_000, target=14, quick=True),
    _in_memory(_KEPT, "kept", "sync", 1_000, target=14),
    _in_memory(_KEPT, "kept", "async", 10_000, target=14),
    _in_memory(_VIEWS, "views", "async", 1_000, shape="mixed", target=10, quick=True),
    _in_memory(_VIEWS, "views", "sync", 1_000, shape="mixed", target=10),
    _in_memory(_VIEWS, "views", "async", 10_000, shape="mixed", target=10),
    Benchmark(
        "operators-1000-event",
        "in_memory",
        "the operators alone: `decode()`, `text_deltas()`",
        "no client, 1,000 deltas, an event a chunk",
        (Figure("cpu", _CPU, "µs"),),
        Subject("rxassist", "rxassist", {"view": "operators", "mode": "async", "deltas": 1_000}),
        Subject("openai", "openai", {"view": "text", "mode": "sync", "deltas": 1_000}),
        rounds=3,
        quick={},
    ),
)

_RESPONSES = "Responses: bytes → `text_deltas`, a subscription beside iteration of openai's helper"
_RESPONSES_RAW = (
    "Responses: bytes → `text_deltas`, a subscription beside iteration of openai's raw stream"
)
_OF_HELPER, _OF_RAW = 30, 15


def _response(
    row: str,
    view: str,
    mode: str,
    deltas: int,
    cut: str = "event",
    target: float | None = None,
    *,
    raw: bool = False,
    quick: bool = False,
) -> Benchmark:
    """A row of the Responses API whose bytes are in memory."""
    return _in_memory(
        row,
        f"responses-{view}",
        mode,
        deltas,
        cut=cut,
        shape="response",
        target=target,
        quick=quick,
        peer_side="openai-raw" if raw else "openai",
    )


_BYTES_OF_RESPONSES = (
    *(
        _response(row, "text", mode, deltas, cut, target, raw=raw, quick=deltas == _SHORT)
        for row, target, raw in ((_RESPONSES, _OF_HELPER, False), (_RESPONSES_RAW, _OF_RAW, True))
        for mode in ("async", "sync")
        for deltas, cut in ((_SHORT, "event"), (_SHORT, "16k"), (10_000, "event"))
    ),
    *(
        _response(
            f"Responses: bytes → `text_deltas`, iteration beside {peer}",
            "iterated",
            mode,
            n,
            raw=raw,
        )
        for peer, raw in (("openai's helper", False), ("openai's raw stream", True))
        for mode in ("async", "sync")
        for n in (_SHORT, 10_000)
    ),
    *(
        _response(f"Responses: {row} beside iteration of openai's helper", view, mode, _SHORT)
        for row, view in (
            ("bytes → snapshots, each text read, a subscription", "read"),
            ("bytes → snapshots, kept and not read, a subscription", "kept"),
        )
        for mode in ("async", "sync")
    ),
    *(
        _response(
            f"Responses: an event handler, {what}, beside functions called by hand from "
            "openai's helper",
            view,
            mode,
            n,
            target=target,
        )
        for what, view, targets in (
            ("`on_text_delta` that reads `snapshot.text`", "handler", {"sync": 10, "async": 8}),
            ("all callbacks", "handler-all", {"sync": 6, "async": 5}),
        )
        for mode, target in targets.items()
        for n in (_SHORT, 10_000)
    ),
)

_SHAPES = {
    "text": "text",
    "arguments": "function arguments",
    "code": "code input",
    "logs": "logs",
    "annotations": "annotations",
    "messages": "many messages",
}


def _growth(shape: str, *, quick: bool) -> Benchmark:
    return Benchmark(
        f"growth-{shape}",
        "growth",
        "growth: CPU per event at 50,000 deltas over 1,000",
        f"{_SHAPES[shape]}; three views",
        (Figure("cpu", _CPU, "µs", 1.15, "times at most"),),
        Subject("50,000", "rxassist", {"shape": shape, "deltas": 50_000}),
        Subject("1,000", "rxassist", {"shape": shape, "deltas": 1_000}),
        delivers=False,
        rounds=3,
        quick={} if quick else None,
    )


def _growth_of_handlers(view: str, mode: str, shape: str = "text") -> Benchmark:
    """A row of a handler, whose callbacks read the whole text so far at each delta."""
    which = "all callbacks" if view == "handler-all" else "`on_text_delta`"
    prefix, title = ("responses-", "Responses, ") if shape == "response" else ("", "")
    of: Arguments = {"shape": shape, "view": view, "mode": mode}
    return Benchmark(
        f"{prefix}growth-{view}-{mode}",
        "growth",
        f"{title}growth: CPU per event at 50,000 deltas over 1,000",
        f"text; {mode}, an event handler, {which}",
        (Figure("cpu", _CPU, "µs", 1.1, "times at most"),),
        Subject("50,000", "rxassist", {**of, "deltas": 50_000}),
        Subject("1,000", "rxassist", {**of, "deltas": 1_000}),
        delivers=False,
        rounds=3,
    )


_HANDLERS = [(view, mode) for view in ("handler", "handler-all") for mode in ("async", "sync")]

_GROWTH_OF_RESPONSES = (
    Benchmark(
        "responses-growth-text",
        "growth",
        "Responses, growth: CPU per event at 50,000 deltas over 1,000",
        "text; three views",
        (Figure("cpu", _CPU, "µs", 1.1, "times at most"),),
        Subject("50,000", "rxassist", {"shape": "response", "deltas": 50_000}),
        Subject("1,000", "rxassist", {"shape": "response", "deltas": 1_000}),
        delivers=False,
        rounds=3,
        quick={},
    ),
    *(_growth_of_handlers(view, mode, "response") for view, mode in _HANDLERS),
)


def _growth_of_peer(shape: str) -> Benchmark:
    return Benchmark(
        f"growth-openai-{shape}",
        "growth",
        "growth of the peer: CPU per event at 1,000 deltas over 250",
        f"{_SHAPES[shape]}; openai's handler",
        (Figure("cpu", _CPU, "µs", None, "times at most"),),
        Subject("openai, 1,000", "openai", {"shape": shape, "deltas": 1_000}),
        Subject("openai, 250", "openai", {"shape": shape, "deltas": 250}),
        delivers=False,
        rounds=2,
    )


_HELD = Benchmark(
    "kept-memory",
    "kept_memory",
    "memory kept per event of a finished run",
    "10,000 deltas; a stream with replay, and a list of events",
    (Figure("kept", "memory per event", "bytes", 2),),
    *_sides("openai", deltas=10_000),
    rounds=3,
    quick={"deltas": 5_000},
)

_SHORT_RUNS = {
    "fresh": ("fresh-run", "one short run in a fresh client", "with the client's start and end"),
    "usual": (
        "usual-run",
        "one short run in a fresh client, as its users make it",
        "with the client's start and end, over a socket",
    ),
    "hundred": ("hundred-runs", "a hundred short runs in one client", "one after the other"),
}


def _short_runs(kind: str, mode: str, *, of_responses: bool = False) -> Benchmark:
    """A row of runs of twenty deltas; the peer of responses is openai's helper."""
    name, row, case = _SHORT_RUNS[kind]
    prefix, title = ("responses-", "Responses: ") if of_responses else ("", "")
    view = f"{prefix}iterated"
    return Benchmark(
        f"{prefix}{name}-{mode}",
        "short_runs",
        f"{title}{row}",
        f"{mode}, 20 deltas, iteration beside iteration, {case}",
        (Figure("cpu", "CPU per run", "µs", 5),),
        *_sides("openai", kind=kind, mode=mode, view=view),
        quick={} if not of_responses else None,
    )


_STARTS = tuple(_short_runs(kind, mode) for kind in _SHORT_RUNS for mode in ("async", "sync"))
_STARTS_OF_RESPONSES = tuple(
    _short_runs(kind, mode, of_responses=True) for kind in _SHORT_RUNS for mode in ("async", "sync")
)

_STREAMS = "1,000 streams at once over sockets"
_STREAMS_OF_RESPONSES = f"Responses: {_STREAMS}"
_CHEAP = "from a server that costs little"


def _streams(
    name: str,
    case: str,
    ours: str,
    *,
    server: str = "canned",
    deltas: int = 50,
    peer: str = "openai",
    target: float | None = None,
    rounds: int = 2,
    quick: Arguments | None = None,
    prefix: str = "",
    row: str = _STREAMS,
) -> Benchmark:
    """A row of many streams; of bytes that nobody reads (``httpx``), how much more ours takes."""
    sizes: Arguments = {"streams": 1_000, "deltas": deltas, "server": server}
    comparison: Comparison = "times less" if peer == "openai" else "times at most"
    return Benchmark(
        f"{prefix}streams-{name}",
        "many_streams",
        row,
        f"{deltas} deltas each, {case}",
        (
            Figure("cpu", "CPU of the client per delta", "µs", target, comparison),
            Figure("wall", "time to the last event", "s", None, comparison),
        ),
        Subject(ours, ours, sizes),
        Subject(peer, peer, sizes),
        delivers=peer == "openai",
        rounds=rounds,
        quick=quick,
    )


def _polls(
    name: str, case: str, ours: str, peer: str = "openai", quick: Arguments | None = None
) -> Benchmark:
    """A row of many polls, on time only where the peer is one that polls by itself."""
    sizes: Arguments = {"polls": 1_000, "fetches": 11}
    late = Figure("late_p99", "lateness of a fetch, p99", "%", 5, "at most")
    settled = Figure("settled_p99", "the same, from the sixth fetch on", "%", 5, "at most")
    figures: tuple[Figure, ...] = (Figure("cpu", "CPU per fetch", "µs", 3), late, settled)
    if peer.startswith("httpx"):
        cost = Figure("cpu", "CPU per fetch", "µs", None, "times at most")
        figures = (cost, replace(late, target=None), replace(settled, target=None))
    return Benchmark(
        name,
        "polls",
        "1,000 polls at once, 1 s apart",
        case,
        figures,
        Subject(ours, ours, sizes),
        Subject(peer, peer, sizes),
        rounds=1,
        quick=quick,
    )


_COLLECTOR = {
    "frozen": "with `gc.freeze()` after the first requests",
    "seldom": "with `gc.set_threshold(50_000, 20, 50)`",
    "both": "with both",
}
_COLLECTED = (
    Figure("collector", "the collector's part of it", "%", None, "times at most"),
    Figure("longest_pause", "the longest collection", "ms"),
)


def _collected(how: str) -> Benchmark:
    """A row of many polls beside the same ones with the collector as it is."""
    sizes: Arguments = {"polls": 1_000, "fetches": 11}
    side = "rxassist-aiohttp"
    return Benchmark(
        f"polls-aiohttp-{how}",
        "polls",
        "1,000 polls at once, 1 s apart: the collector",
        f"for 10 s, over aiohttp, {_COLLECTOR[how]}, beside the same without",
        (
            Figure("cpu", "CPU per fetch", "µs"),
            *_COLLECTED,
            Figure("late_p99", "lateness of a fetch, p99", "%", None, "times at most"),
            Figure("settled_p99", "the same, from the sixth fetch on", "%", None, "times at most"),
        ),
        Subject(how, side, {**sizes, "how": how}),
        Subject("as it is", side, sizes),
        rounds=3,
    )


def _streams_collected(how: str) -> Benchmark:
    """The same of many streams."""
    sizes: Arguments = {"streams": 1_000, "deltas": 50, "server": "canned"}
    side = "rxassist-aiohttp"
    return Benchmark(
        f"streams-aiohttp-{how}",
        "many_streams",
        f"{_STREAMS}: the collector",
        f"50 deltas each, {_CHEAP}, over aiohttp, {_COLLECTOR[how]}, beside the same without",
        (Figure("cpu", "CPU of the client per delta", "µs"), *_COLLECTED),
        Subject(how, side, {**sizes, "how": how}),
        Subject("as it is", side, sizes),
        rounds=3,
    )


_STREAMED_RESPONSES = tuple(
    _streams(
        f"{server}{over}",
        f"{case}, over aiohttp" if over else case,
        f"rxassist{over}",
        server=f"{server}-responses",
        target=10 if over else 4,
        prefix="responses-",
        row=_STREAMS_OF_RESPONSES,
    )
    for server, case in (("local", "from the local service"), ("canned", _CHEAP))
    for over in ("", "-aiohttp")
)

_SOCKETS = (
    _streams(
        "local",
        "from the local service",
        "rxassist",
        server="local",
        target=4,
        quick={"streams": 300},
    ),
    _streams(
        "local-aiohttp",
        "from the local service, over aiohttp",
        "rxassist-aiohttp",
        server="local",
        target=10,
    ),
    _streams("canned", _CHEAP, "rxassist", target=4),
    _streams("canned-aiohttp", f"{_CHEAP}, over aiohttp", "rxassist-aiohttp", target=10),
    _streams("long", _CHEAP, "rxassist", deltas=200, target=4, rounds=1),
    _streams(
        "long-aiohttp",
        f"{_CHEAP}, over aiohttp",
        "rxassist-aiohttp",
        deltas=200,
        target=10,
        rounds=1,
    ),
    _streams("bytes", "beside nothing but the bytes", "rxassist", peer="httpx"),
    _streams(
        "bytes-aiohttp", "beside nothing but the bytes", "rxassist-aiohttp", peer="httpx-aiohttp"
    ),
    Benchmark(
        "latency",
        "latency",
        "from the socket to the callback, one idle stream",
        "beside raw httpx",
        (
            Figure("p50", "p50", "µs", 1.3, "times at most"),
            Figure("p99", "p99", "µs", None, "times at most"),
        ),
        *_sides("httpx", events=1_000),
        rounds=5,
        quick={"events": 500},
    ),
    Benchmark(
        "latency-openai",
        "latency",
        "from the socket to the callback, one idle stream",
        "beside openai",
        (Figure("p50", "p50", "µs"), Figure("p99", "p99", "µs")),
        *_sides("openai", events=1_000),
        rounds=3,
    ),
    Benchmark(
        "idle-memory",
        "idle_memory",
        "memory per open idle stream",
        "300 streams, beside raw httpx",
        (Figure("resident", "resident memory", "KiB", 1.25, "times at most"),),
        *_sides("httpx", streams=300),
        rounds=5,
        quick={},
    ),
    Benchmark(
        "idle-memory-openai",
        "idle_memory",
        "memory per open idle stream",
        "300 streams, beside openai",
        (Figure("resident", "resident memory", "KiB"),),
        *_sides("openai", streams=300),
        rounds=5,
    ),
    _polls("polls", "for 10 s", "rxassist", quick={"polls": 300, "fetches": 3}),
    _polls("polls-aiohttp", "for 10 s, over aiohttp", "rxassist-aiohttp"),
    _polls("polls-bytes", "for 10 s, beside raw httpx, in as many pools", "rxassist", "httpx"),
    _polls(
        "polls-bytes-aiohttp",
        "for 10 s, beside raw httpx over aiohttp",
        "rxassist-aiohttp",
        "httpx-aiohttp",
    ),
    *(_collected(how) for how in _COLLECTOR),
    *(_streams_collected(how) for how in _COLLECTOR),
    Benchmark(
        "import",
        "import_time",
        "`import` in a fresh process",
        "least of five",
        (
            Figure("wall", "time", "ms", 5),
            Figure("extras", "optional extras imported", "", 0, "at most"),
        ),
        *_sides("openai"),
        delivers=False,
        quick={},
    ),
)

BENCHMARKS: tuple[Benchmark, ...] = (
    *_BYTES,
    *(_growth(shape, quick=shape in {"text", "annotations"}) for shape in _SHAPES),
    *(_growth_of_handlers(view, mode) for view, mode in _HANDLERS),
    *(_growth_of_peer(shape) for shape in ("text", "logs", "annotations")),
    *_STARTS,
    _HELD,
    *_SOCKETS,
    *_BYTES_OF_RESPONSES,
    *_GROWTH_OF_RESPONSES,
    *_STARTS_OF_RESPONSES,
    *_STREAMED_RESPONSES,
)
