"""`limen db`, as an operator types it: each command does its work, may be said again, and says what is in its way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from old_database import ask, dump, old_database
from served import Server

import limen
from limen.cli import main

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from limen import add_model, service, storage


class Todo:
    __keep__ = 1


add_model(Todo)


@service(ssl=False)
def add(text: str):
    with storage("add") as db:
        return db.insert(Todo, text=text)._uuid


@service(ssl=False)
def change(id, times: int):
    for number in range(times):
        with storage("change") as db:
            db.fetch(Todo, id).text = f"number {number}"


@service(ssl=False)
def get_all():
    with storage() as db:
        return sorted(todo.text for todo in db.select(Todo))
"""


class Folder:
    """Where the operator sits; `LIMEN_DB` names *url*."""

    def __init__(self, path: Path, url: str, start: Callable[..., Server]) -> None:
        self.path, self.url, self._start = path, url, start
        self.db = path / "t.db"
        (path / "program.py").write_text(PROGRAM)

    def run(self, *words: str, typed: str = "", db: str = "") -> tuple[int, str, str]:
        """Exit code, output, and what was said besides."""
        with contextlib.chdir(self.path):
            done = CliRunner().invoke(main, words, input=typed, env={"LIMEN_DB": db or self.url})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    def ok(self, *words: str, typed: str = "", db: str = "") -> str:
        code, said, errors = self.run(*words, typed=typed, db=db)
        assert (code, errors) == (0, ""), said + errors
        return said

    def refused(self, *words: str, typed: str = "", db: str = "") -> str:
        code, _, errors = self.run(*words, typed=typed, db=db)
        assert code == 1
        assert any(line.startswith("Error: ") for line in errors.splitlines()) or "Aborted!" in errors
        return errors

    def user(self, name: str, password: str) -> None:
        assert self.run("user", "add", name, typed=f"{password}\n")[0] == 0

    def prune(self) -> str:
        """In a process of its own, as it imports the program."""
        words = [LIMEN, "db", "prune", "--app", "program.py", "--db", self.url]
        done = subprocess.run(words, cwd=self.path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def serve(self, db: str = "") -> Server:
        return self._start(
            [LIMEN, "serve", "program.py", "--port", "0"], cwd=self.path, env={"LIMEN_DB": db or self.url}
        )

    def call(self, server: Server, *words: object) -> object:
        async def call() -> object:
            async with limen.connect(server.url, user="ada", password="lovelace") as session:
                return await session.call(*words)

        return asyncio.run(call())


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, start: Callable[..., Server]) -> Folder:
    url = "sqlite:///t.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    return Folder(tmp_path, url, start)


@pytest.fixture
def old(tmp_path: Path, start: Callable[..., Server]) -> Folder:
    """With a database of schema 1."""
    old_database(tmp_path / "t.db")
    return Folder(tmp_path, "sqlite:///t.db", start)


# -- init ------------------------------------------------------------------------------------------------------------
def test_init_makes_a_database_once(folder: Folder) -> None:
    assert re.fullmatch(r"Made a database at \S+ \(schema 2\)\.\n", folder.ok("db", "init"))
    assert re.fullmatch(r"There is a database at \S+ already \(schema 2\)\.\n", folder.ok("db", "init"))
    assert "nothing is wrong" in folder.ok("db", "check")
    assert "nothing to do" in folder.ok("db", "migrate")


def test_init_of_an_older_database_says_what_to_do(old: Folder) -> None:
    assert "limen db migrate --db sqlite:///t.db" in old.refused("db", "init")


@pytest.mark.parametrize("command", ["migrate", "status", "check", "backup b.db", "restore b.db"])
def test_what_is_not_there_is_said_and_nothing_is_made(
    command: str, tmp_path: Path, start: Callable[..., Server]
) -> None:
    said = Folder(tmp_path, "sqlite:///t.db", start).refused("db", *command.split())
    assert "There is no database" in said
    assert not (tmp_path / "t.db").exists()


