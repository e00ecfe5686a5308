"""The schema of a database is found out when it is opened; one of an older program is migrated, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from old_database import ask, dump, old_database
from sqlalchemy import Connection, StaticPool, create_engine, event

from limen import exc
from limen.core.guard.accounts import Account
from limen.core.record import delta
from limen.store.accounts import Accounts
from limen.store.settings import Settings
from limen.store.slots import Slots
from limen.store.sql import SQLStore, schema
from limen.store.sql.maintenance.check import check
from limen.store.sql.maintenance.database import nobody
from limen.store.sql.maintenance.migrate import migrate
from limen.store.sql.maintenance.migrations import upgrade
from limen.store.sql.postgres import claim as pg_claim
from limen.store.sql.postgres.policy import policy
from limen.store.sql.statements import POSTGRESQL, SQLITE


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of schema 1."""
    old_database(tmp_path / "a.db")
    return tmp_path / "a.db"


def url(path: Path) -> str:
    return f"sqlite:///{path}"


# -- two ways to one schema ----------------------------------------------------------------------------------------
def tables_of_sqlite(db: sqlite3.Connection) -> dict[str, Any]:
    """Every table and index: columns with their kinds, keys, and the words of CREATE that nothing else tells."""
    found: dict[str, Any] = {}
    for name, kind, text in db.execute("SELECT name, type, sql FROM sqlite_master").fetchall():
        words = (text or "").split()
        found[name] = (
            kind,
            db.execute(f'PRAGMA table_xinfo("{name}")').fetchall(),
            [
                (unique, origin, partial, db.execute(f'PRAGMA index_xinfo("{index}")').fetchall())
                for _, index, unique, origin, partial in db.execute(f'PRAGMA index_list("{name}")').fetchall()
            ],
            re.findall(r"STRICT|WITHOUT ROWID|COLLATE \w+|CHECK|AUTOINCREMENT|CONSTRAINT \w+", " ".join(words)),
        )
    for pragma in ("application_id", "user_version"):
        found[pragma] = db.execute(f"PRAGMA {pragma}").fetchone()
    found["revision"] = db.execute("SELECT * FROM alembic_version").fetchall()
    return found


def upgraded(dialect: str, raw: Any) -> None:
    """An empty database, by way of all migrations."""
    engine = create_engine(dialect, creator=lambda: raw, poolclass=StaticPool)
    if dialect.startswith("sqlite"):

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

    with engine.begin() as connection:
        upgrade(connection, None, nobody)


def test_all_migrations_and_a_new_file_lead_to_the_same_tables() -> None:
    made, migrated = (sqlite3.connect(":memory:", isolation_level=None) for _ in range(2))
    with contextlib.closing(made), contextlib.closing(migrated):
        for statement in (*SQLITE.create, *schema.STAMP["sqlite"]):
            made.execute(statement)
        upgraded("sqlite://", migrated)
        assert tables_of_sqlite(migrated) == tables_of_sqlite(made)


OF_POSTGRES = {
    "columns": "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, "
    "l.collname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN "
    "pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum) "
    "WHERE c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND c.relkind IN ('r', 'i', 'S') "
    "ORDER BY c.relname, a.attname",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = current_schema()::regnamespace ORDER BY 1, 2",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1",
    "security": "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r' "
    "AND relnamespace = current_schema()::regnamespace ORDER BY 1",
    "policies": "SELECT tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies "
    "WHERE schemaname = current_schema() ORDER BY 1, 2",
    "revision": "SELECT * FROM alembic_version",
}


def test_all_migrations_and_a_new_postgresql_database_lead_to_the_same_tables(postgresql: Any) -> None:
    found = []
    for way in ("made", "migrated"):
        with psycopg.connect(postgresql.make()) as connection:
            if way == "made":
                for statement in (*POSTGRESQL.create, *schema.STAMP["postgresql"]):
                    connection.execute(statement)
            else:
                upgraded("postgresql+psycopg://", connection)
            found.append({what: connection.execute(asked).fetchall() for what, asked in OF_POSTGRES.items()})
    made, migrated = found
    assert migrated == made
    assert {row[0] for row in made["policies"]} == {"domain", "transaction", "record", "version"}
    assert len(policy("record")) == 3


def test_a_postgresql_database_is_migrated_as_a_whole_while_nobody_serves_from_it(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(schema.VERSION_TABLE)
        connection.execute("INSERT INTO alembic_version VALUES ('1')")
        connection.execute("CREATE TABLE version (stands_in_the_way int)")
        with pytest.raises(exc.StoreError, match="already exists"):
            migrate(postgresql_url)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("1",)]
        assert connection.execute("SELECT to_regclass('domain')").fetchall() == [(None,)]
        connection.execute("DROP TABLE version")
        pg_claim.take(lambda statement: connection.execute(statement.encode()).fetchall(), "db")
        with pytest.raises(exc.StoreError, match="in use by another Limen"):
            migrate(postgresql_url)
    done = migrate(postgresql_url)
    assert (done.before, done.after, done.kept) == (1, 2, None)
    SQLStore(postgresql_url).close()
    assert migrate(postgresql_url).before == 2


