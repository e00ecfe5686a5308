"""The tables of an SQL store, and its statements, written with SQLAlchemy Core.

    domain, model       names to small numbers, which the other tables carry
    transaction         who wrote, when, through which service and why; its number rises with each commit
    version             every version of every record, only ever appended
    newest              record to its newest version: one index lookup, then the row
    account, slot, ledger, meta

Nothing of this is loaded by a server. Core compiles the statements once, here; their texts are in `statements.py`, and
the store runs them on the driver itself. That saves half of what a unit of work costs through Core's execution, and
0.3 s and 16 MiB at the start of every server. After a change here:

    python -m limen.store.sqltables         writes statements.py anew; a test compares the two
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

APPLICATION = 0x4C696D6E
"""SQLite's application_id: 'Limn'."""
SCHEMA = 1
"""SQLite's user_version. A database with a higher one is of a newer program."""

_DIALECT: Any = sqlite.dialect(paramstyle="qmark")
_metadata = MetaData()
_Real: Any = Double().with_variant(sqlite.REAL(), "sqlite")


def _table(name: str, *columns: Any, rowid: bool = True) -> Table:
    return Table(name, _metadata, *columns, sqlite_strict=True, sqlite_with_rowid=rowid)


def _column(name: str, kind: Any, *more: Any, null: bool = False, key: bool = False) -> Column[Any]:
    return Column(name, kind, *more, nullable=null, primary_key=key, autoincrement=False)


def _number(name: str) -> Column[Any]:
    """A number that the database gives: SQLite's rowid."""
    return Column(name, Integer, primary_key=True)


def _domain(**more: Any) -> Column[Any]:
    return _column("domain", Integer, ForeignKey("domain.id"), **more)


domain = _table("domain", _number("id"), _column("name", Text), UniqueConstraint("name"))
model = _table("model", _number("id"), _column("name", Text), UniqueConstraint("name"))
transaction = _table(
    "transaction",
    _number("number"),
    _domain(),
    _column("user", Text, null=True),
    _column("impersonator", Text, null=True),
    _column("service", Text),
    _column("origin", Text),
    _column("reason", Text),
    _column("time", _Real),
)
version = _table(
    "version",
    _number("id"),
    _domain(),
    _column("model", Integer, ForeignKey("model.id")),
    _column("uuid", LargeBinary),
    _column("vsn", Integer),
    _column("txn", Integer, ForeignKey("transaction.number")),
    _column("fields", Text),
    _column("deleted", Integer),
    UniqueConstraint("domain", "model", "uuid", "vsn"),
)
newest = _table(
    "newest",
    _domain(key=True),
    _column("model", Integer, ForeignKey("model.id"), key=True),
    _column("uuid", LargeBinary, key=True),
    _column("vsn", Integer),
    _column("deleted", Integer),
    _column("version", Integer, ForeignKey("version.id")),
    rowid=False,
)
account = _table(
    "account",
    _domain(key=True),
    _column("user", Text, key=True),
    _column("record", LargeBinary),
    _column("key_number", Integer),
    _column("roles", Text),
    _column("profile", Text),
    _column("disabled", Integer),
    _column("created", _Real),
)
slot = _table(
    "slot",
    _column("handle", LargeBinary, key=True),
    _domain(),
    _column("user", Text),
    _column("public", LargeBinary),
    _column("opened", _Real),
    _column("used", _Real),
    _column("login", _Real),
    _column("epoch", Integer),
    _column("origin", Text),
    _column("key_number", Integer),
    Index("slot_of_user", "domain", "user"),
)
ledger = _table(
    "ledger",
    # Domains are texts here: whoever asks for a domain that there is none of should not leave a row in `domain`.
    _column("domain", Text, key=True),
    _column("scope", Text, key=True),
    _column("key", Text, key=True),
    _column("until", _Real),
    _column("data", Text),
    Index("ledger_until", "until"),
    rowid=False,
)
meta = _table("meta", _column("name", Text, key=True), _column("value", Text), rowid=False)


def _create() -> list[str]:
    made = [str(CreateTable(table).compile(dialect=_DIALECT)) for table in _metadata.sorted_tables]
    for table in _metadata.sorted_tables:
        made += [str(CreateIndex(index).compile(dialect=_DIALECT)) for index in table.indexes]
    return [*made, f"PRAGMA application_id = {APPLICATION}", f"PRAGMA user_version = {SCHEMA}"]


