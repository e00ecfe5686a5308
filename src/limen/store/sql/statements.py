"""The statements of an SQL store as text. Written by python -m limen.store.sql.compose; not to be edited."""

from typing import NamedTuple


class Statements(NamedTuple):
    """Each statement by name, in one dialect. *create*: what makes the tables in an empty database."""

    create: tuple[str, ...]
    add_domain: str
    add_model: str
    find_domain: str
    find_model: str
    domains: str
    set_meta: str
    last: str
    progress: str
    read: str
    select: str
    past: str
    past_of_all: str
    oldest: str
    history: str
    transaction: str
    transaction_until: str
    changes: str
    take_number: str
    set_number: str
    lock: str
    base: str
    touched: str
    proof: str
    add_transaction: str
    rename_user: str
    add_record: str
    put_record: str
    add_version: str
    erase: str
    drop_before: str
    drop_until: str
    drop_older: str
    drop_record: str
    keys: str
    prune_count: str
    prune_time: str
    prune_all: str
    prune_deleted: str
    drop_deleted: str
    make_whole: str
    catalogs: str
    catalog: str
    set_catalog: str
    bump: str
    changed: str
    past_of_changed: str
    any_record: str
    count_records: str
    hold: str
    batch: str


SQLITE = Statements(
    create=(
        """CREATE TABLE domain ( id INTEGER NOT NULL, name TEXT NOT NULL, txn INTEGER NOT NULL, time
REAL NOT NULL, PRIMARY KEY (id), CONSTRAINT domain_name UNIQUE (name) ) STRICT""",
        """CREATE TABLE meta ( name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name) ) WITHOUT
ROWID, STRICT""",
        """CREATE TABLE model ( id INTEGER NOT NULL, name TEXT NOT NULL, catalog TEXT, PRIMARY KEY
(id), CONSTRAINT model_name UNIQUE (name) ) STRICT""",
        """CREATE TABLE record ( domain INTEGER NOT NULL, model INTEGER NOT NULL, uuid BLOB NOT NULL,
vsn INTEGER NOT NULL, txn INTEGER NOT NULL, deleted INTEGER NOT NULL, fields TEXT NOT NULL,
PRIMARY KEY (domain, model, uuid) ) STRICT""",
        """CREATE TABLE "transaction" ( domain INTEGER NOT NULL, number INTEGER NOT NULL, user TEXT,
impersonator TEXT, service TEXT NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL, time
REAL NOT NULL, token BLOB, PRIMARY KEY (domain, number) ) WITHOUT ROWID, STRICT""",
        """CREATE TABLE version ( domain INTEGER NOT NULL, model INTEGER NOT NULL, uuid BLOB NOT NULL,
vsn INTEGER NOT NULL, txn INTEGER NOT NULL, kind INTEGER NOT NULL, body TEXT, changed TEXT,
PRIMARY KEY (domain, model, uuid, vsn) ) WITHOUT ROWID, STRICT""",
        "CREATE INDEX version_txn ON version (domain, txn)",
    ),
    add_domain="INSERT INTO domain (name, txn, time) VALUES (?, 0, 0) ON CONFLICT DO NOTHING",
    add_model="INSERT INTO model (name) VALUES (?) ON CONFLICT DO NOTHING",
    find_domain="SELECT domain.id FROM domain WHERE domain.name = ?",
    find_model="SELECT model.id FROM model WHERE model.name = ?",
    domains="SELECT domain.name FROM domain WHERE domain.txn > 0 ORDER BY domain.name",
    set_meta="""INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value =
excluded.value""",
    last="SELECT domain.txn FROM domain WHERE domain.name = ?",
    progress="SELECT CAST(coalesce(sum(domain.txn), 0) AS BIGINT) AS progress FROM domain",
    read="""SELECT domain.txn AS last, record.uuid, record.vsn, record.txn, record.fields,
record.deleted FROM domain LEFT OUTER JOIN model ON model.name = ? LEFT OUTER JOIN record ON
record.domain = domain.id AND record.model = model.id AND record.uuid = ? WHERE domain.name
= ?""",
    select="""SELECT domain.txn AS last, record.uuid, record.vsn, record.txn, record.fields,
record.deleted FROM domain LEFT OUTER JOIN model ON model.name = ? LEFT OUTER JOIN record ON
record.domain = domain.id AND record.model = model.id AND (record.deleted = 0 OR record.txn
> ?) WHERE domain.name = ? ORDER BY record.uuid""",
    past="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body FROM record JOIN
version ON record.domain = version.domain AND record.model = version.model AND record.uuid =
version.uuid WHERE record.domain = (SELECT domain.id FROM domain WHERE domain.name = ?) AND
record.model = (SELECT model.id FROM model WHERE model.name = ?) AND record.uuid = ? AND
version.vsn >= coalesce((SELECT one.vsn FROM version AS one WHERE one.domain = record.domain
AND one.model = record.model AND one.uuid = record.uuid AND one.kind = 0 AND one.txn <= ?
ORDER BY one.vsn DESC LIMIT 1 OFFSET 0), (SELECT one.vsn FROM version AS one WHERE
one.domain = record.domain AND one.model = record.model AND one.uuid = record.uuid AND
one.txn <= ? ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)) AND version.vsn <= (SELECT one.vsn
FROM version AS one WHERE one.domain = record.domain AND one.model = record.model AND
one.uuid = record.uuid AND one.txn <= ? ORDER BY one.vsn DESC LIMIT 1 OFFSET 0) ORDER BY
version.vsn""",
    past_of_all="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body FROM record JOIN
version ON record.domain = version.domain AND record.model = version.model AND record.uuid =
version.uuid WHERE record.domain = (SELECT domain.id FROM domain WHERE domain.name = ?) AND
record.model = (SELECT model.id FROM model WHERE model.name = ?) AND record.txn > ? AND
version.vsn >= coalesce((SELECT one.vsn FROM version AS one WHERE one.domain = record.domain
AND one.model = record.model AND one.uuid = record.uuid AND one.kind = 0 AND one.txn <= ?
ORDER BY one.vsn DESC LIMIT 1 OFFSET 0), (SELECT one.vsn FROM version AS one WHERE
one.domain = record.domain AND one.model = record.model AND one.uuid = record.uuid AND
one.txn <= ? ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)) AND version.vsn <= (SELECT one.vsn
FROM version AS one WHERE one.domain = record.domain AND one.model = record.model AND
one.uuid = record.uuid AND one.txn <= ? ORDER BY one.vsn DESC LIMIT 1 OFFSET 0) ORDER BY
version.uuid, version.vsn""",
    oldest="""SELECT version.vsn, version.txn FROM version WHERE version.domain = (SELECT domain.id FROM
domain WHERE domain.name = ?) AND version.model = (SELECT model.id FROM model WHERE
model.name = ?) AND version.uuid = ? ORDER BY version.vsn LIMIT 1 OFFSET 0""",
    history="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body,
"transaction".number, "transaction".user, "transaction".impersonator, "transaction".service,
"transaction".origin, "transaction".reason, "transaction".time FROM record JOIN version ON
record.domain = version.domain AND record.model = version.model AND record.uuid =
version.uuid LEFT OUTER JOIN "transaction" ON "transaction".domain = version.domain AND
"transaction".number = version.txn WHERE record.domain = (SELECT domain.id FROM domain WHERE
domain.name = ?) AND record.model = (SELECT model.id FROM model WHERE model.name = ?) AND
record.uuid = ? AND version.vsn >= coalesce((SELECT one.vsn FROM version AS one WHERE
one.domain = record.domain AND one.model = record.model AND one.uuid = record.uuid AND
one.kind = 0 AND one.vsn <= ? ORDER BY one.vsn DESC LIMIT 1 OFFSET 0), ?) ORDER BY
version.vsn LIMIT ? OFFSET 0""",
    transaction="""SELECT "transaction".number, "transaction".user, "transaction".impersonator,
"transaction".service, "transaction".origin, "transaction".reason, "transaction".time FROM
"transaction" WHERE "transaction".domain = (SELECT domain.id FROM domain WHERE domain.name =
?) AND "transaction".number = ?""",
    transaction_until="""SELECT "transaction".number, "transaction".time FROM "transaction" WHERE
"transaction".domain = (SELECT domain.id FROM domain WHERE domain.name = ?) AND
"transaction".number <= ? ORDER BY "transaction".number DESC LIMIT 1 OFFSET 0""",
    changes="""SELECT version.txn, model.name, version.uuid, version.vsn, version.kind, version.changed
FROM version JOIN model ON model.id = version.model WHERE version.domain = (SELECT domain.id
FROM domain WHERE domain.name = ?) AND version.txn > ? AND version.txn <= ? ORDER BY
version.txn, model.name, version.uuid, version.vsn LIMIT ? OFFSET 0""",
    take_number="""SELECT domain.id, domain.txn + 1 AS txn, max(domain.time, ?) AS time, (SELECT model.id FROM
model WHERE model.name = ?) AS model, (SELECT meta.value FROM meta WHERE meta.name =
'catalog') AS revision FROM domain WHERE domain.name = ?""",
    set_number="UPDATE domain SET txn=?, time=? WHERE domain.id = ?",
    lock="SELECT domain.id, domain.txn FROM domain WHERE domain.name = ?",
    base="""SELECT record.uuid, record.vsn, record.txn, record.fields, record.deleted FROM record WHERE
record.domain = (SELECT domain.id FROM domain WHERE domain.name = ?) AND record.model =
(SELECT model.id FROM model WHERE model.name = ?) AND record.uuid = ?""",
    touched="""SELECT model.name, version.uuid, max(version.txn) AS txn FROM version JOIN model ON model.id
= version.model WHERE version.domain = (SELECT domain.id FROM domain WHERE domain.name = ?)
AND version.txn > ? GROUP BY model.name, version.uuid""",
    proof="""SELECT "transaction".token FROM "transaction" WHERE "transaction".domain = ? AND
"transaction".number = ?""",
    add_transaction="""INSERT INTO "transaction" (domain, number, user, impersonator, service, origin, reason,
time, token) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    rename_user="""UPDATE "transaction" SET user=CASE WHEN ("transaction".user = ?) THEN ? ELSE
"transaction".user END, impersonator=CASE WHEN ("transaction".impersonator = ?) THEN ? ELSE
"transaction".impersonator END WHERE "transaction".domain = ? AND "transaction".number > ?
AND "transaction".number <= ? AND ("transaction".user = ? OR "transaction".impersonator = ?)
RETURNING number""",
    add_record="""INSERT INTO record (domain, model, uuid, vsn, txn, deleted, fields) VALUES (?, ?, ?, ?, ?,
?, ?)""",
    put_record="""UPDATE record SET vsn=?, txn=?, deleted=?, fields=? WHERE record.domain = ? AND record.model
= ? AND record.uuid = ?""",
    add_version="""INSERT INTO version (domain, model, uuid, vsn, txn, kind, body, changed) VALUES (?, ?, ?, ?,
?, ?, ?, ?)""",
    erase="""UPDATE version SET kind=3, body=NULL, changed=NULL WHERE version.domain = ? AND
version.model = ? AND version.uuid = ?""",
    drop_before="""DELETE FROM version WHERE version.domain = ? AND version.model = ? AND version.uuid = ? AND
version.vsn < ?""",
    drop_until="""DELETE FROM version WHERE version.domain = ? AND version.model = ? AND version.uuid = ? AND
version.vsn < (SELECT one.vsn FROM version AS one WHERE one.domain = ? AND one.model = ? AND
one.uuid = ? AND one.kind = 0 AND one.vsn <= ? ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)""",
    drop_older="""DELETE FROM version WHERE version.domain = ? AND version.model = ? AND version.uuid = ? AND
version.vsn < (SELECT one.vsn FROM version AS one, "transaction" WHERE one.domain = ? AND
one.model = ? AND one.uuid = ? AND one.kind = 0 AND "transaction".domain = one.domain AND
"transaction".number = one.txn AND "transaction".time < ? ORDER BY one.vsn DESC LIMIT 1
OFFSET 0)""",
    drop_record="DELETE FROM record WHERE record.domain = ? AND record.model = ? AND record.uuid = ?",
    keys="""SELECT record.uuid FROM record WHERE record.domain = ? AND record.model = ? AND record.uuid
> ? ORDER BY record.uuid LIMIT ? OFFSET 0""",
    prune_count="""DELETE FROM version WHERE (version.domain, version.model, version.uuid, version.vsn) IN
(SELECT old.domain, old.model, old.uuid, old.vsn FROM record JOIN version AS old ON
old.domain = record.domain AND old.model = record.model AND old.uuid = record.uuid WHERE
record.domain = ? AND record.model = ? AND record.uuid >= ? AND record.uuid <= ? AND old.vsn
< (SELECT one.vsn FROM version AS one WHERE one.domain = record.domain AND one.model =
record.model AND one.uuid = record.uuid AND one.kind = 0 AND one.vsn <= record.vsn - ? ORDER
BY one.vsn DESC LIMIT 1 OFFSET 0)) RETURNING vsn""",
    prune_time="""DELETE FROM version WHERE (version.domain, version.model, version.uuid, version.vsn) IN
(SELECT old.domain, old.model, old.uuid, old.vsn FROM record JOIN version AS old ON
old.domain = record.domain AND old.model = record.model AND old.uuid = record.uuid WHERE
record.domain = ? AND record.model = ? AND record.uuid >= ? AND record.uuid <= ? AND old.vsn
< (SELECT one.vsn FROM version AS one, "transaction" WHERE one.domain = record.domain AND
one.model = record.model AND one.uuid = record.uuid AND one.kind = 0 AND
"transaction".domain = one.domain AND "transaction".number = one.txn AND "transaction".time
< ? ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)) RETURNING vsn""",
    prune_all="""DELETE FROM version WHERE version.domain = ? AND version.model = ? AND version.uuid >= ? AND
version.uuid <= ? AND version.vsn < (SELECT record.vsn FROM record WHERE record.domain =
version.domain AND record.model = version.model AND record.uuid = version.uuid) RETURNING
vsn""",
    prune_deleted="""DELETE FROM version WHERE version.domain = ? AND version.model = ? AND version.uuid >= ? AND
version.uuid <= ? AND (SELECT record.deleted FROM record WHERE record.domain =
version.domain AND record.model = version.model AND record.uuid = version.uuid) > 0
RETURNING vsn""",
    drop_deleted="""DELETE FROM record WHERE record.domain = ? AND record.model = ? AND record.uuid >= ? AND
record.uuid <= ? AND record.deleted > 0""",
    make_whole="""UPDATE version SET kind=0, body=(SELECT record.fields FROM record WHERE record.domain =
version.domain AND record.model = version.model AND record.uuid = version.uuid) WHERE
version.domain = ? AND version.model = ? AND version.uuid >= ? AND version.uuid <= ? AND
version.kind = 1 AND version.vsn = (SELECT record.vsn FROM record WHERE record.domain =
version.domain AND record.model = version.model AND record.uuid = version.uuid)""",
    catalogs="""SELECT meta.value, model.id, model.name, model.catalog FROM meta LEFT OUTER JOIN model ON
model.catalog IS NOT NULL WHERE meta.name = 'catalog'""",
    catalog="SELECT model.id, model.catalog FROM model WHERE model.name = ?",
    set_catalog="UPDATE model SET catalog=? WHERE model.id = ?",
    bump="""INSERT INTO meta (name, value) VALUES ('catalog', '1') ON CONFLICT (name) DO UPDATE SET
value = CAST(CAST(meta.value AS INTEGER) + 1 AS TEXT)""",
    changed="""SELECT DISTINCT version.uuid FROM version WHERE version.domain = (SELECT domain.id FROM
domain WHERE domain.name = ?) AND version.txn > ? AND version.model = (SELECT model.id FROM
model WHERE model.name = ?) LIMIT ? OFFSET 0""",
    past_of_changed="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body FROM (SELECT
DISTINCT version.domain AS domain, version.model AS model, version.uuid AS uuid,
coalesce((SELECT one.vsn FROM version AS one WHERE one.domain = version.domain AND one.model
= version.model AND one.uuid = version.uuid AND one.kind = 0 AND one.txn <= ? ORDER BY
one.vsn DESC LIMIT 1 OFFSET 0), 0) AS start FROM version WHERE version.domain = (SELECT
domain.id FROM domain WHERE domain.name = ?) AND version.txn > ? AND version.model = (SELECT
model.id FROM model WHERE model.name = ?)) AS changed JOIN version ON version.domain =
changed.domain AND version.model = changed.model AND version.uuid = changed.uuid WHERE
version.txn <= ? AND version.vsn >= changed.start ORDER BY version.uuid, version.vsn""",
    any_record="""SELECT domain.id FROM domain WHERE EXISTS (SELECT 1 FROM record WHERE record.domain =
domain.id AND record.model = ?) LIMIT 1 OFFSET 0""",
    count_records="SELECT count(*) AS number FROM record WHERE record.model = ? AND record.deleted = 0",
    hold="""SELECT domain.id, domain.name FROM domain WHERE domain.name > ? AND (EXISTS (SELECT 1 FROM
record WHERE record.domain = domain.id AND record.model = ?)) ORDER BY domain.name LIMIT 1
OFFSET 0""",
    batch="""SELECT record.uuid, record.fields FROM record WHERE record.domain = ? AND record.model = ?
