"""A router in this process, and clients of it that say each message by hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from itertools import count
from typing import Any

from limen.app.router import Router
from limen.core.wamp import messages as m
from limen.core.wamp.codecs import codec
from limen.door.router.config import Listener, Secret, Settings, User, anyone
from limen.testing.sockets import SocketClient

ROLES: dict[str, Any] = {"caller": {}, "callee": {}, "publisher": {}, "subscriber": {}}


@contextlib.asynccontextmanager
async def routing(*realms: Any, **more: Any) -> AsyncIterator[Routing]:
    """A router with these realms (names: open to anybody) on a free port of this machine."""
    made = tuple(anyone(realm) if isinstance(realm, str) else realm for realm in realms)
    more.setdefault("listeners", (Listener(port=0),))
    router = Router(Settings(realms=made, **more))
    async with router.alive() as where:
        at = Routing(router, where)
        try:
            yield at
        finally:
            for task in at.tasks:
                task.cancel()
            await asyncio.gather(*at.tasks, return_exceptions=True)
            for client in at.clients:
                await client.gone()  # else the router waits for their good manners


class Routing:
    def __init__(self, router: Router, where: list[str]) -> None:
        self.router, self.where = router, where
        self.clients: list[Client] = []
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        return int(self.where[0].split(":")[2].partition("/")[0])

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Done until it is done, or the test is."""
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def get(self, path: str) -> str:
        """A plain request; its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer.decode()

    async def knock(self, encoding: str = "json", path: str = "/ws", subprotocol: str = "", **more: Any) -> Client:
        socket = await SocketClient.connect(self.port, path, [subprotocol or f"wamp.2.{encoding}"], **more)
        self.clients.append(Client(socket, encoding))
        return self.clients[-1]

    async def join(self, realm: str, encoding: str = "json", **details: Any) -> Client:
        """A client that is in."""
        client = await self.knock(encoding)
        welcome = await client.hello(realm, **details)
        assert type(welcome) is m.Welcome, welcome
        return client


class Client:
    def __init__(self, socket: SocketClient, encoding: str) -> None:
        self.socket, self.codec = socket, codec(encoding)
        self.id = 0
        self.numbers = count(1)

    async def say(self, message: m.Message) -> None:
        await self.socket.send(self.codec.encode(message), self.codec.text)

    async def hear(self, patience: float = 10) -> m.Message:
        async with asyncio.timeout(patience):
            data, _ = await self.socket.receive()
        return self.codec.decode(data)

    async def gone(self) -> None:
        """Ends without a word."""
        self.socket.abort()
        with contextlib.suppress(OSError):
            await self.socket.writer.wait_closed()

    async def hello(self, realm: str, **details: Any) -> m.Message:
        await self.say(m.Hello(realm, {"roles": ROLES, **details}))
        answer = await self.hear()
        if type(answer) is m.Welcome:
            self.id = answer.session
        return answer

    async def ask(self, kind: type[Any], uri: str, *payload: Any, **options: Any) -> Any:
        """Sends a request; gives the next message."""
        await self.say(kind(next(self.numbers), options, uri, *payload))
        return await self.hear()


def user(name: str, role: str = "backend", ticket: str = "secret") -> User:
    """Somebody who comes in by a ticket."""
    return User(name, (role,), ticket=Secret(value=ticket))


async def logged_in(at: Routing, name: str, ticket: str = "secret") -> Client:
    """Who has come into realm1 by a ticket."""
    client = await at.knock()
    challenge = await client.hello("realm1", authmethods=["ticket"], authid=name)
    assert type(challenge) is m.Challenge, challenge
    await client.say(m.Authenticate(ticket, {}))
    welcome = await client.hear()
    assert type(welcome) is m.Welcome, welcome
    return client
