"""An SQLite file and its connections: one that writes, under a lock, and as many as are needed that read beside it.

WAL with synchronous=FULL: what was acknowledged survives a power cut, and readers are never held up. Writers begin with
BEGIN IMMEDIATE: a transaction that reads first and writes later could meet SQLITE_BUSY in spite of the time-out.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from limen import exc

from . import statements as sql
from .files import sync_folder

T = TypeVar("T")
BUSY = 10.0
"""Seconds that a writer waits for a writer of another process (`limen user` while no server runs)."""


class File:
    """The database at *path*; made, with a fresh id, if it is not there.

    Raises `StoreError` for what is no database of ours, or one of a newer program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._readers: list[sqlite3.Connection] = []
        self._all: list[sqlite3.Connection] = []
        self._closed = False
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # passwords' records are in it
            sync_folder(path.parent)
        except FileExistsError:
            pass
        except OSError as error:
            raise exc.StoreError(f"The database {path} can't be made: {error.strerror}.") from None
        try:
            self._writer = self._connect()
            self._prepare()
        except sqlite3.Error as error:
            raise self._said(error) from None

    # -- reading
    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of one statement, as they are at one moment."""
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._connect()
        try:
            return reader.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._said(error) from None
        finally:
            self._readers.append(reader)

    def row(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """The first row of one statement, or None."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    # -- writing
    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs *work* as one transaction: committed and on the disk when this returns, undone where it raises."""
        with self._lock:
            if self._closed:
                raise exc.StoreError(f"The store {self.path} was closed.")
            writer = self._writer
            try:
                writer.execute("BEGIN IMMEDIATE")
                done = work(writer)
                writer.execute("COMMIT")
                return done
            except BaseException as error:
                if writer.in_transaction:
                    try:
                        writer.execute("ROLLBACK")
                    except sqlite3.Error:
                        pass  # SQLite has rolled back by itself
                if isinstance(error, sqlite3.Error):
                    raise self._said(error) from None
                raise

    def do(self, statement: str, *parameters: Any) -> int:
        """One statement as one transaction; gives how many rows it changed."""
        return self.write(lambda writer: writer.execute(statement, parameters).rowcount)

    def fold(self) -> None:
        """Folds the WAL into the file; does nothing where someone still reads, or the file is closed."""
        with self._lock:
            if not self._closed:
                try:
                    self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                except sqlite3.Error:
                    pass  # the WAL stays, and is as good

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for connection in self._all:
                connection.close()

    # -- inside
    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise exc.StoreError(f"The store {self.path} was closed.")
        # check_same_thread: a connection is used by one thread at a time, but not by the same one always.
        connection = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        self._all.append(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _prepare(self) -> None:
        writer = self._writer
        mine = writer.execute("PRAGMA application_id").fetchone()[0] == sql.APPLICATION
        newer = writer.execute("PRAGMA user_version").fetchone()[0]
        if mine and newer > sql.SCHEMA:
            raise exc.StoreError(
                f"The database {self.path} was written by a newer Limen (schema {newer}; this program knows "
                f"{sql.SCHEMA}). Update this program, or use another file."
            )
        if not mine and writer.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise exc.StoreError(f"{self.path} is a database of another program. Use another file.")
        if writer.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise exc.StoreError(f"{self.path} is on a file system where SQLite's WAL does not work. Use a local disk.")
        if not mine:
            self.write(_create)

    def _said(self, error: sqlite3.Error) -> exc.StoreError:
        name = getattr(error, "sqlite_errorname", "")
        said = str(error)
        if name.startswith("SQLITE_BUSY"):
            said = "another program is writing to it; is a second one running?"
        elif name == "SQLITE_NOTADB":
            said = "this file is no SQLite database."
        elif name == "SQLITE_FULL":
            said = "the disk is full; nothing was written."
        elif isinstance(error, sqlite3.ProgrammingError) and self._closed:
            said = "the store was closed."
        return exc.StoreError(f"{self.path}: {said}")


def _create(writer: sqlite3.Connection) -> None:
    if writer.execute("PRAGMA application_id").fetchone()[0] == sql.APPLICATION:
        return  # another process was quicker
    for statement in sql.CREATE:
        writer.execute(statement)
    writer.execute(sql.SET_META, ("database_id", secrets.token_hex(16)))