AND record.uuid > ? AND record.deleted = 0 ORDER BY record.uuid LIMIT ? OFFSET 0""",
)
POSTGRESQL = Statements(
    create=(
        """CREATE TABLE domain ( id BIGSERIAL NOT NULL, name TEXT COLLATE "C" NOT NULL, txn BIGINT NOT
NULL, time DOUBLE PRECISION NOT NULL, PRIMARY KEY (id), CONSTRAINT domain_name UNIQUE (name)
)""",
        """CREATE TABLE meta ( name TEXT COLLATE "C" NOT NULL, value TEXT COLLATE "C" NOT NULL, PRIMARY
KEY (name) )""",
        """CREATE TABLE model ( id BIGSERIAL NOT NULL, name TEXT COLLATE "C" NOT NULL, catalog TEXT
COLLATE "C", PRIMARY KEY (id), CONSTRAINT model_name UNIQUE (name) )""",
        """CREATE TABLE record ( domain BIGINT NOT NULL, model BIGINT NOT NULL, uuid BYTEA NOT NULL,
vsn BIGINT NOT NULL, txn BIGINT NOT NULL, deleted SMALLINT NOT NULL, fields TEXT COLLATE "C"
NOT NULL, PRIMARY KEY (domain, model, uuid) )""",
        """CREATE TABLE transaction ( domain BIGINT NOT NULL, number BIGINT NOT NULL, "user" TEXT
COLLATE "C", impersonator TEXT COLLATE "C", service TEXT COLLATE "C" NOT NULL, origin TEXT
COLLATE "C" NOT NULL, reason TEXT COLLATE "C" NOT NULL, time DOUBLE PRECISION NOT NULL,
token BYTEA, PRIMARY KEY (domain, number) )""",
        """CREATE TABLE version ( domain BIGINT NOT NULL, model BIGINT NOT NULL, uuid BYTEA NOT NULL,
vsn BIGINT NOT NULL, txn BIGINT NOT NULL, kind SMALLINT NOT NULL, body TEXT COLLATE "C",
changed TEXT COLLATE "C", PRIMARY KEY (domain, model, uuid, vsn) )""",
        "CREATE INDEX version_txn ON version (domain, txn)",
        """ALTER TABLE "domain" ENABLE ROW LEVEL SECURITY""",
        """ALTER TABLE "domain" FORCE ROW LEVEL SECURITY""",
        """CREATE POLICY tenant ON "domain" USING (name = substr(nullif(current_setting('limen.domain',
true), ''), 2) OR (SELECT current_setting('limen.domain', true)) = '*')""",
        """ALTER TABLE "record" ENABLE ROW LEVEL SECURITY""",
        """ALTER TABLE "record" FORCE ROW LEVEL SECURITY""",
        """CREATE POLICY tenant ON "record" USING (domain = (SELECT id FROM domain WHERE name =
substr(nullif(current_setting('limen.domain', true), ''), 2)) OR (SELECT
current_setting('limen.domain', true)) = '*')""",
        """ALTER TABLE "transaction" ENABLE ROW LEVEL SECURITY""",
        """ALTER TABLE "transaction" FORCE ROW LEVEL SECURITY""",
        """CREATE POLICY tenant ON "transaction" USING (domain = (SELECT id FROM domain WHERE name =
substr(nullif(current_setting('limen.domain', true), ''), 2)) OR (SELECT
current_setting('limen.domain', true)) = '*')""",
        """ALTER TABLE "version" ENABLE ROW LEVEL SECURITY""",
        """ALTER TABLE "version" FORCE ROW LEVEL SECURITY""",
        """CREATE POLICY tenant ON "version" USING (domain = (SELECT id FROM domain WHERE name =
substr(nullif(current_setting('limen.domain', true), ''), 2)) OR (SELECT
current_setting('limen.domain', true)) = '*')""",
    ),
    add_domain="INSERT INTO domain (name, txn, time) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING",
    add_model="INSERT INTO model (name) VALUES ($1) ON CONFLICT DO NOTHING",
    find_domain="SELECT domain.id FROM domain WHERE domain.name = $1",
    find_model="SELECT model.id FROM model WHERE model.name = $1",
    domains="SELECT domain.name FROM domain WHERE domain.txn > 0 ORDER BY domain.name",
    set_meta="""INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value =
