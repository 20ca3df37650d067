"""Every public module imports alone, whichever is the first that a program imports."""

import pkgutil
import subprocess
import sys

import pytest

import rxassist

PUBLIC = sorted(
    module.name
    for module in pkgutil.walk_packages(rxassist.__path__, "rxassist.")
    if not any(part.startswith("_") for part in module.name.split("."))
)


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
