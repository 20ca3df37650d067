"""The public names are a list that is reviewed as a diff: ``tests/public_names.txt``.

``python tests/test_public_names.py`` writes it anew.
"""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from rxassist import operators, responses

PUBLIC_NAMES = Path(__file__).with_name("public_names.txt")

DOORS = (
    "rxassist",
    "rxassist.errors",
    "rxassist.events",
    "rxassist.local",
    "rxassist.models",
    "rxassist.operators",
    "rxassist.polling",
    "rxassist.redis",
    "rxassist.responses",
    "rxassist.responses.operators",
    "rxassist.testing",
)


def described():
    lines = []
    for door in DOORS:
        module = import_module(door)
        for name in sorted(module.__all__):
            getattr(module, name)
            lines.append(f"{door}.{name}")
    return "\n".join(lines) + "\n"


def test_the_public_names_are_those_that_were_reviewed():
    assert described().splitlines() == PUBLIC_NAMES.read_text().splitlines()


@pytest.mark.parametrize("door", ["rxassist.operators", "rxassist.responses.operators"])
def test_the_types_of_the_operators_name_all_of_them(door):
    module = import_module(door)
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text("utf-8"))
    listed = next(node.value for node in stub.body if _defines_all(node))
    assert ast.literal_eval(listed) == module.__all__


def _defines_all(node):
    return isinstance(node, ast.Assign) and node.targets[0].id == "__all__"


def test_the_operators_of_responses_are_all_but_those_of_runs():
    of_runs = {"recover", "run_steps", "run_tools"}
    assert responses.operators.__all__ == sorted({*operators.__all__} - of_runs)
    for name in responses.operators.__all__:
        assert getattr(responses.operators, name) is getattr(operators, name)


def test_no_name_of_the_responses_means_two_things():
    assert len(set(responses.__all__)) == len(responses.__all__)


if __name__ == "__main__":
    PUBLIC_NAMES.write_text(described())
