"""`limen debug` and `limen shell`: real processes, a real debugger's port."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from served import Server

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from limen import add_model, get_state, service, storage

@add_model
class Note: ...

@service()
def note(text):
    with storage("noted") as db:
        db.insert(Note, text=text)
    return get_state().user

@service(safe=False, methods=["GET"])
def hello():
    return "Hello"
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def run(*words: str | Path, stdin: str = "", cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LIMEN, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60, cwd=cwd)


def speaks_debug_adapter(host: str, port: int) -> bool:
    """Asks as an editor does (Debug Adapter Protocol: `initialize`)."""
    request = json.dumps({"seq": 1, "type": "request", "command": "initialize", "arguments": {"adapterID": "test"}})
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(f"Content-Length: {len(request)}\r\n\r\n{request}".encode())
        answers = connection.makefile("rb")
        while True:
            head = answers.readline()
            answers.readline()
            body = json.loads(answers.read(int(head.split(b":")[1])))
            if body["type"] == "response":
                return bool(body["success"])


def where(said: str) -> tuple[str, int]:
    host, _, port = said.partition("may attach at ")[2].split(" ")[0].partition(":")
    return host, int(port)


def test_a_program_is_served_with_a_debugger_on_loopback(start: Callable[..., Server], program: Path) -> None:
    server = start([LIMEN, "debug", str(program), "--port", "0", "--debug-port", "0"], cwd=program.parent)
    host, port = where("\n".join(server.lines))
    assert host == "127.0.0.1"
    assert speaks_debug_adapter(host, port)
    with urllib.request.urlopen(f"{server.url}/hello.txt") as answer:
        assert answer.read() == b"Hello"


def test_a_running_server_lets_a_debugger_in_only_in_development(
    serve: Callable[..., Server], program: Path, tmp_path: Path
) -> None:
    for name, options in (("dev", ["--dev"]), ("live", [])):
        db = f"sqlite:///{tmp_path / name}.db"
        serve(program, "--db", db, *options)
        done = run("debug", "--db", db, "--debug-port", "0", cwd=tmp_path)
        if options:
            assert done.returncode == 0, done.stderr
            assert speaks_debug_adapter(*where(done.stderr))
        else:
            assert done.returncode == 1
            assert "not in development" in done.stderr


def test_without_a_server_there_is_nothing_to_debug(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'none.db'}"
    assert run("db", "init", "--db", db, cwd=tmp_path).returncode == 0
    done = run("debug", "--db", db, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"Error: No server runs on {db}.\n")


def test_a_shell_has_the_program_at_hand(program: Path, tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'shell.db'}"
    lines = 'print(call("note", "milk"))\nwith storage() as db: print(db.count(Note))\n\n'
    done = run("shell", program, "--user", "ada", "--db", db, stdin=lines, cwd=tmp_path)
    assert done.stdout.replace(">>> ", "").replace("... ", "").split() == ["ada", "1"]
    again = run("shell", program, "--db", db, "-c", "with storage() as db: print(db.count(Note))", cwd=tmp_path)
    assert again.stdout == "1\n"


def test_a_shell_without_a_user_is_nobody(program: Path, tmp_path: Path) -> None:
    done = run("shell", program, "-c", 'call("note", "milk")', cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "Error: Log in first.\n"
    done = run("shell", program, "-c", "1 / 0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == ["Traceback (most recent call last):", '  File "-c", line 1, in <module>']
