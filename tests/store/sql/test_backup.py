"""A backup is whole or not there, and of one moment."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import by, url
from old_database import ask, dump, old_database

from limen import exc
from limen.core.record.port import Change
from limen.store.sql import SQLStore
from limen.store.sql.maintenance.backup import backup
from limen.store.sql.maintenance.check import check


def test_a_backup_is_one_file_for_its_owner_with_all_that_there_is(db: Path) -> None:
    target = db.with_name("backup.db")
    size = backup(url(db), target)
    assert size == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert dump(target) == dump(db)
    assert ask(target, "PRAGMA journal_mode") == [("delete",)]
    assert list(check(url(target))) == []
    assert sorted(path.name for path in db.parent.iterdir() if "backup" in path.name) == ["backup.db"]


def test_a_backup_of_a_database_in_use_holds_what_was_not_yet_folded(db: Path) -> None:
    with contextlib.closing(sqlite3.connect(db)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("UPDATE domain SET time = time + 1")
        writer.commit()
        backup(url(db), db.with_name("backup.db"))
        assert dump(db.with_name("backup.db")) == dump(db)


def test_a_backup_that_is_there_is_not_overwritten_unless_one_says_so(db: Path) -> None:
    target = db.with_name("backup.db")
    target.write_text("mine")
    with pytest.raises(exc.StoreError, match=r"is there already.*--force"):
        backup(url(db), target)
    assert target.read_text() == "mine"
    backup(url(db), target, force=True)
    assert dump(target) == dump(db)


def test_the_database_is_never_its_own_backup(db: Path) -> None:
    before = dump(db)
    db.with_name("link.db").symlink_to(db)
    for target in (db, db.with_name("link.db")):
        with pytest.raises(exc.StoreError, match="the database itself"):
            backup(url(db), target, force=True)
    assert dump(db) == before


def test_a_database_that_is_not_there_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(exc.StoreError, match="There is no database"):
        backup(url(tmp_path / "a.db"), tmp_path / "backup.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(db: Path) -> None:
    with pytest.raises(exc.StoreError, match="can't be made: No such file"):
        backup(url(db), db.parent / "nowhere" / "backup.db")


def test_a_damaged_database_makes_no_backup(db: Path) -> None:
    ask(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    page = ask(db, "SELECT rootpage FROM sqlite_master WHERE name = 'version'")[0][0]
    content = bytearray(db.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    db.write_bytes(content)
    with pytest.raises(exc.StoreError, match="damaged"):
        backup(url(db), db.with_name("backup.db"))
    assert not [path for path in db.parent.iterdir() if "backup" in path.name]


def test_two_backups_to_one_place_do_not_write_into_each_other(db: Path) -> None:
    import fcntl

    part = db.with_name("backup.db.part")
    with part.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(exc.StoreError, match="being written by another run"):
            backup(url(db), db.with_name("backup.db"))
    backup(url(db), db.with_name("backup.db"))
    assert not part.exists()


def test_a_file_that_got_its_name_while_one_waited_for_it_is_left_alone(
    db: Path, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    part, target, flock = db.with_name("new.db.part"), db.with_name("new.db"), fcntl.flock
    shutil.copy(saved, part)

    def late(handle: int, how: int) -> None:
        part.rename(target)  # another run comes to its end
        flock(handle, how)

    monkeypatch.setattr("fcntl.flock", late)
    with pytest.raises(exc.StoreError, match="being written by another run"):
        backup(url(db), target, force=True)
    assert dump(target) == dump(saved)


KILLED = """
import os, signal, sys
from pathlib import Path
from limen.store.sql.maintenance import backup

backup.PAGES = 1

def progress(what, done, total):
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

backup.backup(sys.argv[1], Path(sys.argv[2]), force=True, progress=progress)
"""


@pytest.mark.parametrize("pages", [1, 7, 14])
def test_a_backup_that_was_killed_leaves_the_one_of_before_and_nothing_in_the_way(db: Path, pages: int) -> None:
    target = db.with_name("backup.db")
    backup(url(db), target)
    before = dump(target)
    ask(db, "UPDATE domain SET time = time + 1")
    done = subprocess.run([sys.executable, "-c", KILLED, url(db), target, str(pages)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert dump(target) == before
    backup(url(db), target, force=True)
    assert dump(target) == dump(db)
    assert not target.with_name("backup.db.part").exists()


def test_an_older_database_can_be_backed_up_before_it_is_migrated(tmp_path: Path) -> None:
    old = old_database(tmp_path / "a.db")
    backup(old, tmp_path / "backup.db")
    assert dump(tmp_path / "backup.db") == dump(tmp_path / "a.db")


def test_a_newer_database_is_refused(db: Path) -> None:
    ask(db, "PRAGMA user_version = 99")
    with pytest.raises(exc.StoreError, match="newer Limen"):
        backup(url(db), db.with_name("backup.db"))


@contextlib.contextmanager
def busy(store: SQLStore) -> Iterator[None]:
    """Four threads that write for the length of the block: each commit two records, in two models, that must agree."""
    stop = threading.Event()

    def write(number: int) -> None:
        for vsn in range(100_000):
            if stop.is_set():
                break
            fields = f'{{"n":{vsn}}}'
            store.records.commit(
                by(f"d{number % 2}"), [Change(m, bytes([number]) * 16, vsn, fields) for m in ("A", "B")]
            )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_backup_and_a_check_under_load_are_of_one_moment(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = url(tmp_path / "a.db") if engine == "sqlite" else request.getfixturevalue("postgresql_url")
    monkeypatch.setattr("limen.store.sql.maintenance.backup.PAGES", 1)
    with contextlib.closing(SQLStore(source)) as store:
        with busy(store):
            while store.records.progress() < 100:
                assert list(check(source)) == []  # of one moment, too
            ends = []
            for number in range(5):
                while store.records.progress() < 40 * (number + 4):
                    pass
                begun = store.records.progress()
                backup(source, tmp_path / f"b{number}.db")
                ends.append((begun, store.records.progress()))
        for number, (begun, ended) in enumerate(ends):
            copy = tmp_path / f"b{number}.db"
            assert list(check(url(copy))) == []
            assert begun <= ask(copy, "SELECT sum(txn) FROM domain")[0][0] <= ended
            half = "SELECT domain, uuid, vsn, fields FROM record JOIN model ON id = model WHERE name = ? ORDER BY 1, 2"
            halves = [ask(copy, half, name) for name in ("A", "B")]
            assert halves[0] == halves[1]
            assert len(halves[0]) == 4
    assert list(check(source)) == []
