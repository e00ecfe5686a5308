"""What is restored from a backup is what there was, on either engine, without sessions."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from databases import by, rows, url
from old_database import ask, dump, old_database

from limen import exc
from limen.core.guard.accounts import Slot
from limen.core.record.expression import Compare
from limen.core.record.port import Change, Index
from limen.core.record.query import Query
from limen.store.accounts import Accounts
from limen.store.mark import open_mark
from limen.store.settings import Settings
from limen.store.slots import Slots
from limen.store.sql import SQLStore
from limen.store.sql.maintenance.backup import backup
from limen.store.sql.maintenance.check import check
from limen.store.sql.maintenance.migrate import migrate
from limen.store.sql.maintenance.restore import restore


def test_what_is_restored_is_what_there_was(db: Path, saved: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    done = restore(saved, url(new))
    assert (done.domains, done.before) == (2, 2)
    assert rows(new) == rows(db)
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert list(check(url(new))) == []
    assert dump(saved) == dump(db)  # the backup itself is as it was
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


def test_a_database_with_something_in_it_is_replaced_only_where_one_says_so(db: Path, saved: Path) -> None:
    ask(db, "UPDATE domain SET time = time + 1")
    before = dump(db)
    with pytest.raises(exc.StoreError, match=r"There are records in .* --replace"):
        restore(saved, url(db))
    assert dump(db) == before
    restore(saved, url(db), replace=True)
    assert rows(db) == rows(saved)


def test_an_empty_database_is_replaced(saved: Path, tmp_path: Path) -> None:
    SQLStore(url(tmp_path / "new.db")).close()
    restore(saved, url(tmp_path / "new.db"))
    assert rows(tmp_path / "new.db") == rows(saved)


def test_a_database_in_use_is_not_replaced(db: Path, saved: Path) -> None:
    with (
        contextlib.closing(SQLStore(url(db))) as store,
        store.claim(),
        pytest.raises(exc.StoreError, match="in use by"),
    ):
        restore(saved, url(db), replace=True)


def test_what_another_program_has_open_is_not_replaced_under_its_hands(db: Path, saved: Path) -> None:
    with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM domain").fetchall()
        ask(db, "UPDATE domain SET time = time + 1")
        with pytest.raises(exc.StoreError, match=r"Another program has .* open"):
            restore(saved, url(db), replace=True)
    restore(saved, url(db), replace=True)
    assert rows(db) == rows(saved)


def test_a_backup_of_an_older_program_is_migrated_on_the_way(tmp_path: Path) -> None:
    old = old_database(tmp_path / "old.db")
    done = restore(tmp_path / "old.db", url(tmp_path / "new.db"))
    assert done.before == 1
    assert list(check(url(tmp_path / "new.db"))) == []
    assert ask(tmp_path / "old.db", "PRAGMA user_version") == [(1,)], old
    migrate(old)
    assert len(rows(tmp_path / "new.db")["version"]) == len(rows(tmp_path / "old.db")["version"])


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no database", "no SQLite database"), (b"", "There is nothing in"), (None, "There is no database")],
)
def test_what_is_no_backup_is_not_restored(tmp_path: Path, db: Path, content: bytes | None, words: str) -> None:
    before = dump(db)
    if content is not None:
        (tmp_path / "b.db").write_bytes(content * 100)
    with pytest.raises(exc.StoreError, match=words):
        restore(tmp_path / "b.db", url(db), replace=True)
    assert dump(db) == before
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


def test_a_damaged_backup_is_not_restored(db: Path, saved: Path) -> None:
    before = dump(db)
    page = ask(saved, "SELECT rootpage FROM sqlite_master WHERE name = 'version_txn'")[0][0]
    content = bytearray(saved.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    saved.write_bytes(content)
    with pytest.raises(exc.StoreError, match="damaged"):
        restore(saved, url(db), replace=True)
    assert dump(db) == before


@pytest.mark.parametrize("content", [b"no database at all", None])
def test_what_is_no_database_of_ours_is_not_replaced_but_moved_away_first(
    content: bytes | None, tmp_path: Path, saved: Path
) -> None:
    new = tmp_path / "new.db"
    if content:
        new.write_bytes(content * 100)
    else:
        ask(new, "CREATE TABLE contact (name TEXT)")
    before = new.read_bytes()
    with pytest.raises(exc.StoreError, match=r"(another program|no SQLite database).* Move it away"):
        restore(saved, url(new), replace=True)
    assert new.read_bytes() == before


KILLED_RESTORE = """
import os, signal, sys
from pathlib import Path
from limen.store.sql.maintenance import backup
from limen.store.sql.maintenance import restore

