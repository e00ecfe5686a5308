"""What the statements of an SQL store have in common. Not loaded by a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Double,
    Table,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from limen.core.record.delta import WHOLE
from limen.store.sql.tables import domain, meta, model, record, transaction, version


class Later(GenericFunction[float]):
    """The greater of two values: SQLite's max(a, b), PostgreSQL's greatest(a, b)."""

    name = "later"
    inherit_cache = True
    type = Double()


@compiles(Later, "sqlite")
def _max(element: Any, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


@compiles(Later, "postgresql")
def _greatest(element: Any, compiler: Any, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


Statement = tuple[str, Any, Sequence[str]]
"""Its name, the statement, the order in which its parameters are given."""
bind = bindparam
of_record = (record.c.domain == bind("domain"), record.c.model == bind("model"), record.c.uuid == bind("uuid"))
of_version = (version.c.domain == bind("domain"), version.c.model == bind("model"), version.c.uuid == bind("uuid"))
key = ["domain", "model", "uuid"]
this_domain = select(domain.c.id).where(domain.c.name == bind("domain")).scalar_subquery()
this_model = select(model.c.id).where(model.c.name == bind("model")).scalar_subquery()
by_name = (version.c.domain == this_domain, version.c.model == this_model, version.c.uuid == bind("uuid"))
row = (record.c.uuid, record.c.vsn, record.c.txn, record.c.fields, record.c.deleted)
line = (version.c.uuid, version.c.vsn, version.c.txn, version.c.kind, version.c.body)
who = [column for column in transaction.columns if column.name not in ("domain", "token")]
none: Any = literal_column("0")
one_more: Any = literal_column("1")
catalog: Any = literal_column("'catalog'")
revision = select(meta.c.value).where(meta.c.name == catalog).scalar_subquery()
"""How often the catalogs of indexes have changed; NULL: never."""
one = version.alias("one")


is_its_record = and_(
    record.c.domain == version.c.domain, record.c.model == version.c.model, record.c.uuid == version.c.uuid
)
in_chunk = (
    version.c.domain == bind("domain"),
    version.c.model == bind("model"),
    version.c.uuid >= bind("first"),
    version.c.uuid <= bind("last"),
)
chunk = ["domain", "model", "first", "last"]
record_chunk = (
    record.c.domain == bind("domain"),
    record.c.model == bind("model"),
    record.c.uuid >= bind("first"),
    record.c.uuid <= bind("last"),
)
record_by_name = (record.c.domain == this_domain, record.c.model == this_model, record.c.uuid == bind("uuid"))


def versions_before(vsn: Any) -> Any:
    """The versions of each record of a chunk that are before *vsn*."""
    old = version.alias("old")
    whose = and_(old.c.domain == record.c.domain, old.c.model == record.c.model, old.c.uuid == record.c.uuid)
    found = select(old.c.domain, old.c.model, old.c.uuid, old.c.vsn).join_from(record, old, whose)
    return tuple_(version.c.domain, version.c.model, version.c.uuid, version.c.vsn).in_(
        found.where(*record_chunk, old.c.vsn < vsn)
    )


def of_its_record(column: Column[Any]) -> Any:
    """What the record has to whose versions a row belongs."""
    return select(column).where(is_its_record).correlate(version).scalar_subquery()


def last_of(of: Any, *more: Any) -> Any:
    """The last of the record's versions for which *more* is true. *of*: the table that names the record (its domain,
    model and uuid), outside of the versions that are asked for: so it is looked for once for each record, not once for
    each version."""
    return (
        select(one.c.vsn)
        .where(one.c.domain == of.c.domain, one.c.model == of.c.model, one.c.uuid == of.c.uuid, *more)
        .order_by(one.c.vsn.desc())
        .limit(one_more)
        .offset(none)
        .correlate(of)
        .scalar_subquery()
    )


is_whole = one.c.kind == literal_column(str(WHOLE))
at_that_time = and_(
    transaction.c.domain == one.c.domain, transaction.c.number == one.c.txn, transaction.c.time < bind("time")
)
"""For `last_of` and `last_given`: written before a time."""


def last_given(*more: Any) -> Any:
    """The last whole version, for which *more* is true, of the record that the parameters name."""
    its = (one.c.domain == bind("its_domain"), one.c.model == bind("its_model"), one.c.uuid == bind("its_uuid"))
    found = select(one.c.vsn).where(*its, is_whole, *more).order_by(one.c.vsn.desc()).limit(one_more).offset(none)
    return found.scalar_subquery()


def past_of(of: Any) -> Any:
    """The versions that the one as of a number is built from: from the last whole one on; where it was erased, that one
    alone."""
    return and_(
        version.c.vsn
        >= func.coalesce(last_of(of, is_whole, one.c.txn <= bind("at")), last_of(of, one.c.txn <= bind("then"))),
        version.c.vsn <= last_of(of, one.c.txn <= bind("last")),
    )


numbers = ["at", "then", "last"]
"""The parameters of `past_of`: all three the number."""
key_again = ["its_domain", "its_model", "its_uuid"]


def add(table: Table, **given: Any) -> tuple[Any, list[str]]:
    names = [column.name for column in table.columns if column.name not in given]
    return insert(table).values({**{name: bind(name) for name in names}, **given}), names
