"""An App behind its own HTTP and WebSocket transports, and clients that sign as the documents say."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import uvicorn
from http_site import Answer, read_answer

from limen import App, exc, get_state
from limen.core.seal.machine import Credentials
from limen.transport.http_server import HttpServer
from limen.transport.picows_ws import PicowsServer


def program() -> App:
    app = App()
    app.config.IS_DEVELOPMENT = True

    @app.service(safe=False)
    def add(a: int, b: int = 0) -> int:
        return a + b

    @app.service(safe=False, roles=["machine"], methods=["GET"])
    def whoami(word: str = "") -> list[Any]:
        state = get_state()
        return [state.user, list(state.roles), state.sealed, word]

    @app.service(safe=False, roles=["chief"])
    def dismiss() -> None: ...

    @app.service()
    def secret() -> str:
        return "sealed"

    @app.service(safe=False)
    def fail() -> None:
        raise exc.RecordNotFound("Nothing here.", id=7)

    app.topic("news", safe=False)
    app.topic("alarm", safe=False)
    app.topic("orders", safe=False, roles=["machine"])
    app.topic("sealed.news")
    app.realm_rule(["register", "subscribe"], "device.", match="prefix", safe=False)
    app.realm_rule(["call", "publish"], "device.", match="prefix", safe=False, roles=["machine"])
    return app


class Site:
    """*app*, on a free port of the loopback; has what `knock` needs of a house."""

    def __init__(self, app: App) -> None:
        self.app, self.port = app, 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def hub(self) -> Any:
        return self.app.open()

    def level(self) -> float:
        import time

        return round(self.hub.gate.ledger.level("localhost", "127.0.0.1", time.time()), 1)

    def key(self, name: str = "robot", roles: tuple[str, ...] = ("machine",), **where: Any) -> Credentials:
        """A new secret for signed requests."""
        self.app.auth.add_machine(name, roles=roles, **where)
        return self.app.auth.add_key(name, kind="http", **where)

    async def ask(
        self, method: str, target: str, body: bytes | None = None, *, origin: str = "127.0.0.1", **headers: str
    ) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(origin, 0))
        lines = [f"{method} {target} HTTP/1.1", f"Host: {headers.pop('host', 'localhost')}"]
        if body is not None:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "\r\n"]).encode() + (body or b""))
        try:
            return await asyncio.wait_for(read_answer(reader, head=method == "HEAD"), 10)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def bridge(self, key: Credentials, what: str, event: Any, **changes: Any) -> tuple[int, Any]:
        """A request to the bridge: its status, and what it says."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        answer = await self.ask("POST", f"/limen/bridge/{what}?{crossbar(key, body, **changes)}", body)
        return answer.status, json.loads(answer.body)


def now(seconds: float = 0.0) -> str:
    """A time as Crossbar.io writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def crossbar(
    credentials: Credentials, body: bytes, /, *, secret: str | None = None, over: bytes | None = None, **facts: Any
) -> str:
    """The query of a signed request, by Crossbar.io's documentation."""
    named = {"key": credentials.id, "timestamp": now(), "seq": 1, "nonce": secrets.randbelow(2**53)} | facts
    signer = hmac.new((secret or credentials.private).encode(), None, hashlib.sha256)
    for name in ("key", "timestamp", "seq", "nonce"):
        signer.update(str(named[name]).encode())
    signer.update(body if over is None else over)
    return urlencode({**named, "signature": base64.urlsafe_b64encode(signer.digest()).decode()})


def header(
    key: Credentials, method: str, target: str, body: bytes = b"", *, host: str = "localhost", **facts: str
) -> str:
    """The Authorization header, by docs/http.md."""
    timestamp, nonce = facts.get("timestamp", now()), facts.get("nonce", secrets.token_hex(8))
    text = "\n".join(["limen-1 http", method, host, target, timestamp, nonce, hashlib.sha256(body).hexdigest()])
    digest = hmac.digest(key.private.encode(), text.encode(), "sha256")
    signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return f"Limen key={key.id},timestamp={timestamp},nonce={nonce},signature={signature}"


@contextlib.asynccontextmanager
async def serving(app: App) -> AsyncIterator[Site]:
    site = Site(app)
    config = uvicorn.Config(
        app.asgi(),
        http=HttpServer(app.config).protocol,
        ws=PicowsServer(app.accept, app.config).protocol,
        lifespan="on",
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    site.port = sock.getsockname()[1]
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup([sock])
    try:
        yield site
    finally:
        for listener in server.servers:
            listener.close()
        await site.hub.drain()
        await server.shutdown([sock])
        sock.close()


__all__ = ["Site", "crossbar", "header", "now", "program", "serving"]
