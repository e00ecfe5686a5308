from __future__ import annotations

import pytest

from limen.store.memory import MemDictStore
from limen.testing.stores import BySubmit, StoreSuite


class TestMemDictStore(StoreSuite):
    @pytest.fixture
    def store(self) -> MemDictStore:
        return MemDictStore()


class TestMemDictStoreBySubmit(BySubmit, TestMemDictStore):
    """The same for async callers."""
