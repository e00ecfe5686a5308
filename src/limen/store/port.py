"""A store as a whole."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from limen.core.record.port import RecordStore


class Store(Protocol):
    """Records, and the right to serve from them. Accounts, sessions, the ledger and what a database knows of itself are
    records like all others (`limen.store.accounts`, `slots`, `ledger`, `settings`)."""

    @property
    def url(self) -> str:
        """How the store is named on the command line; '' where it can't be."""
        ...

    @property
    def shared(self) -> bool:
        """True where several servers may serve from the store at once, each of which looks for what the others have
        done. False: `claim` lets one at a time."""
        ...

    @property
    def records(self) -> RecordStore: ...

    def claim(self) -> AbstractContextManager[None]:
        """The right to serve from the store, for the length of the block; taken at once, before the block begins.

        Raises `StoreError` where a process has it that this one can't serve beside.
        """
        ...

    def close(self) -> None:
        """Lets go of files and connections. Whatever is asked of the store afterwards raises StoreError."""
        ...
