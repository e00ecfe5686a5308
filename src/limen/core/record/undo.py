"""Taking back a transaction: its inverse, as changes of a unit of work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from limen import exc

from . import delta
from .identity import CHANGED, GONE, NEW, REVIVED, SEEN, IdentityMap, Snapshot
from .port import DELETE, ERASE, OWN, Committed, Version
from .record import Record, decode_fields

if TYPE_CHECKING:
    from .unit import Unit


def undo(unit: Unit, snapshot: Snapshot, txn: int) -> list[Record]:
    """See `Unit.undo`. Nothing is changed before it is known that all of it can be."""
    at = unit._now(snapshot)
    if not 1 <= txn <= at:
        raise exc.InvalidValue(
            f"There is no transaction {txn}: they are numbered 1 to {at}. Where models are kept in several stores, "
            "undo(txn, Model) says which one is meant."
        )
    log = snapshot.store.changes(unit._domain, txn - 1, 1)
    told = [line for line in log if line.txn == txn and not line.model.startswith(OWN)]
    models = {line.model: unit._registry.named(line.model) for line in told}
    lines = [line for line in told if models[line.model][0].keep != 0]  # of the others one never knows all
    if not lines:
        raise exc.HistoryGone(
            f"Of what transaction {txn} wrote nothing is kept that could be taken back.", since=txn + 1
        )
    steps: list[Callable[[], Record]] = []
    blocked: list[dict[str, Any]] = []
    for line in lines:
        model, store = models[line.model]
        if store is not snapshot.store:
            raise exc.StoreError(f"{line.model} is kept in another store by now; transaction {txn} can't be undone.")
        loaded = unit._map(model.cls)
        newest = unit._version(loaded, line.uuid)
        step = None if newest is None else _step(unit, loaded, line, newest)
        if step is not None:
            steps.append(step)
        else:
            vsn = None if newest is None else newest.vsn
            blocked.append({"model": line.model, "id": str(UUID(bytes=line.uuid)), "vsn": line.vsn, "newest": vsn})
    if blocked:
        names = ", ".join(f"{each['model']} {each['id']}" for each in blocked)
        raise exc.UndoRefused(
            f"Transaction {txn} can't be undone: changed again since, or erased: {names}.", txn=txn, records=blocked
        )
    return [step() for step in steps]


def _step(unit: Unit, loaded: IdentityMap, line: Committed, newest: Version) -> Callable[[], Record] | None:
    """What takes back *line*; None where a later change is in the way, one of this unit's own too."""
    known = loaded.records.get(line.uuid)
    if known is not None and (loaded.states[line.uuid] >= NEW or known._unstored() is not None):
        return None
    if line.kind == ERASE or newest.erased:
        return None
    if line.kind == DELETE:
        return (lambda: _revive(loaded, newest)) if newest.vsn == line.vsn else None
    before, after = _versions(unit, loaded, line)
    if before is None or before.deleted:
        return (lambda: _delete(unit, loaded, newest)) if newest.vsn == line.vsn else None
    names = delta.names(before.fields, after.fields)
    if newest.deleted or delta.pick(newest.fields, names) != delta.pick(after.fields, names):
        return None
    return lambda: _put_back(unit, loaded, newest, names, decode_fields(before.fields))


def _versions(unit: Unit, loaded: IdentityMap, line: Committed) -> tuple[Version | None, Version]:
    """The version before *line*, None for a first one, and that of *line*."""
    found = loaded.snapshot.store.history(
        unit._domain, line.model, line.uuid, after=max(line.vsn - 2, 0), limit=1 if line.vsn == 1 else 2
    )
    versions = {version.vsn: version for version, _ in found}
    if line.vsn not in versions or (line.vsn > 1 and line.vsn - 1 not in versions):
        raise exc.HistoryGone(
            f"What {line.model} {UUID(bytes=line.uuid)} was before transaction {line.txn} is not kept any more.",
            since=line.txn + 1,
        )
    return versions.get(line.vsn - 1), versions[line.vsn]


def _at_hand(unit: Unit, loaded: IdentityMap, newest: Version) -> Record:
    return loaded.records.get(newest.uuid) or unit._see(loaded, newest, SEEN)


def _delete(unit: Unit, loaded: IdentityMap, newest: Version) -> Record:
    record = _at_hand(unit, loaded, newest)
    loaded.states[record._key] = GONE
    return record


def _revive(loaded: IdentityMap, newest: Version) -> Record:
    record = Record(loaded.model, newest.uuid, newest.vsn, newest.txn, newest.fields)
    loaded.records[record._key] = record
    loaded.states[record._key] = REVIVED
    return record


def _put_back(
    unit: Unit, loaded: IdentityMap, newest: Version, names: tuple[str, ...], before: dict[str, Any]
) -> Record:
    record = _at_hand(unit, loaded, newest)
    for name in names:
        if name in before:
            record[name] = before[name]
        elif name in record:
            del record[name]
    loaded.states[record._key] = CHANGED
    return record
