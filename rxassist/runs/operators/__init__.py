"""Operators for ``pipe``: from the bytes of a stream to what you want to see of a run.

Each is called to make it (``source.pipe(text_deltas())``), keeps its state in the subscription,
completes and fails with its source unless it says otherwise, and frees the source when it ends.
"""

from rxassist.reactive.kernel import choose, choose_each
from rxassist.runs.operators.citations import citations
from rxassist.runs.operators.json import json_snapshots
from rxassist.runs.operators.lifetime import check_ending, deadline, raise_for_status, until_done
from rxassist.runs.operators.lines import lines
from rxassist.runs.operators.merge import group_by_run, latest_snapshots, of_run, run_summaries
from rxassist.runs.operators.pace import debounce_snapshots, smooth
from rxassist.runs.operators.retry import retry_run
from rxassist.runs.operators.select import final_run, of_type, runs
from rxassist.runs.operators.sentences import sentences
from rxassist.runs.operators.snapshots import (
    accumulate_snapshots,
    messages,
    run_steps,
    text_snapshots,
)
from rxassist.runs.operators.text import text_deltas
from rxassist.runs.operators.tools import tool_call_deltas, tool_calls
from rxassist.runs.operators.usage import timings, usage

__all__ = [
    "accumulate_snapshots",
    "check_ending",
    "choose",
    "choose_each",
    "citations",
    "deadline",
    "debounce_snapshots",
    "final_run",
    "group_by_run",
    "json_snapshots",
    "latest_snapshots",
    "lines",
    "messages",
    "of_run",
    "of_type",
    "raise_for_status",
    "retry_run",
    "run_steps",
    "run_summaries",
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
