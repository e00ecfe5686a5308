"""The abuse ledger as records of any store, written about once a second in one commit a domain.

A domain's rows lie in LEVELS records, the newest in the first. A batch goes into the first record that is empty,
together with what is in those before it, which are empty then: so each row is written again now and then, in ever
larger heaps, and a batch costs what is in it, however large the ledger (a log-structured merge tree: O'Neil et al.,
1996). The row of a lower level counts. No history is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import msgspec

from limen.core.guard.accounts import LedgerRow
from limen.core.record.port import Change, RecordStore, Version

from .rows import Edit, alive, everything, key, own, put, until_fresh

ABUSE = "limen.abuse"
LEVELS = 8
"""The last one is written once in 2 ** (LEVELS - 1) batches; there what is over is forgotten at last."""

_Rows = dict[tuple[str, str], tuple[float, str | None]]
"""(scope, key) to (until, data); data None: removed, whatever a higher level says."""


class _Level(msgspec.Struct):
    level: int
    rows: list[tuple[str, str, float, str | None]]


_decode = msgspec.json.Decoder(_Level).decode
_encode = msgspec.json.Encoder().encode
_KEYS = [key(str(level)) for level in range(LEVELS)]


class AbuseLedger:
    """See `limen.core.guard.accounts.LedgerStore`.

    >>> from limen.store.memory import MemDictStore
    >>> ledger = AbuseLedger(MemDictStore().records)
    >>> ledger.flush([LedgerRow("localhost", "origin", "192.0.2.1", 1600.0, "[1]")], 1000.0)
    >>> [row.key for row in ledger.load(1000.0)], ledger.load(1600.0)
    (['192.0.2.1'], [])
    """

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._seen: dict[tuple[str, bytes], int] = {}
        """The versions of levels that hold nothing but what was loaded, heard or flushed here."""

    def load(self, now: float) -> list[LedgerRow]:
        return [
            LedgerRow(domain, scope, name, until, data)
            for domain in self._records.domains()
            for (scope, name), (until, data) in self._all(domain).items()
            if data is not None and until > now
        ]

    def flush(self, batch: Iterable[LedgerRow], now: float) -> None:
        domains: dict[str, _Rows] = {}
        for row in batch:
            domains.setdefault(row.domain, {})[row.scope, row.key] = row.until, row.data
        for domain, rows in domains.items():
            until_fresh(partial(self._add, domain, rows, now))

    def news(self, domain: str, now: float) -> list[LedgerRow]:
        versions = everything(self._records, domain, ABUSE)
        fresh = {v.uuid: v for v in versions if self._seen.get((domain, v.uuid)) != v.vsn}
        self._seen.update({(domain, uuid): version.vsn for uuid, version in fresh.items()})
        rows = _merged([fresh.get(uuid) for uuid in _KEYS])
        return [
            LedgerRow(domain, scope, name, until, data)
            for (scope, name), (until, data) in rows.items()
            if data is not None and until > now
        ]

    def clear(self, domain: str | None = None, key: str | None = None) -> int:
        names = self._records.domains() if domain is None else [domain]
        return sum(until_fresh(partial(self._clear, name, key)) for name in names)

    def forget(self, domain: str, user: str) -> int:
        return until_fresh(partial(self._forget, domain, user))

    # -- inside ------------------------------------------------------------------------------------
    def _add(self, domain: str, rows: _Rows, now: float) -> None:
        edit = Edit(self._records, domain)
        changes: list[Change] = []
        known = True
        for level in range(LEVELS):
            before = edit.read(ABUSE, _KEYS[level])
            known = known and (before is None or self._seen.get((domain, before.uuid)) == before.vsn)
            there = _rows(before)
            rows = {**there, **rows}
            if not there or level == LEVELS - 1:
                break
            changes.append(_put(level, before, {}))
        # What is over still hides what a higher level says of the same key; the last has none above it.
        kept = {name: row if row[0] > now else (row[0], None) for name, row in rows.items()}
        if level == LEVELS - 1:
            kept = {name: row for name, row in kept.items() if row[1] is not None}
        changes.append(_put(level, before, kept))
        edit.commit(own(domain), changes)
        if known:  # else there is something of others in it, still to be heard
            self._seen.update({(domain, change.uuid): change.base + 1 for change in changes})

    def _clear(self, domain: str, name: str | None) -> int:
        edit = Edit(self._records, domain)
        levels = [edit.read(ABUSE, uuid) for uuid in _KEYS]
        rows = {key: row for key, row in _merged(levels).items() if row[1] is not None}
        kept = {key: row for key, row in rows.items() if name not in (None, key[1])}
        if len(kept) < len(rows):
            emptied = [_put(level, before, {}) for level, before in enumerate(levels[:-1]) if before is not None]
            edit.commit(own(domain), [*emptied, _put(LEVELS - 1, levels[-1], kept)])
        return len(rows) - len(kept)

    def _forget(self, domain: str, user: str) -> int:
        edit = Edit(self._records, domain)
        changes, found = list[Change](), set[tuple[str, str]]()
        for level, uuid in enumerate(_KEYS):
            before = edit.read(ABUSE, uuid)
            rows = _rows(before)
            named = {row for row in rows if row == ("account", user) or (row[0] == "pair" and _of_pair(row[1]) == user)}
            if named:
                changes.append(_put(level, before, {row: told for row, told in rows.items() if row not in named}))
                found |= named
        if changes:
            edit.commit(own(domain), changes)
        return len(found)

    def _all(self, domain: str) -> _Rows:
        return _merged([self._records.read(domain, ABUSE, uuid)[1] for uuid in _KEYS])


def _of_pair(name: str) -> str:
    """The user in the key of a pair: user@origin."""
    return name.rpartition("@")[0]


def _merged(levels: list[Version | None]) -> _Rows:
    merged: _Rows = {}
    for version in reversed(levels):
        merged.update(_rows(version))
    return merged


def _rows(version: Version | None) -> _Rows:
    there = alive(version)
    if there is None:
        return {}
    return {(scope, name): (until, data) for scope, name, until, data in _decode(there.fields).rows}


def _put(level: int, before: Version | None, rows: _Rows) -> Change:
    listed = [(scope, name, until, data) for (scope, name), (until, data) in rows.items()]
    return put(ABUSE, _KEYS[level], before, _encode(_Level(level, listed)).decode(), keep=0)
