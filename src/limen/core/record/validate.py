"""Whether a unit of work may commit: what it changes was the newest, and what it has read is still so.

A unit's reads are records by key, and searches: expressions over a model. What has been changed since by others is in
conflict with a key if it is that record; with a search, if the record matched it before or matches it now: then the
answer would be another one today. Nothing else is: two units that work on different things never refuse each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from limen import exc

from .port import ERASE, PUT, REVIVE, Change, Reads, Version
from .record import decode_fields

if TYPE_CHECKING:
    from .expression import Expression

Key = tuple[str, bytes]
"""Model and uuid of a record."""
Touched = tuple[str, bytes, int]
"""Model and uuid of a record that was changed, and the number of the transaction of its newest version."""
States = Callable[[str, bytes], tuple[Version | None, Version | None]]
"""Gives of (model, uuid) the version as of `reads.at` and the newest one. May raise HistoryGone."""


def follows(change: Change, newest: Version | None) -> bool:
    """Whether *change* may come after the newest version of its record (None: there is none). See `RecordStore.commit`.

    >>> newest = Version(bytes(16), 1, 7, "{}", deleted=False)
    >>> follows(Change("T", bytes(16), 1, "{}"), newest), follows(Change("T", bytes(16), 0, "{}"), newest)
    (True, False)
    """
    if newest is None or change.base != newest.vsn:
        return newest is None and change.base == 0 and change.kind == PUT
    return change.kind == ERASE or newest.deleted == (change.kind == REVIVE)


def clash(
    reads: Reads,
    last: int,
    touched: Iterable[Touched],
    states: States,
    there: Callable[[Iterable[Key]], Iterable[Key]],
) -> tuple[str, bytes, int | None] | None:
    """The first record that is in conflict with *reads* and by which transaction (None: not known), or None.

    *last*: the number of the domain's last transaction. *touched*: each record of the domain that has a version with a
    number greater than `reads.at`, once; looked at only where *last* is another than `reads.at`. *states*: asked only
    for records of models that were searched. *there*: gives those of some records that are there now, in whatever
    version; asked only where records of models with keep=0 were read (`reads.found`).

    Contents that can't be known any more (erased, no longer kept) count as a match.
    """
    if last == reads.at:
        return None
    if reads.found:
        gone = reads.found.difference(there(reads.found))
        if gone:
            return *min(gone), None
    keys, models = reads.keys, reads.models
    for record in touched:
        model, uuid, _ = record
        if (model, uuid) in keys:
            return record
        expressions = models.get(model)
        if expressions is not None and (None in expressions or _matched(expressions, states, model, uuid)):
            return record
    return None


def _matched(expressions: list[Expression | None], states: States, model: str, uuid: bytes) -> bool:
    try:
        sides = states(model, uuid)
    except exc.HistoryGone:
        return True
    for version in sides:
        if version is not None and version.erased:
            return True
        if version is not None and not version.deleted:
            fields = decode_fields(version.fields)
            if any(expression is not None and expression.matches(fields) for expression in expressions):
                return True
    return False
