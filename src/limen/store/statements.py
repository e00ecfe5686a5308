"""The statements of an SQL store as text. Written by `python -m limen.store.sqltables`; not to be edited."""

APPLICATION = 1281977710
SCHEMA = 1
FIND_DOMAIN = "SELECT domain.id FROM domain WHERE domain.name = ?"
FIND_MODEL = "SELECT model.id FROM model WHERE model.name = ?"
ADD_DOMAIN = "INSERT INTO domain (name) VALUES (?)"
ADD_MODEL = "INSERT INTO model (name) VALUES (?)"
NEWEST = """\
SELECT version.uuid, version.vsn, version.txn, version.fields, version.deleted FROM newest JOIN version ON
version.id = newest.version WHERE newest.domain = ? AND newest.model = ? AND newest.uuid = ?
"""
ALL = """\
SELECT version.uuid, version.vsn, version.txn, version.fields, version.deleted FROM newest JOIN version ON
version.id = newest.version WHERE newest.domain = ? AND newest.model = ? AND newest.deleted = ? ORDER BY
newest.uuid
"""
HISTORY = """\
SELECT version.uuid, version.vsn, version.txn, version.fields, version.deleted, domain.name,
"transaction".user, "transaction".impersonator, "transaction".service, "transaction".origin,
"transaction".reason, "transaction".time, "transaction".number FROM version JOIN "transaction" ON
"transaction".number = version.txn JOIN domain ON domain.id = "transaction".domain WHERE version.domain = ?
AND version.model = ? AND version.uuid = ? ORDER BY version.vsn
"""
TRANSACTION = """\
SELECT domain.name, "transaction".user, "transaction".impersonator, "transaction".service,
"transaction".origin, "transaction".reason, "transaction".time, "transaction".number FROM "transaction" JOIN
domain ON domain.id = "transaction".domain WHERE "transaction".number = ?
"""
HIGHEST = """\
SELECT max("transaction".number) AS highest FROM "transaction"
"""
ADD_TRANSACTION = """\
INSERT INTO "transaction" (domain, user, impersonator, service, origin, reason, time) VALUES (?, ?, ?, ?, ?,
?, ?)
"""
ADD_VERSION = "INSERT INTO version (domain, model, uuid, vsn, txn, fields, deleted) VALUES (?, ?, ?, ?, ?, ?, ?)"
ADD_NEWEST = "INSERT INTO newest (domain, model, uuid, vsn, deleted, version) VALUES (?, ?, ?, ?, ?, ?)"
MOVE_NEWEST = """\
UPDATE newest SET vsn=?, deleted=?, version=? WHERE newest.domain = ? AND newest.model = ? AND newest.uuid = ?
AND newest.vsn = ? AND newest.deleted = ?
"""
ACCOUNT = """\
SELECT domain.name AS tenant, account.user, account.record, account.key_number, account.roles,
account.profile, account.disabled, account.created FROM account JOIN domain ON domain.id = account.domain
WHERE domain.name = ? AND account.user = ?
"""
ACCOUNTS = """\
SELECT domain.name AS tenant, account.user, account.record, account.key_number, account.roles,
account.profile, account.disabled, account.created FROM account JOIN domain ON domain.id = account.domain
ORDER BY domain.name, account.user
"""
ACCOUNTS_OF = """\
SELECT domain.name AS tenant, account.user, account.record, account.key_number, account.roles,
account.profile, account.disabled, account.created FROM account JOIN domain ON domain.id = account.domain
WHERE domain.name = ? ORDER BY account.user
"""
ADD_ACCOUNT = """\
INSERT INTO account (domain, user, record, key_number, roles, profile, disabled, created) VALUES (?, ?, ?, ?,
?, ?, ?, ?)
"""
PUT_ACCOUNT = """\
INSERT INTO account (domain, user, record, key_number, roles, profile, disabled, created) VALUES (?, ?, ?, ?,
?, ?, ?, ?) ON CONFLICT (domain, user) DO UPDATE SET record = excluded.record, key_number =
excluded.key_number, roles = excluded.roles, profile = excluded.profile, disabled = excluded.disabled, created
= excluded.created
"""
REMOVE_ACCOUNT = "DELETE FROM account WHERE account.domain = ? AND account.user = ?"
SLOT = """\
SELECT domain.name AS tenant, slot.handle, slot.user, slot.public, slot.opened, slot.used, slot.login,
slot.epoch, slot.origin, slot.key_number FROM slot JOIN domain ON domain.id = slot.domain WHERE slot.handle =
?
"""
SLOTS = """\
SELECT domain.name AS tenant, slot.handle, slot.user, slot.public, slot.opened, slot.used, slot.login,
slot.epoch, slot.origin, slot.key_number FROM slot JOIN domain ON domain.id = slot.domain ORDER BY
slot.opened, slot.handle
"""
SLOTS_OF = """\
SELECT domain.name AS tenant, slot.handle, slot.user, slot.public, slot.opened, slot.used, slot.login,
slot.epoch, slot.origin, slot.key_number FROM slot JOIN domain ON domain.id = slot.domain WHERE domain.name =
? ORDER BY slot.opened, slot.handle
"""
SLOTS_OF_USER = """\
SELECT domain.name AS tenant, slot.handle, slot.user, slot.public, slot.opened, slot.used, slot.login,
slot.epoch, slot.origin, slot.key_number FROM slot JOIN domain ON domain.id = slot.domain WHERE domain.name =
? AND slot.user = ? ORDER BY slot.opened, slot.handle
"""
PUT_SLOT = """\
INSERT INTO slot (handle, domain, user, public, opened, used, login, epoch, origin, key_number) VALUES (?, ?,
?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (handle) DO UPDATE SET domain = excluded.domain, user = excluded.user,
public = excluded.public, opened = excluded.opened, used = excluded.used, login = excluded.login, epoch =
excluded.epoch, origin = excluded.origin, key_number = excluded.key_number
"""
REMOVE_SLOT = "DELETE FROM slot WHERE slot.handle = ?"
TOUCH_SLOT = "UPDATE slot SET used=? WHERE slot.handle = ? AND slot.used < ?"
DEAD_SLOTS = "SELECT slot.handle FROM slot WHERE slot.used < ? OR slot.login < ? OR slot.epoch != ?"
LEDGER = """\
SELECT ledger.domain, ledger.scope, ledger."key", ledger.until, ledger.data FROM ledger WHERE ledger.until > ?
"""
PUT_LEDGER = """\
INSERT INTO ledger (domain, scope, "key", until, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT (domain, scope,
"key") DO UPDATE SET until = excluded.until, data = excluded.data
"""
REMOVE_LEDGER = """\
DELETE FROM ledger WHERE ledger.domain = ? AND ledger.scope = ? AND ledger."key" = ?
"""
EXPIRE_LEDGER = "DELETE FROM ledger WHERE ledger.until <= ?"
CLEAR_LEDGER = "DELETE FROM ledger"
CLEAR_LEDGER_OF = "DELETE FROM ledger WHERE ledger.domain = ?"
CLEAR_LEDGER_KEY = """\
DELETE FROM ledger WHERE ledger."key" = ?
"""
CLEAR_LEDGER_KEY_OF = """\
DELETE FROM ledger WHERE ledger.domain = ? AND ledger."key" = ?
"""
META = "SELECT meta.value FROM meta WHERE meta.name = ?"
SET_META = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
BUMP = """\
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS
INTEGER) + 1 AS TEXT)
"""
CREATE = (
"CREATE TABLE domain ( id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (name) ) STRICT",
"""\
CREATE TABLE ledger ( domain TEXT NOT NULL, scope TEXT NOT NULL, "key" TEXT NOT NULL, until REAL NOT NULL,
data TEXT NOT NULL, PRIMARY KEY (domain, scope, "key") ) WITHOUT ROWID, STRICT
""",
"CREATE TABLE meta ( name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name) ) WITHOUT ROWID, STRICT",
"CREATE TABLE model ( id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (name) ) STRICT",
"""\
CREATE TABLE account ( domain INTEGER NOT NULL, user TEXT NOT NULL, record BLOB NOT NULL, key_number INTEGER
NOT NULL, roles TEXT NOT NULL, profile TEXT NOT NULL, disabled INTEGER NOT NULL, created REAL NOT NULL,
PRIMARY KEY (domain, user), FOREIGN KEY(domain) REFERENCES domain (id) ) STRICT
""",
"""\
CREATE TABLE slot ( handle BLOB NOT NULL, domain INTEGER NOT NULL, user TEXT NOT NULL, public BLOB NOT NULL,
opened REAL NOT NULL, used REAL NOT NULL, login REAL NOT NULL, epoch INTEGER NOT NULL, origin TEXT NOT NULL,
key_number INTEGER NOT NULL, PRIMARY KEY (handle), FOREIGN KEY(domain) REFERENCES domain (id) ) STRICT
""",
"""\
CREATE TABLE "transaction" ( number INTEGER NOT NULL, domain INTEGER NOT NULL, user TEXT, impersonator TEXT,
service TEXT NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (number),
FOREIGN KEY(domain) REFERENCES domain (id) ) STRICT
""",
"""\
CREATE TABLE version ( id INTEGER NOT NULL, domain INTEGER NOT NULL, model INTEGER NOT NULL, uuid BLOB NOT
NULL, vsn INTEGER NOT NULL, txn INTEGER NOT NULL, fields TEXT NOT NULL, deleted INTEGER NOT NULL, PRIMARY KEY
(id), UNIQUE (domain, model, uuid, vsn), FOREIGN KEY(domain) REFERENCES domain (id), FOREIGN KEY(model)
REFERENCES model (id), FOREIGN KEY(txn) REFERENCES "transaction" (number) ) STRICT
""",
"""\
CREATE TABLE newest ( domain INTEGER NOT NULL, model INTEGER NOT NULL, uuid BLOB NOT NULL, vsn INTEGER NOT
NULL, deleted INTEGER NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (domain, model, uuid), FOREIGN
KEY(domain) REFERENCES domain (id), FOREIGN KEY(model) REFERENCES model (id), FOREIGN KEY(version) REFERENCES
version (id) ) WITHOUT ROWID, STRICT
""",
"CREATE INDEX ledger_until ON ledger (until)",
"CREATE INDEX slot_of_user ON slot (domain, user)",
"PRAGMA application_id = 1281977710",
"PRAGMA user_version = 1",
)
