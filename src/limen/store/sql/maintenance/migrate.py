"""`limen db migrate`: a database of an older schema becomes one of the newest; all of it, or nothing happens.

One transaction on both engines (SQLite and PostgreSQL both undo CREATE and DROP). Of an SQLite file a copy is laid
beside it first. Whoever is interrupted, by `kill -9` or a power cut, has the old database as it was, and says it again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from limen import exc
from limen.store.sql import schema

from .backup import copy_file
from .database import Progress, claimed, found_at, nobody, open_file, open_postgres, shown, sqlite_path

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Migrated(NamedTuple):
    """From which schema to which; equal where there was nothing to do. *kept*: the copy of what was before."""

    before: int
    after: int
    kept: Path | None


def migrate(url: str, progress: Progress = nobody) -> Migrated:
    """Brings the database *url* to the newest schema, no server running.

    Raises `StoreError` where there is no database, a server runs, or it is newer than this program, or another's.
    """
    path = sqlite_path(url)
    name = path or shown(url)
    found = found_at(url)
    if found is None:
        raise exc.StoreError(f"There is nothing in {name} to migrate; `limen db init` makes a database.")
    if found > schema.SCHEMA:
        raise schema.newer(found, name)
    if found == schema.SCHEMA:
        return Migrated(found, found, None)
    with claimed(url):
        kept = None
        if path is not None:
            kept = _free(path.with_name(f"{path.name}.schema-{found}"))
            copy_file(path, kept, progress=progress)
            migrate_file(path, progress)
        else:
            with open_postgres(url) as connection:
                _run("postgresql+psycopg://", connection, progress)
    return Migrated(found, schema.SCHEMA, kept)


def migrate_file(path: Path, progress: Progress) -> None:
    """The same for a file that nobody else has to do with."""
    with open_file(path) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")  # tables are put in the place of others
        _run("sqlite://", connection, progress)
        with contextlib.suppress(sqlite3.Error):  # a full disk: the file stays larger than it need be, and is as good
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _run(dialect: str, raw: Any, progress: Progress) -> None:
    from sqlalchemy import StaticPool, create_engine, event
    from sqlalchemy.exc import DBAPIError

    from .migrations import upgrade

    engine = create_engine(dialect, creator=lambda: raw, poolclass=StaticPool)
    if engine.dialect.name == "sqlite":
        # Python's sqlite3 begins no transaction for CREATE and DROP.
        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            # Asked again, now that nobody else can change it.
            found = (
                schema.found_in_sqlite(raw, "")
                if engine.dialect.name == "sqlite"
                else schema.found_in_postgres(lambda statement: raw.execute(statement).fetchall(), "")
            )
            upgrade(connection, found, progress)
    except DBAPIError as error:
        raise (error.orig or error) from None  # the connection's owner puts it into words


def _free(path: Path) -> Path:
    """*path*, or the first of path.1, path.2 … that is not taken: what an earlier migration kept stays."""
    names = chain([path], (path.with_name(f"{path.name}.{number}") for number in count(1)))
    return next(name for name in names if not name.exists())