excluded.value""",
    last="SELECT domain.txn FROM domain WHERE domain.name = $1",
    progress="SELECT CAST(coalesce(sum(domain.txn), 0) AS BIGINT) AS progress FROM domain",
    read="""SELECT domain.txn AS last, record.uuid, record.vsn, record.txn, record.fields,
record.deleted FROM domain LEFT OUTER JOIN model ON model.name = $1 LEFT OUTER JOIN record
ON record.domain = domain.id AND record.model = model.id AND record.uuid = $2 WHERE
domain.name = $3""",
    select="""SELECT domain.txn AS last, record.uuid, record.vsn, record.txn, record.fields,
record.deleted FROM domain LEFT OUTER JOIN model ON model.name = $1 LEFT OUTER JOIN record
ON record.domain = domain.id AND record.model = model.id AND (record.deleted = 0 OR
record.txn > $2) WHERE domain.name = $3 ORDER BY record.uuid""",
    past="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body FROM record JOIN
version ON record.domain = version.domain AND record.model = version.model AND record.uuid =
version.uuid WHERE record.domain = (SELECT domain.id FROM domain WHERE domain.name = $1) AND
record.model = (SELECT model.id FROM model WHERE model.name = $2) AND record.uuid = $3 AND
version.vsn >= coalesce((SELECT one.vsn FROM version AS one WHERE one.domain = record.domain
AND one.model = record.model AND one.uuid = record.uuid AND one.kind = 0 AND one.txn <= $4
ORDER BY one.vsn DESC LIMIT 1 OFFSET 0), (SELECT one.vsn FROM version AS one WHERE
one.domain = record.domain AND one.model = record.model AND one.uuid = record.uuid AND
one.txn <= $5 ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)) AND version.vsn <= (SELECT one.vsn
FROM version AS one WHERE one.domain = record.domain AND one.model = record.model AND
one.uuid = record.uuid AND one.txn <= $6 ORDER BY one.vsn DESC LIMIT 1 OFFSET 0) ORDER BY
version.vsn""",
    past_of_all="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body FROM record JOIN