def _sql(statement: Any, *order: str) -> str:
    """The text of *statement*, whose parameters are to be given in *order*."""
    compiled = statement.compile(dialect=_DIALECT)
    if compiled.positiontup != list(order):
        raise AssertionError(f"parameters {compiled.positiontup} are not {order}: {compiled}")
    return str(compiled)


def _insert(table: Table, columns: Sequence[str] = ()) -> str:
    names = list(columns) or [column.name for column in table.columns]
    return _sql(insert(table).values({name: bindparam(name) for name in names}), *names)


def _replace(table: Table, *key: str) -> str:
    """INSERT … ON CONFLICT (key) DO UPDATE."""
    statement = sqlite.insert(table).values({column.name: bindparam(column.name) for column in table.columns})
    rest = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=rest)
    return _sql(statement, *[column.name for column in table.columns])


_b = bindparam
_of_record = and_(newest.c.domain == _b("domain"), newest.c.model == _b("model"), newest.c.uuid == _b("uuid"))
_row = (version.c.uuid, version.c.vsn, version.c.txn, version.c.fields, version.c.deleted)
_who = (
    domain.c.name,
    transaction.c.user,
    transaction.c.impersonator,
    transaction.c.service,
    transaction.c.origin,
    transaction.c.reason,
    transaction.c.time,
    transaction.c.number,
)
_account = [column for column in account.columns if column.name != "domain"]
_slot = [column for column in slot.columns if column.name != "domain"]

# -- names
FIND_DOMAIN = _sql(select(domain.c.id).where(domain.c.name == _b("name")), "name")
FIND_MODEL = _sql(select(model.c.id).where(model.c.name == _b("name")), "name")
ADD_DOMAIN = _insert(domain, ["name"])
ADD_MODEL = _insert(model, ["name"])

# -- records
NEWEST = _sql(
    select(*_row).join_from(newest, version, version.c.id == newest.c.version).where(_of_record),
    "domain",
    "model",
    "uuid",
)
ALL = _sql(
    select(*_row)
    .join_from(newest, version, version.c.id == newest.c.version)
    .where(newest.c.domain == _b("domain"), newest.c.model == _b("model"), newest.c.deleted == _b("deleted"))
    .order_by(newest.c.uuid),
    "domain",
    "model",
    "deleted",
)
HISTORY = _sql(
    select(*_row, *_who)
    .join_from(version, transaction, transaction.c.number == version.c.txn)
    .join(domain, domain.c.id == transaction.c.domain)
    .where(version.c.domain == _b("domain"), version.c.model == _b("model"), version.c.uuid == _b("uuid"))
    .order_by(version.c.vsn),
    "domain",
    "model",
    "uuid",
)
TRANSACTION = _sql(
    select(*_who)
    .join_from(transaction, domain, domain.c.id == transaction.c.domain)
    .where(transaction.c.number == _b("number")),
    "number",
)
HIGHEST = _sql(select(func.max(transaction.c.number).label("highest")))
ADD_TRANSACTION = _insert(transaction, ["domain", "user", "impersonator", "service", "origin", "reason", "time"])
ADD_VERSION = _insert(version, ["domain", "model", "uuid", "vsn", "txn", "fields", "deleted"])
ADD_NEWEST = _insert(newest)
MOVE_NEWEST = _sql(
    update(newest)
    .values(vsn=_b("new_vsn"), deleted=_b("gone"), version=_b("row"))
    .where(_of_record, newest.c.vsn == _b("base"), newest.c.deleted == _b("not_gone")),
    "new_vsn",
    "gone",
    "row",
    "domain",
    "model",
    "uuid",
    "base",
    "not_gone",
)

# -- accounts
_accounts = select(domain.c.name.label("tenant"), *_account).join_from(account, domain, domain.c.id == account.c.domain)
ACCOUNT = _sql(_accounts.where(domain.c.name == _b("domain"), account.c.user == _b("who")), "domain", "who")
ACCOUNTS = _sql(_accounts.order_by(domain.c.name, account.c.user))
ACCOUNTS_OF = _sql(_accounts.where(domain.c.name == _b("domain")).order_by(account.c.user), "domain")
ADD_ACCOUNT = _insert(account)
PUT_ACCOUNT = _replace(account, "domain", "user")
REMOVE_ACCOUNT = _sql(
    delete(account).where(account.c.domain == _b("of"), account.c.user == _b("who")),
    "of",
    "who",
)

