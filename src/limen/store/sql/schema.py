"""Which schema a database has: asked when it is opened, before anything else.

    nothing in it   an engine makes the tables from the texts of `statements.py`, then runs `STAMP`
    older           refused, with the command that migrates it
    newer           refused
    another's       refused

The schemas are numbered; the number is the name of Alembic's revision (`migrations/versions`), and SQLite's
user_version besides. Alembic is loaded by `limen db` alone: what is needed to open a database stands here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from limen import exc

APPLICATION = 0x4C696D6E
"""SQLite's application_id: 'Limn'."""
SCHEMA = 2
"""The newest schema, which is the one that this program reads and writes."""
VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_STAMP = (VERSION_TABLE, f"INSERT INTO alembic_version (version_num) VALUES ('{SCHEMA}')")  # noqa: S608
STAMP: dict[str, tuple[str, ...]] = {
    "sqlite": (*_STAMP, f"PRAGMA application_id = {APPLICATION}", f"PRAGMA user_version = {SCHEMA}"),
    "postgresql": _STAMP,
}
"""What says of a database whose tables were just made which schema it has, by dialect; part of the same transaction."""
Rows = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a statement, gives its rows."""


def found_in_sqlite(connection: sqlite3.Connection, name: object) -> int | None:
    """The schema of an SQLite database; None where nothing is in it. *name*: what to call it in errors.

    Raises `StoreError` for a database of another program.

    >>> found_in_sqlite(sqlite3.connect(":memory:"), "empty.db") is None
    True
    """
    if not _is_ours(connection):
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            return None
        if not _is_ours(connection):  # else another process has just made all of it, at one stroke
            raise exc.StoreError(f"{name} is a database of another program. Use another file.")
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _is_ours(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION)


def found_in_postgres(rows: Rows, name: object) -> int | None:
    """The schema of a PostgreSQL database, by its table `alembic_version`; None where there is none of ours.

    Raises `StoreError` where that table, or one named like ours, is another program's.
    """
    missing = "SELECT to_regclass('alembic_version') IS NULL"
    if rows(missing)[0][0]:
        taken = rows(
            "SELECT name FROM unnest(ARRAY['domain', 'model', 'transaction', 'record', 'version', 'meta']) AS name "
            "WHERE to_regclass(quote_ident(name)) IS NOT NULL"
        )
        if not taken:
            return None
        if rows(missing)[0][0]:  # else another process has just made all of them, at one stroke
            raise exc.StoreError(
                f"{name} has a table {taken[0][0]!r} of another program. Use a database (or a schema) of its own."
            )
    revisions = [str(row[0]) for row in rows("SELECT version_num FROM alembic_version")]
    if len(revisions) != 1 or not revisions[0].isdecimal():
        raise exc.StoreError(
            f"{name} is under the migrations of another program (revision {', '.join(revisions) or 'none'}). "
            "Use a database (or a schema) of its own."
        )
    return int(revisions[0])


def usable(found: int | None, name: object, url: str) -> bool:
    """True where a database of the schema *found* can be used as it is, False where it has yet to be made.

    Raises `StoreError` where it is older or newer than this program.

    >>> usable(SCHEMA, "todo.db", "sqlite:///todo.db"), usable(None, "todo.db", "sqlite:///todo.db")
    (True, False)
    >>> usable(1, "a.db", "sqlite:///a.db")
    Traceback (most recent call last):
    limen.exc.StoreError: a.db is of an older Limen (schema 1; this one reads 2); say: limen db migrate --db sqlite:///a.db
    """
    if found is None:
        return False
    if found > SCHEMA:
        raise newer(found, name)
    if found < SCHEMA:
        raise exc.StoreError(
            f"{name} is of an older Limen (schema {found}; this one reads {SCHEMA}); say: limen db migrate --db {url}"
        )
    return True


def newer(found: int, name: object) -> exc.StoreError:
    """The error for a database that this program is too old for."""
    return exc.StoreError(
        f"{name} was written by a newer Limen (schema {found}; this program knows {SCHEMA}). Update this program, or "
        "use another database."
    )
