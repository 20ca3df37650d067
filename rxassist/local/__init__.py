"""An embedded service that speaks the Assistants v2 protocol, for demos and tests.

Needs the extra ``local``: ``pip install "rxassist[local]"``. What the "model" says is a script.
"""

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
from rxassist.local.service import LocalService

__all__ = [
    "Call",
    "Code",
    "Expire",
    "Fail",
    "Incomplete",
    "LocalService",
    "Move",
    "Moves",
    "Say",
    "Script",
    "Search",
    "Turn",
    "Wait",
    "call",
    "code",
    "default_script",
    "expire",
    "fail",
    "incomplete",
    "say",
    "search",
    "wait",
]
