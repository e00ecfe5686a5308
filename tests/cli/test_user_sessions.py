"""What `limen user` does to the sessions of people who are at work, in a running server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import Server

from limen import connect, exc

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = "from limen import service\n\n@service(ssl=False)\ndef secret():\n    return 'sealed'\n"


@pytest.fixture
def server(serve: Callable[..., Server], tmp_path: Path) -> Server:
    (tmp_path / "program.py").write_text(PROGRAM)
    return serve(tmp_path / "program.py", "--db", f"sqlite:///{tmp_path}/t.db")


async def user(folder: Path, *words: str, password: str = "") -> None:
    command = [LIMEN, "user", *words, "--db", f"sqlite:///{folder}/t.db"]
    await asyncio.to_thread(
        subprocess.run, command, input=f"{password}\n", text=True, check=True, capture_output=True, timeout=30
    )


def signed_out(session: Any) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    session.on("signed_out", future.set_result)
    return future


async def test_a_user_who_is_added_may_log_in_at_once_and_one_who_is_removed_is_out_at_once(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(exc.InvalidCredential):
        async with connect(server.url, user="ada", password="lovelace"):
            pass
    await user(tmp_path, "add", "ada", password="lovelace")
    async with connect(server.url, user="ada", password="lovelace") as session:
        assert await session.call("secret") == "sealed"
        out = signed_out(session)
        await user(tmp_path, "remove", "ada")
        assert isinstance(await asyncio.wait_for(out, 10), exc.UnknownSession)
        with pytest.raises(exc.UnknownSession):
            await session.call("secret")


async def test_a_new_password_ends_what_began_with_the_old_one(server: Server, tmp_path: Path) -> None:
    await user(tmp_path, "add", "ada", password="lovelace")
    await user(tmp_path, "add", "eve", password="lovelace")
    async with (
        connect(server.url, user="ada", password="lovelace") as ada,
        connect(server.url, user="eve", password="lovelace") as eve,
    ):
        out = signed_out(ada)
        await user(tmp_path, "passwd", "ada", password="lady byron")
        await asyncio.wait_for(out, 10)
        assert await eve.call("secret") == "sealed"
    with pytest.raises(exc.InvalidCredential):
        async with connect(server.url, user="ada", password="lovelace"):
            pass
    async with connect(server.url, user="ada", password="lady byron") as session:
        assert await session.call("secret") == "sealed"


async def test_what_was_done_while_no_server_ran_holds_when_it_comes_back(server: Server, tmp_path: Path) -> None:
    await user(tmp_path, "add", "ada", password="lovelace")
    await user(tmp_path, "add", "eve", password="lovelace")
    async with (
        connect(server.url, user="ada", password="lovelace") as ada,
        connect(server.url, user="eve", password="lovelace") as eve,
    ):
        out, back = signed_out(ada), asyncio.Event()
        eve.on("online", back.set)
        await asyncio.to_thread(server.stop)
        await user(tmp_path, "passwd", "ada", password="lady byron")
        await asyncio.to_thread(server.start_again)
        await asyncio.wait_for(out, 20)
        await asyncio.wait_for(back.wait(), 20)
        assert await eve.call("secret") == "sealed"
