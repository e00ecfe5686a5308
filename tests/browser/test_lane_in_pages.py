"""The browser's half of the HTTP lane, in Chromium, where no WebSocket gets through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, Route, WebSocketRoute, expect
from served import LIMEN, Server
from test_client import APP, call, events, log_in, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("lane") / "lab.db"
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=Path(APP).parent, env=dict(os.environ))
    yield server
    server.stop()


async def logged_in(page: Page, server: Server) -> None:
    async def refuse(ws: WebSocketRoute) -> None:
        raise AssertionError("a WebSocket was tried")

    await page.route_web_socket("**", refuse)
    await page.goto(server.url + "/lane.html")
    await log_in(page)
    await expect(page.locator("li")).to_have_text(["1 + 2 = 3"])


async def test_a_page_without_a_websocket_logs_in_calls_and_leaves(
    server: Server, page: Page, troubles: list[str]
) -> None:
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request))
    await logged_in(page, server)
    assert await page.evaluate("Limen.state.user") == "ada"
    assert await call(page, "lab.echo", [1, None, {"a": "milk"}]) == [1, None, {"a": "milk"}]
    assert (await call(page, "lab.fail"))["exc"] == "RecordVersionMismatch"
    many = "Promise.all([...Array(70).keys()].map(n => Limen.safe_call('lab.add', n, 1)))"
    assert await page.evaluate(many) == list(range(1, 71))
    stream = (
        "async () => { const got = []; for await (const n of Limen.safe_call('lab.count', 4)) got.push(n); return got }"
    )
    assert await page.evaluate(stream) == [1, 2, 3, 4]
    bodies = [request.post_data_buffer or b"" for request in sent if "/limen/lane/" in request.url]
    assert len(bodies) > 70
    assert not any(word in body for body in bodies for word in (b"lovelace", b"lab.", b"milk"))
    await page.evaluate("Limen.logout()")
    assert (await call(page, "lab.add", 1, 2))["exc"] == "Unauthorized"
    assert await events(page) == ["online", "signed_out"]
    assert troubles == []


async def test_a_reloaded_page_comes_back_by_its_key(server: Server, page: Page) -> None:
    await logged_in(page, server)
    await page.reload()
    await expect(page.locator("li")).to_have_text(["3 + 4 = 7"])
    assert await page.evaluate("Limen.state.user") == "ada"
    await page.reload()
    await expect(page.locator("li")).to_have_text(["3 + 4 = 7"])


async def test_events_and_cancelled_calls(server: Server, page: Page) -> None:
    await logged_in(page, server)
    await page.evaluate(
        "Limen.subscribe('lab.news', (text) => (window.news = text)).then(undo => (window.undo = undo))"
    )
    await page.evaluate("Limen.safe_call('lab.tell', 'milk')")
    await until(page, "window.news === 'milk'")
    await page.evaluate("window.undo()")
    slow = (
        "Limen.safe_apply('lab.slow', ['lane', 30], {}, {signal: AbortSignal.timeout(200)}).catch(error => error.exc)"
    )
    assert await page.evaluate(slow) == "Canceled"
    await until(page, "Limen.safe_call('lab.log').then(log => log.cancelled.includes('lane'))")


async def test_a_lost_answer_is_asked_for_again_and_the_call_not_run_twice(server: Server, page: Page) -> None:
    await logged_in(page, server)
    lost: list[str] = []

    async def lose(route: Route) -> None:
        if lost:
            await route.continue_()
            return
        lost.append(str((await route.fetch()).status))
        await route.abort("connectionreset")

    await page.route("**/limen/lane/call", lose)
    assert await call(page, "lab.slow", "once", 0.0) == "once"
    await page.unroute("**/limen/lane/call")
    assert lost == ["200"]
    assert (await call(page, "lab.log"))["ran"].count("once") == 1


async def test_a_session_that_was_ended_elsewhere_signs_out(server: Server, page: Page) -> None:
    await logged_in(page, server)
    second = await page.context.new_page()
    await logged_in(second, server)
    await second.evaluate("Limen.change_password('lovelace')")
    answer = await call(page, "lab.add", 1, 2)
    assert answer["exc"] in ("OutcomeUnknown", "UnknownSession")
    await expect(page).to_have_title("anonymous")
    assert (await events(page))[-1] == "signed_out"
