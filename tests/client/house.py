"""A Limen server in the test's own process: real App, real port, and a hand on its connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn

from limen import App, dbm, exc
from limen.app.datastore import DataStore
from limen.app.running import lifespan
from limen.core.guard.accounts import Account
from limen.transport.picows_ws import PicowsServer


class House:
    """*keys*: the key file, which outlives the server as its store does. `start()`, `stop()`, and `cut()`, which ends
    every connection without a word."""

    _ada: tuple[str, Account] | None = None
    """The key file and the account that all houses share: setting a password takes long."""

    def __init__(self, keys: Path) -> None:
        self.keys = keys
        self.store = DataStore(dbm.MemDictStore())
        self.port = 0
        self.app: App
        self.runs = 0
        """How often `count_run` has run, in all servers."""
        self.gate = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def _app(self) -> App:
        app = App()
        app.config.IS_DEVELOPMENT = True
        app.config.KEYS = str(self.keys)
        app.set_auth_storage(self.store)
        self._add_ada(app)
        house = self

        @app.service(safe=False)
        def add(a: int, b: int = 0) -> int:
            return a + b

        @app.service(safe=False)
        def echo(value: Any = None) -> Any:
            return value

        @app.service(safe=False)
        def fail() -> None:
            raise exc.RecordNotFound("Nothing here.", id=7)

        @app.service(safe=False, urlpath="slow/answer")
        async def slow_answer(text: str = "done") -> str:
            await house.gate.wait()
            return text

        @app.service(safe=False)
        async def count_run() -> int:
            house.runs += 1
            await house.gate.wait()
            return house.runs

        @app.service(safe=False)
        async def count(to: int) -> AsyncIterator[int]:
            for n in range(to):
                yield n
                await asyncio.sleep(0)

        @app.service(safe=False)
        async def forever() -> AsyncIterator[int]:
            n = 0
            try:
                while True:
                    yield n
                    n += 1
                    await asyncio.sleep(0.001)
            finally:
                house.runs += 1

        @app.service()
        def secret() -> str:
            return "sealed"

        self.news = app.topic("news", safe=False)
        return app

    def _add_ada(self, app: App) -> None:
        if House._ada is None:
            app.auth.add_user("ada", "correct horse", roles=["nurse", "user"], profile={"name": "Ada"})
            House._ada = self.keys.read_text(), app.auth.users("localhost")[0]
        elif not self.port:  # the first start of this house
            self.keys.write_text(House._ada[0])
            self.keys.chmod(0o600)
            app.vault.accounts.put(House._ada[1])

    async def start(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self.app = self._app()
        await self._stack.enter_async_context(lifespan(self.app))
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        config = uvicorn.Config(
            self.http(), ws=PicowsServer(self.app.accept, self.app.config).protocol, lifespan="off",
            log_level="warning", timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup([sock])  # without its main loop, which looks ten times a second whether it must end

        async def stop() -> None:
            for listener in server.servers:
                listener.close()
            self.cut()
            hub = self.app.open()
            for tab in hub.tabs:
                hub.tabs.remove(tab)
            await server.shutdown([sock])
            sock.close()

        self._stack.push_async_callback(stop)

    def http(self) -> Any:
        """The ASGI application for plain HTTP."""
        return _no_http

    async def stop(self) -> None:
        """As a crash: connections are cut without a word, running calls are forgotten."""
        await self._stack.aclose()

    @property
    def connections(self) -> list[Any]:
        hub = self.app.hub
        return list(hub.connections) if hub is not None else []

    def cut(self) -> None:
        """Every connection is lost, without a word."""
        for connection in self.connections:
            connection.wire.abort()


async def _no_http(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no HTTP here")
