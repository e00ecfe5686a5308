"""Stores of all kinds: each test that asks for `store` runs on memory, SQLite and PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limen import dbm


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    match request.param:
        case "memory":
            store: Any = dbm.MemDictStore()
        case "sqlite":
            store = dbm.SQLStore(f"sqlite:///{tmp_path}/store.db")
        case _:
            store = dbm.SQLStore(request.getfixturevalue("postgresql_url"))
    yield store
    store.close()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder for databases by the hundred, each of which is opened once: in memory, where the system has such a
    place."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as folder:
        yield Path(folder)
