"""Schema 2: numbers of transactions by domain, versions as deltas, the newest apart; accounts are records.

Everything of schema 1 is taken over but the sessions, which end, and the ledger of misbehaviour, which begins anew.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import sqlite

from limen import exc
from limen.base import values
from limen.core.record import delta
from limen.store import rows
from limen.store.sql.postgres.policy import policy
from limen.store.sql.schema import APPLICATION

revision = "2"
down_revision = "1"
branch_labels = None
depends_on = None

BATCH = 1000
_BIG: Any = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REAL: Any = sa.Double().with_variant(sqlite.REAL(), "sqlite")
_SMALL: Any = sa.SmallInteger().with_variant(sa.Integer, "sqlite")
_TEXT: Any = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        old = ("domain", "model", "transaction", "version", "newest", "meta", "account", "slot", "ledger")
        for name in old:
            raw.execute(f'ALTER TABLE "{name}" RENAME TO old_{name}')
        _create()
        _convert(raw, op.get_context().opts["progress"])
        for name in reversed(old):
            raw.execute(f"DROP TABLE old_{name}")
        raw.execute(f"PRAGMA application_id = {APPLICATION}")
        raw.execute("PRAGMA user_version = 2")
    else:
        _create()
        for name in ("domain", "transaction", "record", "version"):
            for statement in policy(name):
                op.execute(statement)


# -- the tables -----------------------------------------------------------------------------------------------------
def _create() -> None:
    _table(
        "domain",
        sa.Column("id", _BIG, primary_key=True),
        *(_text("name"), _big("txn"), _real("time")),
        sa.UniqueConstraint("name", name="domain_name"),
    )
    _table(
        "model",
        sa.Column("id", _BIG, primary_key=True),
        *(_text("name"), _text("catalog", null=True)),
        sa.UniqueConstraint("name", name="model_name"),
    )
    _table("meta", _text("name", key=True), _text("value"), rowid=False)
    _table(
        "transaction",
        *(_big("domain", key=True), _big("number", key=True)),
        *(_text("user", null=True), _text("impersonator", null=True)),
        *(_text("service"), _text("origin"), _text("reason"), _real("time"), _bytes("token", null=True)),
        rowid=False,
    )
    _table(
        "record",
        *(_big("domain", key=True), _big("model", key=True), _bytes("uuid", key=True)),
        *(_big("vsn"), _big("txn"), _small("deleted"), _text("fields")),
    )
    _table(
        "version",
        *(_big("domain", key=True), _big("model", key=True), _bytes("uuid", key=True), _big("vsn", key=True)),
        *(_big("txn"), _small("kind"), _text("body", null=True), _text("changed", null=True)),
        rowid=False,
    )
    op.create_index("version_txn", "version", ["domain", "txn"])


def _table(name: str, *columns: Any, rowid: bool = True) -> None:
    op.create_table(name, *columns, sqlite_strict=True, sqlite_with_rowid=rowid)


def _column(name: str, kind: Any, null: bool, key: bool) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, primary_key=key, autoincrement=False)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[Any]:
    return _column(name, _TEXT, null, key)


def _bytes(name: str, *, null: bool = False, key: bool = False) -> sa.Column[Any]:
    return _column(name, sa.LargeBinary, null, key)


def _big(name: str, *, key: bool = False) -> sa.Column[Any]:
    return _column(name, _BIG, False, key)


def _real(name: str) -> sa.Column[Any]:
    return _column(name, _REAL, False, False)


def _small(name: str) -> sa.Column[Any]:
    return _column(name, _SMALL, False, False)


# -- what was in the old ones ----------------------------------------------------------------------------------------
def _convert(db: sqlite3.Connection, progress: Callable[[str, int, int], None]) -> None:
    """Numbers of transactions begin with 1 in each domain, and time does not go back."""
    db.execute("CREATE TEMP TABLE renumbered (old INTEGER PRIMARY KEY, number INTEGER NOT NULL)")
    db.execute(
        "INSERT INTO renumbered SELECT number, row_number() OVER (PARTITION BY domain ORDER BY number) "
        "FROM old_transaction"
    )
    db.execute(
        'INSERT INTO "transaction" (domain, number, user, impersonator, service, origin, reason, time, token) '
        "SELECT t.domain, r.number, t.user, t.impersonator, t.service, t.origin, t.reason, "
        "max(t.time) OVER (PARTITION BY t.domain ORDER BY t.number), NULL "
        "FROM old_transaction AS t JOIN renumbered AS r ON r.old = t.number"
    )
    db.execute(
        "INSERT INTO domain (id, name, txn, time) "
        "SELECT d.id, d.name, count(t.number), coalesce(max(t.time), 0.0) "
        'FROM old_domain AS d LEFT JOIN "transaction" AS t ON t.domain = d.id GROUP BY d.id'
    )
    db.execute("INSERT INTO model (id, name) SELECT id, name FROM old_model")
    _versions(db, progress)
    db.execute("DROP TABLE renumbered")
    _accounts(db)
    _settings(db)


def _versions(db: sqlite3.Connection, progress: Callable[[str, int, int], None]) -> None:
    total = db.execute("SELECT count(*) FROM old_version").fetchone()[0]
    new = _rows(db)
    done = 0
    while batch := list(islice(new, BATCH)):
        db.executemany(
            "INSERT INTO version (domain, model, uuid, vsn, txn, kind, body, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            batch,
        )
        done += len(batch)
        progress("versions", done, total)
    db.execute(
        "INSERT INTO record (domain, model, uuid, vsn, txn, deleted, fields) "
        "SELECT v.domain, v.model, v.uuid, v.vsn, r.number, v.deleted, v.fields FROM old_newest AS n "
        "JOIN old_version AS v ON v.id = n.version JOIN renumbered AS r ON r.old = v.txn"
    )


def _rows(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """The rows of the new table `version`."""
    before: tuple[Any, ...] = (None, 0, "")  # record, version, fields
    for domain, model, uuid, vsn, txn, fields, deleted in db.execute(
        "SELECT v.domain, v.model, v.uuid, v.vsn, r.number, v.fields, v.deleted "
        "FROM old_version AS v JOIN renumbered AS r ON r.old = v.txn ORDER BY v.domain, v.model, v.uuid, v.vsn"
    ):
        record = domain, model, uuid
        _, last, text = before if before[0] == record else (None, 0, None)
        if vsn != last + 1:
            raise exc.StoreError(
                f"The database is damaged: version {last + 1} of record {uuid.hex()} is missing. Nothing was changed."
            )
        if deleted:
            kind, body, changed = delta.DELETED, None, None
        else:
            kind, body, names = delta.row(vsn, text, fields)
            changed = None if names is None else json.dumps(names, ensure_ascii=False, separators=(",", ":"))
        before = record, vsn, fields
        yield (*record, vsn, txn, kind, body, changed)


def _accounts(db: sqlite3.Connection) -> None:
    """As `limen.store.accounts` reads them: of each three records, of which the login keeps no history."""
    found = db.execute(
        "SELECT domain, user, record, key_number, roles, profile, disabled, created FROM old_account "
        "ORDER BY domain, user"
    )
    for domain, accounts in groupby(found.fetchall(), key=itemgetter(0)):
        txn = _transaction(db, domain, "accounts, as they were before schema 2")
        for _, user, opaque, key_number, roles, profile, disabled, created in accounts:
            shown = values.tag(json.loads(profile), "json")
            about = {"user": user, "roles": json.loads(roles), "disabled": disabled == 1, "created": created}
            login = {**about, "record": base64.b64encode(opaque).decode(), "key_number": key_number, "edition": 1}
            _record(db, domain, "limen.login", user, txn, {**login, "profile": shown})
            _record(db, domain, "limen.account", user, txn, {**about, "passwords": 1})
            _record(db, domain, "limen.profile", user, txn, {"user": user, "edition": 1, "profile": shown})


def _settings(db: sqlite3.Connection) -> None:
    """As `limen.store.settings` reads them: in a domain of their own, without history."""
    domain = db.execute("INSERT INTO domain (name, txn, time) VALUES ('', 1, ?)", (time.time(),)).lastrowid
    for name, value in db.execute("SELECT name, value FROM old_meta WHERE name <> 'changes'").fetchall():
        _record(db, domain, "limen.setting", name, 1, {"name": name, "value": value})


def _transaction(db: sqlite3.Connection, domain: int, reason: str) -> int:
    db.execute("UPDATE domain SET txn = txn + 1, time = max(time, ?) WHERE id = ?", (time.time(), domain))
    db.execute(
        'INSERT INTO "transaction" (domain, number, service, origin, reason, time) '
        "SELECT id, txn, '', '', ?, time FROM domain WHERE id = ?",
        (reason, domain),
    )
    txn: int = db.execute("SELECT txn FROM domain WHERE id = ?", (domain,)).fetchone()[0]
    return txn


def _record(db: sqlite3.Connection, domain: int | None, model: str, name: str, txn: int, fields: Any) -> None:
    """The first version of the record that is found by a name."""
    db.execute("INSERT INTO model (name) VALUES (?) ON CONFLICT DO NOTHING", (model,))
    number = db.execute("SELECT id FROM model WHERE name = ?", (model,)).fetchone()[0]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    key = domain, number, rows.key(name), 1, txn
    db.execute(
        "INSERT INTO record (domain, model, uuid, vsn, txn, deleted, fields) VALUES (?, ?, ?, ?, ?, 0, ?)", (*key, text)
    )
    db.execute(
        "INSERT INTO version (domain, model, uuid, vsn, txn, kind, body) VALUES (?, ?, ?, ?, ?, 0, ?)", (*key, text)
    )
