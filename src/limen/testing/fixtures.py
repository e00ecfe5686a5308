"""pytest fixtures for a program's own services. In its conftest.py:

    pytest_plugins = ["limen.testing.fixtures"]

and then a test is three lines:

    def test_what_is_there_can_be_bought(client_as):
        client_as("kim", "keeper").call("put", "bolt", "1.50", 10)
        assert client_as("ada").call("buy", "bolt", pieces=3) == Decimal("4.50")

| fixture | |
|---|---|
| `app` | the App under test, in memory and empty; the default App, unless conftest.py overrides `limen_app` |
| `client` | calls its services as nobody |
| `logged_in` | calls them as the user ada |
| `client_as` | `client_as(user, *roles)`: calls them as whoever you like |
| `clock` | moves the time of this process: `clock.advance(3600)` |
| `server` | the App served on a free port: `server.url` |
| `browser` | a profile of a real Chromium: `browser.new_page().goto("/")` shows the served App |

Clients here skip the login: they *are* that user. `client.login(user, password)` does the real one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import limen

from .served import Served

if TYPE_CHECKING:
    from limen import App, PyClient

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Commands that may be a Chromium, where Playwright has none of its own."""


@pytest.fixture
def limen_app() -> App:
    """Which App `app` is: override this for a program that makes its own. The default App has the services of the
    modules that the tests have imported."""
    return limen.default


@pytest.fixture
def app(limen_app: App) -> Iterator[App]:
    """The App under test. What it keeps is in memory for this test, and empty at first."""
    with limen_app.in_memory():
        yield limen_app


@pytest.fixture
def client_as(app: App) -> Iterator[Callable[..., PyClient]]:
    """`client_as("ada", "keeper")`: a client that is this user, with these roles (default: user)."""
    with ExitStack() as clients:

        def client_as(user: str | None = None, *roles: str) -> PyClient:
            return clients.enter_context(limen.PyClient(app, user=user, roles=roles or ("user",)))

        yield client_as


@pytest.fixture
def client(client_as: Callable[..., PyClient]) -> PyClient:
    """A client that has not logged in."""
    return client_as()


@pytest.fixture
def logged_in(client_as: Callable[..., PyClient]) -> PyClient:
    """A client that is ada, with the role user."""
    return client_as("ada")


class Clock:
    """The time of this process, as `time.time()` and `datetime.now()` tell it, here and in services and records. It
    goes on from where it is moved to. What waits (`asyncio.sleep`, time-outs of calls) does not hear of it."""

    def __init__(self, traveller: Any) -> None:
        self._traveller = traveller

    def advance(self, seconds: float) -> None:
        """Lets *seconds* pass at once."""
        self._traveller.shift(seconds)

    def move_to(self, moment: datetime) -> None:
        """It is *moment* now; one without a zone means UTC."""
        self._traveller.move_to(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Moves the time, forth and back, for this test."""
    time_machine = pytest.importorskip("time_machine", reason="the clock needs it: pip install 'limen[testing]'")
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        yield Clock(traveller)


@pytest.fixture
def server(app: App) -> Iterator[Served]:
    """`app`, served on this machine; `server.url`."""
    with Served(app) as served:
        yield served


@pytest.fixture
def browser(server: Served) -> Iterator[Any]:
    """A fresh profile of Chromium (Playwright's `BrowserContext`, sync), whose addresses begin at the served App. The
    test fails if a page of it has said an error: of a script, of the console, of the Content-Security-Policy."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pages need it: pip install 'limen[testing]'")
    troubles: list[str] = []
    with sync_api.sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, BROWSERS)), None)
        switches = ["--no-sandbox"] if os.geteuid() == 0 else []
        with playwright.chromium.launch(executable_path=path, args=switches) as chromium:
            context = chromium.new_context(base_url=server.url)
            context.on("weberror", lambda error: troubles.append(str(error.error)))
            context.on("console", lambda said: troubles.extend([said.text] * (said.type == "error")))
            yield context
            context.close()
    assert troubles == []
