"""Nodes in pages, in Chromium: by a router, by a plain session with `limen serve`, by the page's sealed login."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from client.between import Between
from playwright.async_api import BrowserContext, Page
from served import LIMEN, Server
from test_client import until

from limen.app.router import Router
from limen.door.router.config import Listener, Settings, anyone

APP = Path(__file__).parent / "nodes_app.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("browser") / "nodes.db"
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=APP.parent, env=dict(os.environ))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same, of two processes."""
    database = tmp_path_factory.mktemp("browser") / "workers.db"
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{database}", "--workers", "2"]
    server = Server(command, cwd=APP.parent, env=dict(os.environ))
    yield server
    server.stop()


@asynccontextmanager
async def router() -> AsyncIterator[Between]:
    """A router of one realm, `realm1`, that pages of every site may come to; by a wire that can be cut."""
    listener = Listener(port=0, origins=("*",))
    router = Router(Settings(realms=(anyone("realm1"),), listeners=(listener,)))
    async with router.alive() as where, Between(int(where[0].split(":")[2].partition("/")[0])) as wire:
        yield wire


async def opened(context: BrowserContext, url: str, user: str = "") -> Page:
    """A page that knows what nodes are; logged in as *user*."""
    page = await context.new_page()
    await page.goto(f"{url}/nodes.html")
    await until(page, "window.started")
    await page.evaluate("Limen.ready.then(() => 0)")
    if user:
        await page.evaluate("user => Limen.login(user, 'lovelace').then(() => 0)", user)
    return page


async def begin(page: Page, which: str, **how: Any) -> None:
    await page.evaluate("([which, how]) => begin(which, how).then(() => 0)", [which, how])


async def say(page: Page, *args: Any) -> None:
    """The signal of the node `first.second`."""
    await page.evaluate("args => node.second.on_foo.notify(...args).then(() => 0)", list(args))


async def ask(page: Page, what: str) -> Any:
    """What an expression about the page's node comes to, or the name of its error."""
    return await page.evaluate(
        f"() => Promise.resolve().then(async () => {what}).catch(error => error.exc ?? String(error))"
    )


async def meet(first: Page, third: Page, who: str) -> None:
    """The three nodes: `first.second` calls `third`, which hears its signals."""
    assert await ask(first, "await node.second.call_third('hello')") == f"hello, {who}"
    assert await ask(first, "await node.remote('@third').count(3)") == [1, 2, 3]
    values = "await (async () => { const all = [];"
    values += " for await (const n of node.remote('@third').node_values('count', [3])) all.push(n); return all; })()"
    assert await ask(first, values) == [1, 2, 3]
    assert await ask(first, "await node.remote('@third').nothing()") == "NotFound"
    assert await ask(first, "await node.remote('@third').node_call('slow', [], {}, {timeout: 0.2})") == "Timeout"
    await say(first, "hello handler", 1)
    await until(third, "seen.some(([name]) => name === 'second')")
    assert await third.evaluate("seen.shift()") == ["second", "hello handler", 1]


