from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limen import exc
from limen.core.record.port import Change, Transaction
from limen.store import sqltables, statements
from limen.store.sql import SQLStore
from limen.testing.stores import StoreSuite

WHO = Transaction("localhost", None, None, "", "", "", 0.0)


def change(number: int = 1, base: int = 0) -> Change:
    return Change("T", number.to_bytes(16), base, "{}", False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLStore]:
    store = SQLStore(f"sqlite:///{path}")
    yield store
    store.close()


class TestSQLStore(StoreSuite):
    @pytest.fixture
    def store(self, path: Path) -> Iterator[SQLStore]:
        store = SQLStore(f"sqlite:///{path}")
        yield store
        store.close()

    def again(self, store: SQLStore) -> SQLStore:
        return SQLStore(store.url)


# -- opening
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@h/db",
        "postgresql+psycopg://h/db",
        "mysql://h/db",
        "todo.db",
        "",
        "sqlite://host/db",
        "sqlite+aiosqlite:///a.db",
        "sqlite:///a.db?mode=ro",
        "sqlite:////no/such/folder/a.db",
    ],
)
def test_any_other_url_is_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(exc.StoreError) as caught:
        SQLStore(url)
    assert "sqlite:///" in str(caught.value) or "no folder" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"])
def test_a_database_in_memory_is_refused_with_the_store_to_use(url: str) -> None:
    with pytest.raises(exc.StoreError, match=r"MemDictStore|sqlite:///relative"):
        SQLStore(url)


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(exc.StoreError, match="is a folder"):
        SQLStore(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(exc.StoreError, match="no SQLite database"):
        SQLStore(f"sqlite:///{path}")
    assert path.read_bytes() == b"Dear diary, " * 1000


def test_a_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(exc.StoreError, match="another program"):
        SQLStore(f"sqlite:///{path}")
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


def test_a_database_of_a_newer_program_is_refused_with_a_clear_sentence(store: SQLStore, path: Path) -> None:
    store.close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {statements.SCHEMA + 1}")
    with pytest.raises(exc.StoreError, match="written by a newer Limen") as caught:
        SQLStore(f"sqlite:///{path}")
    assert "Update this program" in str(caught.value)


def test_the_file_is_for_its_owner_only(store: SQLStore, path: Path) -> None:
    store.meta.set("a", "b")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_commits_are_synced_and_keys_are_checked(store: SQLStore, path: Path) -> None:
    store.records.newest("localhost", "T", bytes(16))
    connections = store._file._all
    assert len(connections) >= 2
    for connection in connections:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_newest_version_is_found_by_one_index_and_its_row(store: SQLStore, path: Path) -> None:
    with sqlite3.connect(path) as db:
        for statement, rows in (
            (statements.NEWEST, (1, 1, b"")),
            (statements.ALL, (1, 1, 0)),
            (statements.HISTORY, (1, 1, b"")),
        ):
            plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", rows))
            assert "SCAN" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan


def test_relative_paths_are_of_where_the_program_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLStore("sqlite:///b.db")
    assert store.path == tmp_path / "b.db"
    assert store.path.exists()
    store.close()


def test_a_closed_store_says_so(store: SQLStore) -> None:
    store.close()
    store.close()
    for use in (lambda: store.meta.get("x"), lambda: store.meta.set("x", "1"), lambda: store.records.commit(WHO, [])):
        with pytest.raises(exc.StoreError, match="closed"):
            use()


def test_a_server_does_not_load_sqlalchemy() -> None:
    code = "import sys, limen.store.sql, limen.store.keyfile; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_statements_are_what_core_makes_of_the_tables() -> None:
    text = Path(statements.__file__).read_text("utf-8")
    assert text == sqltables.written(), "say: python -m limen.store.sqltables"


# -- writing
def test_a_work_that_raises_leaves_no_transaction_and_no_lock(store: SQLStore) -> None:
    def work(writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO meta (name, value) VALUES ('half', 'done')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store._file.write(work)
    assert store.meta.get("half") is None
    store.records.commit(WHO, [change()])


def test_a_full_disk_is_said_and_nothing_is_written(store: SQLStore) -> None:
    store.records.commit(WHO, [change()])
    pages = store._file._writer.execute("PRAGMA page_count").fetchone()[0]
    store._file._writer.execute(f"PRAGMA max_page_count = {pages}")
    big = change(2)._replace(fields='{"x":"' + "y" * 1_000_000 + '"}')
    with pytest.raises(exc.StoreError, match="disk is full"):
        store.records.commit(WHO, [change(1, base=1), big])
    assert store.records.newest("localhost", "T", (1).to_bytes(16)).vsn == 1  # type: ignore[union-attr]
    store._file._writer.execute("PRAGMA max_page_count = 1000000")
    store.records.commit(WHO, [change(1, base=1), big])


def test_another_program_that_writes_is_waited_for_and_then_named(
    path: Path, store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store._file._writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.meta.get("x")  # readers are not held up
    with pytest.raises(exc.StoreError, match="another program is writing"):
        store.meta.set("x", "1")
    other.execute("ROLLBACK")
    other.close()
    store.meta.set("x", "1")


# -- claim
CLAIM = """
import sys
from limen.store.sql import SQLStore
from limen import exc
store = SQLStore(sys.argv[1])
try:
    with store.claim():
        print("claimed", flush=True)
        sys.stdin.read()
except exc.StoreError as error:
    print(error, flush=True)
"""


def claimant(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLAIM, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_one_server_a_file_and_a_second_says_so_and_stops(store: SQLStore) -> None:
    first, url = claimant(store.url), store.url
    assert said(first) == "claimed\n"
    second = claimant(url)
    answer = said(second)
    assert f"process {first.pid}" in answer
    assert "one server per SQLite file" in answer
    assert second.wait(10) == 0
    with pytest.raises(exc.StoreError, match="one server per SQLite file"):
        store.claim()
    first.kill()
    first.communicate()
    with store.claim():
        third = claimant(url)
        assert f"process {os.getpid()}" in said(third)
        third.communicate()
    fourth = claimant(url)
    assert said(fourth) == "claimed\n"
    fourth.communicate()


def test_a_claim_is_given_back_when_the_block_fails(store: SQLStore) -> None:
    with pytest.raises(ValueError, match="x"), store.claim():
        raise ValueError("x")
    store.claim().release()


def test_a_claim_that_ends_leaves_a_file_that_is_whole_by_itself(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:///{tmp_path / 'a.db'}")
    with store.claim():
        store.meta.set("a", "b")
        assert (tmp_path / "a.db-wal").stat().st_size > 0
    assert (tmp_path / "a.db-wal").stat().st_size == 0
    store.meta.set("a", "c")  # and the store goes on
    assert store.meta.get("a") == "c"
