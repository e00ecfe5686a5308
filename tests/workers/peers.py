"""Plain WAMP sessions, over real sockets, at workers that the test chooses."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import websockets
from crews import Crew
from websockets.asyncio.client import ClientConnection

ROLES: dict[str, Any] = {
    "caller": {},
    "publisher": {},
    "subscriber": {},
    "callee": {"features": {"call_canceling": True, "progressive_call_results": True}},
}
ABLE: dict[str, Any] = {
    "caller": {"features": {"progressive_call_invocations": True, "payload_passthru_mode": True}},
    "publisher": {"features": {"payload_passthru_mode": True}},
    "subscriber": {"features": {"payload_passthru_mode": True}},
    "callee": {
        "features": {
            "call_canceling": True,
            "progressive_call_results": True,
            "progressive_call_invocations": True,
            "payload_passthru_mode": True,
            "registration_revocation": True,
        }
    },
}
"""What a client announces that can do all."""


class Peer:
    """An anonymous session at the worker *pid*."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._request = 0
        self._kept: list[list[Any]] = []
        self.pid = self.id = 0

    async def say(self, *message: Any) -> None:
        await self._socket.send(json.dumps(message))

    async def hear(self, *kinds: int) -> list[Any]:
        """The next message of these kinds; others are kept for later."""
        for message in self._kept:
            if message[0] in kinds:
                self._kept.remove(message)
                return message
        async with asyncio.timeout(10):
            while True:
                message = json.loads(await self._socket.recv())
                if message[0] in kinds:
                    return list(message)
                self._kept.append(message)

    async def quiet(self, seconds: float) -> list[list[Any]]:
        """What comes, with what was kept, until nothing has come for so long."""
        try:
            while True:
                self._kept.append(json.loads(await asyncio.wait_for(self._socket.recv(), seconds)))
        except TimeoutError:
            said, self._kept = self._kept, []
            return said

    async def ask(self, kind: int, *rest: Any) -> int:
        """Sends a request; gives its number."""
        self._request += 1
        await self.say(kind, self._request, *rest)
        return self._request

    async def call(self, uri: str, *args: Any, **options: Any) -> Any:
        """The result's arguments, or the error's URI."""
        await self.ask(48, options, uri, list(args))
        answer = await self.hear(50, 8)
        return answer[3] if answer[0] == 50 else answer[4]

    async def register(self, uri: str, **options: Any) -> str:
        """ "" or the error's URI."""
        await self.ask(64, options, uri)
        answer = await self.hear(65, 8)
        return "" if answer[0] == 65 else str(answer[4])

    async def answer(self, *args: Any) -> list[Any]:
        """Answers the next invocation with these; gives it."""
        invocation = await self.hear(68)
        await self.say(70, invocation[1], {}, list(args))
        return invocation

    async def subscribe(self, uri: str, **options: Any) -> int:
        """The subscription's id."""
        await self.ask(32, options, uri)
        return int((await self.hear(33))[2])

    async def close(self) -> None:
        await self._socket.close()


async def peer(port: int, roles: dict[str, Any] = ROLES) -> Peer:
    """A session at whichever worker takes it."""
    socket = await websockets.connect(f"ws://localhost:{port}/ws", subprotocols=["wamp.2.json"])  # type: ignore[list-item]
    made = Peer(socket)
    await made.say(1, "localhost", {"roles": roles})
    made.id = (await made.hear(2))[1]
    made.pid = (await made.call("who"))[0]
    return made


async def one_at_each(crew: Crew, stack: AsyncExitStack, roles: dict[str, Any] = ROLES) -> list[Peer]:
    """A session at each of the workers."""
    found: dict[int, Peer] = {}
    spare: list[Peer] = []
    async with asyncio.timeout(20):
        while len(found) < 3:
            made = await asyncio.gather(*(peer(crew.port, roles) for _ in range(6)))
            for one in made:
                if found.setdefault(one.pid, one) is not one:
                    spare.append(one)
    for one in spare:
        await one.close()
    for one in found.values():
        stack.push_async_callback(one.close)
    return list(found.values())