async def test_three_nodes_in_two_pages_by_a_router(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    async with router() as wire:
        first, third = [await opened(context, server.url) for _ in range(2)]
        at = wire.url.replace("http", "ws") + "/ws"
        await begin(first, "first", at=at, realm="realm1")
        await begin(third, "third", at=at, realm="realm1")
        await meet(first, third, "nobody")
        wire.cut()
        for page in (first, third):
            await until(page, "seen.some(([name]) => name === 'restored')")
            assert await page.evaluate("seen.splice(0)") == [["offline"], ["restored"]]
        await meet(first, third, "nobody")
        for page in (first, third):
            await page.evaluate("node.node_unbind().then(() => connection.close())")
    assert troubles == []


async def test_three_nodes_in_two_pages_by_plain_sessions_where_rules_let_them(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    first, third = [await opened(context, server.url) for _ in range(2)]
    await begin(first, "first", at=server.url, root="open")
    await begin(third, "third", at=server.url, root="open")
    await meet(first, third, "nobody")
    assert await ask(first, "await begin('third', {at: location.origin}).then(() => 'bound')") == "Unauthorized"
    assert troubles == []


async def test_three_nodes_in_two_pages_by_their_logins(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    async with Between(server.port) as wire:
        first, third = await opened(context, wire.url, "ada"), await opened(context, wire.url, "grace")
        await begin(first, "first")
        await begin(third, "third")
        await meet(first, third, "grace")
        assert await first.evaluate("Limen.safe_call('lab.ask', 'test.third.rpc', ['program'])") == "program, grace"
        assert await first.evaluate("Limen.safe_call('test.third.rpc', 'page')") == "page, grace"
        wire.cut()
        for page in (first, third):
            await until(page, "seen.some(([name]) => name === 'restored')")
            assert await page.evaluate("seen.splice(0)") == [["offline"], ["restored"]]
        await meet(first, third, "grace")
    assert troubles == []


async def test_a_logout_takes_a_pages_nodes_away_and_the_same_users_login_brings_them_back(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    first, third = await opened(context, server.url, "ada"), await opened(context, server.url, "grace")
    await begin(first, "first")
    await begin(third, "third")
    await third.evaluate("Limen.logout()")
    assert await third.evaluate("[node.node_away, connection.state]") == [True, "offline"]
    assert await ask(first, "await node.second.call_third('hello')") == "NotFound"
    await third.evaluate("Limen.login('grace', 'lovelace').then(() => 0)")
    await until(third, "seen.some(([name]) => name === 'restored')")
    await third.evaluate("seen.splice(0)")
    await meet(first, third, "grace")
    await third.evaluate("Limen.login('ada', 'lovelace').then(() => 0)")
    assert await third.evaluate("[connection.state, seen.splice(0).at(-1)]") == ["closed", ["signed_out"]]
    await begin(third, "third")
    await meet(first, third, "ada")
    assert troubles == []


async def test_rules_say_who_may_bind(server: Server, context: BrowserContext, troubles: list[str]) -> None:
    guest, grace = await opened(context, server.url, "guest"), await opened(context, server.url, "grace")
    assert await ask(guest, "await begin('third').then(() => 'bound')") == "Unauthorized"
    await begin(grace, "third")
    assert await guest.evaluate("Limen.safe_call('test.third.rpc', 'hello')") == "hello, grace"
    assert await ask(grace, "await begin('third', {root: 'elsewhere'}).then(() => 'bound')") == "Unauthorized"
    assert troubles == []


async def test_what_a_page_had_bound_goes_with_it_and_it_binds_anew_when_it_is_back(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    first, third = await opened(context, server.url, "ada"), await opened(context, server.url, "grace")
    await begin(first, "first")
    await begin(third, "third")
    await third.reload()
    await until(third, "window.started")
    await third.evaluate("Limen.ready.then(() => 0)")
    await begin(third, "third")
    await meet(first, third, "grace")
    assert troubles == []


async def test_without_a_websocket_a_page_calls_and_signals_and_is_not_called(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    first, third = await opened(context, server.url), await opened(context, server.url, "grace")
    await first.evaluate("Limen.configure({ lane: 'http' })")
    await first.evaluate("Limen.login('ada', 'lovelace').then(() => 0)")
    await begin(first, "first")
    await begin(third, "third")
    await meet(first, third, "grace")
    refused = await ask(first, "await begin('third').catch((error) => [error.exc, error.message])")
    assert refused == [
        "InvalidCall",
        "Over the HTTP lane a page calls, publishes and listens; to be called takes a WebSocket.",
    ]
    assert await first.evaluate("Limen.state.status") == "online"
    assert troubles == []


async def test_pages_at_two_workers_have_one_tree(
    workers: Server, context: BrowserContext, troubles: list[str]
) -> None:
    pages = [await opened(context, workers.url, "ada") for _ in range(4)]  # connections are spread evenly
    for page in pages[1:]:
        await begin(pages[0], "first")
        await begin(page, "third")
        await meet(pages[0], page, "ada")
        assert await pages[0].evaluate("Limen.safe_call('lab.ask', 'test.third.rpc', ['program'])") == "program, ada"
        for each in (pages[0], page):
            await each.evaluate("node.node_unbind()")
    assert troubles == []


IN_MEMORY = """async () => {
    const { Node, Path, call } = await import("/limen/node.mjs");
    const { Clock, connections } = await import("/limen/testing.mjs");
    class Third extends Node {
        static rpc = call();
        rpc(something) { return `${something}!`; }
    }
    const clock = new Clock();
    const [here, there] = connections(2, { clock });
    const [first, third] = [new Node(), new Third()];
    await Promise.all([here.connected(), there.connected()]);
    await first.node_bind("test.first", here.new_context());
    await third.node_bind("test.third", there.new_context());
    const near = await first.remote(new Path("test.third")).rpc("hello");
    const restored = new Promise((resolve) => there.on("restored", resolve));
    there.cut();
    const away = third.node_away;
    await Promise.all([clock.advance(1000), restored]);
    return [near, away, await first.remote(new Path("test.third")).rpc("again"), third.node_away];
}"""


async def test_what_pages_are_tested_with_has_the_same_nodes(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    page = await opened(context, server.url)
    assert await page.evaluate(IN_MEMORY) == ["hello!", True, "again!", False]
    assert troubles == []


MANY = """async () => {
    window.mirror = await node.remote("@third").stream();
    window.ends = { done: 0 };
    const call = async (n) => {
        if ((await node.remote("@third").rpc(n)) !== `${n}, grace`) throw new Error(`a wrong answer to ${n}`);
    };
    const ended = (name) => (ends[name] = (ends[name] ?? 0) + 1);
    const work = [];
    for (let n = 0; n < 1000; n++) {
        work.push(call(n).then(() => ended("done"), (error) => ended(error.exc ?? String(error))));
        if (n % 10 === 9) await new Promise((later) => setTimeout(later, 10));
    }
    window.all = Promise.all(work);
}"""
CHANGES = """async () => {
    for (let n = 0; n <= 1000; n++) {
        node.set(`k${n % 7}`, n);
        if (n % 10 === 9) await new Promise((later) => setTimeout(later, 10));
    }
}"""


async def test_connections_cut_in_the_middle_of_many_calls_and_changes(
    server: Server, context: BrowserContext, troubles: list[str]
) -> None:
    async with Between(server.port) as wire, Between(server.port) as other:
        first, third = await opened(context, wire.url, "ada"), await opened(context, other.url, "grace")
        await begin(first, "first")
        await begin(third, "third")
        await third.evaluate("node.set('k0', -1)")
        work = asyncio.gather(first.evaluate(MANY), third.evaluate(CHANGES))
        for between in (wire, other, wire):
            cut, page = between, first if between is wire else third
            await until(page, "window.mirror && ends.done > 50" if page is first else "node.get('k0') > 100")
            await page.evaluate("seen.splice(0)")
            cut.cut()
            await until(page, "seen.some(([name]) => name === 'restored')")
        await work
        ends = await first.evaluate("all.then(() => ends)")
        assert sum(ends.values()) == 1000
        # Busy: the router has as many calls for a page that does not answer as it takes.
        assert ends.keys() <= {"done", "NotFound", "Canceled", "OutcomeUnknown", "ConnectionLost", "Busy"}, ends
        await until(first, "mirror.synced && [...mirror.keys()].length === 7 && mirror.get('k6') === 1000")
        theirs = await third.evaluate("Object.fromEntries([...node.keys()].map(key => [key, node.get(key)]))")
        assert (
            await first.evaluate("Object.fromEntries([...mirror.keys()].map(key => [key, mirror.get(key)]))") == theirs
        )
    assert troubles == []
