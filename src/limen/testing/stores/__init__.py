"""What every store must do: subclass `StoreSuite`, say how a store is made (and opened again), run it with pytest.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self):
            store = MyStore(…)
            yield store
            store.close()

        def again(self, store):             # only for a store that outlives its process
            return MyStore(…)               # the same data, opened a second time

`StoreSuite` is RecordStoreSuite and the suites of what people's data need, together; a store of one part alone
subclasses that part's suite.
"""

from __future__ import annotations

from typing import Any

from .accounts import AccountStoreSuite
from .ledger import LedgerStoreSuite
from .records import WHO, RecordStoreSuite, put
from .settings import MetaStoreSuite
from .slots import SlotStoreSuite

__all__ = [
    "AccountStoreSuite",
    "LedgerStoreSuite",
    "MetaStoreSuite",
    "RecordStoreSuite",
    "SlotStoreSuite",
    "StoreSuite",
]


class StoreSuite(RecordStoreSuite, AccountStoreSuite, SlotStoreSuite, LedgerStoreSuite, MetaStoreSuite):
    """All of a store."""

    def test_it_may_be_claimed_and_claimed_again_afterwards(self, store: Any) -> None:
        for turn in range(2):
            with store.claim():
                store.records.commit(WHO, [put(1 + turn)])