backup.PAGES = 1
calls = 0

def progress(what, done, total):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

restore.restore(Path(sys.argv[2]), sys.argv[1], replace=True, progress=progress)
print(calls)
"""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("nth", [1, 8, 16, 19])
def test_a_restore_that_was_killed_has_changed_nothing_and_can_be_done_again(
    engine: str, nth: int, saved: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target = url(tmp_path / "new.db") if engine == "sqlite" else request.getfixturevalue("postgresql_url")
    with contextlib.closing(SQLStore(target)) as store:
        store.records.commit(by("mine.example"), [Change("New", bytes(16), 0, "{}")])
    command = [sys.executable, "-c", KILLED_RESTORE, target, str(saved), str(nth)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        assert (engine, int(done.stdout) < nth) == ("sqlite", True)
    else:
        assert done.returncode == -signal.SIGKILL, done.stderr
        with contextlib.closing(SQLStore(target)) as store:
            assert (store.records.domains(), store.records.last("mine.example")) == (["mine.example"], 1)
    restore(saved, target, replace=True)
    assert list(check(target)) == []
    with contextlib.closing(SQLStore(target)) as store:
        assert store.records.domains() == ["", "clinic.example", "localhost"]
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


FULL = """
import resource, sys
from pathlib import Path
from limen import exc
from limen.store.sql.maintenance.backup import backup
from limen.store.sql.maintenance.migrate import migrate
from limen.store.sql.maintenance.restore import restore

url, other = sys.argv[2:]
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
try:
    {"backup": lambda: backup(url, Path(other), force=True),
     "restore": lambda: restore(Path(other), url, replace=True),
     "migrate": lambda: migrate(url)}[sys.argv[1]]()
except exc.StoreError as error:
    print(error)
