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
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from .tables import WHOLE, domain, meta, model, record, transaction, version


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


def of_its_record(column: Column[Any]) -> Any:
    """What the record has to whose versions a row belongs."""
    return select(column).where(is_its_record).correlate(version).scalar_subquery()


def same(*more: Any) -> Any:
    """The record's versions for which *more* is true; for subselects."""
    return and_(one.c.domain == version.c.domain, one.c.model == version.c.model, one.c.uuid == version.c.uuid, *more)


def last_whole(*more: Any) -> Any:
    """The last version of the record that is kept whole, and for which *more* is true."""
    return select(func.max(one.c.vsn)).where(same(one.c.kind == literal_column(str(WHOLE)), *more)).scalar_subquery()


def last_whole_before(time: Any) -> Any:
    """The last version of the record that is kept whole and was written before *time*."""
    written = and_(transaction.c.domain == one.c.domain, transaction.c.number == one.c.txn)
    return (
        select(func.max(one.c.vsn).label("vsn"))
        .select_from(one.join(transaction, written))
        .where(same(one.c.kind == literal_column(str(WHOLE)), transaction.c.time < time))
        .correlate(version)
        .scalar_subquery()
    )


def add(table: Table, **given: Any) -> tuple[Any, list[str]]:
    names = [column.name for column in table.columns if column.name not in given]
    return insert(table).values({**{name: bind(name) for name in names}, **given}), names
