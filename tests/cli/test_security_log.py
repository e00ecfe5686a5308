"""What the log of a real server says of security: who came in and who did not, who changed what; and no secret."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import Server

from limen import AsyncHttpClient, HttpClient, connect, exc
from limen.app.calllog import CallLog
from limen.base.config import Config
from limen.core.guard.ledger import Kind, Ledger

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from limen import auth, config, service
config.IMPERSONATOR_ROLES = ("chief",)
config.PASSWORD_MIN_LENGTH = 12
auth.add_user("ada", "countess of lovelace", roles=["chief"])
auth.add_user("bob", "another long one")
@service(ssl=False)
def secret(): return "sealed"
@service(safe=False, ssl=False)
def broken(text: str): raise RuntimeError(text)
"""
FORGED = 'harmless\n{"t":1.0,"event":"login","ok":true}\r{"t":2.0,"event":"login","ok":true}'
PASSWORDS = ("countess of lovelace", "another long one", "a wrong one", "lovelace of byron", "set by the operator")


@pytest.fixture
def server(serve: Callable[..., Server], tmp_path: Path) -> Server:
    (tmp_path / "program.py").write_text(PROGRAM)
    return serve(tmp_path / "program.py", "--db", f"sqlite:///{tmp_path}/t.db")


def limen(folder: Path, *words: str, password: str = "") -> subprocess.CompletedProcess[str]:
    command = [LIMEN, *words, "--db", f"sqlite:///{folder}/t.db"]
    return subprocess.run(command, input=f"{password}\n", text=True, capture_output=True, timeout=30)


def events(server: Server) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.lines if line.startswith('{"t":')]
    assert all(isinstance(line.pop("t"), float) for line in lines)
    return [line for line in lines if "event" in line]


def told(server: Server, event: str, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(line.get(name) for name in names) for line in events(server) if line["event"] == event]


async def test_who_came_in_and_who_did_not_and_what_they_changed_stands_in_the_log(
    server: Server, tmp_path: Path
) -> None:
    for user, password in (("ada", "a wrong one"), ("nobody", "a wrong one")):
        with pytest.raises(exc.InvalidCredential):
            async with connect(server.url, user=user, password=password):
                pass
    async with connect(server.url, user="ada", password="countess of lovelace") as session:
        with pytest.raises(exc.Unauthorized):
            await session.subscribe("ward.alarm", print)
        await session.change_password("lovelace of byron")
        await session.impersonate("bob")
    async with AsyncHttpClient(server.url) as client:
        with pytest.raises(exc.Unauthorized):
            await client.call("secret")
        with pytest.raises(exc.InternalError):
            await client.call("broken", FORGED)
    for words in (("permission", "grant", "nurse", "secret"), ("user", "set", "bob", "--role", "nurse")):
        done = await asyncio.to_thread(limen, tmp_path, *words)
        assert done.returncode == 0, done.stderr
    done = await asyncio.to_thread(limen, tmp_path, "user", "passwd", "bob", password="set by the operator")
    assert done.returncode == 0, done.stderr
    await asyncio.to_thread(server.stop)
    logins = told(server, "login", "ok", "how", "domain", "user", "origin")
    assert logins[:3] == [
        (False, "password", "localhost", "ada", "127.0.0.1"),
        (False, "password", "localhost", None, "127.0.0.1"),  # what was typed as a name may be a password
        (True, "password", "localhost", "ada", "127.0.0.1"),
    ]
    assert told(server, "session.opened", "user", "origin", "kind") == [("ada", "127.0.0.1", "tab")]
    assert ("bob", "logout") in told(server, "session.closed", "user", "why")
    assert told(server, "acts as", "user", "by") == [("bob", "ada")]
    ((kind, origin, level),) = told(server, "abuse", "kind", "origin", "level")
    assert (kind, origin) == ("unsealed", "127.0.0.1")
    assert 2.5 < level <= 3.0  # two logins that came to nothing, and this
    assert told(server, "permission", "did", "role", "pattern") == [("granted", "nurse", "secret")]
    assert told(server, "account", "did", "user", "by") == [
        ("password", "ada", "ada"), ("roles", "bob", None), ("password", "bob", None)
    ]  # fmt: skip
    assert told(server, "denied", "did", "uri", "user") == [("subscribe", "ward.alarm", "ada")]
    said = "\n".join(server.lines)
    assert "RuntimeError: harmless" in said
    assert [line for line in server.lines if line and line in FORGED] == []
    assert [word for word in PASSWORDS if word in said] == []


def test_a_login_that_is_refused_unheard_is_logged() -> None:
    log, ledger = CallLog(said := io.StringIO()), Ledger(Config())
    ledger.noted = lambda what, entry: log.entry(ledger, what, entry)
    for _ in range(4):
        ledger.charge("localhost", "192.0.2.1", Kind.DENIED, 0.0)
    with pytest.raises(exc.Abusive):
        ledger.issue("localhost", "192.0.2.1", Kind.KE2, 0.0, account="0123")
    log.flush()
    last = json.loads(said.getvalue().splitlines()[-1])
    assert (last["event"], last["ok"], last["why"], last["origin"]) == ("login", False, "abusive", "192.0.2.1")


def test_a_new_password_that_is_too_short_is_refused_where_somebody_types_it(server: Server, tmp_path: Path) -> None:
    """`limen user` and every client: the server itself never sees one."""
    for words in (("user", "add", "eve"), ("user", "passwd", "ada")):
        done = limen(tmp_path, *words, password="eleven char")
        assert done.returncode == 1
        assert "at least 12 characters" in done.stderr
    with HttpClient(server.url) as client:
        client.login("ada", "countess of lovelace")
        with pytest.raises(exc.InvalidCredential, match="at least 12"):
            client.change_password("eleven char")
        client.change_password("twelve chars")


async def test_nor_in_an_open_session(server: Server) -> None:
    async with connect(server.url, user="ada", password="countess of lovelace") as session:
        with pytest.raises(exc.InvalidCredential, match="at least 12"):
            await session.change_password("eleven char")
