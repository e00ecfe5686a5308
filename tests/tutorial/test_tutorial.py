"""The tutorial of the seed runs as it stands there, in a real browser.

The application differs in the names, in what Python 3 forces (relative imports, `str`, a list for `map`) and in what
the text had lost; in the JavaScript `data[1]` became `data[0]`, `E.Error` got its parameter, jQuery.get became fetch.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, Response
from served import Server

HERE = Path(__file__).parent
START = (
    "import functools, runpy, sys, limen; sys.path.insert(0, '.');"
    "limen.server.start_wsgi_server = functools.partial(limen.server.start_wsgi_server, port=0);"
    "runpy.run_path('start_server.py', run_name='__main__')"
)
"""start_server.py as it stands, but on a free port."""

MUST_LOGIN = "Sorry, must login first"


@pytest.fixture
def site(start: Callable[..., Server]) -> str:
    server = start([sys.executable, "-c", START], cwd=HERE)
    return f"http://localhost:{server.port}"


@pytest_asyncio.fixture(loop_scope="session")
async def alerts(page: Page) -> list[str]:
    """What the page alerts, in order."""
    said: list[str] = []

    async def note(dialog):
        said.append(dialog.message)
        await dialog.accept()

    page.on("dialog", note)
    return said


async def run_sniplet(page: Page, site: str) -> list[Response]:
    """Opens the page, runs the JavaScript of the tutorial to its end; the answers to its two plain calls."""
    await page.goto(site + "/")
    answers: asyncio.Queue[Response] = asyncio.Queue()
    page.on("response", lambda answer: "/get_all" in answer.url and answers.put_nowait(answer))
    await page.add_script_tag(url="sniplet.js")
    async with asyncio.timeout(30):
        return [await answers.get(), await answers.get()]


async def test_the_whole_sniplet_finds_nothing_amiss(page: Page, site: str, alerts: list[str]) -> None:
    answers = await run_sniplet(page, site)
    await page.wait_for_function("Limen.state.status === 'anonymous'")
    assert [answer.status for answer in answers] == [401, 401]
    assert alerts == [MUST_LOGIN, MUST_LOGIN, MUST_LOGIN]  # get_all, add, call; fetch knows no handlers


async def test_after_logout_a_sealed_call_never_leaves_the_page(page: Page, site: str, alerts: list[str]) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    await run_sniplet(page, site)
    opened, requests = len(sockets), []
    page.on("request", lambda request: requests.append(request.url))
    refused = await page.evaluate("TodoApp.get_all().then(() => 'served', (error) => error.exc)")
    assert refused == "Unauthorized"
    assert requests == []
    assert len(sockets) == opened == 1


async def test_repeating_the_plain_calls_locks_the_origin_out_of_login(
    page: Page, site: str, alerts: list[str]
) -> None:
    await run_sniplet(page, site)
    outcomes = await page.evaluate(
        """async () => {
            const outcomes = [];
            for (let i = 0; i < 5; i++) {
                outcomes.push(await Limen.call("/get_all.json").catch((error) => error.exc));
                outcomes.push((await fetch("/get_all.json")).status);
            }
            return outcomes;
        }"""
    )
    assert outcomes[:4] == ["Unauthorized", 401, "Unauthorized", 401]
    refused = await page.evaluate("TodoApp.login('MY-USER', 'MY-SECRET').then(() => 'in', (error) => error.exc)")
    assert refused == "Abusive"
    assert alerts[-1].startswith("Sorry, an error occurred: Abusive\n\n")


async def test_before_that_the_owner_logs_in_again(page: Page, site: str, alerts: list[str]) -> None:
    await run_sniplet(page, site)
    assert await page.evaluate("TodoApp.login('MY-USER', 'MY-SECRET').then(() => TodoApp.get_all())") == []


@pytest.mark.parametrize(("user", "password"), [("MY-USER", "my-secret"), ("NOBODY", "MY-SECRET")])
async def test_a_wrong_password_and_an_unknown_user_look_alike(
    page: Page, site: str, alerts: list[str], user: str, password: str
) -> None:
    await page.goto(site + "/")
    error = await page.evaluate("([u, p]) => TodoApp.login(u, p).catch((e) => [e.exc, e.err])", [user, password])
    assert error == ["InvalidCredential", ["User, password or domain is not right."]]
    assert alerts == ["Sorry, invalid username or password"]


async def test_a_host_that_is_not_the_users_domain_shows_invalid_credential(
    page: Page, site: str, alerts: list[str]
) -> None:
    await page.goto(site.replace("localhost", "127.0.0.1") + "/")
    await page.evaluate("TodoApp.login('MY-USER', 'MY-SECRET').catch(() => {})")
    assert alerts == ["Sorry, invalid username or password"]
