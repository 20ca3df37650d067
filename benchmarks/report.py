"""The table: medians, spreads and ratios beside their targets, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.table import Benchmark, Figure

_SCALES = {"µs": 1e6, "ms": 1e3, "s": 1.0, "KiB": 1 / 1024, "bytes": 1.0, "%": 1.0, "": 1.0}
_SCALES["thousand"] = 1e-3
_ROUND = 100
_HEAD = ("what", "case", "figure", "ours", "peer", "ratio", "target", "met")


@dataclass(frozen=True)
class Result:
    """What the rounds of a benchmark gave: for each figure, the numbers of both sides."""

    benchmark: Benchmark
    ours: dict[str, list[float]]
    peer: dict[str, list[float]]


def table(results: Iterable[Result]) -> str:
    """All figures of all results, those that were measured."""
    rows = [
        _row(result, figure, number)
        for result in results
        for number, figure in enumerate(result.benchmark.figures)
        if result.ours.get(figure.name)
    ]
    lines = [_HEAD, tuple("---" for _ in _HEAD), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(results: Sequence[Result], versions: dict[str, str], machine: str) -> str:
    """The whole of ``results.md``."""
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"""# Benchmarks

Made by `python -m benchmarks`; see `benchmarks/__init__.py`. Each figure is the median of the
rounds, with the least and the greatest in brackets; each round is a fresh process, the two sides
in turns. Both sides got the same bytes and delivered the same text: otherwise the command fails.
Ratios travel from machine to machine, microseconds do not.

{table(results)}

{said}.

{machine}.
"""


def _row(result: Result, figure: Figure, number: int) -> tuple[str, ...]:
    benchmark = result.benchmark
    ours, peer = result.ours[figure.name], result.peer[figure.name]
    ratio, target, met = _judged(figure, median(ours), median(peer))
    return (
        "" if number else benchmark.row,
        "" if number else f"{benchmark.case} (`{benchmark.name}`)",
        f"{figure.title}, {figure.unit}" if figure.unit else figure.title,
        _spread(ours, figure.unit, benchmark.ours.label),
        _spread(peer, figure.unit, benchmark.peer.label),
        ratio,
        target,
        met,
    )


def _spread(numbers: list[float], unit: str, label: str) -> str:
    scaled = [number * _SCALES[unit] for number in numbers]
    low, middle, high = map(_number, (min(scaled), median(scaled), max(scaled)))
    if len(scaled) == 1:
        return f"{label}: {middle}"
    return f"{label}: {middle} ({low}–{high})"


def _number(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= _ROUND else f"{number:.3g}"


def _judged(figure: Figure, ours: float, peer: float) -> tuple[str, str, str]:
    """The ratio, the target, and whether it is met, as text."""
    target = figure.target
    if figure.comparison == "at most":
        met = target is not None and ours <= target
        unit = f" {figure.unit}" if figure.unit else ""
        return "–", f"≤ {target:g}{unit}" if target is not None else "–", _said(figure, met=met)
    if figure.comparison == "times less":
        ratio = peer / ours if ours else float("inf")
        met = target is not None and ratio >= target
        wanted = "–" if target is None else f"≥ {target:g}× less"
        return f"{ratio:.2f}× less", wanted, _said(figure, met=met)
    ratio = ours / peer if peer else float("inf")
    met = target is not None and ratio <= target
    return f"{ratio:.2f}×", "–" if target is None else f"≤ {target:g}×", _said(figure, met=met)


def _said(figure: Figure, *, met: bool) -> str:
    if figure.target is None:
        return ""
    return "yes" if met else "no"
