"""Records in an SQL database: `RecordStore` over an engine, one implementation for every dialect.

Nothing is remembered between two calls, so that no other process and no restored file can make it wrong: names are
looked up where they are used. A question about now is one statement, which gives the domain's number of the same
moment; a question about the past is that one, and a second one for the records that have changed since.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from limen.core.record import delta
from limen.core.record.errors import history_gone, yet_to_come
from limen.core.record.port import (
    DELETE,
    ERASE,
    PUT,
    Answer,
    Change,
    Committed,
    Keep,
    Reads,
    Transaction,
    Version,
    renamed,
)
from limen.core.record.query import Query

from .commit import Behind, Commit, built, by, past, version
from .engine import EVER, Engine, Hand, Parameters, Row
from .index.indexes import Indexes

_names = msgspec.json.Decoder(tuple[str, ...]).decode
_KINDS = {delta.WHOLE: PUT, delta.DELTA: PUT, delta.DELETED: DELETE, delta.ERASED: ERASE}
CHUNK = 500
"""Records that are pruned in one transaction: commits of others wait for no more than that."""
RENAMED = 10_000
"""Transactions that are looked through for a user's name at once."""
FAR_BACK = 20_000
"""Transactions after which the log is not looked through any more for what has changed since."""


class SQLRecords:
    """See `limen.core.record.port.RecordStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._sql = engine, engine.sql
        self.indexes = Indexes(engine, self._changed)
        self.wakes = engine.wakes

    def _rows(self, domain: str, statement: str, parameters: Parameters) -> list[Row]:
        return self._engine.rows(statement, parameters, domain)

    # -- reading
    def last(self, domain: str) -> int:
        rows = self._rows(domain, self._sql.last, (domain,))
        return rows[0][0] if rows else 0

    def read(self, domain: str, model: str, uuid: bytes, at: int | None = None) -> tuple[int, Version | None]:
        rows = self._engine.rows(self._sql.read, (model, uuid, domain), domain)
        if not rows:
            return at or 0, None
        last, key = rows[0][:2]
        if at is None:
            at = last
        if key is None:
            return at, None
        newest = version(rows[0][1:])
        if newest.txn > at:
            return at, past(lambda *question: self._rows(domain, *question), self._sql, domain, model, newest, at)
        return at, newest

    def select(self, domain: str, query: Query, at: int | None = None) -> Answer:
        found = self.indexes.select(domain, query, at)
        if isinstance(found, Answer):
            return found
        if query.explain:
            return Answer(self.last(domain) if at is None else at, [], True, found)
        return self._all(domain, query.model, at, found)

    def count(self, domain: str, query: Query, at: int | None = None) -> tuple[int, int] | None:
        return self.indexes.count(domain, query, at)

    def _all(self, domain: str, model: str, at: int | None, how: str) -> Answer:
        rows = self._rows(domain, self._sql.select, (model, EVER if at is None else at, domain))
        if not rows or rows[0][1] is None:  # no such domain, or no such record
            return Answer(rows[0][0] if rows and at is None else at or 0, [], True, how)
        if at is None:
            return Answer(rows[0][0], [_there(row) for row in rows], True, how)
        found = [_there(row) for row in rows if row[3] <= at]
        changed = [version(row[1:]) for row in rows if row[3] > at]
        if changed:
            found += self._before(domain, model, changed, at)
            found.sort()
        return Answer(at, found, True, how)

    def _before(self, domain: str, model: str, changed: Sequence[Version], at: int) -> list[Version]:
        """What those records were as of *at* that have changed since, where they were there."""
        found = _by_uuid(self._rows(domain, self._sql.past_of_all, (domain, model, at, at, at, at)))
        before = []
        for newest in changed:
            then = found.get(newest.uuid)
            if then is None and newest.vsn > 1:  # nothing is kept of it, or another one is newest by now
                then = past(lambda *question: self._rows(domain, *question), self._sql, domain, model, newest, at)
            if then is not None and not then.deleted:
                before.append(then)
        return before

    def _changed(self, domain: str, model: str, at: int, most: int) -> list[Version] | None:
        """What those records of *model* were as of *at* that have changed since, where they were there; None where
        more than *most* have."""
        if self.last(domain) - at > FAR_BACK:
            return None
        uuids = self._rows(domain, self._sql.changed, (domain, at, model, most + 1))
        if not uuids:
            return []
        if len(uuids) > most:
            return None
        found = _by_uuid(self._rows(domain, self._sql.past_of_changed, (at, domain, at, model, at)))
        for (uuid,) in uuids:
            if uuid not in found:  # it was made later, or the past is no longer kept
                for vsn, txn in self._rows(domain, self._sql.oldest, (domain, model, uuid)):
                    if vsn > 1:
                        raise history_gone(txn)
        return [then for then in found.values() if not then.deleted]

    def history(
        self, domain: str, model: str, uuid: bytes, *, after: int = 0, limit: int | None = None
    ) -> list[tuple[Version, Transaction | None]]:
        start = delta.keyframe(after + 1)
        most = EVER if limit is None else limit + delta.GROUP + 2  # from a whole one on, to build the first from
        rows = self._rows(domain, self._sql.history, (domain, model, uuid, after + 1, start, most))
        found: list[tuple[Version, Transaction | None]] = []
        fields = ""
        for row in rows:
            key, vsn, txn, kind, body = row[:5]
            fields = delta.step(fields, kind, body)
            if vsn > after:
                erased = kind == delta.ERASED
                line = Version(key, vsn, txn, fields, erased or kind == delta.DELETED, erased)
                found.append((line, None if row[5] is None else by(domain, row[5:])))
        return found[:limit]

    def transaction(self, domain: str, number: int) -> Transaction | None:
        rows = self._rows(domain, self._sql.transaction, (domain, number))
        return by(domain, rows[0]) if rows else None

    def at_time(self, domain: str, time: float) -> int:
        found, low, high = 0, 0, self.last(domain)  # the answer is `found`, or greater than `low`
        middle = high
        while low < high:
            rows = self._rows(domain, self._sql.transaction_until, (domain, middle))
            if not rows or rows[0][0] <= found:
                low = middle
            elif rows[0][1] <= time:
                found, low = rows[0][0], middle
            else:
                high = rows[0][0] - 1
            middle = (low + high + 1) // 2
        return found

    def changes(self, domain: str, after: int, limit: int = 1000) -> list[Committed]:
        rows = self._rows(domain, self._sql.changes, (domain, after, EVER, limit))
        if not rows and after > (last := self.last(domain)):
            raise yet_to_come(after, last)
        if len(rows) == limit:  # the last transaction may not be all there
            cut = rows[-1][0]
            rows = [row for row in rows if row[0] < cut]
            rows += self._rows(domain, self._sql.changes, (domain, cut - 1, cut, EVER))
        return [
            Committed(txn, model, uuid, vsn, _KINDS[kind], _names(changed) if changed else ())
            for txn, model, uuid, vsn, kind, changed in rows
        ]

    def domains(self) -> list[str]:
        return [row[0] for row in self._engine.rows(self._sql.domains)]

    def progress(self) -> int:
        total: int = self._engine.rows(self._sql.progress)[0][0]
        return total

    # -- writing
    def commit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> int:
        self.indexes.prepare(changes)
        return self._commit(Commit(self._engine, self.indexes, transaction, changes, reads), transaction.domain)

    def submit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> Future[int]:
        self.indexes.prepare(changes, wait=False)
        work = Commit(self._engine, self.indexes, transaction, changes, reads)
        first = self._engine.submit(work, transaction.domain, work.happened)
        if reads is None:
            return first
        outcome: Future[int] = Future()

        def done(first: Future[int]) -> None:
            if isinstance(first.exception(), Behind):
                threading.Thread(target=again, name="a commit that looks ahead").start()
            else:
                _pass_on(first.result, outcome)

        def again() -> None:
            _pass_on(lambda: self._commit(work, transaction.domain, behind=True), outcome)

        first.add_done_callback(done)
        return outcome

    def _commit(self, work: Commit, domain: str, behind: bool = False) -> int:
        while True:
            try:
                if behind:
                    work.look_ahead(self.last(domain))
                return self._engine.write(work, domain, work.happened)
            except Behind:
                behind = True

    def forget_user(self, transaction: Transaction, user: str, pseudonym: str) -> int:
        total, after = 0, 0
        proof: Transaction | None = renamed(transaction, user, pseudonym)
        while True:
            work = _rename(self._engine, transaction.domain, user, pseudonym, after, proof)
            count, after = self._engine.write(work, transaction.domain)
            total += count
            proof = None if total else proof
            if not after:
                return total

    def close(self) -> None:
        """To be called before the engine is closed."""
        self.indexes.close()

    def prune(self, domain: str, model: str, keep: Keep, now: float) -> int:
        if keep is None:
            return 0
        total, after = 0, b""
        while True:
            dropped, after = self._engine.write(_prune(self._sql, domain, model, keep, now, after), domain)
            total += dropped
            if not after:
                return total


def _pass_on(what: Callable[[], int], outcome: Future[int]) -> None:
    """What *what* gives or raises is the *outcome*."""
    try:
        outcome.set_result(what())
    except BaseException as error:
        outcome.set_exception(error)


def _by_uuid(rows: Sequence[Row]) -> dict[bytes, Version]:
    """By record the version that its rows, which follow each other, build."""
    return {uuid: built([*lines]) for uuid, lines in groupby(rows, itemgetter(0))}


def _there(row: Row) -> Version:
    """The version in a row of `select`, which is not deleted."""
    _, uuid, vsn, txn, fields, _ = row
    return Version(uuid, vsn, txn, fields, False)


def _rename(
    engine: Engine, domain: str, user: str, pseudonym: str, after: int, proof: Transaction | None
) -> Callable[[Hand], tuple[int, int]]:
    """A work that renames a user in some transactions after number *after*, and gives in how many, and the last one
    looked at; 0 where there are no more. *proof*: kept with the first that is renamed."""
    sql = engine.sql

    def work(hand: Hand) -> tuple[int, int]:
        hand.erased = True  # also what others have taken away in rows without history
        (domains,) = hand.ask((sql.lock, (domain,)))
        if not domains:
            return 0, 0
        [(id, last)] = domains
        until = after + RENAMED
        (rows,) = hand.ask((sql.rename_user, (user, pseudonym, user, pseudonym, id, after, until, user, user)))
        if rows and proof is not None:
            remote = engine.dialect == "postgresql"
            ((_, number, time, _, _),) = hand.ask(
                (sql.take_number, (proof.time, domain, "") if remote else (proof.time, "", domain))
            )[0]
            if not remote:
                hand.tell(sql.set_number, (number, time, id))
            hand.tell(sql.add_transaction, (id, number, *proof[1:6], time, None))
        return len(rows), until if until < last else 0

    return work


def _prune(
    sql: Any, domain: str, model: str, keep: int | timedelta, now: float, after: bytes
) -> Callable[[Hand], tuple[int, bytes]]:
    """A work that prunes some records, and gives how many versions it dropped and the last of these records; b'' where
    there are no more."""

    def work(hand: Hand) -> tuple[int, bytes]:
        domains, models = hand.ask((sql.lock, (domain,)), (sql.find_model, (model,)))
        if not domains or not models:
            return 0, b""
        of = domains[0][0], models[0][0]
        (keys,) = hand.ask((sql.keys, (*of, after, CHUNK)))
        if not keys:
            return 0, b""
        chunk = *of, keys[0][0], keys[-1][0]
        if isinstance(keep, timedelta):
            answers = hand.ask((sql.prune_time, (*chunk, now - keep.total_seconds())))
        elif keep:
            answers = hand.ask((sql.prune_count, (*chunk, keep)))
        else:
            answers = hand.ask((sql.prune_deleted, chunk), (sql.prune_all, chunk))
            hand.tell(sql.drop_deleted, chunk)
            hand.tell(sql.make_whole, chunk)
        return sum(map(len, answers)), keys[-1][0] if len(keys) == CHUNK else b""

    return work
