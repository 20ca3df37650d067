"""An embedded service that speaks the Assistants v2 protocol, for demos and tests.

Needs the extra ``local``: ``pip install "rxassist[local]"``. What the "model" says is a script.
"""

from rxassist.local.ingestion import Ingest, Upload, default_ingest
from rxassist.local.moves import (
    Approval,
    Call,
    Code,
    Expire,
    Fail,
    Incomplete,
    Mcp,
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
    mcp,
    say,
    search,
    wait,
)
from rxassist.local.pieces import Cite, Image, Link, Piece, cite, image, link
from rxassist.local.script import default_script
from rxassist.reactive.checks import needing

try:
    from rxassist.local.event_faults import (
        Rewrite,
        drop,
        duplicate,
        finish,
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
        break_chunk,
        cut,
        forget,
        garble,
        hang_up,
        refuse,
        stall,
        trickle,
        truncate,
    )
    from rxassist.local.lag import empty, lagging, shorten
    from rxassist.local.replay import replay
    from rxassist.local.service import LocalService
except ModuleNotFoundError as _error:
    _missing = (_error.name or "").partition(".")[0]
    if _missing not in {"python_multipart", "starlette", "uvicorn"}:
        raise
    _packages = ("python-multipart", "starlette", "uvicorn")
    _message = needing("the local service", "local", *_packages)
    raise ModuleNotFoundError(_message, name=_missing) from _error

__all__ = [
    "Approval",
    "Asked",
    "Call",
    "Cite",
    "Code",
    "Expire",
    "Fail",
    "Fault",
    "Faults",
    "Image",
    "Incomplete",
    "Ingest",
    "Link",
    "LocalService",
    "Mcp",
    "Move",
    "Moves",
    "Piece",
    "Rewrite",
    "Say",
    "Script",
    "Search",
    "Turn",
    "Upload",
    "Wait",
    "answer",
    "break_chunk",
    "call",
    "cite",
    "code",
    "cut",
    "default_ingest",
    "default_script",
    "drop",
    "duplicate",
    "empty",
    "expire",
    "fail",
    "finish",
    "forget",
    "framing",
    "garble",
    "hang_up",
    "image",
    "incomplete",
    "insert",
    "lagging",
    "link",
    "mcp",
    "refuse",
    "replay",
    "rewrite",
    "say",
    "search",
    "shorten",
    "stall",
    "swap",
    "trickle",
    "truncate",
    "wait",
]
