"""The docstring of each call lists its keywords, as the parameter classes document them.

``**parameters: Unpack[…]`` shows neither names nor meanings, in ``help()`` or in an editor. So
``python tests/test_keywords.py`` writes the lists, from the docstrings of the keys.
"""

import ast
import inspect
import sys
from pathlib import Path
from textwrap import wrap

import pytest

import rxassist
import rxassist.protocols.assistants.parameters
import rxassist.protocols.files.parameters
import rxassist.protocols.responses.parameters
from rxassist import AsyncClient, Client, ClientOptions
from rxassist.protocols import assistants, files, responses
from rxassist.runs.streams import options as run_options
from rxassist.wire import options

PACKAGE = Path(__file__).parents[1] / "rxassist"  # of this checkout: it is written to
CLIENT = PACKAGE / "client" / "_client.py"
FILES = [CLIENT, *sorted(PACKAGE.glob("protocols/*/resources/[a-z]*.py"))]
MODULES = (
    options,
    run_options,
    files.parameters,
    assistants.parameters,
    responses.parameters,
    rxassist.client,
)
PARAMETERS = [
    PACKAGE / "wire" / "options.py",
    PACKAGE / "runs" / "streams" / "options.py",
    *sorted(PACKAGE.glob("protocols/*/parameters.py")),
]
MARK = "Keywords:"
_ENDINGS = ("Parameters", "Options", "Settings")
WIDTH = 100


def _classes():
    """Each class of parameters: its bases, and the docstring of each key."""
    found = {}
    for path in (*PARAMETERS, CLIENT):
        for node in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(node, ast.ClassDef) or not node.name.endswith(_ENDINGS):
                continue
            bases = [getattr(base, "value", base) for base in node.bases]
            keys, required = {}, set()
            for key, text in zip(node.body, node.body[1:], strict=False):
                if isinstance(key, ast.AnnAssign) and isinstance(text, ast.Expr):
                    keys[key.target.id] = " ".join(text.value.value.split())
                if isinstance(key, ast.AnnAssign) and "Required" in ast.unparse(key.annotation):
                    required.add(key.target.id)
            found[node.name] = ([base.id for base in bases], keys, required)
    return found


CLASSES = _classes()
OF_REQUESTS = CLASSES["RequestOptions"][1]


def _keys(name):
    """All keys of a class with their docstrings, and which of them are required."""
    bases, own, required = CLASSES.get(name, ((), {}, set()))
    keys, needed = {}, set(required)
    for base in bases:
        more, also = _keys(base)
        keys.update(more)
        needed |= also
    return {**keys, **own}, needed


def keywords(name):
    """The list of the keywords of a call that takes a class of parameters, line by line."""
    keys, required = _keys(name)
    is_call = "extra_body" in keys
    own = {key: text for key, text in keys.items() if not is_call or key not in OF_REQUESTS}
    items = [
        f"``{key}``{', required' if key in required else ''}: {text[0].lower()}{text[1:]}"
        for key, text in sorted(own.items(), key=lambda item: item[0] not in required)
    ]
    if is_call:
        listed = ", ".join(f"``{key}``" for key in OF_REQUESTS)
        items.append(f"{listed}: of its requests, see ``RequestOptions``.")
    return items


def _taken(function):
    """The class of the keywords of a function, if it takes one."""
    given = function.args.kwarg
    if given is None or "Unpack" not in ast.unparse(given.annotation):
        return None
    inner = given.annotation.slice
    return ast.unparse(getattr(inner, "value", inner))


def _documented_places(tree):
    """Each docstring that lists keywords, and of which class."""
    for cls in tree.body:
        for node in cls.body if isinstance(cls, ast.ClassDef) else ():
            if isinstance(node, ast.FunctionDef) and (name := _taken(node)):
                if node.name == "__init__":
                    yield cls.body[0].value, name
                elif not node.name.startswith("_"):
                    yield node.body[0].value, name


def documented(source):
    """The source of a module of calls, with the lists of keywords as they ought to be."""
    lines = source.split("\n")
    places = sorted(_documented_places(ast.parse(source)), key=lambda place: -place[0].lineno)
    for docstring, name in places:
        indent = " " * docstring.col_offset
        text = docstring.value.split(f"{indent}{MARK}")[0].rstrip()
        listed = [f"{indent}{MARK}", ""]
        for item in keywords(name):
            listed += wrap(
                item, WIDTH, initial_indent=f"{indent}- ", subsequent_indent=f"{indent}  "
            )
        written = [f'{indent}"""{text}', "", *listed, f'{indent}"""']
        lines[docstring.lineno - 1 : docstring.end_lineno] = "\n".join(written).split("\n")
    return "\n".join(lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_call_lists_its_keywords(path):
    source = path.read_text("utf-8")
    assert documented(source) == source, "python tests/test_keywords.py writes the lists"


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_key_is_documented(name):
    (module,) = (each for each in MODULES if name in each.__all__)
    annotations = getattr(module, name).__annotations__
    assert _keys(name)[0].keys() == annotations.keys()


def test_help_shows_the_parameters_and_what_they_mean():
    with Client(base_url="http://127.0.0.1:1") as client:
        shown = inspect.getdoc(client.threads.runs.stream)
        assert "- ``assistant_id``, required: the id of the assistant that runs." in shown
        assert '- ``on_dispose``: ``"cancel"`` cancels the run' in shown
    assert "base_url" in ClientOptions.__annotations__
    for client_class in (Client, AsyncClient):
        assert "- ``base_url``: the address of the server" in inspect.getdoc(client_class)


if __name__ == "__main__":
    for each in FILES:
        each.write_text(documented(each.read_text("utf-8")), "utf-8")
    sys.exit()
