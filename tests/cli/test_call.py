"""`limen call`, as a shell runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Server

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = Path(__file__).parent.parent / "client" / "offered.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("call") / "call.db"
    command = [LIMEN, "serve", f"{PROGRAM}:app", "--port", "0", "--dev", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=PROGRAM.parent, env=dict(os.environ))
    yield server
    server.stop()


def call(url: str, *arguments: str, said: str = "") -> tuple[int, str, str]:
    """Status, output, errors."""
    done = subprocess.run(
        [sys.executable, "-m", "limen.cli", "call", url, *arguments], input=said, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_the_result_is_printed_as_json(server: Server) -> None:
    assert call(server.url, "add", "a=1", "b=2") == (0, "3\n", "")
    value = '{"price": 1.5, "tags": ["a", "b=c"]}'
    assert call(server.url, "/deep/echo", f"value:={value}")[:2] == (0, value.replace(" ", "") + "\n")


def test_a_stream_is_printed_line_by_line_and_a_websocket_will_do(server: Server) -> None:
    assert call(server.url.replace("http", "ws"), "count", "3", "--stream") == (0, "0\n1\n2\n", "")


def test_a_user_logs_in_with_the_line_of_standard_input(server: Server) -> None:
    assert call(server.url, "whoami", "--user", "ada", said="lovelace\n") == (0, '"ada"\n', "")
    assert call(server.url, "whoami", "--user", "ada", said="wrong\n")[0] == 4


def test_what_comes_once_is_printed_where_a_stream_was_asked_for(server: Server) -> None:
    assert call(server.url, "add", "a=1", "b=2", "--stream") == (0, "3\n", "")


@pytest.mark.parametrize("user", [(), ("--user", "ada")])
def test_files_are_sent_and_come_as_they_are(server: Server, tmp_path: Path, user: tuple[str, ...]) -> None:
    note = tmp_path / "a=b.txt"
    note.write_text("hello")
    status, out, err = call(server.url, "put_file", f"file:@{note}", *user, said="lovelace\n")
    assert (status, err) == (0, "")
    assert '"a=b.txt"' in out
    command = [sys.executable, "-m", "limen.cli", "call", server.url, "get_file", "512", *user]
    done = subprocess.run(command, input=b"lovelace\n", capture_output=True)
    assert (done.returncode, done.stdout) == (0, bytes(range(256)) * 2)


def test_errors_have_names_facts_and_a_status(server: Server) -> None:
    status, out, err = call(server.url, "out_of_stock", "bolt")
    assert (status, out) == (1, "")
    assert err == 'RemoteError: No bolt is left.\n{"article":"bolt","left":0}\n'
    assert call(server.url, "whoami")[0] == 4
    assert call("http://localhost:9", "add", "1")[0] == 3
    assert call(server.url, "sleep", "60", "--timeout", "0.05")[0] == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "a:={"], "no JSON"),
        (["add", "a=1", "a=2"], "twice"),
        (["add", "--user", "ada", "--key", "x"], "not both"),
        (["put_file", "file:@nowhere.txt"], "nowhere.txt can't be read"),
        (["add", "--ca", "nowhere.pem"], "nowhere.pem"),
    ],
)
def test_a_wrong_command_line_is_said(arguments: list[str], said: str) -> None:
    status, _, err = call("http://localhost:9", *arguments)
    assert (status, said in err) == (2, True)