version ON record.domain = version.domain AND record.model = version.model AND record.uuid =
version.uuid WHERE record.domain = (SELECT domain.id FROM domain WHERE domain.name = $1) AND
record.model = (SELECT model.id FROM model WHERE model.name = $2) AND record.txn > $3 AND
version.vsn >= coalesce((SELECT one.vsn FROM version AS one WHERE one.domain = record.domain
AND one.model = record.model AND one.uuid = record.uuid AND one.kind = 0 AND one.txn <= $4
ORDER BY one.vsn DESC LIMIT 1 OFFSET 0), (SELECT one.vsn FROM version AS one WHERE
one.domain = record.domain AND one.model = record.model AND one.uuid = record.uuid AND
one.txn <= $5 ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)) AND version.vsn <= (SELECT one.vsn
FROM version AS one WHERE one.domain = record.domain AND one.model = record.model AND
one.uuid = record.uuid AND one.txn <= $6 ORDER BY one.vsn DESC LIMIT 1 OFFSET 0) ORDER BY
version.uuid, version.vsn""",
    oldest="""SELECT version.vsn, version.txn FROM version WHERE version.domain = (SELECT domain.id FROM
domain WHERE domain.name = $1) AND version.model = (SELECT model.id FROM model WHERE
model.name = $2) AND version.uuid = $3 ORDER BY version.vsn LIMIT 1 OFFSET 0""",
    history="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body,
transaction.number, transaction."user", transaction.impersonator, transaction.service,
transaction.origin, transaction.reason, transaction.time FROM record JOIN version ON
record.domain = version.domain AND record.model = version.model AND record.uuid =
version.uuid LEFT OUTER JOIN transaction ON transaction.domain = version.domain AND
transaction.number = version.txn WHERE record.domain = (SELECT domain.id FROM domain WHERE
domain.name = $1) AND record.model = (SELECT model.id FROM model WHERE model.name = $2) AND
record.uuid = $3 AND version.vsn >= coalesce((SELECT one.vsn FROM version AS one WHERE
one.domain = record.domain AND one.model = record.model AND one.uuid = record.uuid AND
one.kind = 0 AND one.vsn <= $4 ORDER BY one.vsn DESC LIMIT 1 OFFSET 0), $5) ORDER BY
version.vsn LIMIT $6 OFFSET 0""",
    transaction="""SELECT transaction.number, transaction."user", transaction.impersonator,
transaction.service, transaction.origin, transaction.reason, transaction.time FROM
transaction WHERE transaction.domain = (SELECT domain.id FROM domain WHERE domain.name = $1)
AND transaction.number = $2""",
    transaction_until="""SELECT transaction.number, transaction.time FROM transaction WHERE transaction.domain =
(SELECT domain.id FROM domain WHERE domain.name = $1) AND transaction.number <= $2 ORDER BY
transaction.number DESC LIMIT 1 OFFSET 0""",
    changes="""SELECT version.txn, model.name, version.uuid, version.vsn, version.kind, version.changed
FROM version JOIN model ON model.id = version.model WHERE version.domain = (SELECT domain.id
FROM domain WHERE domain.name = $1) AND version.txn > $2 AND version.txn <= $3 ORDER BY
version.txn, model.name, version.uuid, version.vsn LIMIT $4 OFFSET 0""",
    take_number="""UPDATE domain SET txn=(domain.txn + 1), time=greatest(domain.time, $1) WHERE domain.name =
$2 RETURNING domain.id, domain.txn, domain.time, (SELECT model.id FROM model WHERE
model.name = $3) AS model, (SELECT meta.value FROM meta WHERE meta.name = 'catalog') AS
revision""",
    set_number="UPDATE domain SET txn=$1, time=$2 WHERE domain.id = $3",
    lock="SELECT domain.id, domain.txn FROM domain WHERE domain.name = $1 FOR UPDATE",
    base="""SELECT record.uuid, record.vsn, record.txn, record.fields, record.deleted FROM record WHERE
record.domain = (SELECT domain.id FROM domain WHERE domain.name = $1) AND record.model =
(SELECT model.id FROM model WHERE model.name = $2) AND record.uuid = any($3)""",
    touched="""SELECT model.name, version.uuid, max(version.txn) AS txn FROM version JOIN model ON model.id
= version.model WHERE version.domain = (SELECT domain.id FROM domain WHERE domain.name = $1)
AND version.txn > $2 GROUP BY model.name, version.uuid""",
    proof="""SELECT transaction.token FROM transaction WHERE transaction.domain = $1 AND
transaction.number = $2""",
    add_transaction="""INSERT INTO transaction (domain, number, "user", impersonator, service, origin, reason,
time, token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
    rename_user="""UPDATE transaction SET "user"=CASE WHEN (transaction."user" = $1) THEN $2 ELSE
