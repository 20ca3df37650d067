"""One side of one benchmark in a process of its own: prints a line of JSON.

``python -m benchmarks.worker MODULE SIDE name=value …``, such as ``in_memory rxassist view=text
mode=async deltas=1000``; with ``--profile`` before them, a profile by function instead.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
from functools import partial
from importlib import import_module
from typing import Any

_FUNCTIONS = 40


def _value(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def raise_limits() -> None:
    """A thousand streams are a thousand files; the usual limit is 1,024."""
    try:
        import resource
    except ImportError:  # not on this system, which has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(arguments: list[str]) -> None:
    """Measure, and print."""
    profiled = arguments[:1] == ["--profile"]
    module, side, *pairs = arguments[1:] if profiled else arguments
    named: dict[str, Any] = {
        key: _value(text) for key, _, text in (p.partition("=") for p in pairs)
    }
    measure = partial(import_module(f"benchmarks.{module}").measure, side, **named)
    raise_limits()
    if profiled:
        profile = cProfile.Profile()
        profile.runcall(measure)
        pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(_FUNCTIONS)
    else:
        print(json.dumps(measure()))


if __name__ == "__main__":
    main(sys.argv[1:])
