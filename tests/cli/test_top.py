"""`limen top`: what it shows of a server that runs, and that what clients say can't speak to the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from served import Server

from limen import App, connect, exc
from limen.app import control
from limen.app.seen import operated, seen_operations
from limen.cli import main
from limen.cli.top import Look, find, lines, watch

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from limen import service
@service(safe=False, ssl=False, check_abusive=False)
def half(n): return n / 2
"""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[App, Path]]:
    """An App's hub, and the socket of its operators."""
    app = App()

    @app.service(safe=False, ssl=False)
    def half(n: float) -> float:
        return n / 2

    app.open().begin()
    async with operated(app.open(), tmp_path / "control.sock"):
        yield app, tmp_path / "control.sock"


def row(**more: Any) -> dict[str, Any]:
    """A picture of nothing, but for *more*."""
    app = App()
    return seen(app) | more


def seen(app: App) -> dict[str, Any]:
    from limen.door.hub.counts import picture

    return picture(app.open())


def tree(*sessions: dict[str, Any]) -> dict[str, Any]:
    return {"addresses": [], "sessions": list(sessions), "omitted": {}}


def test_rates_are_what_came_between_two_looks() -> None:
    before = row(calls_local=10, calls_routed=5, addresses=[["todo.add", 4, 0, 0.5, 0.2]])
    now = row(calls_local=20, calls_routed=15, addresses=[["todo.add", 10, 1, 0.8, 0.2], ["new", 1, 0, 9.0, 9.0]])
    look = Look(before, now, 2.0, tree())
    assert look.rates["calls"] == 10.0
    assert [each[:2] for each in look.addresses] == [["new", 0.5], ["todo.add", 3.0]]
    text = "\n".join(lines(look, 100, 50))
    assert re.search(r"new +0\.5 +1 +0 +9000\.00 +9000\.00", text)


def test_a_server_that_began_anew_in_between_has_no_rates_below_nothing() -> None:
    look = Look(row(calls_local=10), row(calls_local=1), 1.0, tree())
    assert look.rates["calls"] == 0.0


def test_no_line_is_wider_than_the_terminal_and_there_are_no_more_than_it_has() -> None:
    many = [[f"address.{'x' * 90}.{number}", 1, 0, 0.1, 0.1] for number in range(50)]
    topics = [[f"topic.{number}", 1, 1] for number in range(50)]
    look = Look(row(), row(addresses=many, topics=topics), 1.0, tree())
    shown = lines(look, 60, 24, "<", ">")
    assert len(shown) <= 24
    assert max(len(line.strip("<>")) for line in shown) <= 60
    assert any("topic." in line for line in shown)


def test_what_clients_have_chosen_does_not_speak_to_the_terminal() -> None:
    who = {"session": 7, "user": "\x1b[2Jeve", "domain": "a", "role": "\n", "transport": "websocket"}
    evil = tree({**who, "queue": 5, "calls": 1, "invocations": 0})
    text = "\n".join(lines(Look(row(), row(topics=[["a\x1b]0;b", 1, 1]]), 1.0, evil), 100, 50))
    assert "\x1b" not in text
    assert "?[2Jeve" in text


async def test_it_asks_a_server_that_runs(running: tuple[App, Path]) -> None:
    app, socket = running
    looks = watch(socket, 0.1)
    first = await asyncio.to_thread(next, looks)
    assert first.now["watched"] is True
    app.open().counts.called("localhost", "half", 0.25, None)
    second = await asyncio.to_thread(next, looks)
    assert second.now["addresses"] == [["half", 1, 0, 0.25, 0.25]]
    assert second.tree["addresses"][0]["address"] == "half"


async def test_a_server_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(exc.ConnectionLost):
        next(watch(tmp_path / "none.sock", 0.1))


def test_where_no_server_runs_the_operation_says_nothing() -> None:
    assert seen_operations(lambda: None)["picture"]() is None


def test_the_socket_of_a_router_is_named_after_its_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert find(None, 8080, None, None) == tmp_path / "limen" / "router-8080.sock"
    assert (tmp_path / "limen").stat().st_mode & 0o777 == 0o700
    assert find(None, None, f"sqlite:///{tmp_path}/t.db", None) == tmp_path / "t.db.sock"
    (tmp_path / "limen").chmod(0o777)
    with pytest.raises(exc.StoreError, match="alone"):
        control.router_socket(8080)


async def test_two_servers_do_not_take_each_others_socket(running: tuple[App, Path]) -> None:
    _, socket = running
    other = App()
    other.open().begin()
    async with operated(other.open(), socket):
        assert await asyncio.to_thread(control.is_served, socket)
    assert await asyncio.to_thread(control.is_served, socket)


@pytest.fixture
def server(serve: Any, tmp_path: Path) -> Server:
    (tmp_path / "program.py").write_text(PROGRAM)
    served: Server = serve(tmp_path / "program.py", "--db", f"sqlite:///{tmp_path}/t.db", "--workers", "2")
    return served


async def test_of_several_workers_it_shows_the_sum(server: Server, tmp_path: Path) -> None:
    async with connect(server.url) as one, connect(server.url) as other, connect(server.url) as third:
        for session in (one, other, third):
            assert await session.call("half", 4) == 2
        command = [LIMEN, "top", "--db", f"sqlite:///{tmp_path}/t.db", "--once", "--json", "--every", "0.2"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    look = json.loads(done.stdout)
    assert look["picture"]["processes"] == 2
    assert look["picture"]["sessions"] == [["localhost", "anonymous", "websocket", 3]]
    assert look["picture"]["calls_local"] == 3
    assert len(look["tree"]["sessions"]) == 3
    plain = CliRunner().invoke(main, ["top", "--db", f"sqlite:///{tmp_path}/t.db", "--once", "--every", "0.2"])
    assert "2 processes" in plain.output


def test_in_a_terminal_it_draws_and_q_ends_it(server: Server, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [LIMEN, "top", "--db", f"sqlite:///{tmp_path}/t.db", "--every", "0.2"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        shown = b""
        while b"limen top" not in shown:
            shown += os.read(master, 4096)
        os.write(master, b"q")
        try:
            while piece := os.read(master, 4096):
                shown += piece
        except OSError:
            pass  # the other end is closed
        assert process.wait(10) == 0
    os.close(master)
    assert shown.startswith(b"\x1b[?1049h")
    assert b"\x1b[?1049l" in shown