transaction."user" END, impersonator=CASE WHEN (transaction.impersonator = $3) THEN $4 ELSE
transaction.impersonator END WHERE transaction.domain = $5 AND transaction.number > $6 AND
transaction.number <= $7 AND (transaction."user" = $8 OR transaction.impersonator = $9)
RETURNING transaction.number""",
    add_record="""INSERT INTO record (domain, model, uuid, vsn, txn, deleted, fields) VALUES ($1, $2, $3, $4,
$5, $6, $7)""",
    put_record="""UPDATE record SET vsn=$1, txn=$2, deleted=$3, fields=$4 WHERE record.domain = $5 AND
record.model = $6 AND record.uuid = $7""",
    add_version="""INSERT INTO version (domain, model, uuid, vsn, txn, kind, body, changed) VALUES ($1, $2, $3,
$4, $5, $6, $7, $8)""",
    erase="""UPDATE version SET kind=3, body=NULL, changed=NULL WHERE version.domain = $1 AND
version.model = $2 AND version.uuid = $3""",
    drop_before="""DELETE FROM version WHERE version.domain = $1 AND version.model = $2 AND version.uuid = $3
AND version.vsn < $4""",
    drop_until="""DELETE FROM version WHERE version.domain = $1 AND version.model = $2 AND version.uuid = $3
