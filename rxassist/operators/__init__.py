"""Operators for ``pipe``: from the bytes of a stream to what you want to see of a run.

Each is called to make it (``source.pipe(text_deltas())``), keeps its state in the subscription,
completes and fails with its source unless it says otherwise, and frees the source when it ends.
"""

from rxassist.protocols.assistants.citations import citations
from rxassist.protocols.assistants.recovery import recover
from rxassist.protocols.assistants.run_tools import run_tools
from rxassist.protocols.decode import decode
from rxassist.runs import operators
from rxassist.runs.operators import *  # noqa: F403 -- its names are written down there

__all__ = ["citations", "decode", "recover", "run_tools"]
__all__ += operators.__all__
