"""The database as `limen db` takes it: on a connection of its own, beside a server or in its absence.

    with reading(url) as db:                one moment of the database, whatever a server writes meanwhile
        for row in db.stream("SELECT …"): …

Both engines take the statements here as they are: names that are words of SQL are quoted, and there are no parameters.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from limen import exc
from limen.store.sql import schema
from limen.store.sql.index.columns import Dialect
from limen.store.sql.postgres import claim as pg_claim
from limen.store.sql.postgres import url as pg_url
from limen.store.sql.postgres.policy import EVERY, SETTING
from limen.store.sql.sqlite.claim import Claim
from limen.store.sql.sqlite.url import path as file_of

BUSY = 10.0
"""Seconds that are waited for another writer of an SQLite file."""
CHUNK = 2000
"""Rows that are fetched from PostgreSQL at a time."""
Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""


def nobody(what: str, done: int, total: int) -> None:
    """The `Progress` of those who do not want to know."""


class Reading(Protocol):
    """A database at one moment."""

    name: str
    """What to call it in a sentence."""
    dialect: Dialect
    found: int | None
    """The number of its schema, None where it is empty."""

    def rows(self, statement: str) -> list[tuple[Any, ...]]: ...

    def stream(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """The rows one by one, however many there are."""
        ...


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL; None for PostgreSQL.

    Raises `StoreError` for any other URL.

    >>> sqlite_path("sqlite:////tmp/todo.db"), sqlite_path("postgresql://localhost/todo")
    (PosixPath('/tmp/todo.db'), None)
    """
    return None if url.partition("://")[0] in pg_url.SCHEMES else file_of(url)


def shown(url: str) -> str:
    """What to call the database in a sentence: its URL without password and options.

    >>> shown("sqlite:///todo.db")
    'sqlite:///todo.db'
    """
    return url if sqlite_path(url) is not None else pg_url.address(url).name


@contextlib.contextmanager
def reading(url: str) -> Iterator[Reading]:
    """The database *url* at one moment. Raises `StoreError` where it is not there, or another program's."""
    path = sqlite_path(url)
    with reading_file(path) if path is not None else _reading_postgres(url) as db:
        yield db


def found_at(url: str) -> int | None:
    """The number of the schema of the database *url*; None where there is nothing in it.

    Raises `StoreError` where it is not there, or another program's.
    """
    with reading(url) as db:
        return db.found


@contextlib.contextmanager
def claimed(url: str) -> Iterator[None]:
    """No server runs on the database *url* for the length of the block. Raises `StoreError` where one does."""
    path = sqlite_path(url)
    if path is not None:
        with Claim(path, lambda: None):
            yield
    else:
        with open_postgres(url) as connection:  # another than the one that does the work: the lock ends with it
            connection.autocommit = True
            pg_claim.take(lambda statement: connection.execute(statement).fetchall(), shown(url))
            try:
                yield
            finally:
                if not connection.closed:  # now, and not when the server hears that we are gone
                    connection.execute("SELECT pg_advisory_unlock_all()")


# -- SQLite
class _File:
    dialect: Dialect = "sqlite"

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.name, self.connection = str(path), connection
        self.found = schema.found_in_sqlite(connection, path)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement).fetchall()

    def stream(self, statement: str) -> Iterator[tuple[Any, ...]]:
        return iter(self.connection.execute(statement))


@contextlib.contextmanager
def reading_file(path: Path) -> Iterator[_File]:
    """An SQLite file at one moment."""
    with open_file(path) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # the moment is now
        yield _File(path, connection)


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to an SQLite file that is there; it begins and commits its transactions itself.

    What SQLite has to say comes as `StoreError`.
    """
    if not path.exists():
        raise exc.StoreError(f"There is no database {path}; `limen db init` makes one.")
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY, isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
    except sqlite3.Error as error:
        raise said(path, error) from None


def said(name: object, error: sqlite3.Error) -> exc.StoreError:
    """What SQLite says, in words."""
    code = getattr(error, "sqlite_errorname", "")
    words = {
        "SQLITE_NOTADB": "this file is no SQLite database.",
        "SQLITE_FULL": "the disk is full; nothing was changed.",
        "SQLITE_READONLY": "this file can't be written.",
        "SQLITE_CANTOPEN": "this file can't be opened.",
    }.get(code, str(error))
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        words = "another program is writing to it; is a server running?"
    elif code.startswith("SQLITE_CORRUPT"):
        words = f"the file is damaged ({error})."
    return exc.StoreError(f"{name}: {words}")


# -- PostgreSQL
class _Postgres:
    dialect: Dialect = "postgresql"

    def __init__(self, url: str, connection: Any) -> None:
        self.name, self.connection, self._streams = shown(url), connection, 0
        self.found = schema.found_in_postgres(self.rows, self.name)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement).fetchall()  # type: ignore[no-any-return]

    def stream(self, statement: str) -> Iterator[tuple[Any, ...]]:
        self._streams += 1
        with self.connection.cursor(f"stream_{self._streams}", binary=True) as cursor:
            cursor.itersize = CHUNK
            yield from cursor.execute(statement)


@contextlib.contextmanager
def _reading_postgres(url: str) -> Iterator[_Postgres]:
    with open_postgres(url) as connection:
        import psycopg

        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield _Postgres(url, connection)


@contextlib.contextmanager
def open_postgres(url: str) -> Iterator[Any]:
    """A psycopg connection that sees the rows of all tenants. Undone at the end, unless it was committed.

    What PostgreSQL has to say comes as `StoreError`.
    """
    where = pg_url.address(url)
    import psycopg

    try:
        with contextlib.closing(psycopg.connect(autocommit=True, **where.options)) as connection:
            connection.execute("SELECT set_config(%s, %s, false)", (SETTING, EVERY))
            connection.autocommit = False
            yield connection
    except psycopg.Error as error:
        raise exc.StoreError(f"{where.name}: {str(error).strip() or type(error).__name__}") from None
