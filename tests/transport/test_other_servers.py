"""The ASGI transport behind servers of other makers, each started as its users start it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from uvicorn_here import pause

import limen
from limen.testing.sockets import RefusedError, SocketClient
from limen.testing.transports import ending

DOOR = """
from limen.base.config import Config
from limen.transport.asgi_ws import AsgiWebSockets
from limen.transport.wire import Refusal

class Echo:
    def opened(self, wire): self.wire = wire
    def busy(self, yes): pass
    def lost(self, reason): pass
    def received(self, data, text):
        if data == b"bye":
            self.wire.close(3001, "bye")
        self.wire.send(data, text)

def accept(handshake):
    if handshake.path != "/ws" or not handshake.host.startswith("127.0.0.1"):
        return Refusal(403)
    return handshake.subprotocols[0] if handshake.subprotocols else None, Echo()

config = Config()
config.MAX_MESSAGE_SIZE, config.MAX_UPLOAD_SIZE = 100_000, 0
websockets = AsgiWebSockets(accept, config)

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await websockets(scope, receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
    else:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                break
"""

PROGRAM = """
import limen
from limen import auth, config, service

config.IS_DEVELOPMENT = True
config.PROXIES = ("127.0.0.1",)

@service(safe=False, methods=("GET", "POST"))
def caller():
    return [limen.get_state().origin, limen.get_state().tls]

@service(safe=False, methods=("GET", "POST"))
def hello(name="World"):
    return f"Hello, {name}!"

@service()
def whoami():
    return limen.get_state().user

auth.add_user("ada", "correct horse")
app = limen.asgi()
"""

SERVERS = {
    "granian": [
        "granian",
        "--interface",
        "asgi",
        "--workers",
        "1",
        "--workers-kill-timeout",  # now and then a worker of granian's does not end by itself
        "5",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "door:app",
    ],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "door:app"],
    "uvicorn": ["uvicorn", "--no-proxy-headers", "--port", "{port}", "door:app"],
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def served_by(server: str, where: Path, program: str = DOOR) -> AsyncIterator[int]:
    (where / "door.py").write_text(program)
    port = free_port()
    command = [part.format(port=port) for part in SERVERS[server]]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    process = subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    assert process.poll() is None
                    await pause(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("server", SERVERS)
async def test_the_door_stands_behind(server: str, tmp_path: Path) -> None:
    async with served_by(server, tmp_path) as port:
        client = await SocketClient.connect(port, subprotocols=["wamp.2.json"])
        assert client.subprotocol == "wamp.2.json"
        for data, text in (("grüße".encode(), True), (bytes(range(256)), False), (b"x" * 90_000, False)):
            await client.send(data, text)
            assert await client.receive() == (data, text)
        await client.send(b"bye", True)
        end = await ending(client)
        assert (end.code, end.reason) == (3001, "bye")

        large = await SocketClient.connect(port)
        await large.send(b"x" * 100_001, False)
        assert (await ending(large)).code == 1009

        with pytest.raises(RefusedError) as refused:
            await SocketClient.connect(port, path="/elsewhere")
        assert refused.value.status == 403

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"ok")
        writer.close()


@pytest.mark.parametrize("server", SERVERS)
async def test_a_whole_app_stands_behind(server: str, tmp_path: Path) -> None:
    """`limen.asgi()`: a plain call over HTTP, one over WAMP, and a sealed one."""
    async with served_by(server, tmp_path, PROGRAM) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /hello/Ada.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"Hello, Ada!")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
        writer.write(b"GET /caller HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + said + b"\r\n")
        assert (await reader.read()).endswith(b'["203.0.113.9",true]')
        writer.close()
        for said in (("X-Forwarded-For", "no address"), ("X-Forwarded-Host", "evil.example")):
            with pytest.raises(RefusedError):  # the WebSocket's handshake is read in the same way
                await SocketClient.connect(port, subprotocols=["wamp.2.json"], headers=[said])
        async with limen.connect(f"http://localhost:{port}") as session:
            assert await session.call("hello", "Bob") == "Hello, Bob!"
            with pytest.raises(limen.exc.Unauthorized):
                await session.call("whoami")
        async with limen.connect(f"http://localhost:{port}", user="ada", password="correct horse") as session:
            assert await session.call("whoami") == "ada"
