"""An embedded service that speaks the Assistants v2 protocol, for demos and tests.

Needs the extra ``local``: ``pip install "rxassist[local]"``. What the "model" says is a script.
"""

from rxassist.local.ingestion import Ingest, Upload, default_ingest
from rxassist.local.moves import (
    Call,
    Code,
    Expire,
    Fail,
    Incomplete,
    Move,
    Moves,
    Say,
    Script,
    Search,
    Turn,
    Wait,
    call,
    code,
    expire,
    fail,
    incomplete,
    say,
    search,
    wait,
)
from rxassist.local.script import default_script

try:
    from rxassist.local.event_faults import (
        Rewrite,
        drop,
        duplicate,
        framing,
        insert,
        rewrite,
        swap,
    )
    from rxassist.local.faults import (
        Asked,
        Fault,
        Faults,
        answer,
        cut,
        garble,
        hang_up,
        refuse,
        stall,
        trickle,
        truncate,
    )
    from rxassist.local.replay import replay
    from rxassist.local.service import LocalService
except ModuleNotFoundError as _error:
    _missing = (_error.name or "").partition(".")[0]
    if _missing not in {"python_multipart", "starlette", "uvicorn"}:
        raise
    _message = 'the local service needs an extra: pip install "rxassist[local]"'
    raise ModuleNotFoundError(_message, name=_missing) from _error

__all__ = [
    "Asked",
    "Call",
    "Code",
    "Expire",
    "Fail",
    "Fault",
    "Faults",
    "Incomplete",
    "Ingest",
    "LocalService",
    "Move",
    "Moves",
    "Rewrite",
    "Say",
    "Script",
    "Search",
    "Turn",
    "Upload",
    "Wait",
    "answer",
    "call",
    "code",
    "cut",
    "default_ingest",
    "default_script",
    "drop",
    "duplicate",
    "expire",
    "fail",
    "framing",
    "garble",
    "hang_up",
    "incomplete",
    "insert",
    "refuse",
    "replay",
    "rewrite",
    "say",
    "search",
    "stall",
    "swap",
    "trickle",
    "truncate",
    "wait",
]
