"""The page *Many workers*; and its example in Chromium: a browser is moved, and misses nothing."""

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rxassist.local import LocalService, say, wait
from rxassist.redis import RunLog

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "many_workers"
PAGE = (ROOT / "docs" / "many-workers.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
WAIT = 30
"""Seconds after which a test that hangs fails."""
WORDS = [f"{number} " for number in range(160)]
TOLD = "".join(WORDS)

CUT_OFF = "CancelledError: Task cancelled, timeout graceful shutdown exceeded"


def counting(_):
    yield say(*WORDS)


def endless(_):
    yield say("Hello there")
    yield wait(60)


class Workers:
    """The example in two workers of uvicorn, whose supervisor replaces one that ends."""

    def __init__(self, folder, process):
        self._log = folder / "log"
        self._process = process

    def address(self):
        """Where the workers listen, when both do."""
        until = time.monotonic() + WAIT
        while self.log.count("startup complete") < 2:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.02)
        return re.search(r"running on (http://[\d.:]+)", self.log)[1]

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8")


@contextmanager
def working(folder, service, redis_server):
    """Both workers, and nothing left of them."""
    command = [
        *(sys.executable, "-m", "uvicorn", "app:app", "--app-dir", EXAMPLE, "--port", "0"),
        *("--workers", "2", "--timeout-graceful-shutdown", "1"),
    ]
    environment = {
        **os.environ,
        "RXASSIST_BASE_URL": service.base_url,
        "REDIS_URL": redis_server.url,
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        workers = Workers(folder, process)
        try:
            yield workers
            process.terminate()
            process.wait(WAIT)
            # uvicorn shows where it cancels what is still open: browsers that it cuts off.
            assert workers.log.count("Traceback") == workers.log.count(CUT_OFF), workers.log
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class Page:
    """What a browser shows of the example."""

    def __init__(self, browser, address):
        self._browser = browser
        self._tab = browser.current_window_handle
        browser.get(address)

    def _found(self, tag):
        self._browser.switch_to.window(self._tab)
        return self._browser.find_elements("tag name", tag)

    def click(self, name):
        next(each for each in self._found("button") if each.text == name).click()

    @property
    def text(self):
        return self._found("p")[0].text

    @property
    def state(self):
        return self._found("output")[0].text

    @property
    def address(self):
        self._browser.switch_to.window(self._tab)
        return self._browser.current_url

    def processes(self, what):
        """The processes that serve, or run, what is shown; the last one is the present one."""
        lines = [each.text for each in self._found("li")]
        return [int(line.split()[-1]) for line in lines if line.startswith(what)]

    def wait_for(self, true):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self._browser, WAIT, poll_frequency=0.02).until(
            lambda _: true(), lambda: (self.state, self.text)
        )


def in_a_new_tab(browser, address):
    browser.switch_to.new_window("tab")
    return Page(browser, address)


@pytest.mark.parametrize(
    ("which", "how"),
    [("served by", signal.SIGKILL), ("served by", signal.SIGTERM), ("run by", signal.SIGKILL)],
    ids=["its server is killed", "its server ends in peace", "the producer is killed"],
)
def test_a_browser_is_moved_between_workers_and_misses_nothing(
    which, how, browser, redis_server, tmp_path
):
    with (
        LocalService(counting, token_delay=0.05) as service,
        working(tmp_path, service, redis_server) as workers,
    ):
        page = Page(browser, workers.address())
        assert page.state == "idle"
        page.click("Ask")
        page.wait_for(lambda: page.processes("served") and page.processes("run"))
        page.wait_for(lambda: len(page.text) > 20)
        served = page.processes("served")[0]
        ended = page.processes(which)[0]
        os.kill(ended, how)
        began = page.text
        assert began
        assert len(began) < len(TOLD) / 2, "the answer was there before the worker ended"

        late = in_a_new_tab(browser, page.address)
        page.wait_for(lambda: page.state == "completed")
        assert page.text == TOLD
        late.wait_for(lambda: late.state == "completed")
        assert late.text == TOLD
        if ended == served:
            assert page.processes("served")[-1] != ended, "the browser was not moved"
        begun = [
            path for method, path in service.requests if (method, path[-5:]) == ("POST", "/runs")
        ]
        assert len(begun) == 1, "the run was started twice"


def test_a_stop_from_any_page_ends_the_run_for_all(browser, redis_server, tmp_path):
    with (
        LocalService(endless) as service,
        working(tmp_path, service, redis_server) as workers,
    ):
        page = Page(browser, workers.address())
        page.click("Ask")
        page.wait_for(lambda: page.text == "Hello there")
        other = in_a_new_tab(browser, page.address)
        other.wait_for(lambda: other.text == "Hello there")
        other.click("Stop")
        for each in (other, page):
            each.wait_for(lambda each=each: each.state == "cancelled")
            assert each.text == "Hello there"
        cancelled = [path for _, path in service.requests if path.endswith("/cancel")]
        assert len(cancelled) == 1


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_the_snippets_of_the_page_run(number, redis_server, tmp_path):
    snippet = SNIPPETS[number].replace("redis://localhost", redis_server.url)
    path = tmp_path / "test_snippet.py"
    path.write_text(snippet, encoding="utf-8")
    how = ("-m", "pytest", "-q", "-p", "no:cacheprovider") if "\ndef test_" in snippet else ()
    with LocalService() as service:
        done = subprocess.run(
            [sys.executable, "-W", "error", *how, path],
            env={**os.environ, "RXASSIST_BASE_URL": service.base_url},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


def test_the_page_has_every_option_with_its_default():
    options = inspect.signature(RunLog).parameters.values()
    named = {each.name: each.default for each in options if each.kind is each.KEYWORD_ONLY}
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+)", PAGE, re.MULTILINE))
    assert told.keys() == named.keys()
    for name, default in named.items():
        number = int(told[name].replace(",", ""))
        assert number * (2**20 if name == "max_bytes" else 1) == default