AND version.vsn < (SELECT one.vsn FROM version AS one WHERE one.domain = $4 AND one.model =
$5 AND one.uuid = $6 AND one.kind = 0 AND one.vsn <= $7 ORDER BY one.vsn DESC LIMIT 1 OFFSET
0)""",
    drop_older="""DELETE FROM version WHERE version.domain = $1 AND version.model = $2 AND version.uuid = $3
AND version.vsn < (SELECT one.vsn FROM version AS one, transaction WHERE one.domain = $4 AND
one.model = $5 AND one.uuid = $6 AND one.kind = 0 AND transaction.domain = one.domain AND
transaction.number = one.txn AND transaction.time < $7 ORDER BY one.vsn DESC LIMIT 1 OFFSET
0)""",
    drop_record="DELETE FROM record WHERE record.domain = $1 AND record.model = $2 AND record.uuid = $3",
    keys="""SELECT record.uuid FROM record WHERE record.domain = $1 AND record.model = $2 AND
record.uuid > $3 ORDER BY record.uuid LIMIT $4 OFFSET 0""",
    prune_count="""DELETE FROM version WHERE (version.domain, version.model, version.uuid, version.vsn) IN
(SELECT "old".domain, "old".model, "old".uuid, "old".vsn FROM record JOIN version AS "old"
ON "old".domain = record.domain AND "old".model = record.model AND "old".uuid = record.uuid
WHERE record.domain = $1 AND record.model = $2 AND record.uuid >= $3 AND record.uuid <= $4
AND "old".vsn < (SELECT one.vsn FROM version AS one WHERE one.domain = record.domain AND
one.model = record.model AND one.uuid = record.uuid AND one.kind = 0 AND one.vsn <=
record.vsn - $5 ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)) RETURNING version.vsn""",
    prune_time="""DELETE FROM version WHERE (version.domain, version.model, version.uuid, version.vsn) IN
