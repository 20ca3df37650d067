"""Every public module imports alone, whichever is the first that a program imports."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import rxassist

PUBLIC = sorted(
    module.name
    for module in pkgutil.walk_packages(rxassist.__path__, "rxassist.")
    if not any(part.startswith("_") for part in module.name.split("."))
)

OF_RUNS = ("rxassist.protocols.assistants", "rxassist.protocols.responses")


@pytest.mark.parametrize("name", ["rxassist", *PUBLIC])
def test_a_module_imports_alone(name):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {name}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_public_name_means_one_thing():
    """A name of the package is nothing else in its modules."""
    for module in (rxassist.errors, rxassist.events, rxassist.models, rxassist.operators):
        for name in set(rxassist.__all__) & set(module.__all__):
            assert getattr(rxassist, name) is getattr(module, name)
    assert not set(rxassist.events.__all__) & set(rxassist.models.__all__)


def test_no_module_below_the_protocols_names_the_classes_of_one():
    """Also not for type checkers, whose imports ``lint-imports`` leaves out."""
    package = Path(rxassist.__file__).parent
    rooms = ("errors", "reactive", "runs", "wire")
    paths = [path for room in rooms for path in (package / room).rglob("*.py")]
    named = {
        f"{path.relative_to(package)}: {node.module}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OF_RUNS)
    }
    assert paths
    assert named == set()
