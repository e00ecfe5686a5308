"""Backups that somebody has been at, and files that somebody has put in the way."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limen import exc
from limen.app.datastore import DataStore, Storage
from limen.store.sql import SQLStore
from limen.store.sql.maintenance.backup import backup
from limen.store.sql.maintenance.check import check
from limen.store.sql.maintenance.restore import restore


class Note:
    @classmethod
    def initialize(cls, record: Any) -> None:
        record.text = ""

    @classmethod
    def index(cls, record: Any) -> dict[str, Any]:
        return {"text": record.text}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Storage]:
    store = SQLStore(f"sqlite:///{path}")
    storage = Storage(lambda: DataStore(store))
    storage.add_models(None, Note)
    try:
        yield storage
        store.records.indexes.settle(10)
    finally:
        store.close()


def trigger(file: sqlite3.Connection) -> None:
    file.execute('CREATE TRIGGER bad AFTER INSERT ON version BEGIN UPDATE record SET fields = \'{"text":"bad"}\'; END')


def view_and_table(file: sqlite3.Connection) -> None:
    file.execute('CREATE VIEW "bad""name" AS SELECT 1')
    file.execute("CREATE TABLE bad (bad)")
    file.execute("CREATE INDEX worse ON record (length(fields))")


def statements(file: sqlite3.Connection) -> None:
    def change(table: dict[str, Any]) -> None:
        table["put"] = 'UPDATE record SET fields = \'{"text":"bad"}\' WHERE ?1 = ?1 AND ?2 = ?2 AND ?3 = ?3 AND ?4 = ?4'

    tampered(file, change)


def dropping(file: sqlite3.Connection) -> None:
    tampered(file, lambda table: table.update(state="old", table="record", clear="SELECT 1 WHERE 0 AND ?1"))


def no_json(file: sqlite3.Connection) -> None:
    file.execute("UPDATE model SET catalog = '{' WHERE name = 'Note'")


def tampered(file: sqlite3.Connection, change: Callable[[dict[str, Any]], None]) -> None:
    [(text,)] = file.execute("SELECT catalog FROM model WHERE name = 'Note'")
    catalog = json.loads(text)
    for table in catalog["tables"]:
        change(table)
    file.execute("UPDATE model SET catalog = ? WHERE name = 'Note'", (json.dumps(catalog),))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A backup with one note."""
    with opened(tmp_path / "a.db") as storage, storage() as db:
        db.insert(Note, text="first")
    backup(f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "backup.db")
    return tmp_path / "backup.db"


@pytest.mark.parametrize("tamper", [trigger, view_and_table, statements, dropping, no_json])
def test_of_a_backup_only_what_is_ours_is_restored(source: Path, tamper: Callable[[sqlite3.Connection], None]) -> None:
    with contextlib.closing(sqlite3.connect(source)) as file:
        tamper(file)
        file.commit()
    target = source.with_name("restored.db")
    restore(source, f"sqlite:///{target}")
    with opened(target) as storage:
        with storage() as db:
            db.insert(Note, text="second")
        with storage() as db:
            assert [note.text for note in db.select(Note)] == ["first", "second"]
    with opened(target) as storage, storage() as db:
        assert [note.text for note in db.find(Note, text="first")] == ["first"]
        assert db.explain(Note, Note.text == "first").in_database  # type: ignore[attr-defined]
    assert list(check(f"sqlite:///{target}")) == []
    with contextlib.closing(sqlite3.connect(target)) as file:
        assert file.execute("SELECT name FROM sqlite_master WHERE name GLOB '*bad*' OR name = 'worse'").fetchall() == []


def test_a_damaged_catalog_is_said_in_words(source: Path) -> None:
    with contextlib.closing(sqlite3.connect(source)) as file:
        no_json(file)
        file.commit()
    with opened(source) as storage, pytest.raises(exc.StoreError, match="damaged"), storage() as db:
        db.insert(Note, text="second")


def test_a_link_in_the_place_of_the_lock_is_refused_and_its_target_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "a.db.lock").symlink_to(precious)
    store = SQLStore(f"sqlite:///{tmp_path / 'a.db'}")
    try:
        with pytest.raises(exc.StoreError, match="lock"):
            store.claim()
    finally:
        store.close()
    assert precious.read_text() == "mine"


def test_a_database_behind_a_link_is_its_owners_only_and_has_one_lock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for link in ("one.db", "two.db"):
        (tmp_path / link).symlink_to(tmp_path / "data" / "real.db")
    mask = os.umask(0)
    try:
        one, two = (SQLStore(f"sqlite:///{tmp_path / link}") for link in ("one.db", "two.db"))
    finally:
        os.umask(mask)
    with one.claim(), pytest.raises(exc.StoreError, match="in use"):
        two.claim()
    one.close()
    two.close()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()} == {0o600}
