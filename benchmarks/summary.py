"""The tables of ``docs/performance.md``: rows of ``results.md``, without their spreads.

``python -m benchmarks.summary`` writes them there, after each ``<!-- rows: NAME … -->``: all rows
that such names match, in the order of ``results.md``. The names may have ``*``; one that begins
with ``!`` leaves rows out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

RESULTS = Path(__file__).with_name("results.md")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_TABLE = re.compile(r"(<!-- rows: (.*?) -->\n).*?(<!-- end of rows -->)", re.DOTALL)
_CASE = re.compile(r"(.*) \(`(.*)`\)")
_SPREAD = re.compile(r" \(.*\)")
_HEAD = ("what", "case", "figure", "ours", "beside it", "ratio", "target", "met", "row")


def _figures(results: str) -> Iterator[tuple[str, ...]]:
    """Each figure of the results, as a row of a summary."""
    what = case = name = ""
    for line in results.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| ") or len(cells) != len(_HEAD) - 1 or cells[0] in {"what", "---"}:
            continue
        if found := _CASE.fullmatch(cells[1]):
            what, (case, name) = cells[0], found.groups()
        figure, _, unit = cells[2].rpartition(", ") if ", " in cells[2] else (cells[2], "", "")
        ours, peer = (f"{_SPREAD.sub('', cell)} {unit}".rstrip() for cell in cells[3:5])
        yield what, case, figure, ours, peer, *cells[5:], f"`{name}`"


def table(results: str, patterns: str) -> str:
    """The rows whose names match, as Markdown; what is as in the line above is left out."""
    wanted = [each for each in patterns.split() if not each.startswith("!")]
    unwanted = [each[1:] for each in patterns.split() if each.startswith("!")]
    lines = [_HEAD, tuple("---" for _ in _HEAD)]
    above = ("", "")
    for what, case, *rest in _figures(results):
        name = rest[-1].strip("`")
        if any(fnmatch(name, each) for each in unwanted):
            continue
        if any(fnmatch(name, each) for each in wanted):
            lines.append(
                (
                    what if what != above[0] else "",
                    case if (what, case) != above else "",
                    *rest,
                )
            )
            above = what, case
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def summarized(page: str, results: str) -> str:
    """A page with its tables made anew."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{table(results, found[2])}\n{found[3]}", page)


def named(page: str) -> set[str]:
    """The names of rows in the text of a page, also with ``*``; names of one word are not seen."""
    return set(re.findall(r"`([a-z]+(?:-[a-z0-9*]+)+)`", page))


def main() -> None:
    """Write the tables."""
    results, page = (path.read_text(encoding="utf-8") for path in (RESULTS, PAGE))
    PAGE.write_text(summarized(page, results), encoding="utf-8")


if __name__ == "__main__":
    main()
