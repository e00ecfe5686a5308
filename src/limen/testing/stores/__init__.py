"""What every store must do: subclass `StoreSuite`, say how a store is made (and opened again), run it with pytest.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self):
            store = MyStore(…)
            yield store
            store.close()

        def again(self, store):             # only for a store that outlives its process
            return MyStore(…)               # the same data, opened a second time

    class TestMyStoreBySubmit(BySubmit, TestMyStore):
        pass                                # the same once more, as async callers commit

`StoreSuite` is RecordStoreSuite and the suites of what people's data need, together; a store of one part alone
subclasses that part's suite.
"""

from __future__ import annotations

from typing import Any

import pytest

from limen import exc

from .accounts import AccountStoreSuite
from .lanes import LaneStoreSuite
from .ledger import LedgerStoreSuite
from .machinekeys import KeyStoreSuite
from .once import OnceStoreSuite
from .permissions import PermissionStoreSuite
from .records import WHO, RecordStoreSuite, put
from .settings import MetaStoreSuite
from .slots import SlotStoreSuite
from .submitting import BySubmit

__all__ = [
    "AccountStoreSuite",
    "BySubmit",
    "KeyStoreSuite",
    "LaneStoreSuite",
    "LedgerStoreSuite",
    "MetaStoreSuite",
    "OnceStoreSuite",
    "PermissionStoreSuite",
    "RecordStoreSuite",
    "SlotStoreSuite",
    "StoreSuite",
]


class StoreSuite(
    RecordStoreSuite,
    AccountStoreSuite,
    KeyStoreSuite,
    SlotStoreSuite,
    PermissionStoreSuite,
    LaneStoreSuite,
    LedgerStoreSuite,
    OnceStoreSuite,
    MetaStoreSuite,
):
    """All of a store."""

    def test_it_may_be_claimed_and_claimed_again_afterwards(self, store: Any) -> None:
        for turn in range(2):
            with store.claim():
                store.records.commit(WHO, [put(1 + turn)])

    def test_several_servers_may_claim_it_if_and_only_if_it_says_that_it_is_shared(self, store: Any) -> None:
        assert type(store.shared) is bool
        other = self.again(store)
        if other is None:
            return
        try:
            assert other.shared is store.shared
            with store.claim():
                if store.shared:
                    with other.claim():
                        pass
                else:
                    with pytest.raises(exc.StoreError), other.claim():
                        pass
        finally:
            other.close()
