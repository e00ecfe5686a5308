"""`MemDictStore`: everything in dicts of this process. The reference that other stores are compared with; forgets at
exit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import NamedTuple

from limen.core.record import delta
from limen.core.record.errors import history_gone, yet_to_come
from limen.core.record.port import (
    DELETE,
    ERASE,
    PUT,
    REVIVE,
    Answer,
    Change,
    Committed,
    Conflict,
    Keep,
    Reads,
    Stale,
    Transaction,
    Version,
    renamed,
)
from limen.core.record.query import Query
from limen.core.record.validate import Key, clash, follows

from .wakes import Wakes

HOW = "in Python: this store looks at all records of the model"


class MemDictStore:
    """A store that needs nothing and keeps nothing.

    >>> store = MemDictStore()
    >>> store.records.domains(), store.records.last("localhost")
    ([], 0)
    """

    url = ""
    shared = False

    def __init__(self) -> None:
        self.records = MemoryRecords()

    @contextmanager
    def claim(self) -> Iterator[None]:
        """No other process can reach this store."""
        yield

    def close(self) -> None:
        """Nothing to let go of."""


class _Due(NamedTuple):
    """A transaction that is settled and not yet entered. *records*: what the versions of these records are from now on;
    *lines*: of the log; *dropped*: (number, record) of lines that are no longer kept."""

    number: int
    time: float
    transaction: Transaction | None
    records: dict[Key, list[Version]]
    lines: list[Committed]
    dropped: list[tuple[int, Key]]


class _Domain:
    """One tenant's records.

    *number*, *time*: of the last transaction. *transactions*: those that are kept, by number, in their order. *models*:
    by name the versions of each record that are kept, the oldest first. *log*: by number what was written, as far as it
    is kept, in the order of (model, uuid). *due*: what is being entered: a KeyboardInterrupt may come between any two
    steps, and whoever comes next takes them all again.
    """

    def __init__(self) -> None:
        self.number = 0
        self.time = float("-inf")
        self.transactions: dict[int, Transaction] = {}
        self.models: dict[str, dict[bytes, list[Version]]] = {}
        self.log: dict[int, dict[Key, Committed]] = {}
        self.due: _Due | None = None

    def versions(self, model: str, uuid: bytes) -> list[Version]:
        return self.models.get(model, {}).get(uuid, [])

    def newest(self, model: str, uuid: bytes) -> Version | None:
        versions = self.versions(model, uuid)
        return versions[-1] if versions else None

    def enter(self) -> None:
        """Enters what is due. Each step may be taken twice."""
        if self.due is None:
            return
        self.number, self.time, transaction, records, lines, dropped = self.due
        if transaction is not None:
            self.transactions[self.number] = transaction
        for line in lines:
            self.log.setdefault(line.txn, {})[line.model, line.uuid] = line
        for number, key in dropped:
            self.log.get(number, {}).pop(key, None)
            if not self.log.get(number, True):
                del self.log[number]
        for (model, uuid), versions in records.items():
            of_model = self.models.setdefault(model, {})
            if versions:
                of_model[uuid] = versions
            else:
                of_model.pop(uuid, None)
        self.due = None


def _as_of(versions: Sequence[Version], at: int) -> Version | None:
    """The newest of *versions* that is not later than *at*. Raises HistoryGone where it is no longer kept."""
    for version in reversed(versions):
        if version.txn <= at:
            return version
    if versions and versions[0].vsn > 1:
        raise history_gone(versions[0].txn)
    return None


class MemoryRecords:
    """See `limen.core.record.port.RecordStore`. One lock for all: whoever holds it sees one moment."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._domains: dict[str, _Domain] = {}
        self._wakes = Wakes(None)
        self.wakes = self._wakes.listen

    def _domain(self, name: str) -> _Domain:
        of = self._domains.get(name) or _Domain()
        of.enter()
        return of

    # -- reading -----------------------------------------------------------------------------------
    def last(self, domain: str) -> int:
        with self._lock:
            return self._domain(domain).number

    def read(self, domain: str, model: str, uuid: bytes, at: int | None = None) -> tuple[int, Version | None]:
        with self._lock:
            of = self._domain(domain)
            return (of.number, of.newest(model, uuid)) if at is None else (at, _as_of(of.versions(model, uuid), at))

    def select(self, domain: str, query: Query, at: int | None = None) -> Answer:
        with self._lock:
            of = self._domain(domain)
            at = of.number if at is None else at
            if query.explain:
                return Answer(at, [], True, HOW)
            records = of.models.get(query.model, {}).values()
            gone = [versions[0].txn for versions in records if versions[0].vsn > 1 and versions[0].txn > at]
            if gone:
                raise history_gone(max(gone))
            found = [_as_of(versions, at) for versions in records]
        versions = sorted(version for version in found if version is not None and not version.deleted)
        return Answer(at, versions, True, HOW)

    def count(self, domain: str, query: Query, at: int | None = None) -> tuple[int, int] | None:
        return None

    def history(
        self, domain: str, model: str, uuid: bytes, *, after: int = 0, limit: int | None = None
    ) -> list[tuple[Version, Transaction | None]]:
        with self._lock:
            of = self._domain(domain)
            found = [version for version in of.versions(model, uuid) if version.vsn > after][:limit]
            return [(version, of.transactions.get(version.txn)) for version in found]

    def transaction(self, domain: str, number: int) -> Transaction | None:
        with self._lock:
            return self._domain(domain).transactions.get(number)

    def at_time(self, domain: str, time: float) -> int:
        with self._lock:
            kept = self._domain(domain).transactions.values()
            return max((transaction.number for transaction in kept if transaction.time <= time), default=0)

    def changes(self, domain: str, after: int, limit: int = 1000) -> list[Committed]:
        with self._lock:
            of = self._domain(domain)
            if after > of.number:
                raise yet_to_come(after, of.number)
            lines: list[Committed] = []
            for number in range(after + 1, of.number + 1):
                if len(lines) >= limit:
                    break
                lines += of.log.get(number, {}).values()
            return lines

    def domains(self) -> list[str]:
        with self._lock:
            return sorted(name for name in self._domains if self._domain(name).number)

    def progress(self) -> int:
        with self._lock:
            return sum(self._domain(name).number for name in self._domains)

    # -- writing -----------------------------------------------------------------------------------
    def commit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> int:
        with self._lock:
            of = self._domain(transaction.domain)
            for change in changes:
                newest = of.newest(change.model, change.uuid)
                if not follows(change, newest):
                    raise Stale(change, newest, of.transactions.get(newest.txn) if newest else None)
            if reads is not None:
                _validate(of, reads)
            due = _due(of, transaction, changes)
            self._domains[transaction.domain] = of
            of.due = due
            of.enter()
        self._wakes.wake()
        return due.number

    def submit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> Future[int]:
        done: Future[int] = Future()
        done.set_running_or_notify_cancel()
        try:
            done.set_result(self.commit(transaction, changes, reads))
        except Exception as error:
            done.set_exception(error)
        return done

    def forget_user(self, transaction: Transaction, user: str, pseudonym: str) -> int:
        with self._lock:
            of = self._domain(transaction.domain)
            named = [number for number, by in of.transactions.items() if user in (by.user, by.impersonator)]
            if named:
                number, time = of.number + 1, max(of.time, transaction.time)
                proof = renamed(transaction, user, pseudonym)._replace(number=number, time=time)
                of.due = _Due(number, time, proof, {}, [], [])
                of.enter()
                for number in named:
                    of.transactions[number] = renamed(of.transactions[number], user, pseudonym)
        if named:
            self._wakes.wake()
        return len(named)

    def prune(self, domain: str, model: str, keep: Keep, now: float) -> int:
        with self._lock:
            of = self._domain(domain)
            due = _Due(of.number, of.time, of.transactions.get(of.number), {}, [], [])
            for uuid, versions in of.models.get(model, {}).items():
                kept = due.records[model, uuid] = _dropped(of.transactions, versions, keep, now)
                due.dropped.extend((old.txn, (model, uuid)) for old in versions[: len(versions) - len(kept)])
            of.due = due
            of.enter()
            return len(due.dropped)


