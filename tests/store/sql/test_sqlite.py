from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limen import exc
from limen.core.record.port import Change, Conflict, Reads, Stale, Transaction
from limen.store.sql import SQLStore, schema, statements
from limen.store.sql.engine import Hand
from limen.testing.stores import BySubmit, StoreSuite

WHO = Transaction("localhost", None, None, "", "", "", 0.0)
SQL = statements.SQLITE


def change(number: int = 1, base: int = 0, fields: str = "{}") -> Change:
    return Change("T", number.to_bytes(16), base, fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLStore]:
    store = SQLStore(f"sqlite:///{path}")
    yield store
    store.close()


def engine(store: SQLStore) -> Any:
    return store._engine


def read(store: SQLStore, number: int = 1) -> Any:
    return store.records.read("localhost", "T", number.to_bytes(16))[1]


class TestSQLStore(StoreSuite):
    @pytest.fixture
    def store(self, path: Path) -> Iterator[SQLStore]:
        store = SQLStore(f"sqlite:///{path}")
        yield store
        store.close()

    def again(self, store: SQLStore) -> SQLStore:
        return SQLStore(store.url)


class TestSQLStoreBySubmit(BySubmit, TestSQLStore):
    """The same for async callers."""


# -- opening
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://u:secret@h/db",
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
    before = path.read_bytes()
    with pytest.raises(exc.StoreError, match="another program"):
        SQLStore(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_database_of_a_newer_program_is_refused_with_a_clear_sentence(store: SQLStore, path: Path) -> None:
    store.close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {schema.SCHEMA + 1}")
    with pytest.raises(exc.StoreError, match="written by a newer Limen") as caught:
        SQLStore(f"sqlite:///{path}")
    assert "Update this program" in str(caught.value)


def test_a_database_of_an_older_program_is_refused_with_what_to_say(store: SQLStore, path: Path) -> None:
    store.close()
    with sqlite3.connect(path) as older:
        older.execute(f"PRAGMA user_version = {schema.SCHEMA - 1}")
    with pytest.raises(exc.StoreError, match=f"limen db migrate --db {store.url}"):
        SQLStore(store.url)


def test_two_that_open_a_new_file_at_once_make_it_once(path: Path) -> None:
    opened: list[SQLStore] = []
    threads = [threading.Thread(target=lambda: opened.append(SQLStore(f"sqlite:///{path}"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8
    for store in opened:
        store.records.commit(WHO, [change(opened.index(store))])
    assert [store.records.last("localhost") for store in opened] == [8] * 8
    for store in opened:
        store.close()


def test_the_file_is_for_its_owner_only(store: SQLStore, path: Path) -> None:
    store.records.commit(WHO, [change()])
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_commits_are_synced_and_what_is_erased_is_overwritten(store: SQLStore) -> None:
    read(store)
    connections = engine(store)._all
    assert len(connections) >= 2
    for connection in connections:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_records_and_versions_are_found_by_their_keys(store: SQLStore, path: Path) -> None:
    two, key = ("localhost", "T"), ("localhost", "T", b"")
    questions: dict[str, tuple[Any, ...]] = {
        "read": ("T", b"", "localhost"),
        "select": ("T", 1, "localhost"),
        "past": (*key, 1, 1, 1),
        "past_of_all": (*two, 1, 1, 1, 1),
        "oldest": key,
        "history": (*key, 1, 1, 9),
        "transaction": ("localhost", 1),
        "transaction_until": ("localhost", 1),
        "base": key,
        "touched": ("localhost", 1),
        "drop_until": (1, 1, b"", 1, 1, b"", 5),
        "drop_older": (1, 1, b"", 1, 1, b"", 5.0),
        "prune_count": (1, 1, b"", b"", 1),
        "prune_time": (1, 1, b"", b"", 1.0),
    }
    with sqlite3.connect(path) as db:
        for name, parameters in questions.items():
            plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {getattr(SQL, name)}", parameters))
            assert "SCAN" not in plan.replace("SCAN model", ""), (name, plan)
            if name != "touched":  # which groups
                assert "TEMP B-TREE" not in plan, (name, plan)


def test_relative_paths_are_of_where_the_program_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLStore("sqlite:///b.db")
    assert (tmp_path / "b.db").exists()
    store.close()


def test_a_closed_store_says_so(store: SQLStore) -> None:
    store.close()
    store.close()
    for use in (
        lambda: read(store),
        lambda: store.records.commit(WHO, [change()]),
        lambda: store.records.submit(WHO, [change()]).result(),
    ):
        with pytest.raises(exc.StoreError, match="closed"):
            use()


def test_a_server_does_not_load_sqlalchemy() -> None:
    code = (
        "import sys, limen.store.sql; from limen.store.keyfile import *; import limen.store.sql.sqlite.engine;"
        "print({'sqlalchemy', 'alembic', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- writing
def test_a_work_that_raises_leaves_no_transaction_and_no_lock(store: SQLStore) -> None:
    def work(hand: Hand) -> None:
        hand.tell(SQL.set_meta, ("half", "done"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine(store).write(work)
    assert engine(store).rows("SELECT value FROM meta WHERE name = ?", ("half",)) == []
    store.records.commit(WHO, [change()])


def test_a_full_disk_is_said_and_nothing_is_written(store: SQLStore) -> None:
    store.records.commit(WHO, [change()])
    writer = engine(store)._writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    big = change(2, fields='{"x":"' + "y" * 1_000_000 + '"}')
    with pytest.raises(exc.StoreError, match="disk is full"):
        store.records.commit(WHO, [change(1, base=1), big])
    assert read(store).vsn == 1
    assert store.records.last("localhost") == 1
    writer.execute("PRAGMA max_page_count = 1000000")
    assert store.records.commit(WHO, [change(1, base=1), big]) == 2


def test_another_program_that_writes_is_waited_for_and_then_named(path: Path, store: SQLStore) -> None:
    engine(store)._writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert read(store) is None  # readers are not held up
    with pytest.raises(exc.StoreError, match="another program is writing"):
        store.records.commit(WHO, [change()])
    engine(store)._writer.execute("PRAGMA busy_timeout = 10000")
    other.execute("ROLLBACK")
    other.close()
    store.records.commit(WHO, [change()])


def test_what_another_process_writes_is_seen_at_once(store: SQLStore) -> None:
    other = SQLStore(store.url)
    for base in range(3):
        for each in (store, other):
            each.records.commit(WHO, [change(1, base=2 * base + (each is other))])
            assert read(store).vsn == read(other).vsn == 2 * base + (each is other) + 1
    with pytest.raises(Stale):
        store.records.commit(WHO, [change(1, base=5)])
    other.records.commit(WHO._replace(domain="new.example"), [change()._replace(model="New")])
    assert store.records.domains() == ["localhost", "new.example"]
    assert store.records.commit(WHO._replace(domain="new.example"), [change(2)._replace(model="New")]) == 2
    other.close()


def test_a_database_that_was_put_back_under_a_running_program_is_taken_as_it_is_now(
    store: SQLStore, path: Path, tmp_path: Path
) -> None:
    """Names have other numbers in it: nothing that was remembered may be used."""
    for domain, model in (("b.example", "B"), ("a.example", "A")):
        store.records.commit(WHO._replace(domain=domain), [change()._replace(model=model)])
    other = SQLStore(f"sqlite:///{tmp_path / 'backup.db'}")
    for domain, model in (("a.example", "A"), ("b.example", "B")):
        other.records.commit(WHO._replace(domain=domain), [change(2)._replace(model=model)])
    other.close()
    with sqlite3.connect(tmp_path / "backup.db") as backup, sqlite3.connect(path) as db:
        backup.backup(db)
    store.records.commit(WHO._replace(domain="a.example"), [change(2, base=1)._replace(model="A")])
    assert store.records.read("a.example", "A", (2).to_bytes(16))[1].vsn == 2  # type: ignore[union-attr]
    assert store.records.read("b.example", "B", (2).to_bytes(16))[1].vsn == 1  # type: ignore[union-attr]
    assert store.records.read("a.example", "A", (1).to_bytes(16))[1] is None


class Failing:
    """A connection whose COMMIT ends as *end* says, once."""

    def __init__(self, connection: sqlite3.Connection, end: Any) -> None:
        self._connection, self._end = connection, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *given: Any) -> Any:
        if statement == "COMMIT" and self._end is not None:
            end, self._end = self._end, None
            return end(self._connection)
        return self._connection.execute(statement, *given)


def _refused(connection: sqlite3.Connection) -> None:
    """COMMIT fails, the transaction stays open."""
    raise _error("database is locked", "SQLITE_BUSY")


def _undone(connection: sqlite3.Connection) -> None:
    """COMMIT fails, and SQLite has rolled back."""
    connection.execute("ROLLBACK")
    raise _error("disk I/O error", "SQLITE_IOERR_FSYNC")


def _error(said: str, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(said)
    error.sqlite_errorname = name
    return error


def _before(connection: sqlite3.Connection) -> None:
    raise KeyboardInterrupt


def _after(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
    raise KeyboardInterrupt


def _both(connection: sqlite3.Connection) -> None:
    """COMMIT fails and is undone, and a signal comes before that can be noted."""
    connection.execute("ROLLBACK")
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", [_refused, _undone])
def test_a_commit_that_fails_has_written_nothing_and_says_so(store: SQLStore, end: Any) -> None:
    store.records.commit(WHO, [change()])
    engine(store)._writer = Failing(engine(store)._writer, end)
    with pytest.raises(exc.StoreError) as caught:
        store.records.commit(WHO, [change(2)])
    assert not isinstance(caught.value, exc.OutcomeUnknown)
    assert read(store, 2) is None
    assert store.records.commit(WHO, [change(2)]) == 2


@pytest.mark.parametrize(("end", "written"), [(_before, False), (_after, True), (_both, False)])
def test_a_signal_at_commit_leaves_no_transaction_open(store: SQLStore, end: Any, written: bool) -> None:
    store.records.commit(WHO, [change()])
    engine(store)._writer = Failing(engine(store)._writer, end)
    with pytest.raises(KeyboardInterrupt):
        store.records.commit(WHO, [change(2)])
    assert (read(store, 2) is not None) is written
    assert store.records.commit(WHO, [change(3)]) == 2 + written


def test_a_disk_that_fails_for_good_leaves_the_outcome_unknown(store: SQLStore, monkeypatch: Any) -> None:
    def end(connection: sqlite3.Connection) -> None:
        monkeypatch.setattr(engine(store), "_overwrite", lambda: None)
        _undone(connection)

    engine(store)._writer = Failing(engine(store)._writer, end)
    with pytest.raises(exc.OutcomeUnknown):
        store.records.commit(WHO, [change()])


def test_one_that_is_refused_does_not_touch_the_others_of_its_group(store: SQLStore) -> None:
    store.records.commit(WHO, [change(1)])
    going = threading.Event()
    first = engine(store).submit(lambda hand: going.wait(10))
    jobs = [
        store.records.submit(WHO, [change(2)]),
        store.records.submit(WHO, [change(3), change(1, base=9)]),
        store.records.submit(WHO, [change(1)]),
        store.records.submit(WHO, [change(4)]),
        engine(store).submit(lambda hand: hand.ask(("SELECT 1 FROM nowhere", ()))),
        store.records.submit(WHO, [change(5)]),
    ]
    going.set()
    assert first.result(10)
    assert [job.result(10) for job in (jobs[0], jobs[3], jobs[5])] == [2, 3, 4]
    assert isinstance(jobs[1].exception(10), Stale)
    assert isinstance(jobs[2].exception(10), Stale)
    assert "no such table" in str(jobs[4].exception(10))
    assert read(store, 3) is None
    assert read(store).vsn == 1


def test_a_version_that_is_not_the_newest_counts_before_what_was_read(store: SQLStore) -> None:
    store.records.commit(WHO, [change(1)])
    reads = Reads(0, {("T", (1).to_bytes(16))}, {})
    with pytest.raises(Conflict):
        store.records.commit(WHO, [change(2)], reads)
    with pytest.raises(Stale):
        store.records.commit(WHO, [change(2), change(1)], reads)


def test_a_disk_that_is_full_for_one_is_not_for_the_others_of_its_group(store: SQLStore) -> None:
    store.records.commit(WHO, [change()])
    going = threading.Event()
    first = engine(store).submit(lambda hand: going.wait(10))
    small = [store.records.submit(WHO, [change(2)])]
    big = store.records.submit(WHO, [change(3, fields='{"x":"' + "y" * 1_000_000 + '"}')])
    small.append(store.records.submit(WHO, [change(4)]))
    writer = engine(store)._writer
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0] + 10}")
    going.set()
    assert first.result(10)
    assert [job.result(10) for job in small] == [2, 3]
    assert "disk is full" in str(big.exception(10))
    assert read(store, 3) is None


def test_a_process_that_was_forked_is_told_to_open_the_store_itself(store: SQLStore) -> None:
    store.records.commit(WHO, [change(1)])
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        said = []
        try:
            for use in (lambda: store.records.last("localhost"), lambda: store.records.commit(WHO, [change(2)])):
                try:
                    use()
                except exc.StoreError as error:
                    said.append("after the fork" in str(error))
            store.close()
            os.write(writer, repr(said).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"[True, True]"
    os.close(reader)
    assert store.records.commit(WHO, [change(2)]) == 2  # the parent's go on
