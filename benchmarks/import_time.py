"""How long an ``import`` takes in a fresh process whose files were read before.

No optional extra should be imported with it: ``extras`` counts those that are.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_TIMES = 5
_EXTRAS = {"aiohttp", "httpx_aiohttp", "multipart", "python_multipart", "rich"}
_EXTRAS |= {"starlette", "uvicorn"}

_PROGRAM = """
import json, sys, time
begin = time.perf_counter()
import {name}
wall = time.perf_counter() - begin
print(json.dumps([wall, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def _import(name: str) -> tuple[float, set[str]]:
    command = [sys.executable, "-c", _PROGRAM.format(name=name)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    wall, modules = json.loads(printed)
    return wall, _EXTRAS.intersection(modules)


def measure(side: str) -> dict[str, Any]:
    """Seconds: the least of five, after one that is not counted; and how many extras."""
    _, extras = _import(side)
    wall = min(_import(side)[0] for _ in range(_TIMES))
    return {"wall": wall, "extras": len(extras), "delivered": ""}