def _due(of: _Domain, who: Transaction, changes: Sequence[Change]) -> _Due:
    """What is to be entered for these changes."""
    number, time = of.number + 1, max(of.time, who.time)
    transaction = who._replace(time=time, number=number) if any(change.keep != 0 for change in changes) else None
    due = _Due(number, time, transaction, {}, [], [])
    for model, uuid, base, fields, kind, _, _, keep in sorted(changes, key=lambda change: change[:2]):
        versions = of.versions(model, uuid)
        changed: tuple[str, ...] | None = ()
        if kind == ERASE:
            due.lines.extend(of.log[old.txn][model, uuid]._replace(kind=ERASE, fields=()) for old in versions)
            versions = [old._replace(fields="{}", deleted=True, erased=True) for old in versions]
        if kind in (DELETE, ERASE):
            fields = versions[-1].fields
        elif versions:
            changed = delta.row(base + 1, versions[-1].fields, fields)[2]
        version = Version(uuid, base + 1, number, fields, kind in (DELETE, ERASE), kind == ERASE)
        due.lines.append(Committed(number, model, uuid, base + 1, PUT if kind == REVIVE else kind, changed or ()))
        versions = [*versions, version]
        kept = due.records[model, uuid] = _dropped(of.transactions, versions, keep, time)
        due.dropped.extend((old.txn, (model, uuid)) for old in versions[: len(versions) - len(kept)])
    return due


def _dropped(transactions: Mapping[int, Transaction], versions: list[Version], keep: Keep, now: float) -> list[Version]:
    """What is left of a record's versions when what *keep* does not ask for is dropped."""
    if keep is None:
        return versions
    if isinstance(keep, timedelta):
        since = now - keep.total_seconds()
        ended = [transactions.get(version.txn) for version in versions[1:]]  # when the one before was not it any more
        return versions[sum(by is not None and by.time < since for by in ended) :]
    if keep == 0 and versions[-1].deleted:
        return []
    return versions[max(len(versions) - 1 - keep, 0) :]


def _validate(of: _Domain, reads: Reads) -> None:
    def states(model: str, uuid: bytes) -> tuple[Version | None, Version | None]:
        return _as_of(of.versions(model, uuid), reads.at), of.newest(model, uuid)

    def there(keys: Iterable[Key]) -> Iterable[Key]:
        return [key for key in keys if of.newest(*key) is not None]

    def touched() -> Iterator[tuple[str, bytes, int]]:
        for number in range(reads.at + 1, of.number + 1):
            for model, uuid in of.log.get(number, ()):
                if of.versions(model, uuid)[-1].txn == number:
                    yield model, uuid, number

    found = clash(reads, of.number, touched(), states, there)
    if found is not None:
        model, uuid, number = found
        raise Conflict(model, uuid, of.transactions.get(number) if number is not None else None)
