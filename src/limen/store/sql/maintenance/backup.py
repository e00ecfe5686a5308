"""`limen db backup`: a copy of a database in use, as it is at one moment.

A backup is always an SQLite file of ours, of whichever engine it was made, so that it can be restored to either, looked
at with `limen db status` and `check`, and opened by the program itself. Under its name there is a whole one or none:
it is written beside (`….part`), looked through, brought to the disk, then renamed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limen import exc
from limen.store.files import sync_folder
from limen.store.sql import schema
from limen.store.sql.statements import SQLITE

from .database import Progress, Reading, nobody, open_file, reading, reading_file, sqlite_path

PAGES = 2048
"""Pages that are copied between two words of progress: 8 MiB."""


def backup(url: str, target: Path, *, force: bool = False, progress: Progress = nobody) -> int:
    """Writes the database *url* into the file *target*; gives its size in bytes. Servers may go on writing.

    Raises `StoreError` where there is no database, *target* is there already (unless *force*), or is the database.
    """
    path = sqlite_path(url)
    if path is not None:
        return copy_file(path, target, force=force, progress=progress)
    with reading(url) as db, _whole(target, force) as part:
        check_schema(db)
        copy_rows(db, part, progress)
    return target.stat().st_size


def copy_file(path: Path, target: Path, *, force: bool = False, progress: Progress = nobody) -> int:
    """The same for an SQLite file, which may be of an older schema."""
    with reading_file(path) as db:
        check_schema(db)
        if target.exists() and target.samefile(path):
            raise exc.StoreError(f"{target} is the database itself; give the backup another name.")
        with _whole(target, force) as part:
            copy_pages(db.connection, part, progress)
    return target.stat().st_size


def copy_pages(source: sqlite3.Connection, part: Path, progress: Progress) -> None:
    """Copies what *source* sees, which must be inside a transaction: then SQLite does not begin anew when others
    write."""
    with open_file(part) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # it is brought to the disk as a whole, afterwards
        source.backup(copy, pages=PAGES, progress=lambda _, left, total: progress("pages", total - left, total))
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it


def check_schema(db: Reading) -> None:
    if db.found is None:
        raise exc.StoreError(f"There is nothing in {db.name}.")
    if db.found > schema.SCHEMA:
        raise schema.newer(db.found, db.name)


@contextlib.contextmanager
def _whole(target: Path, force: bool) -> Iterator[Path]:
    """A path to write an SQLite file to, which becomes *target* at the end of the block, if it is sound."""
    with part_of(target) as part:  # two that write to one target meet here
        if target.exists() and not force:
            raise exc.StoreError(f"{target} is there already; give another name, or --force to overwrite it.")
        yield part
        sound(part)
        put_in_place(part, target)


def put_in_place(part: Path, target: Path) -> None:
    """Gives a file its name, in place of what had it; on the disk when this returns."""
    try:
        os.replace(part, target)
    except OSError as error:
        raise exc.StoreError(f"{target} can't be written: {error.strerror}.") from None
    sync_folder(target.absolute().parent)


@contextlib.contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """An empty file beside *target*, for its owner only (0600), which is removed at the end if it is still there.

    Its name is always the same, so that what an interrupted run left behind is taken up by the next. Raises
    `StoreError` where another run is at it, or it can't be made.
    """
    import fcntl

    part = target.absolute().with_name(f"{target.name}.part")
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise exc.StoreError(f"{part} can't be made: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had the lock a moment ago may have given this very file its name.
            mine = os.path.samestat(os.fstat(handle), part.stat())
        except OSError:
            mine = False
        if not mine:
            raise exc.StoreError(f"{part} is being written by another run; wait for its end.")
        if os.fstat(handle).st_uid != os.geteuid():
            raise exc.StoreError(f"{part} belongs to somebody else; remove it, or write to another folder.")
        os.fchmod(handle, 0o600)
        os.ftruncate(handle, 0)
        for rest in ("-journal", "-wal", "-shm"):
            part.with_name(part.name + rest).unlink(missing_ok=True)
        try:
            yield part
        finally:
            if part.exists() and os.path.samestat(os.fstat(handle), part.stat()):
                part.unlink()
    finally:
        os.close(handle)  # only now: closing any handle of a file drops the locks that SQLite has on it


def sound(part: Path) -> None:
    """Brings a fresh SQLite file to the disk. Raises `StoreError` where it is not sound, or the disk refuses."""
    with open_file(part) as connection:
        for (word,) in connection.execute("PRAGMA quick_check(1)"):
            if word != "ok":
                raise exc.StoreError(f"What was written to {part} is damaged ({word}). Nothing was kept.")
    handle = os.open(part, os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        raise exc.StoreError(f"{part} can't be written: {error.strerror}.") from None
    finally:
        os.close(handle)


# -- rows, from one engine to the other
class Rows(NamedTuple):
    """The statements that carry a table over, in the words of both engines."""

    table: str
    size: str
    read: str
    write: str
    """SQLite."""
    load: str
    """PostgreSQL."""


def _rows(table: str, columns: str) -> Rows:
    marks = ", ".join("?" * (columns.count(",") + 1))
    return Rows(
        table,
        f'SELECT count(*) FROM "{table}"',  # noqa: S608
        f'SELECT {columns} FROM "{table}"',  # noqa: S608
        f'INSERT INTO "{table}" ({columns}) VALUES ({marks})',  # noqa: S608
        f'COPY "{table}" ({columns}) FROM STDIN',
    )


TABLES = (
    _rows("domain", "id, name, txn, time"),
    _rows("model", "id, name"),  # what is known of indexes is left behind: they are built anew from the records
    _rows("meta", "name, value"),
    _rows("transaction", 'domain, number, "user", impersonator, service, origin, reason, time, token'),
    _rows("record", "domain, model, uuid, vsn, txn, deleted, fields"),
    _rows("version", "domain, model, uuid, vsn, txn, kind, body, changed"),
)
"""All that is kept, table by table."""


def copy_rows(db: Reading, part: Path, progress: Progress) -> None:
    """Copies what is in a database of the newest schema, of whichever engine, into an empty SQLite file."""
    with open_file(part) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("BEGIN")
        for statement in (*SQLITE.create, *schema.STAMP["sqlite"]):
            copy.execute(statement)
        for rows in TABLES:
            copy.executemany(rows.write, read_rows(db, rows, progress))
        copy.execute("COMMIT")


def read_rows(db: Reading, rows: Rows, progress: Progress) -> Iterator[tuple[Any, ...]]:
    """All rows of a table, one by one; every now and then *progress* is told how many there were."""
    total, done = db.rows(rows.size)[0][0], 0
    for done, row in enumerate(db.stream(rows.read), 1):
        if done % 1000 == 0:
            progress(rows.table, done, total)
        yield row
    if done != total:
        raise exc.StoreError(f"{total} rows of {rows.table} were to be copied, and {done} came.")
    progress(rows.table, done, total)