(SELECT "old".domain, "old".model, "old".uuid, "old".vsn FROM record JOIN version AS "old"
ON "old".domain = record.domain AND "old".model = record.model AND "old".uuid = record.uuid
WHERE record.domain = $1 AND record.model = $2 AND record.uuid >= $3 AND record.uuid <= $4
AND "old".vsn < (SELECT one.vsn FROM version AS one, transaction WHERE one.domain =
record.domain AND one.model = record.model AND one.uuid = record.uuid AND one.kind = 0 AND
transaction.domain = one.domain AND transaction.number = one.txn AND transaction.time < $5
ORDER BY one.vsn DESC LIMIT 1 OFFSET 0)) RETURNING version.vsn""",
    prune_all="""DELETE FROM version WHERE version.domain = $1 AND version.model = $2 AND version.uuid >= $3
AND version.uuid <= $4 AND version.vsn < (SELECT record.vsn FROM record WHERE record.domain
= version.domain AND record.model = version.model AND record.uuid = version.uuid) RETURNING
version.vsn""",
    prune_deleted="""DELETE FROM version WHERE version.domain = $1 AND version.model = $2 AND version.uuid >= $3
AND version.uuid <= $4 AND (SELECT record.deleted FROM record WHERE record.domain =
version.domain AND record.model = version.model AND record.uuid = version.uuid) > 0
RETURNING version.vsn""",
    drop_deleted="""DELETE FROM record WHERE record.domain = $1 AND record.model = $2 AND record.uuid >= $3 AND
