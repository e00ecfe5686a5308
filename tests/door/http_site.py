"""A whole HTTP site on a real socket (registry, pipeline, door, ASGI, uvicorn), and a client that sends raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from limen.app.described import for_developers
from limen.base.config import Config
from limen.core.guard.ledger import Kind
from limen.door.gateway.asgi import Asgi
from limen.door.http.door import HttpDoor
from limen.door.http.places import Callers, Places
from limen.service.pipeline import Pipeline
from limen.service.registry import Registry
from limen.service.service import make_service_decorator
from limen.transport.http_server import HttpServer
from limen.web.spool import Spool
from limen.web.static import StaticTree


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool = False

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def exc(self) -> Any:
        return self.value["exc"]


@dataclass
class Site:
    """*charged*: what the ledger was told. *refusing*: seconds for which every origin is refused."""

    config: Config = field(default_factory=Config)
    charged: list[tuple[str, str, Kind]] = field(default_factory=list)
    refusing: float | None = None
    delay: float = 0.0
    statics: list[StaticTree] = field(default_factory=list)
    assets: StaticTree | None = None
    spool: Spool = field(default_factory=lambda: Spool(None))
    port: int = 0

    def __post_init__(self) -> None:
        self.config.IS_DEVELOPMENT = True
        self.registry = Registry(self.config)
        self.service = make_service_decorator(self.registry.add)
        self.executor = ThreadPoolExecutor(4)
        self.pipeline = Pipeline(self.config, executor=self.executor)
        self.pipeline.guard(charge=self.charge, refused=self.refused)
        self.open_door()

    def open_door(self) -> None:
        """With the settings as they are."""
        self.door = HttpDoor(
            self.config,
            self.registry,
            self.pipeline,
            Places(
                statics=self.statics,
                assets=self.assets,
                own={"status.json": for_developers(self.config, self.status)},
            ),
            Callers(
                domain_of={"localhost": "localhost", "b.example": "b.example"}.get,
                origin_of=lambda client: client,
                refused=self.refused,
                charge=self.charge,
                delay=lambda domain, origin: self.delay,
            ),
            spool=self.spool,
        )
        self.app = Asgi(self.door)

    def status(self, request: Any) -> Any:
        return {"services": [service.uri for service in self.registry]}

    def charge(self, domain: str, origin: str, kind: Kind) -> None:
        self.charged.append((domain, origin, kind))

    def refused(self, domain: str, origin: str) -> float | None:
        return self.refusing

    # -- the client ---------------------------------------------------------------------------------------------
    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, data: bytes, *, head: bool = False) -> Answer:
        """Sends *data*, gives the first answer."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            return await asyncio.wait_for(read_answer(reader, head=head), 10)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        host: str | None = "localhost",
        kind: str | None = "application/json",
        **headers: str,
    ) -> Answer:
        lines = [f"{method} {target} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host}")
        if body is not None:
            lines += [f"Content-Length: {len(body)}", *([f"Content-Type: {kind}"] if kind else [])]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        return await self.raw(head + (body or b""), head=method == "HEAD")

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.ask("GET", target, **headers)

    async def post(self, target: str, value: Any, **headers: str) -> Answer:
        return await self.ask("POST", target, json.dumps(value).encode(), **headers)


async def read_answer(reader: asyncio.StreamReader, *, head: bool = False) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    status = int(first.split(" ")[1])
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name not in headers, f"{name} came twice"
        headers[name] = value
    length = 0 if head or status in (204, 304) else int(headers["content-length"])
    body = await reader.readexactly(length)
    return Answer(status, headers, body, headers.get("connection") == "close")


@contextlib.asynccontextmanager
async def serving(site: Site, *, own: bool = True) -> AsyncIterator[Site]:
    """*site*, on a free port of the loopback; *own*: through Limen's own HTTP transport, else through bare uvicorn."""
    config = uvicorn.Config(
        site.app,
        log_level="critical",
        http=HttpServer(site.config).protocol if own else "httptools",
        proxy_headers=False,
        access_log=False,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    protocol = config.http_protocol_class
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for connection in tuple(state.connections):
            connection.transport.abort()
        await server.wait_closed()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        site.executor.shutdown()
        site.spool.close()
