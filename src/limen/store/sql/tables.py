"""The tables of an SQL store, written with SQLAlchemy Core for both dialects at once.

    domain        one row a tenant: the number and time of its last transaction. Whoever commits updates this row first:
                  on PostgreSQL that is the one write lock of the domain. '' is the store's own
    model         names to numbers, and the catalog of indexes
    transaction   who wrote, when, through which service and why
    record        the newest version of each record, whole
    version       every version of every record, by record (history) and by transaction (the log of changes)
    meta          what a database knows of itself

A server loads this with SQLAlchemy when an index is first made or asked; what it runs otherwise is written by compose/.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.base import PGDialect

metadata = MetaData()
"""The tables as they are in the newest schema; Alembic compares a database with it."""
_postgresql: Any = PGDialect
DIALECTS: dict[str, Any] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": _postgresql(paramstyle="numeric_dollar"),  # the base: drivers' own dialects add casts to parameters
}
_Id: Any = BigInteger().with_variant(Integer, "sqlite")
_Real: Any = Double().with_variant(sqlite.REAL(), "sqlite")
_Small: Any = SmallInteger().with_variant(Integer, "sqlite")
_Text: Any = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared and sorted by code point on every engine."""


def _table(name: str, *columns: Any, rowid: bool = True) -> Table:
    return Table(name, metadata, *columns, sqlite_strict=True, sqlite_with_rowid=rowid)


def _column(name: str, kind: Any, *, null: bool = False, key: bool = False) -> Column[Any]:
    return Column(name, kind, nullable=null, primary_key=key, autoincrement=False)


def _id() -> Column[Any]:
    """A number that the database gives."""
    return Column("id", _Id, primary_key=True)


domain = _table(
    "domain",
    _id(),
    _column("name", _Text),
    _column("txn", _Id),
    _column("time", _Real),
    UniqueConstraint("name", name="domain_name"),
)
model = _table(
    "model",
    _id(),
    _column("name", _Text),
    _column("catalog", _Text, null=True),
    UniqueConstraint("name", name="model_name"),
)
transaction = _table(
    "transaction",
    _column("domain", _Id, key=True),
    _column("number", _Id, key=True),
    _column("user", _Text, null=True),
    _column("impersonator", _Text, null=True),
    _column("service", _Text),
    _column("origin", _Text),
    _column("reason", _Text),
    _column("time", _Real),
    _column("token", LargeBinary, null=True),
    rowid=False,
)
record = _table(
    "record",
    _column("domain", _Id, key=True),
    _column("model", _Id, key=True),
    _column("uuid", LargeBinary, key=True),
    _column("vsn", _Id),
    _column("txn", _Id),
    _column("deleted", _Small),  # 0: no, 1: deleted, 2: erased
    _column("fields", _Text),
)
version = _table(
    "version",
    _column("domain", _Id, key=True),
    _column("model", _Id, key=True),
    _column("uuid", LargeBinary, key=True),
    _column("vsn", _Id, key=True),
    _column("txn", _Id),
    _column("kind", _Small),  # of limen.core.record.delta
    _column("body", _Text, null=True),
    _column("changed", _Text, null=True),
    Index("version_txn", "domain", "txn"),
    rowid=False,
)
meta = _table("meta", _column("name", _Text, key=True), _column("value", _Text), rowid=False)
