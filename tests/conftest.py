"""What several test files use."""

import gc
import shutil
import threading
import time
from pathlib import Path

import pytest


@pytest.fixture
def wire():
    """The recorded bodies; ``wire/README.md`` says where they are from."""
    return Path(__file__).parent / "wire"


@pytest.fixture
def browser():
    """A headless Chromium, and the driver that clicks in it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser: apt-get install -y chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    service = webdriver.ChromeService(driver)
    with webdriver.Chrome(options=options, service=service) as chromium:
        yield chromium


def _open_sockets():
    """The sockets of this process, where the system tells (Linux)."""
    folder = Path("/proc/self/fd")
    found = set()
    for link in folder.iterdir() if folder.exists() else ():
        try:
            target = str(link.readlink())
        except OSError:  # closed in between
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(autouse=True)
def _leaves_nothing_behind():
    """A thread or a socket that a test leaves behind fails it."""
    threads, sockets = set(threading.enumerate()), _open_sockets()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=5)
    left = {thread.name for thread in set(threading.enumerate()) - threads if thread.is_alive()}
    assert not left, f"threads left behind: {left}"
    deadline = time.monotonic() + 5  # a server of this process closes its side when it can
    while _open_sockets() - sockets and time.monotonic() < deadline:
        gc.collect()
    assert not _open_sockets() - sockets, "sockets left behind"
