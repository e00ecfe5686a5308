"""Rows of Limen's own, such as accounts, slots and settings, as records of any store: by `RecordStore` and no more.

Their models are named "limen.…", which no program's model may be. What is written stands on what was read (`Edit`);
where somebody else has changed that meanwhile, the whole work is done again on what is there then (`until_fresh`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from limen import exc
from limen.base.principal import get_state
from limen.core.record.port import (
    DELETE,
    PUT,
    REVIVE,
    Change,
    Conflict,
    Keep,
    Reads,
    RecordStore,
    Stale,
    Transaction,
    Version,
)
from limen.core.record.query import Query

T = TypeVar("T")
TRIES = 1000


def key(*words: str) -> bytes:
    """The 16 bytes under which a row is found that has a name and no number: alike wherever and whenever it is asked.

    >>> key("ada") == key("ada"), key("ada") == key("bob"), key("a", "bc") == key("ab", "c")
    (True, False, False)
    """
    parts = [word.encode("utf-8", "surrogatepass") for word in words]
    return sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).digest()[:16]


class Edit:
    """A change of rows of one domain that stands on what was read: of these rows, or of others that it depends on.

    `commit` writes only if none of the rows that were read, found or not, is another one by then: not only the ones
    that are written, and also not where one was removed and made again, which its version number alone would not tell.
    """

    __slots__ = ("_at", "_found", "_keys", "_records", "domain")

    def __init__(self, records: RecordStore, domain: str) -> None:
        self.domain = domain
        self._records = records
        self._at: int | None = None
        self._keys: set[tuple[str, bytes]] = set()
        self._found: set[tuple[str, bytes]] = set()

    def read(self, model: str, uuid: bytes) -> Version | None:
        """The newest version of the row, also where that is its end."""
        at, version = self._records.read(self.domain, model, uuid)
        if self._at is None:
            self._at = at  # what changes between this read and a later one is found out, too
        self._keys.add((model, uuid))
        if version is not None:
            self._found.add((model, uuid))
        return version

    def commit(self, transaction: Transaction, changes: Sequence[Change]) -> None:
        """Raises `Stale` or `Conflict`, for `until_fresh`."""
        reads = None if self._at is None else Reads(self._at, self._keys, {}, frozenset(self._found))
        self._records.commit(transaction, changes, reads)


def alive(version: Version | None) -> Version | None:
    """None for a row that was never there or is gone."""
    return None if version is None or version.deleted else version


def put(model: str, uuid: bytes, before: Version | None, fields: str, keep: Keep = None) -> Change:
    """The row's next version, made from *before*, whatever that is."""
    if before is None:
        return Change(model, uuid, 0, fields, PUT, keep=keep)
    return Change(model, uuid, before.vsn, fields, REVIVE if before.deleted else PUT, keep=keep)


def drop(model: str, before: Version, keep: Keep = None, kind: int = DELETE) -> Change:
    """The end of a row that is there."""
    return Change(model, before.uuid, before.vsn, "{}", kind, keep=keep)


def everything(records: RecordStore, domain: str, model: str) -> list[Version]:
    """All rows of a model in a domain."""
    return records.select(domain, Query(model)).versions


def own(domain: str) -> Transaction:
    """A transaction of the server's own, of rows that keep no history."""
    return Transaction(domain, None, None, "", "", "", time.time())


def by_caller(domain: str, reason: str) -> Transaction:
    """A transaction of whoever calls: user, service and origin as `get_state()` has them. A caller of another domain is
    not named: its users are none of this domain's business."""
    state = get_state()
    if state.domain != domain:
        return own(domain)._replace(service=state.service, reason=reason)
    return Transaction(domain, state.user, state.impersonated_by, state.service, state.origin, reason, time.time())


def until_fresh(work: Callable[[], T]) -> T:
    """What *work* gives; done again as often as it finds that what it had read was not the newest any more. Each time
    somebody else has got on.

    Raises `exc.StoreError` after TRIES, which is far more than threads and servers there are.
    """
    for _ in range(TRIES):
        try:
            return work()
        except (Stale, Conflict):
            continue
    raise exc.StoreError("Too many write to the same rows at once; try again.")
