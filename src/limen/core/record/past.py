"""Records as they once were: what `history`, `as_of` and `fetch(txn=)` give."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from limen import exc

from . import delta
from .model import Model
from .port import Transaction, Version
from .record import Record, encode_fields

_set = object.__setattr__


class Frozen(Record):
    """A record of the past: like a Record, but what was can't be changed."""

    __slots__ = ()

    def _refuse(self) -> NoReturn:
        raise exc.StoreError(
            f"This {self._about.name} is version {self._vsn} as it once was, and can't be changed. "
            f"Fetch the record in a unit of work, and change that."
        )

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse()

    def __delattr__(self, name: str) -> None:
        self._refuse()

    def __setitem__(self, name: str, value: Any) -> None:
        self._refuse()

    def __delitem__(self, name: str) -> None:
        self._refuse()

    def merge(self, other: Mapping[str, Any] = {}, /, **fields: Any) -> NoReturn:
        self._refuse()

    def update(self, other: Mapping[str, Any] = {}, /, **fields: Any) -> NoReturn:
        self._refuse()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._about, self._key, self._vsn, self._txn, self._stored)


class Written(NamedTuple):
    """The transaction that wrote a version: who, through which service, from where, why and when."""

    number: int
    user: str | None
    impersonator: str | None
    service: str
    origin: str
    reason: str
    when: datetime
    """Aware, UTC. Rises with the number, also where a clock was set back."""


class Past(Frozen):
    """One version of a record, in its history.

    *transaction*: who wrote it; None where the model keeps no history. *changed*: the names of the fields that are
    different from the version before, sorted; None where that is not kept. *deleted*: with this version the record was
    gone; its fields are those of the version before. *erased*: its contents were taken away for ever. A field of one of
    these names is reached as an item.
    """

    __slots__ = ("changed", "deleted", "erased", "transaction")

    transaction: Written | None
    changed: tuple[str, ...] | None
    deleted: bool
    erased: bool

    def __init__(self, model: Model, version: Version, by: Transaction | None, changed: tuple[str, ...] | None) -> None:
        super().__init__(model, version.uuid, version.vsn, version.txn, version.fields)
        _set(self, "transaction", None if by is None else written(by))
        _set(self, "changed", changed)
        _set(self, "deleted", version.deleted)
        _set(self, "_gone", version.deleted)
        _set(self, "erased", version.erased)

    def __reduce__(self) -> tuple[Any, ...]:
        version = Version(self._key, self._vsn, self._txn, self._stored, self.deleted, self.erased)
        by = self.transaction
        who = None if by is None else Transaction("", *by[1:6], by.when.timestamp(), by.number)
        return Past, (self._about, version, who, self.changed)


def written(by: Transaction) -> Written:
    when = datetime.fromtimestamp(by.time, UTC)
    return Written(by.number, by.user, by.impersonator, by.service, by.origin, by.reason, when)


def line(model: Model, rows: list[tuple[Version, Transaction | None]]) -> list[Past]:
    """The history of one record, from rows that follow each other."""
    found = []
    before: Version | None = None
    for version, by in rows:
        changed: tuple[str, ...] | None = None
        if version.deleted:
            changed = ()
        elif version.vsn == 1:
            changed = delta.names("{}", version.fields)
        elif before is not None:
            changed = delta.names(before.fields, version.fields)
        found.append(Past(model, version, by, changed))
        before = version
    return found


def diff(a: Record, b: Record) -> dict[str, tuple[Any, Any]]:
    """The fields in which two records are different: by name the value in *a* and that in *b*, None for a field that is
    not there. Two versions of one record, or any two."""
    names = delta.names(encode_fields(a._fields), encode_fields(b._fields))
    return {name: (a.get(name), b.get(name)) for name in names}
