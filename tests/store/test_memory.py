from __future__ import annotations

import pytest

from limen.store.memory import MemDictStore
from limen.testing.stores import StoreSuite


class TestMemDictStore(StoreSuite):
    @pytest.fixture
    def store(self) -> MemDictStore:
        return MemDictStore()
