"""`limen permission`, `limen explain`, and the rest of `limen user`, beside a running server and without one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from served import Server

from limen import connect, exc
from limen.cli import main

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from limen import get_state, service, topic

changed = topic("ward.changed")

@service("ward/list", ssl=False, inline=True)
def list_():
    return [get_state().role, get_state().profile.get("room")]

@service("ward/close", ssl=False, roles=["chief"])
def close():
    return "closed"
"""


def limen(*words: str, stdin: str = "") -> tuple[int, str]:
    """Exit code and output of a command; in this process, which saves a start of Python each time."""
    result = CliRunner().invoke(main, [*words], input=stdin)
    return result.exit_code, result.output


async def test_permissions_and_users_are_changed_beside_a_running_server(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    db = ("--db", f"sqlite:///{tmp_path}/t.db")

    async def run(*words: str, stdin: str = "") -> tuple[int, str]:
        return await asyncio.to_thread(limen, *words, *db, stdin=stdin)

    server = serve(tmp_path / "program.py", *db)
    assert await run("user", "add", "ada", stdin="lovelace\n") == (0, "Added ada in localhost.\n")
    async with connect(server.url, user="ada", password="lovelace") as session:
        heard: list[Any] = []
        await session.subscribe("ward.changed", heard.append)
        assert await session.call("ward.list") == ["user", None]

        # a permission holds at once, and a page that listens where it may not any more hears no more
        missed = asyncio.get_running_loop().create_future()
        session.on("offline", lambda: missed.done() or missed.set_result(None))
        assert await run("permission", "grant", "nurse", "ward.") == (0, "nurse may use ward. in localhost.\n")
        await asyncio.wait_for(missed, 10)
        with pytest.raises(exc.Forbidden):
            await session.call("ward.list")
        assert await run("permission", "list") == (0, "localhost\tward.\tnurse\n")
        code, says = await run("explain", "ada", "ward.list")
        assert code == 1
        assert "no   The permission 'ward.' decides: it is for nurse.\n" in says

        # roles and profile, from the next return of the session on
        done = (0, "Changed ada in localhost.\n")
        assert await run("user", "set", "ada", "--role", "nurse", "--role", "user", "--profile", "room=12") == done
        assert (await run("explain", "ada", "ward.list"))[0] == 0

        # sessions
        code, rows = await run("user", "sessions", "ada")
        assert rows.split("\t")[:2] == ["localhost", "ada"]
        assert rows.split("\t")[3:5] == ["tab", "127.0.0.1"]
        out = asyncio.get_running_loop().create_future()
        session.on("signed_out", out.set_result)
        assert await run("user", "end", "ada") == (0, "Ended 1 session(s) of ada in localhost.\n")
        assert isinstance(await asyncio.wait_for(out, 10), exc.UnknownSession)
    async with connect(server.url, user="ada", password="lovelace") as session:
        assert await session.call("ward.list") == ["nurse", "12"]
        out = asyncio.get_running_loop().create_future()
        session.on("signed_out", out.set_result)
        await run("user", "disable", "ada")
        await asyncio.wait_for(out, 10)
    assert (await run("explain", "ada", "ward.list"))[1].endswith("So they may not.\n")
    await run("user", "enable", "ada")
    assert (await run("permission", "revoke", "nurse", "ward."))[0] == 0
    assert (await run("permission", "revoke", "nurse", "ward."))[0] == 1
    assert await run("user", "set", "ada", "--profile", "room=") == done
    async with connect(server.url, user="ada", password="lovelace") as session:
        assert await session.call("ward.list") == ["nurse", None]

    # without a server: the program is named
    await asyncio.to_thread(server.stop)
    code, says = await run("explain", "ada", "ward.close")
    assert code == 2
    assert "say which program: --app" in says
    command = [LIMEN, "explain", "ada", "ward.close", "--app", str(tmp_path / "program.py"), *db]
    told = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
    assert told.returncode == 1, told.stderr
    assert "no   The program asks for a role: chief.\n" in told.stdout


def test_what_makes_no_sense_is_said(tmp_path: Path) -> None:
    db = ("--db", f"sqlite:///{tmp_path}/t.db")
    limen("db", "init", *db)
    assert "Say --role or --profile." in limen("user", "set", "ada", *db)[1]
    assert "--profile takes KEY=VALUE, not 'room'." in limen("user", "set", "ada", "--profile", "room", *db)[1]
    assert "There is no user 'ada' in 'localhost'." in limen("user", "set", "ada", "--role", "nurse", *db)[1]
    assert "There is no user 'ada' in 'localhost'." in limen("user", "end", "ada", *db)[1]
    assert "Say --db" in limen("explain", "ada", "ward.list")[1]
