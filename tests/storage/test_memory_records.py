"""The store in memory, the reference, does what every store must."""

from __future__ import annotations

import pytest

from limen.store.memory import MemDictStore
from limen.testing.stores.records import RecordStoreSuite


class TestMemDictStore(RecordStoreSuite):
    @pytest.fixture
    def store(self) -> MemDictStore:
        return MemDictStore()
