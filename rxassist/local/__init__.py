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
from rxassist.local.refusals import Refusal, Refuse
from rxassist.local.script import default_script

try:
    from rxassist.local.service import LocalService
except ModuleNotFoundError as _error:
    if _error.name not in {"python_multipart", "starlette", "uvicorn"}:
        raise
    _message = 'the local service needs an extra: pip install "rxassist[local]"'
    raise ModuleNotFoundError(_message, name=_error.name) from _error

__all__ = [
    "Call",
    "Code",
    "Expire",
    "Fail",
    "Incomplete",
    "Ingest",
    "LocalService",
    "Move",
    "Moves",
    "Refusal",
    "Refuse",
    "Say",
    "Script",
    "Search",
    "Turn",
    "Upload",
    "Wait",
    "call",
    "code",
    "default_ingest",
    "default_script",
    "expire",
    "fail",
    "incomplete",
    "say",
    "search",
    "wait",
]
