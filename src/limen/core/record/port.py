"""What a store of records must do: a few rows, four questions and one commit.

The store knows nothing of models, hooks or values: fields come as JSON text. Its one duty is the line of versions:
the first version of a record is 1, each further one is the newest plus 1, and a commit is whole or not at all.
`limen.testing.stores.RecordStoreSuite` holds every store to this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Transaction(NamedTuple):
    """Who wrote, when, through which service and why.

    *time*: seconds since 1970 (UTC). *number*: given by the store at commit, rising by one; 0 before.
    """

    domain: str
    user: str | None
    impersonator: str | None
    service: str
    origin: str
    reason: str
    time: float
    number: int = 0


class Version(NamedTuple):
    """One version of one record, as kept. *fields*: tagged JSON (`limen.base.values`); of a deletion: the last
    fields."""

    uuid: bytes
    vsn: int
    txn: int
    fields: str
    deleted: bool


class Change(NamedTuple):
    """A version to be written. *base*: the version it was made from, 0 for a new record."""

    model: str
    uuid: bytes
    base: int
    fields: str
    deleted: bool


class Stale(Exception):
    """A change's base is not the newest version. *newest*: None where there is no such record; *by*: who wrote it."""

    def __init__(self, change: Change, newest: Version | None, by: Transaction | None) -> None:
        super().__init__(change, newest, by)
        self.change, self.newest, self.by = change, newest, by


class RecordStore(Protocol):
    """Every method may be called from any thread. Readers are not held up by a writer."""

    def newest(self, domain: str, model: str, uuid: bytes) -> Version | None:
        """The newest version, a deletion too; None where there never was such a record in that domain."""
        ...

    def all(self, domain: str, model: str) -> list[Version]:
        """The newest versions of all records that are not deleted, as they are at one moment, ordered by uuid."""
        ...

    def history(self, domain: str, model: str, uuid: bytes) -> list[tuple[Version, Transaction]]:
        """All versions, the oldest first, each with its transaction."""
        ...

    def transaction(self, number: int) -> Transaction | None: ...

    def commit(self, transaction: Transaction, changes: Sequence[Change]) -> int:
        """Writes *changes* as one transaction and gives its number; returns once they are safe.

        Raises `Stale` for the first change whose base is not the newest version; then nothing is written.
        """
        ...
