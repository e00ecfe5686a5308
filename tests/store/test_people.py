"""Accounts, slots, the ledger and settings over the stores of this project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limen.store.memory import MemDictStore
from limen.store.sql import SQLStore
from limen.testing.stores.people import PeopleSuite


class TestInMemory(PeopleSuite):
    @pytest.fixture
    def store(self) -> MemDictStore:
        return MemDictStore()


class TestInSQLite(PeopleSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLStore]:
        store = SQLStore(f"sqlite:///{tmp_path / 'a.db'}")
        yield store
        store.close()

    def again(self, store: SQLStore) -> SQLStore:
        return SQLStore(store.url)


class TestInPostgreSQL(PeopleSuite):
    @pytest.fixture
    def store(self, postgresql_url: str) -> Iterator[SQLStore]:
        store = SQLStore(postgresql_url)
        yield store
        store.close()

    def again(self, store: SQLStore) -> SQLStore:
        return SQLStore(store.url)
