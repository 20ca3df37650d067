"""What a stranger runs: the command line, the examples, the README; each in its own process."""

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from rxassist.local import LocalService
from rxassist.reactive.checks import needing

ROOT = Path(__file__).parent.parent
SERVING = {"web"}  # it serves for ever, and test_web.py runs it
EXAMPLES = [e for e in sorted((ROOT / "examples").glob("*.py")) if e.stem not in SERVING]
SNIPPETS = [
    pytest.param(snippet, id=f"{page.stem}-{number}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if page.stem != "many-workers"  # it needs a redis-server: tests/redis/test_many_workers.py
    for number, snippet in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
]


def ran(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def run(*arguments, **environment):
    """Run Python with warnings as errors; give what it printed."""
    done = ran(*arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_demo_ends_by_itself_with_a_table_of_three_runs():
    printed = run("-m", "rxassist", "demo")
    for name in ("weather", "sums", "words"):
        assert re.search(
            rf"^ *{name} +completed +\d+ +\d+ +\d+ +\d\.\d\d s +\d\.\d\d s", printed, re.MULTILINE
        )
    assert 'tool: get_weather({"city":"Lima"}) → 19 °C and foggy' in printed
    assert "[sums] tool: python: print(6 * (3 + 4)) → 42" in printed
    assert "[sums] response: completed" in printed
    assert "[words] run: completed" in printed
    assert "\x1b" not in printed  # plain lines: this is no terminal


def test_version():
    assert re.match(r"rxassist \d", run("-m", "rxassist", "--version"))


WITHOUT_EXTRAS = (
    "import sys\n"
    "for name in ('rich', 'starlette', 'uvicorn'): sys.modules[name] = None\n"
    "from rxassist.__main__ import main; "
)


@pytest.mark.parametrize(("option", "told"), [("--version", "rxassist "), ("--help", "serve")])
def test_version_and_help_need_no_extra(option, told):
    assert told in run("-c", WITHOUT_EXTRAS + "main()", option)


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_a_missing_extra_is_named(command):
    code = WITHOUT_EXTRAS + "sys.exit(0 if main() == 2 else 1)"
    arguments = [sys.executable, "-c", code, command]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "rxassist: this command needs packages: "
        'pip install python-multipart rich starlette uvicorn (the extra "local")\n'
    )


def packages_of(extra):
    """What an extra installs, by its names, as ``pyproject.toml`` has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.match(r"[\w-]+", each)[0] for each in project["optional-dependencies"][extra]}


def test_what_a_hint_says_to_install_is_what_the_extra_installs():
    hints = 0
    for module in (ROOT / "rxassist").rglob("*.py"):
        source = module.read_text(encoding="utf-8")
        assert "pip install" not in re.sub(r'^""".*?"""', "", source, flags=re.DOTALL) or (
            module.name == "checks.py"
        ), module
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "needing":
                _, extra, *packages = call.args
                names = {each.value for each in packages if isinstance(each, ast.Constant)}
                assert names <= packages_of(extra.value)
                hints += 1
    assert hints == 8
    assert needing("this", "text", "jiter") == (
        'this needs packages: pip install jiter (the extra "text")'
    )


def test_ctrl_c_ends_the_demo_with_one_line():
    command = [sys.executable, "-W", "error", "-m", "rxassist", "demo"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        while "in_progress" not in demo.stdout.readline():
            pass
        demo.send_signal(signal.SIGINT)
        _, told = demo.communicate(timeout=60)
    assert told == "rxassist: interrupted\n"
    assert demo.returncode == 130


def test_a_port_that_is_in_use_is_named_with_the_option_for_another():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "rxassist", "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"rxassist: the service cannot start: port {port} of 127.0.0.1 is in use; choose another "
        "one with --port\n"
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run_and_are_short(example):
    assert 15 <= len(example.read_text(encoding="utf-8").splitlines()) <= 40
    with LocalService() as service:
        printed = run(str(example), RXASSIST_BASE_URL=service.base_url)
    expected = "completed: 20 files" if example.stem == "poll_batch" else "scripted answer"
    assert expected in printed


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_snippets_of_the_documents_run(snippet, tmp_path):
    ignored = ("-W", "ignore::ResourceWarning")  # a snippet need not close its client
    path = tmp_path / "test_snippet.py"
    path.write_text(snippet, encoding="utf-8")
    how = ("-m", "pytest", "-q", "-p", "no:cacheprovider") if "\ndef test_" in snippet else ()
    with LocalService() as service:
        run(*ignored, *how, str(path), RXASSIST_BASE_URL=service.base_url)


def test_a_forgotten_close_never_keeps_the_interpreter_from_ending():
    code = (
        "from rxassist import Client\n"
        "client = Client()\n"
        "assistant = client.assistants.create(model='m').run()\n"
        "stream = client.threads.create_and_run_stream(assistant_id=assistant.id)\n"
        "stream.text_deltas.subscribe(lambda text: None)\n"
        "print(next(iter(stream.text_deltas)))"
    )
    with LocalService(token_delay=0.05) as service:
        done = ran("-W", "ignore::ResourceWarning", "-c", code, RXASSIST_BASE_URL=service.base_url)
    assert (done.returncode, bool(done.stdout)) == (0, True)
    (line,) = done.stderr.splitlines()
    assert line.startswith("the program ends while streams or calls of a Client are open (")
    assert line.endswith("client.wait() waits for them")


def test_the_core_needs_no_extra():
    code = (
        "import sys\n"
        "for name in ('rich', 'starlette', 'uvicorn', 'openai', 'jiter', 'regex',"
        " 'docstring_parser', 'httpx_aiohttp'): sys.modules[name] = None\n"
        "import rxassist, rxassist.testing; print(rxassist.__version__)"
    )
    assert run("-c", code)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--token-delay", "nan"], "token_delay must be finite, got nan"),
        (["--token-delay", "inf"], "token_delay must be finite, got inf"),
        (["--token-delay=-1"], "token_delay must not be negative, got -1.0"),
        (["--port", "65536"], "port must be 0-65535"),
        (["--port=-1"], "port must be 0-65535"),
        (["--host", ""], "host must be an address"),
        (["--host", "no address"], "service cannot start"),
        (["--database", ""], "database must be the path of a file"),
        (["--allow-host", "box:80"], "allowed_hosts must be names without a port"),
        (["--allow-origin", "box"], "allowed_origins must be origins without a path"),
        (["--database", "."], "cannot use '.' as the database: unable to open"),
    ],
)
def test_a_service_that_cannot_start_says_why_in_one_line(arguments, told):
    command = [sys.executable, "-W", "error", "-m", "rxassist", "serve", "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("rxassist: ")
    assert told in line


def test_hosts_and_origins_are_allowed_on_the_command_line():
    names = ["--allow-host", "box.lan", "--allow-origin", "http://a.b", "--allow-origin", "x://c"]
    command = [sys.executable, "-W", "error", "-m", "rxassist", "serve", "--port", "0", *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = f"{process.stdout.readline().split()[-1]}/assistants"
            for origin, status in (("http://a.b", 200), ("x://c", 200), ("http://c", 403)):
                answer = httpx.get(url, headers={"host": "box.lan:80", "origin": origin})
                assert answer.status_code == status
        finally:
            process.kill()
