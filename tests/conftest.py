"""What all tests may ask for: a real server, a real browser::

def test_it_answers(serve):
    server = serve("examples/todo/app.py")           # the real `limen serve`, an SQLite file of its own
    urllib.request.urlopen(server.url)

async def test_it_shows(serve, page, troubles):      # tests with a page are `async def`
    await page.goto(serve("examples/todo/app.py").url)
    assert troubles == []                            # errors of the console, of scripts, of the CSP

def test_it_keeps(postgresql_url):                   # an empty PostgreSQL database of the test's own
    store = SQLStore(postgresql_url)
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).parent), str(Path(__file__).parent / "client")]

import chromium  # noqa: E402  tools/chromium.py
from postgres import postgresql, postgresql_server, postgresql_url  # noqa: E402, F401  tests/postgres.py
from served import LIMEN, Server  # noqa: E402  tests/served.py

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's, in the background; each server would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

SWITCHES = ["--disable-quic", "--disable-background-networking", "--no-first-run", "--disable-dev-shm-usage"]
settings.register_profile("limen", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines differ
settings.load_profile("limen")
BROWSER_FIXTURES = {"browser", "context", "page"}
PATIENCE = 20_000
"""ms that a page may take for what a test waits for: machines differ."""
expect.set_options(timeout=PATIENCE)

SLOW = (
    "describe",
    "workers",
    "durability",
    "session",
    "placements",
    "fronts",
    "chaos",
    "docs",
    "browser",
    "examples",
    "wsgi",
    "mounting",
)
"""Folders whose files take long, though they have few tests. They come first, so that not one process is left with them
while the others are done (tools/test.py says that xdist keeps this order)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a page share the loop that the browser was started on. A name is the same in each process that shares
    the tests: one with an address in it (`ids=repr` of an object) would stop them all."""
    place = {folder: number for number, folder in enumerate(SLOW)}
    items.sort(key=lambda item: place.get(item.path.parent.name, len(SLOW)))
    if unsteady := [item.nodeid for item in items if " at 0x" in item.name]:
        raise pytest.UsageError(f"These names of tests are others each time; name their cases by ids=…: {unsteady}")
    for item in items:
        if BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


# -- the server -------------------------------------------------------------------------------------------------
@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """`start(command, cwd=…, env=…)` starts any server that says `Limen listens on …`, and stops it with the test."""
    running: list[Server] = []

    def start(command: list[str], cwd: Path = ROOT, env: dict[str, str] | None = None) -> Server:
        running.append(Server(command, cwd=cwd, env={**os.environ, **(env or {})}))
        return running[-1]

    yield start
    for server in reversed(running):
        server.stop()


@pytest.fixture
def serve(start: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """`serve(target, *options)` starts `limen serve` on a free port and comes back when it is ready.

    A path as *target* is relative to the project's folder. Unless *options* name them, the server gets any free port
    and an SQLite file in the test's own folder.
    """
    files = count()

    def serve(target: str | Path, *options: str, **more: Any) -> Server:
        command = [LIMEN, "serve", str(target), *options]
        if "--port" not in options:
            command += ["--port", "0"]
        if "--db" not in options:
            command += ["--db", f"sqlite:///{tmp_path / f'served{next(files)}.db'}"]
        elif any(word.startswith("postgres") for word in options) and "--keys" not in options:
            command += ["--keys", str(tmp_path / "postgresql.keys")]  # else they lie in the working folder
        return start(command, **more)

    return serve


# -- the browser ------------------------------------------------------------------------------------------------
@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the whole run."""
    path = chromium.find()
    if path is None:
        pytest.fail("\n    ".join([chromium.NONE_FOUND, *chromium.REMEDIES]), pytrace=False)
    switches = [*SWITCHES, "--no-sandbox"] if os.geteuid() == 0 else SWITCHES
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=switches)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, troubles: list[str]) -> AsyncIterator[BrowserContext]:
    """A fresh profile; `await context.new_page()` is a further tab in it."""
    context = await browser.new_context()
    watch(context, troubles)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    """A tab in a fresh profile."""
    return await context.new_page()


@pytest.fixture
def troubles() -> list[str]:
    """Errors of the pages of this test, as they come: console, scripts, Content-Security-Policy."""
    return []


def watch(context: BrowserContext, troubles: list[str]) -> None:
    """Notes in *troubles* what goes wrong in the pages of *context*."""
    context.set_default_timeout(PATIENCE)
    context.on("console", lambda said: said.type == "error" and troubles.append(f"console: {said.text}"))
    context.on("weberror", lambda error: troubles.append(f"script: {error.error}"))
