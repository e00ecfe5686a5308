"""Sealed logins at a router with a store: users of `limen user add` come into the realm of their domain."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from served import Server
from test_command import COMMAND, knock

import limen
from limen import exc
from limen.core.wamp import messages as m

Start = Callable[..., Server]
PASSWORD = "correct horse"


def add(name: str, db: str, *options: str) -> None:
    command = [sys.executable, "-m", "limen.cli", "user", "add", name, "--db", db, *options]
    subprocess.run(command, input=PASSWORD + "\n", text=True, check=True, capture_output=True)


async def test_users_come_in_sealed_into_the_realm_of_their_domain(start: Start, tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/people.db"
    add("ada", db)
    add("carol", db, "--domain", "other.example")
    server = start([*COMMAND, "--realm", "localhost", "--realm", "realm2", "--db", db])
    url = f"ws://localhost:{server.port}"
    add("bob", db)  # the router that runs is asked
    async with (
        limen.connect(url, user="ada", password=PASSWORD) as ada,
        limen.connect(url, user="bob", password=PASSWORD) as bob,
    ):
        heard: asyncio.Queue[object] = asyncio.Queue()
        await ada.subscribe("com.example.news", lambda *args: heard.put_nowait(args))
        await bob.publish("com.example.news", 1)
        async with asyncio.timeout(10):
            assert await heard.get() == (1,)
        assert ada.user == "ada"
    for user, password in (("ada", "wrong"), ("carol", PASSWORD), ("nobody", PASSWORD)):
        with pytest.raises(exc.InvalidCredential):
            async with limen.connect(url, user=user, password=password):
                pass
    client = await knock(server)
    answer = await client.hello("localhost")
    assert type(answer) is m.Abort, "nobody comes in without a name here"
    await client.gone()
    assert server.stop() == 0
