"""Schema 1: SQLite only, versions kept whole, accounts and sessions in tables of their own.

Databases of that time say it by their user_version; they are migrated from here. A new database comes through here only
in the test that compares the two ways of making one.
"""

from __future__ import annotations

from alembic import op

revision = "1"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "CREATE TABLE domain (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE model (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT",
    """CREATE TABLE ledger (domain TEXT NOT NULL, scope TEXT NOT NULL, "key" TEXT NOT NULL, until REAL NOT NULL,
    data TEXT NOT NULL, PRIMARY KEY (domain, scope, "key")) WITHOUT ROWID, STRICT""",
    """CREATE TABLE account (domain INTEGER NOT NULL REFERENCES domain (id), user TEXT NOT NULL, record BLOB NOT NULL,
    key_number INTEGER NOT NULL, roles TEXT NOT NULL, profile TEXT NOT NULL, disabled INTEGER NOT NULL,
    created REAL NOT NULL, PRIMARY KEY (domain, user)) STRICT""",
    """CREATE TABLE slot (handle BLOB NOT NULL PRIMARY KEY, domain INTEGER NOT NULL REFERENCES domain (id),
    user TEXT NOT NULL, public BLOB NOT NULL, opened REAL NOT NULL, used REAL NOT NULL, login REAL NOT NULL,
    epoch INTEGER NOT NULL, origin TEXT NOT NULL, key_number INTEGER NOT NULL) STRICT""",
    """CREATE TABLE "transaction" (number INTEGER NOT NULL PRIMARY KEY, domain INTEGER NOT NULL REFERENCES domain (id),
    user TEXT, impersonator TEXT, service TEXT NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL,
    time REAL NOT NULL) STRICT""",
    """CREATE TABLE version (id INTEGER NOT NULL PRIMARY KEY, domain INTEGER NOT NULL REFERENCES domain (id),
    model INTEGER NOT NULL REFERENCES model (id), uuid BLOB NOT NULL, vsn INTEGER NOT NULL,
    txn INTEGER NOT NULL REFERENCES "transaction" (number), fields TEXT NOT NULL, deleted INTEGER NOT NULL,
    UNIQUE (domain, model, uuid, vsn)) STRICT""",
    """CREATE TABLE newest (domain INTEGER NOT NULL REFERENCES domain (id),
    model INTEGER NOT NULL REFERENCES model (id),
    uuid BLOB NOT NULL, vsn INTEGER NOT NULL, deleted INTEGER NOT NULL,
    version INTEGER NOT NULL REFERENCES version (id), PRIMARY KEY (domain, model, uuid)) WITHOUT ROWID, STRICT""",
    "CREATE INDEX ledger_until ON ledger (until)",
    "CREATE INDEX slot_of_user ON slot (domain, user)",
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for table in TABLES:
            connection.exec_driver_sql(table)