LOADED = """
import sys
from limen.cli import main
from limen.store.sql import SQLStore
from limen.store.sql.maintenance import backup
from limen.store.sql.maintenance import check
from limen.store.sql.maintenance import restore

url = sys.argv[1]
SQLStore(url).close()
assert list(check.check(url)) == []
backup.backup(url, backup.Path("b.db"))
restore.restore(restore.Path("b.db"), url)
print([name for name in ("alembic", "sqlalchemy", "psycopg") if name in sys.modules])
"""


def test_only_a_migration_needs_alembic(tmp_path: Path) -> None:
    words = [sys.executable, "-c", LOADED, url(tmp_path / "a.db")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# -- at open ---------------------------------------------------------------------------------------------------------
def test_an_older_database_is_refused_with_the_command_that_migrates_it(old: Path) -> None:
    with sqlite3.connect(old) as db, pytest.raises(exc.StoreError, match=f"limen db migrate --db {url(old)}"):
        schema.usable(schema.found_in_sqlite(db, old), old, url(old))


def test_a_newer_database_is_refused_by_all_who_would_change_it(old: Path) -> None:
    ask(old, f"PRAGMA user_version = {schema.SCHEMA + 1}")
    with pytest.raises(exc.StoreError, match="newer Limen"):
        migrate(url(old))
    with sqlite3.connect(old) as db, pytest.raises(exc.StoreError, match="newer Limen"):
        schema.usable(schema.found_in_sqlite(db, old), old, url(old))


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    ask(path, "CREATE TABLE contact (name TEXT)")
    before = dump(path)
    with pytest.raises(exc.StoreError, match="of another program"):
        migrate(url(path))
    assert dump(path) == before


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("Dear diary, " * 100)
    with pytest.raises(exc.StoreError, match="no SQLite database"):
        migrate(url(tmp_path / "a.db"))


def test_a_postgresql_database_under_the_migrations_of_another_program_is_refused(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:

        def rows(statement: str) -> list[Any]:
            return connection.execute(statement.encode()).fetchall()

        assert schema.found_in_postgres(rows, "db") is None
        connection.execute("CREATE TABLE record (id int)")
        with pytest.raises(exc.StoreError, match="'record' of another program"):
            schema.found_in_postgres(rows, "db")
        connection.execute("CREATE TABLE alembic_version (version_num text)")
        connection.execute("INSERT INTO alembic_version VALUES ('3f2a')")
        with pytest.raises(exc.StoreError, match="revision 3f2a"):
            schema.found_in_postgres(rows, "db")


# -- from schema 1 ---------------------------------------------------------------------------------------------------
Versions = dict[tuple[str, str, bytes, int], tuple[str, bool, tuple[Any, ...]]]
"""Domain, model, uuid, vsn to fields, deleted, who."""


def versions_of_schema_1(path: Path) -> Versions:
    rows = ask(
        path,
        "SELECT d.name, m.name, v.uuid, v.vsn, v.fields, v.deleted, t.user, t.impersonator, t.service, t.origin, "
        't.reason, t.time FROM version v JOIN "transaction" t ON t.number = v.txn JOIN domain d ON d.id = v.domain '
        "JOIN model m ON m.id = v.model",
    )
    return {(row[0], row[1], row[2], row[3]): (row[4], row[5] == 1, row[6:]) for row in rows}


def versions_of_schema_2(path: Path) -> Versions:
    found: Versions = {}
    rows: list[tuple[int, str | None]] = []
    for domain, model, uuid, vsn, kind, body, *who in ask(
        path,
        "SELECT d.name, m.name, v.uuid, v.vsn, v.kind, v.body, t.user, t.impersonator, t.service, t.origin, "
        't.reason, t.time FROM version v JOIN "transaction" t ON (t.domain, t.number) = (v.domain, v.txn) '
        "JOIN domain d ON d.id = v.domain JOIN model m ON m.id = v.model WHERE m.name NOT LIKE 'limen.%' "
        "ORDER BY v.domain, v.model, v.uuid, v.vsn",
    ):
        rows = [(kind, body)] if kind == delta.WHOLE else [*rows, (kind, body)]
        found[domain, model, uuid, vsn] = delta.rebuild(rows), kind == delta.DELETED, tuple(who)
    return found


def test_every_version_is_taken_over_with_who_wrote_it(old: Path) -> None:
    before = versions_of_schema_1(old)
    done = migrate(url(old))
    assert (done.before, done.after) == (1, 2)
    assert versions_of_schema_2(old) == before
    assert len(before) == 51
    assert list(check(url(old))) == []


def test_a_long_line_of_versions_is_kept_as_deltas_with_keyframes(old: Path) -> None:
    migrate(url(old))
    kinds = dict(ask(old, "SELECT vsn, kind FROM version WHERE uuid = (SELECT uuid FROM version WHERE vsn = 40)"))
    assert [vsn for vsn, kind in kinds.items() if kind == delta.WHOLE] == [1, 33]
    assert {kinds[vsn] for vsn in range(2, 33)} == {delta.DELTA}


def test_the_numbers_of_transactions_begin_with_1_in_each_domain(old: Path) -> None:
    migrate(url(old))
    for (domain,) in ask(old, "SELECT id FROM domain WHERE name <> ''"):
        numbers = [row[0] for row in ask(old, 'SELECT number FROM "transaction" WHERE domain = ? ORDER BY 1', domain)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert ask(old, "SELECT txn FROM domain WHERE id = ?", domain) == [(len(numbers),)]


def test_time_that_once_went_back_does_not_any_more(old: Path) -> None:
    ask(old, 'UPDATE "transaction" SET time = time - 86400 WHERE number = 20')
    migrate(url(old))
    times = [row[0] for row in ask(old, 'SELECT time FROM "transaction" WHERE domain = 1 ORDER BY number')]
    assert times == sorted(times)
    assert list(check(url(old))) == []


def test_sessions_and_the_ledger_are_left_behind(old: Path) -> None:
    migrate(url(old))
    models = {row[0] for row in ask(old, "SELECT m.name FROM record r JOIN model m ON m.id = r.model")}
    assert models == {"Todo", "Note", "limen.login", "limen.account", "limen.profile", "limen.setting"}


def test_the_file_of_before_is_kept_beside_the_new_one(old: Path) -> None:
    before = dump(old)
    kept = migrate(url(old)).kept
    assert kept == old.with_name("a.db.schema-1")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert dump(kept) == before
    os.replace(kept, old)  # whoever goes back to the old program, and comes again
    kept.write_text("something of mine")
    assert migrate(url(old)).kept == old.with_name("a.db.schema-1.1")
    assert kept.read_text() == "something of mine"


def test_migrating_twice_is_migrating_once(old: Path) -> None:
    migrate(url(old))
    before = dump(old)
    done = migrate(url(old))
    assert (done.before, done.after, done.kept) == (2, 2, None)
    assert dump(old) == before


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(exc.StoreError, match="limen db init"):
        migrate(url(tmp_path / "a.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_use_is_not_migrated(old: Path) -> None:
    import fcntl

    before = dump(old)
    with old.with_name("a.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(exc.StoreError, match="in use by another Limen"):
            migrate(url(old))
    assert dump(old) == before


def test_a_gap_in_an_old_line_of_versions_is_said_and_nothing_is_changed(old: Path) -> None:
    ask(old, "PRAGMA foreign_keys = OFF")
    ask(old, "DELETE FROM version WHERE vsn = 7")
    before = dump(old)
    with pytest.raises(exc.StoreError, match=r"version 7 of record .* is missing"):
        migrate(url(old))
    assert dump(old) == before


KILLED = """
import os, signal, sqlite3, sys
from limen.store.sql.maintenance import migrate

left = int(sys.argv[2])
connect = sqlite3.connect

def counted(*args, **options):
    connection = connect(*args, **options)
    def statement(text):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    connection.set_trace_callback(statement)
    return connection

sqlite3.connect = counted
migrate.migrate(sys.argv[1])
print(left)
"""
"""Migrates, and is killed when it begins its nth statement."""


@pytest.mark.parametrize("nth", [5, 12, 20, 40, 90, 150, 165, 170])
def test_a_migration_that_was_killed_can_be_run_again(old: Path, nth: int) -> None:
    before = versions_of_schema_1(old)
    done = subprocess.run([sys.executable, "-c", KILLED, url(old), str(nth)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, f"it ended by itself: {done.stdout} {done.stderr}"
    found = ask(old, "PRAGMA user_version")[0][0]
    assert (versions_of_schema_2 if found == 2 else versions_of_schema_1)(old) == before
    migrate(url(old))
    assert versions_of_schema_2(old) == before
    assert list(check(url(old))) == []
    assert not [path for path in old.parent.iterdir() if ".part" in path.name]


def test_the_accounts_are_there_with_all_that_was_known_of_them(old: Path) -> None:
    rows = ask(old, "SELECT d.name, a.* FROM account a JOIN domain d ON d.id = a.domain ORDER BY d.name, a.user")
    before = [
        Account(domain, user, record, number, tuple(json.loads(roles)), json.loads(profile), disabled == 1, created)
        for domain, _, user, record, number, roles, profile, disabled, created in rows
    ]
    settings = dict(ask(old, "SELECT name, value FROM meta"))
    migrate(url(old))
    with contextlib.closing(SQLStore(url(old))) as store:
        accounts = Accounts(store.records)
        assert accounts.list() == before
        assert [account.user for account in before] == ["grace", "idle", "ada"]
        assert accounts.update("clinic.example", "grace", roles=("chief",), reason="promoted") is not None
        assert Slots(store.records).list() == []
        kept = Settings(store.records)
        assert {name: kept.get(name) for name in settings} == {**settings, "changes": None}
        assert kept.database_id == settings["database_id"]
    assert list(check(url(old))) == []