"""
"""On a disk that takes no file of more than 30 kB."""


@pytest.mark.parametrize("what", ["backup", "restore", "migrate"])
def test_a_full_disk_leaves_everything_as_it_was(what: str, tmp_path: Path, db: Path, saved: Path) -> None:
    if what == "migrate":
        db = tmp_path / "old.db"
        old_database(db)
        ask(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = dump(db), dump(saved), sorted(path.name for path in tmp_path.iterdir() if "lock" not in path.name)
    done = subprocess.run([sys.executable, "-c", FULL, what, url(db), str(saved)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r": (the disk is full|disk I/O error|database or disk is full)", done.stdout), done.stdout
    assert before == (
        dump(db),
        dump(saved),
        sorted(path.name for path in tmp_path.iterdir() if "lock" not in path.name),
    )


# -- sessions --------------------------------------------------------------------------------------------------------
def slot(number: int, epoch: int) -> Slot:
    return Slot(bytes([number]) * 16, "localhost", "ada", bytes(32), 1.0, 1.0, 1.0, epoch, "192.0.2.1")


def test_sessions_end_with_a_restore_and_a_new_epoch_begins(db: Path, tmp_path: Path) -> None:
    with contextlib.closing(SQLStore(url(db))) as store:
        epoch = open_mark(Settings(store.records), db).epoch
        Slots(store.records).put(slot(1, epoch))
        backup(url(db), tmp_path / "backup.db")  # nothing is written after it: the mark alone would not notice
    restore(tmp_path / "backup.db", url(db), replace=True)
    with contextlib.closing(SQLStore(url(db))) as store:
        assert Slots(store.records).list() == []
        assert open_mark(Settings(store.records), db).epoch > epoch
        assert [account.user for account in Accounts(store.records).list("localhost")] == ["ada"]


def test_the_epoch_is_later_than_that_of_what_is_replaced(db: Path, saved: Path) -> None:
    with contextlib.closing(SQLStore(url(db))) as store:
        Settings(store.records).set("epoch", "40")
    restore(saved, url(db), replace=True)
    with contextlib.closing(SQLStore(url(db))) as store:
        assert int(Settings(store.records).get("epoch") or 0) > 40


def test_a_backup_laid_in_place_by_hand_ends_sessions_too(db: Path, saved: Path) -> None:
    with contextlib.closing(SQLStore(url(db))) as store:
        epoch = open_mark(Settings(store.records), db).epoch
        Settings(store.records).set("something", "new")
        open_mark(Settings(store.records), db)
    shutil.copy(saved, db)
    with contextlib.closing(SQLStore(url(db))) as store:
        assert open_mark(Settings(store.records), db).epoch > epoch


# -- from one engine to the other --------------------------------------------------------------------------------------
def test_records_go_to_postgresql_and_back_and_are_the_same(saved: Path, tmp_path: Path, postgresql_url: str) -> None:
    told: list[tuple[str, int, int]] = []
    restore(saved, postgresql_url, progress=lambda *how_far: told.append(how_far))
    assert list(check(postgresql_url)) == []
    assert {what for what, done, total in told if done == total} >= {"record", "version", "transaction"}
    shutil.copy(saved, tmp_path / "back.db.part")  # what a run that was killed has left
    size = backup(postgresql_url, tmp_path / "back.db")
    assert size == (tmp_path / "back.db").stat().st_size
    assert stat.S_IMODE((tmp_path / "back.db").stat().st_mode) == 0o600
    assert rows(tmp_path / "back.db") == rows(saved)
    assert list(check(url(tmp_path / "back.db"))) == []


def test_a_backup_on_a_disk_that_can_only_be_read_is_restored(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_url: str
) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    shutil.copy(saved, medium / "b.db")
    monkeypatch.setattr(
        "os.access", lambda path, mode: mode != os.W_OK or medium not in (Path(path), *Path(path).parents)
    )
    restore(medium / "b.db", postgresql_url)
    assert list(check(postgresql_url)) == []
    assert [path.name for path in medium.iterdir()] == ["b.db"]


def test_a_restored_postgresql_database_is_one_to_work_with(saved: Path, postgresql_url: str) -> None:
    restore(saved, postgresql_url)
    with contextlib.closing(SQLStore(postgresql_url)) as store:
        assert Accounts(store.records).update("localhost", "ada", roles=("chief",)) is not None
        store.records.commit(by("new.example"), [Change("New", bytes(16), 0, "{}")])
        assert store.records.domains() == ["", "clinic.example", "localhost", "new.example"]
    assert list(check(postgresql_url)) == []


def test_a_postgresql_database_is_replaced_only_where_one_says_so(saved: Path, postgresql_url: str) -> None:
    with contextlib.closing(SQLStore(postgresql_url)) as store:
        Settings(store.records).set("epoch", "40")
        store.records.commit(by("mine.example"), [Change("New", bytes(16), 0, "{}")])
        with pytest.raises(exc.StoreError, match=r"There are records in .* --replace"):
            restore(saved, postgresql_url)
        assert store.records.last("mine.example") == 1
        with store.claim(), pytest.raises(exc.StoreError, match="in use by another Limen"):
            restore(saved, postgresql_url, replace=True)
    restore(saved, postgresql_url, replace=True)
    with contextlib.closing(SQLStore(postgresql_url)) as store:
        assert store.records.domains() == ["", "clinic.example", "localhost"]
        assert int(Settings(store.records).get("epoch") or 0) > 40


def test_a_restore_that_fails_half_way_leaves_postgresql_as_it_was(saved: Path, postgresql_url: str) -> None:
    with contextlib.closing(SQLStore(postgresql_url)) as store:
        store.records.commit(by("mine.example"), [Change("New", bytes(16), 0, "{}")])

    def stop(what: str, done: int, total: int) -> None:
        if what == "version":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(saved, postgresql_url, replace=True, progress=stop)
    with contextlib.closing(SQLStore(postgresql_url)) as store:
        assert store.records.domains() == ["mine.example"]
        assert store.records.last("mine.example") == 1


INDEX = Index((("n", "int"),))


def fill(target: str, numbers: range) -> None:
    with contextlib.closing(SQLStore(target)) as store:
        for n in numbers:
            change = Change("Indexed", bytes([n]) * 16, 0, f'{{"n":{n}}}', index=INDEX, values={"n": n})
            store.records.commit(by("a"), [change])
        assert store.records.indexes.settle()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_is_searched_by_an_index_is_found_after_a_restore(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fill(url(tmp_path / "a.db"), range(10))
    backup(url(tmp_path / "a.db"), tmp_path / "b.db")
    target = url(tmp_path / "new.db") if engine == "sqlite" else request.getfixturevalue("postgresql_url")
    fill(target, range(20, 25))
    restore(tmp_path / "b.db", target, replace=True)
    assert list(check(target)) == []
    fill(target, range(10, 12))
    assert list(check(target)) == []
    with contextlib.closing(SQLStore(target)) as store:
        where = Compare("n", ">=", 8)
        assert store.records.indexes.settle()
        found = store.records.select("a", Query("Indexed", INDEX, where, (), 100, None))
        assert [version.fields for version in found.versions] == [f'{{"n":{n}}}' for n in range(8, 12)]
        assert not found.complete, found.how
        assert [(row.model, row.state) for row in store.records.indexes.status()] == [("Indexed", "ready")]
