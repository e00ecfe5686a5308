"""Every test here runs on all three stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from storing import Note, Todo

from limen.app.datastore import DataStore, Storage
from limen.core.record.record import Record
from limen.store.memory import MemDictStore
from limen.store.sql import SQLStore


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        store: Any = MemDictStore()
    elif request.param == "sqlite":
        store = SQLStore(f"sqlite:///{tmp_path / 'a.db'}")
    else:
        store = SQLStore(request.getfixturevalue("postgresql_url"))
    yield store
    store.close()


@pytest.fixture
def storage(store: Any) -> Storage:
    storage = Storage(lambda: DataStore(store))
    storage.add_models(None, Todo, Note)
    return storage


@pytest.fixture
def todo(storage: Storage) -> Record:
    with storage("setup") as db:
        return db.insert(Todo, text="first")
