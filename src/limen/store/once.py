"""What may be used once, as records of any store: a record for each that was used, which nobody can make again.

It is forgotten, by and by, when it is over. No history is kept.
"""

from __future__ import annotations

from functools import partial

import msgspec

from limen.core.record.port import Change, RecordStore, Stale

from .rows import Edit, alive, drop, everything, key, own, until_fresh

ONCE = "limen.once"
BATCH = 500
"""So many are forgotten in one transaction."""


class _Once(msgspec.Struct):
    until: float


_decode = msgspec.json.Decoder(_Once).decode
_encode = msgspec.json.Encoder().encode


class Once:
    """See `limen.core.guard.accounts.OnceStore`.

    >>> from limen.store.memory import MemDictStore
    >>> once = Once(MemDictStore().records)
    >>> [once.spend("localhost", "ticket", b"token", 1600.0) for _ in range(2)]
    [True, False]
    """

    def __init__(self, records: RecordStore) -> None:
        self._records = records

    def spend(self, domain: str, scope: str, token: bytes, until: float) -> bool:
        change = Change(ONCE, key(scope, token.hex()), 0, _encode(_Once(until)).decode(), keep=0)
        try:
            self._records.commit(own(domain), [change])
        except Stale:
            return False
        return True

    def purge(self, now: float) -> int:
        return sum(self._purge(domain, now) for domain in self._records.domains())

    def _purge(self, domain: str, now: float) -> int:
        over = [v.uuid for v in everything(self._records, domain, ONCE) if _decode(v.fields).until < now]
        batches = (over[at : at + BATCH] for at in range(0, len(over), BATCH))
        return sum(until_fresh(partial(self._forget, domain, batch)) for batch in batches)

    def _forget(self, domain: str, over: list[bytes]) -> int:
        edit = Edit(self._records, domain)
        left = [version for uuid in over if (version := alive(edit.read(ONCE, uuid))) is not None]
        if left:  # else another server was quicker
            edit.commit(own(domain), [drop(ONCE, version, keep=0) for version in left])
        return len(left)
