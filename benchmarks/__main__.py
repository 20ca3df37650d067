"""``python -m benchmarks``: run the table, print it, and write it to ``benchmarks/results.md``.

The tables of ``docs/performance.md`` are made of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import environment, instructions, report, summary
from benchmarks.table import BENCHMARKS, INSTRUCTIONS, Benchmark, Subject

_RESULTS = Path(__file__).with_name("results.md")
_QUICK_ROUNDS = 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of the main rows")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="a row by its name, such as growth-text or 'text-*'; may be given again",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each side runs")
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="count instructions too, for some rows, where perf or valgrind can; takes minutes",
    )
    parser.add_argument("--list", action="store_true", help="show the names of the rows")
    return parser.parse_args()


def _chosen(arguments: argparse.Namespace) -> list[Benchmark]:
    chosen = [
        benchmark
        for benchmark in BENCHMARKS
        if not arguments.only or any(fnmatch(benchmark.name, name) for name in arguments.only)
    ]
    if not chosen:
        names = ", ".join(benchmark.name for benchmark in BENCHMARKS)
        sys.exit(f"no row is named {' or '.join(arguments.only)}; there are: {names}")
    if not arguments.quick:
        return chosen
    return [_quick(benchmark) for benchmark in chosen if benchmark.quick is not None]


def _quick(benchmark: Benchmark) -> Benchmark:
    less = benchmark.quick or {}
    ours, peer = (
        replace(subject, arguments={**subject.arguments, **less})
        for subject in (benchmark.ours, benchmark.peer)
    )
    case = ", ".join([benchmark.case, *(f"{name}: {value:,}" for name, value in less.items())])
    return replace(benchmark, ours=ours, peer=peer, case=case, rounds=_QUICK_ROUNDS)


def _worker(benchmark: Benchmark, subject: Subject) -> list[str]:
    pairs = [f"{name}={value}" for name, value in subject.arguments.items()]
    return ["-m", "benchmarks.worker", benchmark.module, subject.side, *pairs]


def _measured(python: Path, benchmark: Benchmark, subject: Subject) -> dict[str, float | str]:
    said = environment.run(python, *_worker(benchmark, subject))
    measured: dict[str, float | str] = json.loads(said)
    return measured


def _run(python: Path, benchmark: Benchmark, rounds: int) -> report.Result:
    """All rounds of a benchmark: the two sides in turns, and each first in every other round."""
    sides = (benchmark.ours, benchmark.peer)
    numbers = tuple(defaultdict[str, list[float]](list) for _ in sides)
    delivered = set[str]()
    for number in range(rounds):
        for place in (0, 1) if number % 2 == 0 else (1, 0):
            measured = _measured(python, benchmark, sides[place])
            delivered.add(str(measured.pop("delivered")))
            for name, value in measured.items():
                numbers[place][name].append(float(value))
    if benchmark.delivers and len(delivered) > 1:
        msg = f"{benchmark.name}: the two sides delivered different things: {sorted(delivered)}"
        raise RuntimeError(msg)
    return report.Result(benchmark, dict(numbers[0]), dict(numbers[1]))


def _counted(python: Path, result: report.Result) -> report.Result:
    """The same with the instructions of both sides, where they can be counted."""
    benchmark = result.benchmark
    for subject, numbers in ((benchmark.ours, result.ours), (benchmark.peer, result.peer)):
        worker = [str(python), *_worker(benchmark, subject)]
        count = instructions.per_event(worker, int(numbers["events"][0]))
        if count is None:
            print(f"{benchmark.name}: instructions cannot be counted here", file=sys.stderr)
            return result
        numbers[INSTRUCTIONS.name] = [count]
    figures = (*benchmark.figures, INSTRUCTIONS)
    return replace(result, benchmark=replace(benchmark, figures=figures))


def main() -> None:
    """Run what was asked for."""
    arguments = _arguments()
    chosen = _chosen(arguments)
    if arguments.list:
        print(
            "\n".join(
                f"{benchmark.name}: {benchmark.row}, {benchmark.case}" for benchmark in chosen
            )
        )
        return
    python = environment.prepare()
    results = list[report.Result]()
    for benchmark in chosen:
        begin = time.perf_counter()
        result = _run(python, benchmark, arguments.rounds or benchmark.rounds)
        if arguments.instructions and benchmark.counted:
            result = _counted(python, result)
        results.append(result)
        took = time.perf_counter() - begin
        print(f"{benchmark.name}, in {took:.0f} s:", file=sys.stderr)
        print(report.table([result]), file=sys.stderr)
    page = report.page(results, environment.versions(python), environment.machine())
    print(page)
    if not arguments.quick and not arguments.only:
        _RESULTS.write_text(page, encoding="utf-8")
        summary.main()
        print("written to benchmarks/results.md and docs/performance.md", file=sys.stderr)


if __name__ == "__main__":
    main()