# -- slots
_slots = select(domain.c.name.label("tenant"), *_slot).join_from(slot, domain, domain.c.id == slot.c.domain)
_oldest_first = (slot.c.opened, slot.c.handle)
SLOT = _sql(_slots.where(slot.c.handle == _b("which")), "which")
SLOTS = _sql(_slots.order_by(*_oldest_first))
SLOTS_OF = _sql(_slots.where(domain.c.name == _b("of")).order_by(*_oldest_first), "of")
SLOTS_OF_USER = _sql(
    _slots.where(domain.c.name == _b("of"), slot.c.user == _b("who")).order_by(*_oldest_first), "of", "who"
)
PUT_SLOT = _replace(slot, "handle")
REMOVE_SLOT = _sql(delete(slot).where(slot.c.handle == _b("which")), "which")
TOUCH_SLOT = _sql(
    update(slot).values(used=_b("now")).where(slot.c.handle == _b("which"), slot.c.used < _b("before")),
    "now",
    "which",
    "before",
)
DEAD_SLOTS = _sql(
    select(slot.c.handle).where(
        or_(slot.c.used < _b("used_before"), slot.c.login < _b("login_before"), slot.c.epoch != _b("other"))
    ),
    "used_before",
    "login_before",
    "other",
)

# -- the ledger
LEDGER = _sql(
    select(ledger.c.domain, ledger.c.scope, ledger.c.key, ledger.c.until, ledger.c.data).where(
        ledger.c.until > _b("now")
    ),
    "now",
)
PUT_LEDGER = _replace(ledger, "domain", "scope", "key")
REMOVE_LEDGER = _sql(
    delete(ledger).where(ledger.c.domain == _b("of"), ledger.c.scope == _b("in"), ledger.c.key == _b("which")),
    "of",
    "in",
    "which",
)
EXPIRE_LEDGER = _sql(delete(ledger).where(ledger.c.until <= _b("now")), "now")
CLEAR_LEDGER = _sql(delete(ledger))
CLEAR_LEDGER_OF = _sql(delete(ledger).where(ledger.c.domain == _b("of")), "of")
CLEAR_LEDGER_KEY = _sql(delete(ledger).where(ledger.c.key == _b("which")), "which")
CLEAR_LEDGER_KEY_OF = _sql(
    delete(ledger).where(ledger.c.domain == _b("of"), ledger.c.key == _b("which")), "of", "which"
)

# -- meta
META = _sql(select(meta.c.value).where(meta.c.name == _b("which")), "which")
SET_META = _replace(meta, "name")
_counted = sqlite.insert(meta).values(name=_b("name"), value=_b("first"))
BUMP = _sql(
    _counted.on_conflict_do_update(
        index_elements=["name"],
        set_={"value": cast(cast(meta.c.value, Integer) + literal_column("1"), Text)},
    ),
    "name",
    "first",
)
"""Raises a number that is kept as a text."""


# -- the texts
CREATE = tuple(_create())
"""What makes an empty database one of ours."""


def written() -> str:
    """The module `statements.py`."""
    lines = [
        '"""The statements of an SQL store as text. Written by `python -m limen.store.sqltables`; not to be edited."""',
        "",
        f"APPLICATION = {APPLICATION}",
        f"SCHEMA = {SCHEMA}",
    ]
    for name, value in globals().items():
        if name.isupper() and isinstance(value, str):
            lines += [f"{name} = {_quoted(value)}"]
    lines += ["CREATE = (", *(f"{_quoted(text)}," for text in CREATE), ")"]
    return "\n".join(lines) + "\n"


def _quoted(statement: str) -> str:
    text = "\n".join(textwrap.wrap(" ".join(statement.split()), 110, break_long_words=False))
    return f'"""\\\n{text}\n"""' if "\n" in text or '"' in text else f'"{text}"'


if __name__ == "__main__":
    Path(__file__).with_name("statements.py").write_text(written(), "utf-8")
    sys.stdout.write("statements.py was written anew\n")
