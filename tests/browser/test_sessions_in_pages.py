"""Sessions of an application in Chromium: a page that reloads finds its own, one that does not return has none."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client.between import Between
from playwright.async_api import BrowserContext, Page
from served import LIMEN, Server
from test_client import until

APP = Path(__file__).parent / "sessions_app.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("browser") / "sessions.db"
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=APP.parent, env=dict(os.environ))
    yield server
    server.stop()


async def opened(context: BrowserContext, url: str, user: str = "") -> Page:
    page = await context.new_page()
    await page.goto(f"{url}/sessions.html")
    await ready(page)
    if user:
        await page.evaluate("user => Limen.login(user, 'lovelace').then(() => 0)", user)
    return page


async def ready(page: Page) -> None:
    await until(page, "window.started")
    await page.evaluate("Limen.ready.then(() => 0)")


async def begin(page: Page, application: str, **how: Any) -> list[Any]:
    told: list[Any] = await page.evaluate("([name, how]) => begin(name, how)", [application, how])
    return told


async def note(page: Page, text: str) -> Any:
    return await page.evaluate("text => note(text)", text)


def ended(server: Server) -> list[str]:
    with urllib.request.urlopen(f"{server.url}/ended") as answer:
        told: list[str] = json.load(answer)
        return told


@pytest.mark.parametrize(("application", "user"), [("shop", "ada"), ("stall", "")])
async def test_a_page_that_reloads_finds_its_session_as_it_was(
    server: Server, context: BrowserContext, troubles: list[str], application: str, user: str
) -> None:
    page, how = await opened(context, server.url, user), {"plain": not user}
    address, new = await begin(page, application, **how)
    assert new
    assert await note(page, "milk") == ["milk"]
    for number, text in enumerate(("bread", "salt"), 2):
        await page.reload()
        await ready(page)
        assert await begin(page, application, **how) == [address, False]
        assert (await note(page, text))[0] == "milk"
        assert (await page.title()).split()[-1] == text, "the new view is called"
        counted = "joined.views.get('desktop').remote('#controller').counted()"
        assert await page.evaluate(counted) == number
    token = await page.evaluate(
        "name => JSON.parse(sessionStorage.getItem('limen.session.' + name)).token", application
    )
    assert len(token) == 43
    assert token not in page.url
    assert not any(token in line for line in server.lines)
    await page.close()
    assert troubles == []


@pytest.mark.parametrize(("application", "user"), [("shop", "ada"), ("stall", "")])
async def test_a_page_that_is_cut_off_has_its_session_and_view_when_it_is_back(
    server: Server, context: BrowserContext, troubles: list[str], application: str, user: str
) -> None:
    async with Between(server.port) as wire:
        page = await opened(context, wire.url, user)
        await begin(page, application, plain=not user)
        await page.evaluate("window.view = joined.views.get('desktop'), 0")
        heard = "window.heard = [], view.remote('#controller').on_noted.connect(text => heard.push(text)).then(() => 0)"
        await page.evaluate(heard)
        for number, text in enumerate(("milk", "bread", "salt"), 1):
            wire.cut()
            await until(page, f"seen.filter(([event]) => event === 'started').length === {number}")
            assert len(await note(page, text)) == number
            assert (await page.title()).split()[-1] == text, "the view is called"
            await until(page, f"heard.length === {number}")
        assert await page.evaluate("view === joined.views.get('desktop')")
        assert [event for event, _ in await page.evaluate("seen")] == ["started"] * 3


async def test_one_that_does_not_return_has_a_new_one(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    page = await opened(context, server.url)
    address, _ = await begin(page, "moment", plain=True)
    await note(page, "milk")
    await page.goto("about:blank")
    async with asyncio.timeout(20):
        while f"{address} timeout" not in await asyncio.to_thread(ended, server):
            await asyncio.sleep(0.05)
    await page.goto(f"{server.url}/sessions.html")
    await ready(page)
    again, new = await begin(page, "moment", plain=True)
    assert (new, again != address) == (True, True)
    assert await note(page, "bread") == ["bread"]
    assert troubles == []


async def test_a_tab_of_another_user_does_not_find_it(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    page = await opened(context, server.url, "ada")
    address, _ = await begin(page, "shop")
    await page.evaluate("Limen.logout().then(() => 0)")
    await page.reload()
    await ready(page)
    await page.evaluate("Limen.login('eve', 'lovelace').then(() => 0)")
    other, new = await begin(page, "shop")
    assert (new, other != address) == (True, True)
    assert troubles == []


async def test_a_server_that_begins_anew_says_so_and_has_a_new_one(
    context: BrowserContext, tmp_path: Path, troubles: list[str]
) -> None:
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{tmp_path / 'sessions.db'}"]
    first = Server(command, cwd=APP.parent, env=dict(os.environ))
    page = await opened(context, first.url, "ada")
    address, _ = await begin(page, "shop")
    await note(page, "milk")
    await asyncio.to_thread(first.stop)
    port = str(first.port)
    second = Server([*command[:4], port, *command[5:]], cwd=APP.parent, env=dict(os.environ))
    try:
        await until(page, "seen.some(([event]) => event === 'started')")
        told = [row[0] if row[0] == "started" else row for row in await page.evaluate("seen")]
        assert told[-1] == "started"
        assert [row for row in told if row != "started"] in ([["ended", "gone"]], [["ended", "stop"]])
        assert await page.evaluate("joined.address") != address
        assert await note(page, "bread") == ["bread"]
    finally:
        await asyncio.to_thread(second.stop)
