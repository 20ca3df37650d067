"""An environment with both sides, away from everything else, and what it consists of."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
_HIDING = {"PYTHONSAFEPATH", "PYTHONPATH"}
_PEERS = ("openai>=3.57,<4",)
_PACKAGES = (
    "openai",
    "httpx2",
    "rxassist",
    "httpx",
    "httpcore",
    "reactivex",
    "attrs",
    "cattrs",
    "msgspec",
)
_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = "missing"
print(json.dumps(found))
"""


def prepare() -> Path:
    """The interpreter of an environment with the checkout and its peers, made at the first use.

    It is kept in the user's cache folder, and made anew for another Python or other requirements.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    key = hashlib.sha256(repr((project, _PEERS, sys.version, str(ROOT))).encode()).hexdigest()
    folder = cache / "rxassist-benchmarks" / key[:16]
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    whole = folder / "whole"
    if not whole.exists():
        print("making an environment with the peers …", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *_PEERS]
        subprocess.run([*install, "--editable", f"{ROOT}[local,aiohttp]"], check=True)  # noqa: S603
        whole.touch()
    return python


def environ() -> dict[str, str]:
    """The variables for a process of ours, which is to import what is in the checkout."""
    return {name: value for name, value in os.environ.items() if name not in _HIDING}


def run(python: Path, *arguments: str) -> str:
    """What a Python program of the checkout prints. Raises ``RuntimeError``, with its errors."""
    command = [str(python), *arguments]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=environ(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"{' '.join(arguments)} failed:\n{done.stderr}"
        raise RuntimeError(msg)
    return done.stdout


def versions(python: Path) -> dict[str, str]:
    """The versions of Python and of what takes part."""
    found: dict[str, str] = json.loads(run(python, "-c", _VERSIONS, *_PACKAGES))
    return {"Python": platform.python_version(), **found}


def machine() -> str:
    """The processor and how many cores there are to use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, {platform.system()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
