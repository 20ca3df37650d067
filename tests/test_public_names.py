"""The public names are a list that is reviewed as a diff: ``tests/public_names.txt``.

``python tests/test_public_names.py`` writes it anew.
"""

import ast
from importlib import import_module
from pathlib import Path

from rxassist import operators

PUBLIC_NAMES = Path(__file__).with_name("public_names.txt")

DOORS = (
    "rxassist",
    "rxassist.errors",
    "rxassist.events",
    "rxassist.local",
    "rxassist.models",
    "rxassist.operators",
    "rxassist.polling",
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


def test_the_types_of_the_operators_name_all_of_them():
    stub = ast.parse(Path(operators.__file__).with_suffix(".pyi").read_text("utf-8"))
    (listed,) = (node.value for node in stub.body if isinstance(node, ast.Assign))
    assert ast.literal_eval(listed) == operators.__all__


if __name__ == "__main__":
    PUBLIC_NAMES.write_text(described())
