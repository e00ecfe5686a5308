"""One scenario (`scenario.json`), nearly every client: in process, over ASGI, HTTP and WebSocket, async and blocking,
and the browser's; signed out and sealed; through a crash of the server in the middle; and over TLS."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import offered
import pytest
from performers import Async, Blocking, Browser, Performer, Raised
from playwright.async_api import Page
from served import Server

import limen

SCENARIO: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "scenario.json").read_text())
PROGRAM = Path(offered.__file__)
LIMEN = str(Path(sys.executable).with_name("limen"))


class Stage:
    """*restart*: awaited by every performer that comes to that step."""

    def __init__(self, performer: Performer, restart: Callable[[], Awaitable[None]] | None = None) -> None:
        self.performer, self.restart = performer, restart

    async def perform(self, act: str) -> None:
        for raw in SCENARIO[act]:
            step: dict[str, Any] = json.loads(
                json.dumps(raw).replace("{me}", self.performer.name).replace("{user}", self.performer.user)
            )
            if step.get("needs", "") in {"", *self.performer.can}:
                try:
                    async with asyncio.timeout(15):
                        await self._one(step)
                except BaseException as error:
                    error.add_note(f"{self.performer.name}, {act}: {raw}")
                    raise

    async def _one(self, step: dict[str, Any]) -> None:
        if "do" in step:
            await self.perform(step["do"])
        elif "restart" in step:
            assert self.restart is not None
            await self.restart()
        elif "until" in step:
            await self._until(step["until"], step["args"])
        elif "heard" in step:
            await self._until_heard(step["heard"])
        elif "raises" in step:
            with pytest.raises(Raised) as raised:
                await self._ask(step)
            assert raised.value.name in (step["raises"], "RemoteError" if step["raises"] == "NoneLeft" else "")
            facts = step.get("facts", {})
            assert {name: raised.value.facts.get(name) for name in facts} == facts
        else:
            gave = await self._ask(step)
            if "sums_to" in step:
                assert sum(gave) == step["sums_to"]
            elif "gives" in step:
                assert gave == step["gives"]

    async def _ask(self, step: dict[str, Any]) -> Any:
        ask, args, kwargs = self.performer.step, step.get("args", []), step.get("kwargs", {})
        match next(iter(step)):
            case "user":
                assert await ask("user") == step["user"]
                return None
            case "login":
                return await ask("login", *step["login"])
            case "call" if "pass_on_to" in step:
                return await ask("pass_on", step["call"], step["pass_on_to"])
            case "call":
                return await ask("call", step["call"], args, kwargs, step.get("timeout"))
            case "safe_call":
                return await ask("safe_call", step["safe_call"], args, kwargs)
            case "stream":
                return await ask("stream", step["stream"], args, step.get("take"))
            case "begin":
                return await ask("begin", step["begin"], args)
            case "subscribe":
                return await ask("subscribe", step["subscribe"])
            case "upload":
                return await ask("upload", step["upload"], step["bytes"])
            case "download":
                return await ask("download", step["download"], args)
            case "logout" | "begun" as alone:
                return await ask(alone)
            case unknown:
                raise AssertionError(f"no such step: {unknown}")

    async def _until(self, name: str, args: list[Any]) -> None:
        while not await self.performer.step("call", name, args, {}, None):
            await asyncio.sleep(0.02)

    async def _until_heard(self, text: str) -> None:
        while text not in await self.performer.step("heard"):
            await asyncio.sleep(0.02)


def serve(folder: Path, *options: str) -> Server:
    # By the environment: --db would come too late for a program that adds users to an App of its own.
    database = {"LIMEN_DB": f"sqlite:///{folder / 'scenario.db'}"}
    command = [LIMEN, "serve", f"{PROGRAM}:app", "--port", "0", *options]
    return Server(command, cwd=PROGRAM.parent, env={**os.environ, **database})


async def test_in_process() -> None:
    can = ("plain types", "plain streams", "plain files", "files")
    async with limen.AsyncPyClient(offered.app) as py, limen.AsyncAsgiClient(offered.app.asgi()) as asgi:
        for performer in (Async("py", py, "plain types", "plain streams"), Async("asgi", asgi, *can, "topics")):
            for act in ("plain", "sealed", "end"):
                await Stage(performer).perform(act)
    with limen.PyClient(offered.app) as blocking:
        await Stage(Blocking("py blocking", blocking, "plain types", "plain streams")).perform("plain")


async def test_over_the_wire_through_a_crash(tmp_path: Path, page: Page, troubles: list[str]) -> None:
    server = serve(tmp_path, "--dev")
    try:
        await page.goto(server.url)
        http, ws = limen.AsyncHttpClient(server.url), limen.AsyncWsClient(server.url)
        blocking_http, blocking_ws = limen.HttpClient(server.url), limen.WsClient(server.url)
        plain = [
            Async("http", http, "plain types", "plain streams", "plain files"),
        ]
        sealed = [
            Blocking("http blocking", blocking_http, "plain types", "plain streams", "plain files", "files", "topics"),
            Async("ws", ws, "plain streams", "files", "topics", "session"),
            Blocking("ws blocking", blocking_ws, "plain streams", "files", "topics", "session"),
            Browser("browser", page, "plain types", "plain files", "files", "topics", "session"),
        ]
        there = asyncio.Barrier(len(plain) + len(sealed))

        async def restart() -> None:
            if await there.wait() == 0:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start_again)
            await there.wait()

        async def perform(performer: Performer, *acts: str) -> None:
            for act in acts:
                await Stage(performer, restart).perform(act)

        async with asyncio.TaskGroup() as together:
            for performer in plain:
                together.create_task(perform(performer, "plain", "restart"))
            for performer in sealed:
                together.create_task(perform(performer, "plain", "sealed", "restart", "end"))
        for client in (http, ws):
            await client.close()
        for blocking in (blocking_http, blocking_ws):
            await asyncio.to_thread(blocking.close)
        assert [said for said in troubles if "Failed to load resource" not in said and "WebSocket" not in said] == []
    finally:
        server.stop()


async def test_over_tls_with_an_authority_of_its_own(tmp_path: Path) -> None:
    server = serve(tmp_path, "--tls", "local")
    try:
        trusted = ssl.create_default_context(cafile=tmp_path / "limen-tls" / "authority.pem")
        async with (
            limen.AsyncHttpClient(server.url, ssl=trusted) as http,
            limen.AsyncWsClient(server.url, ssl=trusted) as ws,
        ):
            await asyncio.gather(
                Stage(Async("http", http, "files", "topics")).perform("sealed"),
                Stage(Async("ws tls", ws, "topics")).perform("sealed"),
            )
        async with limen.AsyncHttpClient(server.url) as stranger:
            with pytest.raises(limen.exc.ConnectionLost, match="certificate"):
                await stranger.call("add", 1)
    finally:
        server.stop()
