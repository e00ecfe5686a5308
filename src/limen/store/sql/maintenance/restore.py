"""`limen db restore`: a backup becomes the database, on either engine; all sessions end.

The backup is copied into a file of its own, brought to the newest schema, and its sessions are ended there. An SQLite
file is then put in place at one stroke; PostgreSQL is filled in one transaction. Interrupted before that, nothing has
happened.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limen import exc
from limen.store.mark import EPOCH
from limen.store.settings import Settings
from limen.store.slots import Slots
from limen.store.sql import SQLStore, schema
from limen.store.sql.statements import POSTGRESQL, SQLITE

from .backup import TABLES, check_schema, copy_pages, part_of, put_in_place, read_rows, sound
from .database import (
    Progress,
    Reading,
    claimed,
    nobody,
    open_file,
    open_postgres,
    reading,
    reading_file,
    shown,
    sqlite_path,
)
from .migrate import migrate_file


class Restored(NamedTuple):
    """What there is now: domains, records. *before*: the schema that the backup had."""

    domains: int
    records: int
    before: int


def restore(source: Path, url: str, *, replace: bool = False, progress: Progress = nobody) -> Restored:
    """Makes the backup *source* the database *url*; no server may run.

    Raises `StoreError` where there is a database with something in it (unless *replace*), where the backup is none, is
    damaged or of a newer program.
    """
    path = sqlite_path(url)
    if path is not None and path.exists() and source.exists() and source.samefile(path):
        raise exc.StoreError(f"{source} is the database itself.")
    with claimed(url):
        epoch = _replaceable(url, path, replace)
        with _beside(path or source) as part:
            with reading_file(source) as db:
                check_schema(db)
                before = db.found or 0
                copy_pages(db.connection, part, progress)
            if before < schema.SCHEMA:
                migrate_file(part, progress)
            _only_ours(part)
            _end_sessions(part, epoch)
            sound(part)
            with reading_file(part) as db:
                domains = db.rows("SELECT count(*) FROM domain WHERE name <> ''")[0][0]
                records = db.rows("SELECT count(*) FROM record WHERE deleted = 0")[0][0]
                if path is None:
                    _fill(db, url, progress)
            if path is not None:
                _settle(path)
                put_in_place(part, path)
    return Restored(domains, records, before)


def _only_ours(part: Path) -> None:
    """Takes away what is not of our schema: triggers, views, tables; and the indexes with the statements that their
    catalog names, which the program would run. A backup comes from wherever; indexes are built anew from the records.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        for statement in (*SQLITE.create, *schema.STAMP["sqlite"]):
            fresh.execute(statement)
        ours = {*fresh.execute(_THINGS)}
    with open_file(part) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for kind, name in connection.execute(_THINGS).fetchall():
            if (kind, name) not in ours:
                quoted = name.replace('"', '""')
                connection.execute(f'DROP {kind} IF EXISTS "{quoted}"')
        connection.execute("UPDATE model SET catalog = NULL")
        connection.execute("COMMIT")


_THINGS = "SELECT type, name FROM sqlite_master WHERE name NOT GLOB 'sqlite_*' ORDER BY type = 'table', type"


def epoch_of(db: Reading) -> int:
    """The epoch that a database of the newest schema is in."""
    for (fields,) in db.rows(_SETTINGS):
        setting = json.loads(fields)
        if setting["name"] == EPOCH:
            return int(setting["value"])
    return 1


_SETTINGS = (
    "SELECT record.fields FROM record JOIN model ON model.id = record.model JOIN domain ON domain.id = record.domain "
    "WHERE domain.name = '' AND model.name = 'limen.setting' AND record.deleted = 0"
)
"""As `limen.store.settings` keeps them."""


def _replaceable(url: str, path: Path | None, replace: bool) -> int:
    """The epoch of what is there now. Raises `StoreError` where there is something that may not be replaced."""
    if path is not None and not path.exists():
        return 0
    used, epoch = False, 0
    try:
        with reading(url) as db:
            if db.found == schema.SCHEMA:
                used = bool(db.rows("SELECT 1 FROM domain WHERE name <> '' AND txn > 0 LIMIT 1"))
                epoch = epoch_of(db)
    except exc.StoreError as error:
        away = "" if path is None else f" Move it away, with its -wal and -shm ({path}*), then say this again."
        raise exc.StoreError(f"{error}{away}") from None
    if db.found is not None and db.found > schema.SCHEMA:
        raise schema.newer(db.found, db.name)
    if (used or db.found not in (None, schema.SCHEMA)) and not replace:
        raise exc.StoreError(f"There are records in {db.name}; say --replace to put the backup in their place.")
    return epoch


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Where the backup is worked on: beside *path*, where what a killed run leaves is taken up by the next; if that
    folder can't be written, in one that is gone afterwards."""
    if os.access(path.absolute().parent, os.W_OK):
        with part_of(path) as part:
            yield part
    else:
        with tempfile.TemporaryDirectory(prefix="limen-") as folder, part_of(Path(folder) / path.name) as part:
            yield part


def _end_sessions(part: Path, epoch: int) -> None:
    """Ends all slots, and begins an epoch later than that of the backup and *epoch*: nobody comes back without the
    password (`limen.store.mark`)."""
    with reading_file(part) as db:
        epoch = 1 + max(epoch, epoch_of(db))
    store = SQLStore(f"sqlite:///{part}")
    try:
        Slots(store.records).purge(used_before=math.inf, login_before=math.inf, epoch=epoch)
        Settings(store.records).set(EPOCH, str(epoch))
    finally:
        store.close()


def _settle(path: Path) -> None:
    """Folds what is in the WAL of the file that is to be replaced: a WAL that stays would be taken for the new one's.

    Raises `StoreError` where another program has it open.
    """
    if not path.exists():
        return
    with open_file(path) as connection:
        connection.execute("PRAGMA busy_timeout = 1000")  # milliseconds for one who is just about to be done
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size:
        raise exc.StoreError(f"Another program has {path} open: end it, then say it again.")


def _fill(db: Reading, url: str, progress: Progress) -> None:
    """Puts the rows of *db* in the place of what is in a PostgreSQL database, in one transaction."""
    with open_postgres(url) as connection:
        found = schema.found_in_postgres(lambda statement: connection.execute(statement).fetchall(), shown(url))
        if found is None:
            for statement in (*POSTGRESQL.create, *schema.STAMP["postgresql"]):
                connection.execute(statement)
        else:
            _empty(connection)
        for rows in TABLES:
            # COPY does not go with row level security: the tables' owner sets itself free of it for this transaction.
            connection.execute(f'ALTER TABLE "{rows.table}" NO FORCE ROW LEVEL SECURITY')
            with connection.cursor().copy(rows.load) as copy:
                for row in read_rows(db, rows, progress):
                    copy.write_row(row)
            if rows.table not in ("meta", "model"):
                connection.execute(f'ALTER TABLE "{rows.table}" FORCE ROW LEVEL SECURITY')
        for table in ("domain", "model"):  # the next id that is given
            sequence = f"pg_get_serial_sequence('{table}', 'id')"
            connection.execute(f"SELECT setval({sequence}, (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)")  # noqa: S608
        connection.commit()


def _empty(connection: Any) -> None:
    """Takes away all rows, and the tables of indexes."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    for (table,) in tables:
        if table.startswith("index_"):
            connection.execute(f'DROP TABLE "{table}"')
    connection.execute("TRUNCATE {} RESTART IDENTITY".format(", ".join(f'"{rows.table}"' for rows in TABLES)))
