"""Mirrors between Python and JavaScript, through a real router, and read by a client that knows nothing of nodes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from served import Server
from waiting import followed

from limen import Connection, Node, batch, call
from limen.node.mirror import Mirror

ROOT = Path(__file__).parent.parent.parent


class Source(Node):
    """What js/test/mirror.router.js asks for."""

    mirror: Mirror
    leaving: asyncio.Future[None]

    @call
    def change(self, data: dict[str, Any], gone: list[str]) -> None:
        with batch():
            self.update(data)
            for key in gone:
                del self[key]

    @call
    def held(self) -> dict[str, Any]:
        return dict(self)

    @call
    async def follow(self, address: str) -> None:
        self.mirror = await self.remote(address).stream()

    @call
    async def followed(self, key: str) -> dict[str, Any]:
        await followed(lambda: key in self.mirror)
        return dict(self.mirror)

    @call
    async def ended(self) -> bool:
        await followed(lambda: self.mirror.closed)
        return self.mirror.closed

    @call
    async def leave(self) -> None:
        self.leaving = asyncio.ensure_future(self.node_unbind())


async def test_mirrors_between_the_languages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "limen.cli", "router", "--realm", "realm1", "--anonymous", "--port", "0"]
    router = Server(command, cwd=tmp_path, env=dict(os.environ))
    try:
        url = f"ws://127.0.0.1:{router.port}/ws"
        async with Connection(url, "realm1") as connection:
            source = Source()
            source["begun"] = True
            await source.node_bind("test.python", connection.new_context())
            program = await asyncio.create_subprocess_exec(
                "node", "--test", "js/test/mirror.router.js",
                cwd=ROOT, env={**os.environ, "ROUTER": url}, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            said, _ = await asyncio.wait_for(program.communicate(), 60)
            assert program.returncode == 0, said.decode()
            await source.leaving
            assert not source.node_bound
    finally:
        router.stop()