record.uuid <= $4 AND record.deleted > 0""",
    make_whole="""UPDATE version SET kind=0, body=(SELECT record.fields FROM record WHERE record.domain =
version.domain AND record.model = version.model AND record.uuid = version.uuid) WHERE
version.domain = $1 AND version.model = $2 AND version.uuid >= $3 AND version.uuid <= $4 AND
version.kind = 1 AND version.vsn = (SELECT record.vsn FROM record WHERE record.domain =
version.domain AND record.model = version.model AND record.uuid = version.uuid)""",
    catalogs="""SELECT meta.value, model.id, model.name, model.catalog FROM meta LEFT OUTER JOIN model ON
model.catalog IS NOT NULL WHERE meta.name = 'catalog'""",
    catalog="SELECT model.id, model.catalog FROM model WHERE model.name = $1 FOR NO KEY UPDATE",
    set_catalog="UPDATE model SET catalog=$1 WHERE model.id = $2",
    bump="""INSERT INTO meta (name, value) VALUES ('catalog', '1') ON CONFLICT (name) DO UPDATE SET
value = CAST(CAST(meta.value AS INTEGER) + 1 AS TEXT)""",
    changed="""SELECT DISTINCT version.uuid FROM version WHERE version.domain = (SELECT domain.id FROM
domain WHERE domain.name = $1) AND version.txn > $2 AND version.model = (SELECT model.id
FROM model WHERE model.name = $3) LIMIT $4 OFFSET 0""",
    past_of_changed="""SELECT version.uuid, version.vsn, version.txn, version.kind, version.body FROM (SELECT
DISTINCT version.domain AS domain, version.model AS model, version.uuid AS uuid,
coalesce((SELECT one.vsn FROM version AS one WHERE one.domain = version.domain AND one.model
= version.model AND one.uuid = version.uuid AND one.kind = 0 AND one.txn <= $1 ORDER BY
one.vsn DESC LIMIT 1 OFFSET 0), 0) AS start FROM version WHERE version.domain = (SELECT
domain.id FROM domain WHERE domain.name = $2) AND version.txn > $3 AND version.model =
(SELECT model.id FROM model WHERE model.name = $4)) AS changed JOIN version ON
version.domain = changed.domain AND version.model = changed.model AND version.uuid =
changed.uuid WHERE version.txn <= $5 AND version.vsn >= changed.start ORDER BY version.uuid,
version.vsn""",
    any_record="""SELECT domain.id FROM domain WHERE EXISTS (SELECT 1 FROM record WHERE record.domain =
domain.id AND record.model = $1) LIMIT 1 OFFSET 0""",
    count_records="SELECT count(*) AS number FROM record WHERE record.model = $1 AND record.deleted = 0",
    hold="""SELECT domain.id, domain.name FROM domain WHERE domain.name > $1 AND (EXISTS (SELECT 1 FROM
record WHERE record.domain = domain.id AND record.model = $2)) ORDER BY domain.name LIMIT 1
OFFSET 0 FOR UPDATE OF domain""",
    batch="""SELECT record.uuid, record.fields FROM record WHERE record.domain = $1 AND record.model = $2
AND record.uuid > $3 AND record.deleted = 0 ORDER BY record.uuid LIMIT $4 OFFSET 0""",
)
