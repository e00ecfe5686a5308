"""Sessions as people see them, in Chromium: a second tab, the list, a forced login, acting as somebody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page
from served import LIMEN, Server
from test_client import until

APP = Path(__file__).parent / "tabs_app.py"
BLANK = "/module.js"
"""An address of the same origin whose page has no script of its own."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("browser") / "sessions.db"
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=APP.parent, env=dict(os.environ))
    yield server
    server.stop()


async def opened(context: BrowserContext, server: Server) -> Page:
    """A page, as it stands when it knows who it is."""
    page = await context.new_page()
    await page.goto(server.url)
    await page.evaluate("Limen.ready.then(() => 0)")
    return page


async def log_in(page: Page, user: str = "ada", **options: Any) -> None:
    await page.evaluate("([user, options]) => Limen.login(user, 'lovelace', options).then(() => 0)", [user, options])


async def status(page: Page) -> str:
    return str(await page.evaluate("Limen.state.status"))


async def everybody_out(page: Page) -> None:
    """For the next test: all sessions of this user end, this one last."""
    await page.evaluate(
        """async () => {
            for (const { id, this: here } of await Limen.sessions())
                if (!here) await Limen.end_session(id).catch(() => {});
            await Limen.logout();
        }"""
    )


async def test_a_second_tab_comes_in_without_the_password_and_goes_with_the_login(
    server: Server, context: BrowserContext
) -> None:
    first = await opened(context, server)
    assert await status(first) == "anonymous"
    await log_in(first)
    second = await opened(context, server)
    assert await second.evaluate("Limen.safe_call('whoami')") == ["ada", None]
    assert await second.evaluate("Limen.sessions().then(all => all.map(s => [s.kind, s.this]))") == [
        ["tab", False],
        ["child", True],
    ]
    await second.reload()
    await second.evaluate("Limen.ready.then(() => 0)")
    assert await second.evaluate("Limen.safe_call('whoami')") == ["ada", None], "by its own key"
    await first.evaluate("Limen.logout()")
    await until(second, "Limen.state.status === 'anonymous'")


async def test_of_several_open_tabs_one_lets_a_new_one_in_also_when_the_first_is_gone(
    server: Server, context: BrowserContext
) -> None:
    first = await opened(context, server)
    await log_in(first)
    second = await opened(context, server)
    third = await opened(context, server)
    assert await third.evaluate("Limen.sessions().then(all => all.length)") == 3, "one each"
    await first.close()  # not a logout: its login goes on
    await third.evaluate("Limen.sessions().then(all => Limen.end_session(all.find(s => s.this).id))")
    await until(third, "Limen.state.status === 'anonymous'")
    fourth = await opened(context, server)
    assert await status(fourth) == "online", "let in by the second, which was let in itself"
    assert await fourth.evaluate("Limen.sessions().then(all => new Set(all.map(s => s.parent)).size)") == 2
    await everybody_out(fourth)
    await second.close()


async def test_who_has_logged_out_in_a_tab_is_not_let_in_there_again(server: Server, context: BrowserContext) -> None:
    first = await opened(context, server)
    await log_in(first)
    second = await opened(context, server)
    await second.evaluate("Limen.logout()")
    await second.reload()
    assert (await second.evaluate("Limen.ready"))["status"] == "anonymous"
    assert await status(first) == "online"
    await everybody_out(first)


async def test_a_page_may_refuse_and_a_script_without_a_login_gets_nothing(
    server: Server, context: BrowserContext
) -> None:
    first = await opened(context, server)
    await log_in(first)
    await first.evaluate("Limen.configure({ tabs: false })")
    second = await opened(context, server)
    assert await status(second) == "anonymous"
    await first.evaluate("Limen.configure({ tabs: true })")
    # a stale answer, one to another question, and one from a tab that was not taken, change nothing
    liar = await context.new_page()
    await liar.goto(server.url + BLANK)
    await first.evaluate("Limen.configure({ tabs: false })")
    await liar.evaluate(
        """() => {
            const channel = window.channel = new BroadcastChannel("limen.tabs");
            window.heard = [];
            const child = { slot: new Uint8Array(16), key: new Uint8Array(32), epoch: 1, id: "x", user: "eve" };
            channel.onmessage = ({ data }) => {
                heard.push(Object.keys(data).join());
                if (data.ask) {
                    channel.postMessage({ let: data.ask, from: "liar", ...child, max_age: 60 });
                    channel.postMessage({ offer: "another", from: "liar" });
                    channel.postMessage({ offer: data.ask, from: 7 });
                }
            };
        }"""
    )
    third = await opened(context, server)
    assert await status(third) == "anonymous"
    assert await liar.evaluate("heard") == ["ask,public"], "nobody was taken"
    await first.evaluate("Limen.configure({ tabs: true })")
    await everybody_out(first)


