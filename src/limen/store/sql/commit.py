"""The commit of one unit of work, as a work of an engine.

It waits for the database once: one round-trip takes the number and, with it, the domain's lock, and brings the newest
versions of what is to be written; whether anything is in the way is found in Python; what is left to say is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from limen.core.record import delta
from limen.core.record.errors import history_gone
from limen.core.record.port import (
    DELETE,
    ERASE,
    PUT,
    REVIVE,
    Change,
    Conflict,
    Reads,
    Stale,
    Transaction,
    Version,
)
from limen.core.record.validate import Key, clash, follows

from .engine import EVER, Duplicate, Engine, Hand, Parameters, Question, Row
from .statements import Statements

if TYPE_CHECKING:
    from .index.indexes import Indexes

_names = msgspec.json.Encoder().encode
THERE, GONE, ERASED = range(3)
"""`record.deleted`."""
Ask = Callable[[str, Parameters], list[Row]]
FAR = 200
"""Transactions since the reads beyond which they are looked at in two steps, the long one without the lock."""
LOOKS = 5
"""Times that a commit looks ahead before it holds the lock for as long as it takes."""


class Behind(Exception):
    """So much was committed since the reads that `Commit.look_ahead` is to be called; nothing was written."""


class _Lookout:
    """Asks as a Hand does, without a transaction."""

    def __init__(self, engine: Engine, domain: str) -> None:
        self._engine, self._domain = engine, domain

    def ask(self, *questions: Question) -> list[list[Row]]:
        return [self._engine.rows(statement, parameters, self._domain) for statement, parameters in questions]


def version(row: Row) -> Version:
    """The version in a row of `record`: uuid, vsn, txn, fields, deleted."""
    return Version(row[0], row[1], row[2], row[3], row[4] > 0, row[4] == ERASED)


def built(rows: Sequence[Row]) -> Version:
    """The last of *rows* (uuid, vsn, txn, kind, body), which follow each other from a whole one on."""
    uuid, vsn, txn, kind, _ = rows[-1][:5]
    erased = kind == delta.ERASED
    fields = "{}" if erased else delta.rebuild((row[3], row[4]) for row in rows)
    return Version(uuid, vsn, txn, fields, erased or kind == delta.DELETED, erased)


def past(ask: Ask, sql: Statements, domain: str, model: str, newest: Version, at: int) -> Version | None:
    """The record as of *at*, which *newest* is later than. *ask*: runs a statement with its parameters.

    Raises HistoryGone where that is no longer kept.
    """
    if newest.vsn == 1:
        return None
    rows = ask(sql.past, (domain, model, newest.uuid, at, at, at))
    if rows:
        return built(rows)
    for vsn, txn in ask(sql.oldest, (domain, model, newest.uuid)):
        if vsn > 1:
            raise history_gone(txn)
    return None


class Commit:
    """A work for `Engine.write`: gives the transaction's number.

    *index*: keeps the columns that are searched by. On PostgreSQL, where each answer that is waited for costs a
    round-trip, all is asked for at once; on SQLite nothing is asked that need not be.
    """

    def __init__(
        self, engine: Engine, index: Indexes, who: Transaction, changes: Sequence[Change], reads: Reads | None
    ) -> None:
        self._engine, self._sql, self._index = engine, engine.sql, index
        self._who, self._changes, self._reads = who, changes, reads
        self._remote = engine.dialect == "postgresql"
        self._token = os.urandom(16) if self._remote else None
        self._id = self._number = 0
        self._looks = LOOKS

    def __call__(self, hand: Hand) -> int:
        sql, who, changes, reads = self._sql, self._who, self._changes, self._reads
        first = changes[0].model
        others = () if len(changes) == 1 else tuple({change.model: 0 for change in changes if change.model != first})
        bases = self._bases()
        here = (who.time, who.domain, first) if self._remote else (who.time, first, who.domain)
        questions: list[Question] = [(sql.take_number, here)]
        if others:
            questions += [(sql.find_model, (name,)) for name in others]
        if bases:
            questions += [base for _, base in bases]
        if reads is not None and self._remote:
            questions.append((sql.touched, (who.domain, reads.at)))
        answers = hand.ask(*questions)
        if not answers[0]:  # the domain's first transaction
            hand.tell(sql.add_domain, (who.domain,))
            answers = hand.ask(*questions)  # all of it: what was asked before, was asked without the lock
        self._id, self._number, time, model, revision = answers[0][0]
        newest: dict[Key, Version] = {}
        if bases:
            for (name, _), rows in zip(bases, answers[1 + len(others) :], strict=False):
                newest.update({(name, row[0]): version(row) for row in rows})
            if not all(follows(change, newest.get((change.model, change.uuid))) for change in changes):
                self._refuse(hand)
        if reads is not None and self._number - 1 != reads.at:
            if self._number - 1 - reads.at > FAR and self._looks:
                raise Behind
            self._validate(hand, reads, self._number - 1, answers[-1] if self._remote else None)
        if not self._remote:  # there it was an UPDATE; here the lock is the whole file's, and a SELECT costs less
            hand.tell(sql.set_number, (self._number, time, self._id))
        models = {first: model or self._new_model(hand, first)}
        if others:
            for name, rows in zip(others, answers[1:], strict=False):
                models[name] = rows[0][0] if rows else self._new_model(hand, name)
        try:
            self._write(hand, models, newest, time)
        except Duplicate:
            self._refuse(hand)
            raise  # it is none of the records
        self._index.write(hand, self._id, revision, changes)
        return self._number

    def look_ahead(self, last: int) -> None:
        """Compares what was read with all up to transaction *last*, without the lock; under it only the rest is left.

        Raises Conflict or Stale, as the commit would.
        """
        assert self._reads is not None
        self._looks -= 1
        self._number = 0  # none of what is found is our own
        self._validate(_Lookout(self._engine, self._who.domain), self._reads, last, None)
        self._reads = self._reads._replace(at=last)

    def happened(self, hand: Hand) -> bool | None:
        """See `Engine.write`."""
        sql, who = self._sql, self._who
        ((domain, last),) = hand.ask((sql.lock, (who.domain,)))[0] or [(0, 0)]
        if last < self._number or not self._number:
            return False
        if self._token is not None:
            rows = hand.ask((sql.proof, (domain, self._number)))[0]
            if rows and rows[0][0] is not None:
                return bytes(rows[0][0]) == self._token
        change = self._changes[0]
        newest = self._look(hand, change.model, change.uuid)
        if newest is None or newest.vsn > change.base + 1:
            return None
        return newest.txn == self._number and (change.deleted or newest.fields == change.fields)

    # -- what is in the way
    def _bases(self) -> list[tuple[str, Question]]:
        """What asks for the newest versions of the records that are to be changed, each with its model."""
        base, domain, changes = self._sql.base, self._who.domain, self._changes
        if not self._remote:  # what is new is left to the table's key
            return [(c.model, (base, (domain, c.model, c.uuid))) for c in changes if c.base or c.kind != PUT]
        keys: dict[str, list[bytes]] = {}
        for change in changes:
            keys.setdefault(change.model, []).append(change.uuid)
        return [(name, (base, (domain, name, uuids))) for name, uuids in keys.items()]

    def _look(self, hand: Hand | _Lookout, model: str, uuid: bytes) -> Version | None:
        rows = hand.ask((self._sql.base, (self._who.domain, model, [uuid] if self._remote else uuid)))[0]
        return version(rows[0]) if rows else None

    def _by(self, hand: Hand | _Lookout, number: int) -> Transaction | None:
        rows = hand.ask((self._sql.transaction, (self._who.domain, number)))[0]
        return by(self._who.domain, rows[0]) if rows else None

    def _refuse(self, hand: Hand | _Lookout) -> None:
        """Raises Stale for the first change that does not follow the newest version."""
        for change in self._changes:
            newest = self._look(hand, change.model, change.uuid)
            if newest is not None and newest.txn == self._number:
                newest = None  # our own half
            if not follows(change, newest):
                raise Stale(change, newest, None if newest is None else self._by(hand, newest.txn))

    def _validate(self, hand: Hand | _Lookout, reads: Reads, last: int, touched: list[Row] | None) -> None:
        domain = self._who.domain

        def states(model: str, uuid: bytes) -> tuple[Version | None, Version | None]:
            newest = self._look(hand, model, uuid)
            if newest is None or newest.txn <= reads.at:
                return newest, newest
            return past(lambda *question: hand.ask(question)[0], self._sql, domain, model, newest, reads.at), newest

        def there(keys: Iterable[Key]) -> Iterable[Key]:
            return [key for key in keys if self._look(hand, *key) is not None]

        if touched is None:
            (touched,) = hand.ask((self._sql.touched, (domain, reads.at)))
        found = clash(reads, last, touched, states, there)
        if found is not None:
            self._refuse(hand)  # that counts first
            model, uuid, number = found
            raise Conflict(model, uuid, None if number is None else self._by(hand, number))

    # -- writing
    def _new_model(self, hand: Hand, name: str) -> int:
        hand.tell(self._sql.add_model, (name,))
        number: int = hand.ask((self._sql.find_model, (name,)))[0][0][0]
        return number

    def _write(self, hand: Hand, models: dict[str, int], newest: dict[Key, Version], time: float) -> None:
        sql, domain, txn = self._sql, self._id, self._number
        new: list[Parameters] = []
        put: list[Parameters] = []
        versions: list[Parameters] = []
        drop: list[Question] = []
        kept = False
        for name, uuid, base, fields, kind, _, _, keep in self._changes:
            model, vsn = models[name], base + 1
            kept = kept or keep != 0
            if kind == PUT and not base:
                new.append((domain, model, uuid, 1, txn, THERE, fields))
                versions.append((domain, model, uuid, 1, txn, delta.WHOLE, fields, None))
                continue
            key = (domain, model, uuid)
            if keep == 0:
                drop.append((sql.drop_before, (*key, vsn if kind in (PUT, REVIVE) else EVER)))
            if kind in (PUT, REVIVE):
                how, body, changed = delta.row(vsn, newest[name, uuid].fields, fields)
                if keep == 0 or kind == REVIVE:  # nothing that it could be built from is kept, or has to be looked for
                    how, body = delta.WHOLE, fields
                put.append((vsn, txn, THERE, fields, *key))
                versions.append((*key, vsn, txn, how, body, _names(changed).decode()))
            elif keep == 0:
                drop.append((sql.drop_record, key))
                hand.erased = hand.erased or kind == ERASE
                continue
            elif kind == DELETE:
                put.append((vsn, txn, GONE, newest[name, uuid].fields, *key))
                versions.append((*key, vsn, txn, delta.DELETED, None, None))
            elif kind == ERASE:
                hand.tell(sql.erase, key)
                hand.erased = True
                put.append((vsn, txn, ERASED, "{}", *key))
                versions.append((*key, vsn, txn, delta.ERASED, None, None))
            if keep and delta.is_keyframe(vsn):
                if isinstance(keep, timedelta):
                    drop.append((sql.drop_older, (*key, *key, time - keep.total_seconds())))
                else:
                    drop.append((sql.drop_until, (*key, *key, vsn - keep)))
        if kept:
            hand.tell(sql.add_transaction, (domain, txn, *self._who[1:6], time, self._token))
        for statement, rows in ((sql.add_record, new), (sql.put_record, put), (sql.add_version, versions)):
            if rows:
                if len(rows) == 1:
                    hand.tell(statement, rows[0])
                else:
                    hand.many(statement, rows)
        for statement, parameters in drop:
            hand.tell(statement, parameters)


def by(domain: str, row: Row) -> Transaction:
    """The transaction in a row of its table: number, user, impersonator, service, origin, reason, time."""
    number, user, impersonator, service, origin, reason, time = row[:7]
    return Transaction(domain, user, impersonator, service, origin, reason, time, number)
