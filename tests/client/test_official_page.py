"""The page of the official helpers, byte for byte but for its imports and its client.

The page is not kept here. ``tox -e page`` downloads the official SDK's source distribution, which
holds it, and names the file in ``OPENAI_SDIST``. ``tests/typing/helpers_page.py`` has the same
snippets with the annotations that a strict checker wants, and is checked everywhere.
"""

import inspect
import json
import os
import re
import runpy
import subprocess
import sys
import tarfile

import pytest

from rxassist import AssistantEventHandler, AsyncAssistantEventHandler, Client, RunStream
from rxassist.local import code, say
from rxassist.local.assistants import creation

SDIST = os.environ.get("OPENAI_SDIST")
pytestmark = pytest.mark.skipif(not SDIST, reason="`tox -e page` downloads the page")

CHANGES = {
    "from openai import AssistantEventHandler, OpenAI": (
        "from rxassist import AssistantEventHandler, Client"
    ),
    "from openai.types.beta.threads import Text, TextDelta": (
        "from rxassist.models import Text, TextDelta"
    ),
    "from openai.types.beta.threads.runs import ToolCall, ToolCallDelta": (
        "from rxassist.models import ToolCall, ToolCallDelta"
    ),
    "client = openai.OpenAI()": (  # without the import that this line needs
        "client = Client()\n"
        "thread = client.beta.threads.create().run()\n"  # the page names both, and makes neither
        'assistant = client.beta.assistants.create(model="any").run()'
    ),
}
"""Every line that differs from the page, and what stands there instead."""

ELSEWHERE = {"client.videos.create_and_poll"}  # is about videos
OUTPUT = """
assistant > code_interpreter

print(2)

output >

2


assistant > It is two."""


@pytest.fixture(scope="module")
def blocks():
    """The blocks of Python about assistants and polls; later ones are about agents."""
    with tarfile.open(SDIST) as sdist:
        (name,) = (name for name in sdist.getnames() if re.fullmatch(r"[^/]+/helpers\.md", name))
        page = sdist.extractfile(name).read().decode()
    part = page.partition("## Assistant Streaming API")[2].partition("# Beta Agents")[0]
    return re.findall(r"```python\n(.*?)```", part, re.DOTALL)


@pytest.fixture(scope="module")
def program(blocks, tmp_path_factory):
    """The three snippets that can run, in one file."""
    text = "\n".join(block for block in blocks if "with client." in block)
    for line, ours in CHANGES.items():
        text, times = re.subn(
            f"^{re.escape(line)}$", lambda _, ours=ours: ours, text, flags=re.MULTILINE
        )
        assert times == 1, line
    path = tmp_path_factory.mktemp("page") / "page.py"
    path.write_text(text)
    return path


def checked(program, *command):
    """Run a checker where it finds no configuration of ours."""
    done = subprocess.run(
        [sys.executable, "-m", *command, program.name],
        cwd=program.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_has_three_programs(program):
    assert program.read_text().count("with client.beta.threads.runs.stream(") == 3


@pytest.mark.parametrize(
    "strictness", [["--check-untyped-defs"], ["--strict", "--disable-error-code=no-untyped-def"]]
)
def test_mypy_takes_the_page(program, strictness):
    """Strictly, too, but for three methods of the page that do not say what they return."""
    assert "no issues found in 1 source file" in checked(program, "mypy", *strictness)


@pytest.mark.parametrize("strictness", ["standard", "strict"])
def test_pyright_takes_the_page(program, strictness):
    project = program.with_name("pyrightconfig.json")
    project.write_text(json.dumps({"typeCheckingMode": strictness}))
    assert "0 errors" in checked(program, "pyright", "--pythonpath", sys.executable)


def test_the_page_runs(program, serve, monkeypatch, capsys):
    def script(_):
        yield code("print(2)", logs="2\n")
        yield say("It is", " two.")

    ids = {"thread": "thread_id", "asst": "assistant_id"}  # as the first snippet has them
    new_id = creation.new_id
    monkeypatch.setattr(creation, "new_id", lambda kind: ids.get(kind) or new_id(kind))
    monkeypatch.setenv("RXASSIST_BASE_URL", serve(script).base_url)
    runpy.run_path(str(program))["client"].close()
    printed = capsys.readouterr().out
    of_events = "TextDelta(value='It is')\nTextDelta(value=' two.')\n"
    assert printed == OUTPUT + of_events + "It is\n two.\n"


@pytest.mark.parametrize("kind", [AssistantEventHandler, AsyncAssistantEventHandler])
def test_every_callback_of_the_page_is_there(blocks, kind):
    callbacks = dict(re.findall(r"^def (on_\w+)\(self(.*?)\)", "\n".join(blocks), re.MULTILINE))
    assert len(callbacks) > 15
    for name, parameters in callbacks.items():
        names = re.findall(r"(\w+):", parameters)
        assert list(inspect.signature(getattr(kind, name)).parameters) == ["self", *names]


def test_every_other_name_of_the_page_is_there(blocks):
    page = "\n".join(blocks)
    for name in re.findall(r"^def (?!on_)(\w+)\(", page, re.MULTILINE):
        kinds = [AssistantEventHandler]
        kinds += [RunStream] if name.startswith("get_final_") else []
        assert all(hasattr(kind, name) for kind in kinds), name
    with Client(base_url="http://127.0.0.1:1/v1") as client:
        for call in re.findall(r"^client[\w.]+(?=\()", page, re.MULTILINE):
            found = client
            for name in call.split(".")[1:] if call not in ELSEWHERE else ():
                found = getattr(found, name)
