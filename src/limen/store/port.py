"""A store as a whole."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from limen.core.guard.accounts import AccountStore, LedgerStore, MetaStore, SlotStore
from limen.core.record.port import RecordStore


class Store(Protocol):
    """Five parts, each behind its port, and the claim."""

    @property
    def url(self) -> str:
        """How the store is named on the command line; '' where it can't be."""
        ...

    @property
    def records(self) -> RecordStore: ...

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def slots(self) -> SlotStore: ...

    @property
    def ledger(self) -> LedgerStore: ...

    @property
    def meta(self) -> MetaStore: ...

    def claim(self) -> AbstractContextManager[None]:
        """This process alone may serve from the store, for the length of the block; taken at once, before the block
        begins.

        Raises `StoreError` where another process has it.
        """
        ...

    def close(self) -> None:
        """Lets go of files and connections. Whatever is asked of the store afterwards raises StoreError."""
        ...
