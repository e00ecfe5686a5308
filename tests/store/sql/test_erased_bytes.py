"""Erased is erased: no byte of it in any file of an SQLite database, while the server runs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limen.app.datastore import DataStore, Storage
from limen.store.sql import SQLStore


class Letter:
    @classmethod
    def initialize(cls, record: Any) -> None:
        record.text = ""

    @classmethod
    def index(cls, record: Any) -> dict[str, Any]:
        return {"text": record.text}


class Passing(Letter):
    __keep__ = 0


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    store = SQLStore(f"sqlite:///{tmp_path / 'a.db'}")
    storage = Storage(lambda: DataStore(store))
    storage.add_models(None, Letter, Passing)
    yield storage
    store.close()


def files_with(folder: Path, secret: str) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and secret.encode() in path.read_bytes()]


def written(storage: Storage, model: type) -> Any:
    """A record whose versions hold "secret", in columns, deltas and overflow pages."""
    with storage() as db:
        record = db.insert(model, text="secret", long="secret" * 5000)
    for number in range(40):
        with storage() as db:
            db.fetch(model, record._uuid).text = f"secret {number}"
    return record


@pytest.mark.parametrize("model", [Letter, Passing])
def test_what_was_forgotten_is_in_no_file(storage: Storage, tmp_path: Path, model: type) -> None:
    record = written(storage, model)
    assert files_with(tmp_path, "secret")
    with storage() as db:
        db.forget(model, record._uuid)
    assert files_with(tmp_path, "secret") == []


def test_where_someone_reads_meanwhile_it_is_gone_with_the_next_commit(storage: Storage, tmp_path: Path) -> None:
    record = written(storage, Letter)
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM record").fetchone()
        with storage() as db:
            db.forget(Letter, record._uuid)
    with storage() as db:
        db.insert(Letter, text="another")
    assert files_with(tmp_path, "secret") == []
