"""Operators for ``pipe``: from the bytes of a stream to what you want to see of a run.

Each is called to make it (``source.pipe(text_deltas())``), keeps its state in the subscription,
completes and fails with its source unless it says otherwise, and frees the source when it ends.
"""

from rxassist.operators._citations import citations
from rxassist.operators._decode import decode
from rxassist.operators._json import json_snapshots
from rxassist.operators._kernel import choose, choose_each
from rxassist.operators._lifetime import check_ending, deadline, raise_for_status, until_done
from rxassist.operators._lines import lines
from rxassist.operators._merge import (
    group_by_run,
    latest_snapshots,
    of_run,
    run_summaries,
)
from rxassist.operators._pace import debounce_snapshots, smooth
from rxassist.operators._recovery import recover
from rxassist.operators._retry import retry_run
from rxassist.operators._run_tools import run_tools
from rxassist.operators._select import final_run, of_type, runs
from rxassist.operators._sentences import sentences
from rxassist.operators._snapshots import (
    accumulate_snapshots,
    messages,
    run_steps,
    text_snapshots,
)
from rxassist.operators._text import text_deltas
from rxassist.operators._tools import tool_call_deltas, tool_calls
from rxassist.operators._usage import timings, usage

__all__ = [
    "accumulate_snapshots",
    "check_ending",
    "choose",
    "choose_each",
    "citations",
    "deadline",
    "debounce_snapshots",
    "decode",
    "final_run",
    "group_by_run",
    "json_snapshots",
    "latest_snapshots",
    "lines",
    "messages",
    "of_run",
    "of_type",
    "raise_for_status",
    "recover",
    "retry_run",
    "run_steps",
    "run_summaries",
    "run_tools",
    "runs",
    "sentences",
    "smooth",
    "text_deltas",
    "text_snapshots",
    "timings",
    "tool_call_deltas",
    "tool_calls",
    "until_done",
    "usage",
]