@pytest.mark.parametrize(
    "command", ["init", "migrate", "status", "check", "backup b.db", "restore b.db", "prune --app program.py"]
)
def test_every_command_wants_to_know_which_store(command: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("")
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(main, ["db", *command.split()], env={"LIMEN_DB": None})
    assert done.exit_code == 2
    assert "--db" in done.stderr


@pytest.mark.parametrize("command", ["init", "migrate", "check", "backup b.db", "prune --app program.py"])
def test_a_newer_database_is_refused_in_words(command: str, old: Folder) -> None:
    ask(old.db, "PRAGMA user_version = 99")
    before = dump(old.db)
    assert "newer Limen (schema 99; this program knows 2)" in old.refused("db", *command.split())
    assert dump(old.db) == before
    assert "99, of a newer Limen" in old.ok("db", "status")


@pytest.mark.parametrize("command", ["init", "migrate", "status", "check", "backup b.db"])
def test_a_database_of_another_program_is_refused_in_words(
    command: str, tmp_path: Path, start: Callable[..., Server]
) -> None:
    ask(tmp_path / "t.db", "CREATE TABLE contact (name TEXT)")
    assert "of another program" in Folder(tmp_path, "sqlite:///t.db", start).refused("db", *command.split())


@pytest.mark.parametrize("url", ["mysql://host/todo", "todo.db", "sqlite://", "postgresql://ada:secret@[/x"])
def test_a_url_that_names_no_database_is_refused_without_its_password(
    url: str, tmp_path: Path, start: Callable[..., Server]
) -> None:
    said = Folder(tmp_path, "sqlite:///t.db", start).refused("db", "status", "--db", url)
    assert "sqlite:///" in said or "postgresql://user@host" in said
    assert "secret" not in said


# -- migrate ---------------------------------------------------------------------------------------------------------
def test_a_database_of_the_last_version_is_migrated_and_its_users_log_in_as_before(old: Folder) -> None:
    assert "limen db migrate" in old.refused("serve", "program.py", "--port", "0")
    said = old.ok("db", "migrate")
    assert "from schema 1 to 2. All sessions have ended." in said
    assert str(old.path / "t.db.schema-1") in said
    assert "nothing to do" in old.ok("db", "migrate")
    server = old.serve()
    assert old.call(server, "get_all") == ["Buy bread", "Buy oat milk"]


def test_a_database_that_a_server_uses_is_not_migrated(folder: Folder) -> None:
    folder.ok("db", "init")
    folder.serve()
    assert "nothing to do" in folder.ok("db", "migrate")
    if folder.db.exists():
        ask(folder.db, "PRAGMA user_version = 1")
        assert "in use by another Limen" in folder.refused("db", "migrate")


# -- status and check ------------------------------------------------------------------------------------------------
def test_status_shows_what_there_is_beside_a_server_and_without_one(folder: Folder) -> None:
    folder.user("ada", "lovelace")
    lines = folder.ok("db", "status").splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines if not line.startswith(" "))
    assert shown["schema"] == "2"
    assert shown["server"] == "none runs"
    assert shown["engine"].startswith("PostgreSQL" if "postgresql" in folder.url else "SQLite")
    assert shown["domains"] == "1"
    assert re.fullmatch(r"\d+\.\d MB", shown["size"])
    server = folder.serve()
    folder.call(server, "add", "milk")
    said = folder.ok("db", "status")
    assert re.search(r"^server +runs, .*process \d+", said, re.MULTILINE)
    assert re.search(r"localhost: \d+ transaction\(s\); Todo 1, .*limen.account 1", said)


def test_status_of_an_older_database_says_what_to_do(old: Folder) -> None:
    assert "1, of an older Limen; say: limen db migrate --db sqlite:///t.db" in old.ok("db", "status")