async def test_a_session_that_nobody_came_in_with_is_ended(server: Server, context: BrowserContext) -> None:
    first = await opened(context, server)
    await log_in(first)
    other = await context.new_page()
    await other.goto(server.url + BLANK)
    # asks, takes, and then goes without a word
    told = await other.evaluate(
        """() => new Promise((resolve) => {
            const channel = new BroadcastChannel("limen.tabs");
            channel.onmessage = ({ data }) => {
                if (data.offer) channel.postMessage({ take: data.offer, from: data.from });
                if (data.let) resolve([Object.keys(data).sort().join(), data.slot.length]);
            };
            channel.postMessage({ ask: "q", public: new Uint8Array(32).fill(9) });
        })"""
    )
    assert told == ["epoch,from,id,key,let,max_age,number,slot,user", 16]
    assert await first.evaluate("Limen.sessions().then(all => all.length)") == 2
    await until(first, "Limen.sessions().then(all => all.length === 1)")
    await everybody_out(first)


async def test_another_origin_is_not_let_in(server: Server, context: BrowserContext) -> None:
    """The same server by another name is another origin: its pages don't hear the channel, nor hold its locks."""
    first = await opened(context, server)
    await log_in(first)
    foreign = await context.new_page()
    await foreign.goto(server.url.replace("localhost", "127.0.0.1"))
    assert (await foreign.evaluate("Limen.ready"))["status"] == "anonymous"
    await everybody_out(first)


async def test_a_forced_login_makes_room(server: Server, context: BrowserContext) -> None:
    first = await opened(context, server)
    await log_in(first)
    further = [await opened(context, server) for _ in range(2)]
    last = await opened(context, server)
    assert await status(last) == "anonymous", "three are the most, however they came"
    await log_in(last, force=True)
    for page in (first, *further):
        await until(page, "seen.some(([name, detail]) => name === 'signed_out' && detail === 'forced')")
    await everybody_out(last)


async def test_who_acts_as_somebody_else_is_them_until_they_relinquish(server: Server, context: BrowserContext) -> None:
    page = await opened(context, server)
    await log_in(page, "sue")
    await page.evaluate("Limen.subscribe('staff.news', () => {}).then(() => 0)")
    state = await page.evaluate("Limen.impersonate('ada')")
    assert (state["user"], state["impersonated_by"], state["roles"]) == ("ada", "sue", ["user"])
    assert await page.evaluate("Limen.safe_call('whoami')") == ["ada", "sue"]
    await page.reload()
    assert (await page.evaluate("Limen.ready"))["impersonated_by"] == "sue"
    other = await opened(context, server)
    assert await status(other) == "anonymous", "nobody is let in by who acts as another"
    state = await page.evaluate("Limen.relinquish()")
    assert (state["user"], state["impersonated_by"]) == ("sue", None)
    assert await page.evaluate("Limen.impersonate('sue').catch(error => error.exc)") == "InvalidCall"
    await everybody_out(page)


async def test_a_page_without_a_login_hears_what_is_for_everybody(server: Server, context: BrowserContext) -> None:
    page = await opened(context, server)
    await page.evaluate(
        """async () => {
            window.heard = [];
            window.undo = await Limen.subscribe("news", (text, { by }) => heard.push([text, by]));
        }"""
    )
    await page.evaluate("Limen.call('tell', 'one')")
    await until(page, "heard.length === 1")
    assert await page.evaluate("heard") == [["one", "us"]]
    for topic in ("staff.news", "nothing.here"):
        refused = await page.evaluate(f"Limen.subscribe('{topic}', () => {{}}).catch(error => error.exc)")
        assert refused == "Unauthorized"
    await page.evaluate("undo()")
    await page.evaluate("Limen.call('tell', 'two')")
    assert await page.evaluate("heard.length") == 1
