"""`limen user` and `limen abuse`, as an operator types them: beside a running server, and without one."""

from __future__ import annotations

import http.client
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Server

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from limen import service

@service(ssl=False)
def sealed():
    return 1
"""


def run(folder: Path, *words: str, password: str = "") -> tuple[int, str, str]:
    """Exit code, output, and what was said besides."""
    done = subprocess.run(
        [LIMEN, *words],
        cwd=folder,
        env={**os.environ, "LIMEN_DB": "sqlite:///t.db"},
        input=password,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    command = [LIMEN, "serve", "program.py", "--port", "0"]
    server = Server(command, folder, {**os.environ, "LIMEN_DB": "sqlite:///t.db"})
    yield server
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


def ask(server: Server) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/sealed", headers={"Host": f"localhost:{server.port}"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("running", [False, True], ids=["the file", "the running server"])
def test_users_are_added_listed_given_a_password_and_removed(
    folder: Path, running: bool, request: pytest.FixtureRequest
) -> None:
    if running:
        request.getfixturevalue("server")
    assert run(folder, "user", "add", "ada", "--role", "nurse", "--role", "user", password="lovelace\n")[0] == 0
    assert run(folder, "user", "list")[1] == "localhost\tada\tnurse,user\n"
    code, _, said = run(folder, "user", "add", "ada", password="lovelace\n")
    assert code == 1
    assert "limen user passwd" in said
    assert run(folder, "user", "passwd", "ada", password="lady byron\n")[0] == 0
    assert run(folder, "user", "passwd", "eve", password="lady byron\n")[0] == 1
    assert run(folder, "user", "add", "eve", password="\n")[0] == 1
    assert run(folder, "user", "remove", "ada")[0] == 0
    assert run(folder, "user", "remove", "ada")[0] == 1
    assert run(folder, "user", "list")[1] == ""
    assert any(b"nurse" in path.read_bytes() for path in folder.glob("t.db*") if path.is_file())
    code, said, _ = run(folder, "user", "remove", "ada", "--erase")
    assert (code, said) == (0, "Erased ada from localhost.\n"), "also who was removed before"
    assert not any(b"nurse" in path.read_bytes() for path in folder.glob("t.db*") if path.is_file())
    assert run(folder, "user", "remove", "ada", "--erase")[0] == 1


def test_a_server_speaks_to_its_owner_alone_and_leaves_no_socket_behind(folder: Path, server: Server) -> None:
    socket = folder / "t.db.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert not socket.exists()


def test_the_socket_of_a_server_that_died_is_in_nobodys_way(folder: Path, server: Server) -> None:
    server.process.kill()
    server.process.wait()
    assert (folder / "t.db.sock").exists()
    assert run(folder, "user", "add", "ada", password="lovelace\n")[0] == 0


def test_a_second_server_on_a_file_says_so_and_stops(folder: Path, server: Server) -> None:
    code, _, said = run(folder, "serve", "program.py", "--port", "0")
    assert code != 0
    assert f"in use by another Limen (process {server.process.pid})" in said
    assert "Traceback" not in said
    assert ask(server) == 401  # the first serves on


def test_the_ledger_survives_a_crash_and_is_shown_and_cleared(folder: Path, server: Server) -> None:
    statuses = [ask(server) for _ in range(12)]
    assert statuses[-1] == 429
    row = run(folder, "abuse", "list")[1]
    assert row.startswith("localhost\t127.0.0.1\t")
    assert row.endswith("\trefused\n")
    time.sleep(1.5)  # the ledger goes to the disk within a second
    server.process.kill()
    server.process.wait()
    again = Server(server.command, folder, server.env)
    try:
        assert ask(again) == 429
        assert run(folder, "abuse", "clear", "127.0.0.1")[1] == "Cleared 1 row(s).\n"
        assert run(folder, "abuse", "list")[1] == ""
        assert ask(again) == 401
    finally:
        again.process.kill()
        again.process.wait()
