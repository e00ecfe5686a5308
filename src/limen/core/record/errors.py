"""What units of work and stores say when something is in the way: errors with what the caller should know."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from limen import exc

from . import delta
from .arguments import Fail
from .model import Model
from .port import Conflict, Transaction, Version
from .record import decode_fields


def history_gone(since: int) -> exc.HistoryGone:
    return exc.HistoryGone(f"The past is kept from transaction {since} on only.", since=since)


def yet_to_come(number: int, last: int) -> exc.HistoryGone:
    return exc.HistoryGone(
        f"Transaction {number} is yet to come, the last one is {last}: this is another database, or one that was put "
        "back from a backup.",
        since=0,
    )


def not_found(model: Model, uuid: object) -> exc.RecordNotFound:
    if uuid is None:
        return exc.RecordNotFound(f"There is no such {model.name}.", model=model.name)
    return exc.RecordNotFound(f"There is no {model.name} {str(uuid)[:64]!r}.", model=model.name, id=str(uuid)[:64])


def failed(fail: Fail, model: Model, uuid: object) -> Any:
    """What *fail* asks for."""
    if fail is None:
        raise not_found(model, uuid)
    if isinstance(fail, BaseException) or (isinstance(fail, type) and issubclass(fail, BaseException)):
        raise fail
    return fail() if callable(fail) else fail


def mismatch(
    model: Model, key: bytes, vsn: int, newest: Version, by: Transaction | None, yours: str | None = None
) -> exc.RecordVersionMismatch:
    """*vsn*: the version that the caller has seen. *yours*: the fields as the caller would have written them, or as
    they have seen them; None where they are not known."""
    who = (by.user if by is not None else None) or "someone"
    done = "deleted" if newest.deleted else "changed"
    theirs = None if newest.deleted else newest.fields
    return exc.RecordVersionMismatch(
        f"{who} {done} this {model.name} meanwhile: you have version {vsn}, the newest is {newest.vsn}.",
        model=model.name,
        id=str(UUID(bytes=key)),
        vsn=vsn,
        newest=newest.vsn,
        deleted=newest.deleted,
        fields=None if theirs is None else decode_fields(theirs),
        yours=None if yours is None else decode_fields(yours),
        differs=[] if theirs is None or yours is None else [*delta.names(yours, theirs)],
        user=by.user if by is not None else None,
        when=None if by is None else datetime.fromtimestamp(by.time, UTC).isoformat(timespec="milliseconds"),
    )


def conflict(found: Conflict, keys: Iterable[tuple[str, bytes]] = ()) -> exc.TransactionConflict:
    """*keys*: the records that were read by their id. Only of these the id is told: what is in the way of a search may
    be hidden from the caller."""
    known = found.uuid is not None and (found.model, found.uuid) in {*keys}
    return exc.TransactionConflict(
        f"{found.model} was read here and changed by someone else meanwhile: nothing was written. Try again.",
        model=found.model,
        id=str(found.id) if known else None,
    )


def no_snapshot(model: Model) -> exc.TransactionConflict:
    """A model without history was changed since the snapshot was taken."""
    return exc.TransactionConflict(
        f"{model.name} was changed by someone else meanwhile, and what it was before is not kept. Try again.",
        model=model.name,
        id=None,
    )