def test_check_ends_with_1_where_something_is_wrong_and_says_what(old: Folder) -> None:
    old.ok("db", "migrate")
    assert old.ok("db", "check") == "sqlite:///t.db: nothing is wrong.\n"
    ask(old.db, "UPDATE record SET vsn = 39 WHERE vsn = 40")
    ask(old.db, "DELETE FROM version WHERE vsn = 7")
    code, said, errors = old.run("db", "check")
    assert code == 1
    assert "version 7 is missing" in said
    assert "the record is version 39, and its last version is 40" in said
    assert errors == "Error: sqlite:///t.db: 2 thing(s) are wrong. Put back a backup: limen db restore FILE.\n"


# -- backup and restore ----------------------------------------------------------------------------------------------
def test_a_backup_is_made_beside_a_server_and_put_back_without_one(folder: Folder) -> None:
    folder.user("ada", "lovelace")
    server = folder.serve()
    folder.call(server, "add", "before")
    said = folder.ok("db", "backup", "b.db")
    assert re.match(r"Wrote b\.db \(\d+\.\d MB\)\.\nThe key file \S+ is not in it\.", said)
    assert "--force" in folder.refused("db", "backup", "b.db")
    folder.ok("db", "backup", "b.db", "--force")
    folder.call(server, "add", "after")
    assert "in use by another Limen" in folder.refused("db", "restore", "b.db", "--replace", "--yes")
    server.stop()
    assert "--replace" in folder.refused("db", "restore", "b.db")
    assert "Aborted" in folder.refused("db", "restore", "b.db", "--replace", typed="n\n")
    assert "All sessions have ended." in folder.run("db", "restore", "b.db", "--replace", typed="y\n")[1]
    folder.ok("db", "restore", "b.db", "--replace", "--yes")
    server = folder.serve()
    assert folder.call(server, "get_all") == ["before"]


def test_a_backup_moves_a_program_to_another_place_with_its_key_file(folder: Folder) -> None:
    folder.user("ada", "lovelace")
    server = folder.serve()
    folder.call(server, "add", "milk")
    server.stop()
    folder.ok("db", "backup", "b.db")
    said = folder.ok("db", "restore", "b.db", db="sqlite:///new.db")
    assert "Put the key file of that time at new.db.keys" in said
    (keys,) = (path for path in folder.path.glob("*.keys"))
    keys.rename(folder.path / "new.db.keys")
    assert folder.call(folder.serve("sqlite:///new.db"), "get_all") == ["milk"]


# -- prune -----------------------------------------------------------------------------------------------------------
def test_prune_drops_what_the_models_of_the_program_do_not_ask_for(folder: Folder) -> None:
    folder.user("ada", "lovelace")
    (folder.path / "program.py").write_text(PROGRAM.replace("__keep__ = 1", "__keep__ = None"))
    server = folder.serve()
    id = folder.call(server, "add", "0")
    folder.call(server, "change", id, 39)
    assert folder.prune() == "Nothing was to be dropped.\n"
    (folder.path / "program.py").write_text(PROGRAM)
    assert folder.prune() == "Todo: dropped 38 version(s).\n"  # beside the server
    folder.call(server, "change", id, 1)
    assert folder.call(server, "get_all") == ["number 0"]
    server.stop()
    assert folder.prune() == "Todo: dropped 1 version(s).\n"
    assert folder.prune().endswith("Nothing was to be dropped.\n")
    assert "nothing is wrong" in folder.ok("db", "check")


# -- progress --------------------------------------------------------------------------------------------------------
SLOW = """
import sys, time
from limen.cli.db import Progress

Progress.SEEN = 0.02
with Progress() as progress:
    for done in range(5):
        progress("pages", done, 5)
        time.sleep(0.02)
    progress("rows", 1, 1)
"""


def test_long_work_is_told_in_lines_where_there_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True)
    assert re.match(r"pages: \d of 5\n", done.stderr)
    assert "rows" not in done.stderr
    assert done.stdout == ""


def test_long_work_is_shown_as_a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", SLOW.replace("SEEN", "SLOW")], stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert re.search(r"pages +\[#+-*\] +\d+%", shown)
    assert "rows" not in shown
