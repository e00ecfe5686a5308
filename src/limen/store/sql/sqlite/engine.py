"""The engine of an SQLite file: one connection that writes, and as many as are needed that read beside it.

WAL with synchronous=FULL: what was acknowledged survives a power cut, and readers are never held up. Writers begin with
BEGIN IMMEDIATE: a transaction that reads first and writes later could meet SQLITE_BUSY in spite of the time-out.
secure_delete: what was erased is overwritten in the file.

The processes of one server (`limen serve --workers N`) each have the file open, and take turns to write (`turn.py`).
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal, NoReturn
from weakref import WeakSet

from limen import exc
from limen.store import group
from limen.store.files import sync_folder
from limen.store.sql import schema
from limen.store.sql.engine import Duplicate, Parameters, Question, Row, Undo
from limen.store.sql.queue import Job, Queue
from limen.store.sql.statements import SQLITE
from limen.store.wakes import Wakes

from .claim import Claim
from .turn import Turn

BUSY: Final = 10.0
"""Seconds that a writer waits for a writer of another process (`limen user` while no server runs)."""
READERS: Final = 20
"""Milliseconds that a commit which has erased something waits for those who read."""
STATEMENTS: Final = 256
"""Prepared statements that a connection remembers."""


_engines: WeakSet[SQLite] = WeakSet()
_parents: list[object] = []


def _forked() -> None:
    for engine in [*_engines]:
        engine.refuse()


os.register_at_fork(after_in_child=_forked)


class SQLite:
    """The database at *path*; made, with a fresh id, if it is not there. See `limen.store.sql.engine.Engine`.

    Raises `StoreError` for what is no database of ours, or one of an older or newer program.
    """

    dialect: Final[Literal["sqlite", "postgresql"]] = "sqlite"
    sql = SQLITE

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.name = path, url
        self.shared = bool(group.name)
        self._closed = False
        self._readers: list[sqlite3.Connection] = []
        self._all: list[sqlite3.Connection] = []
        self._writing = Lock()  # the queue has one leader at a time; this is for those who fold
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # passwords' records are in it
            sync_folder(path.parent)
        except FileExistsError:
            pass
        except OSError as error:
            raise exc.StoreError(f"The database {path} can't be made: {error.strerror}.") from None
        self._turn: AbstractContextManager[None] = Turn(path) if self.shared else nullcontext()
        try:
            self._writer = self._connect()
            self._hand = _Hand(self._writer)
            with self._turn:
                self._prepare()
        except sqlite3.Error as error:
            self._close_all()
            raise self._said(error) from None
        except BaseException:
            self._close_all()
            raise
        self._wakes = Wakes(path)
        self._queue = Queue(self._run, self._over)
        self.write, self.submit = self._queue.write, self._queue.submit
        self.wakes: Callable[[Callable[[], None]], Undo] = self._wakes.listen
        _engines.add(self)

    def refuse(self) -> None:
        """In a process that was forked: SQLite forbids to use the parent's connections, and even to close them, for the
        locks are the parent's alone (sqlite.org/howtocorrupt.html, section 2.6)."""
        _parents.append((self._all, self._queue, self._wakes))

        def forked(*given: object, **named: object) -> NoReturn:
            raise exc.StoreError(
                f"{self.path} was opened before this process was forked, and SQLite can't be used across that. Open "
                "the store after the fork, in each process for itself."
            )

        for name in ("rows", "write", "submit", "wakes", "claim"):
            setattr(self, name, forked)
        self.fold = self.close = lambda: None  # type: ignore[method-assign]

    # -- reading
    def rows(self, statement: str, parameters: Parameters = (), domain: str | None = None) -> list[Row]:
        """See `Engine.rows`."""
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

    # -- the file as a whole
    def claim(self) -> Claim:
        """See `limen.store.port.Store.claim`."""
        return Claim(self.path, self.fold, group.name if self.shared else "")

    def fold(self) -> None:
        """Folds the WAL into the file; does nothing where someone still reads, or the file is closed."""
        with self._writing:
            if not self._closed:
                with self._turn, suppress(sqlite3.Error):  # the WAL stays, and is as good
                    self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Returns once all that wait to be written are; may be called again."""
        self._queue.close()
        self._wakes.close()
        with self._writing:
            self._close_all()

    # -- writing (`write` and `submit` are the queue's)
    def _run(self, jobs: list[Job[Any]]) -> None:
        with self._writing, self._turn:
            rest = jobs
            while rest:
                rest = self._commit(rest)
            if self._hand.erased:
                self._hand.erased = not self._folded()
        if jobs[0].error is None or any(job.error is None for job in jobs):
            self._wakes.wake()

    def _folded(self) -> bool:
        """Empties the WAL, in which stands what was erased; False where someone reads it: then the next commit does."""
        try:
            self._writer.execute(f"PRAGMA busy_timeout = {READERS}").fetchone()
            busy: int = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            return False
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {int(1000 * BUSY)}").fetchone()
        return not busy

    def _commit(self, jobs: list[Job[Any]], careful: bool = False) -> list[Job[Any]]:
        """Runs *jobs* as one transaction; gives those that are to be run again, because they were undone with another.

        Most that fail do so before they have written anything (a version that is not the newest, a conflict): then
        there is nothing to undo. Where one has, all are undone, and run again *careful*: each with a savepoint, which
        costs a third of a small commit.
        """
        execute, hand = self._writer.execute, self._hand
        good = False
        try:
            execute("BEGIN IMMEDIATE")
            for job in jobs:
                hand.wrote = False
                if careful:
                    execute("SAVEPOINT job")
                try:
                    job.value = job.work(hand)
                    good = True
                except Exception as error:
                    if hand.wrote and not careful and len(jobs) > 1:
                        self._undo()
                        for other in jobs:
                            other.settled, other.error = False, None
                        return self._commit(jobs, careful=True)
                    job.failed(self._said(error) if isinstance(error, sqlite3.Error) else error)
                    if not self._writer.in_transaction:  # a full disk: SQLite has undone everything
                        return [other for other in jobs if not other.settled]
                    if careful:
                        execute("ROLLBACK TO job")
                if careful:
                    execute("RELEASE job")
            if not good:
                execute("ROLLBACK")
                return []
        except BaseException as error:
            self._undo()
            if not isinstance(error, sqlite3.Error):
                raise
            _fail(jobs, self._said(error))
            return []
        try:
            execute("COMMIT")
            for job in jobs:  # a signal may come between two of them: who is not told yet must not run again
                job.settled = True
        except BaseException as error:
            self._ended(jobs, error)
            if not isinstance(error, sqlite3.Error):
                raise
        return []

    def _ended(self, jobs: list[Job[Any]], error: BaseException) -> None:
        """COMMIT was refused, or a signal came in its way. Settles *jobs* with the truth; where nothing was written and
        it was a signal, they may be run again."""
        there: bool | None = False
        if not self._undo():  # no transaction is open: it is there, or SQLite has undone it
            there = self._look(jobs)
        if there is False and "IOERR" in getattr(error, "sqlite_errorname", ""):
            there = self._overwrite()
        for job in jobs:
            if job.settled:
                continue
            if there:
                job.settled = True
            elif there is None:
                job.failed(exc.OutcomeUnknown(f"{self.path}: the disk failed; whether this was written can't be told."))
            elif isinstance(error, sqlite3.Error):
                job.failed(self._said(error))

    def _look(self, jobs: list[Job[Any]]) -> bool | None:
        """Whether what was to be committed is there, by the first of *jobs* that can tell."""
        try:
            for job in jobs:
                if job.error is None and job.happened is not None:
                    there = job.happened(self._hand)
                    if there is not None:
                        return there
        except (sqlite3.Error, exc.Error):
            pass
        return None

    def _overwrite(self) -> bool | None:
        """False once it is sure that a commit that was refused can't come back. Its frames may stand at the end of the
        WAL, where a recovery after a crash would find them; the next commit, this one, is written over them."""
        try:
            self._writer.execute(SQLITE.set_meta, ("overwritten", "1"))
        except sqlite3.Error:
            return None
        return False

    def _undo(self) -> bool:
        """Rolls back; False where no transaction was open."""
        if not self._writer.in_transaction:
            return False
        with suppress(sqlite3.Error):  # then SQLite has rolled back by itself
            self._writer.execute("ROLLBACK")
        return True

    # -- connections
    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise self._over()
        # check_same_thread: a connection is used by one thread at a time, but not by the same one always.
        connection = sqlite3.connect(
            self.path, timeout=BUSY, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
        )
        self._all.append(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON").fetchone()
        return connection

    def _close_all(self) -> None:
        self._closed = True
        for connection in self._all:
            connection.close()
        if isinstance(self._turn, Turn):
            self._turn.close()

    def _prepare(self) -> None:
        writer = self._writer
        made = schema.usable(schema.found_in_sqlite(writer, self.path), self.path, self.name)
        if writer.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise exc.StoreError(f"{self.path} is on a file system where SQLite's WAL does not work. Use a local disk.")
        if not made:
            writer.execute("BEGIN IMMEDIATE")
            try:
                if schema.found_in_sqlite(writer, self.path) is None:  # no other process was quicker
                    for statement in (*SQLITE.create, *schema.STAMP["sqlite"]):
                        writer.execute(statement)
                    writer.execute(SQLITE.set_meta, ("database_id", secrets.token_hex(16)))
                writer.execute("COMMIT")
            except BaseException:
                self._undo()
                raise

    # -- words
    def _over(self) -> exc.StoreError:
        return exc.StoreError(f"The store {self.path} was closed.")

    def _said(self, error: sqlite3.Error) -> exc.StoreError:
        name = getattr(error, "sqlite_errorname", "")
        if isinstance(error, sqlite3.ProgrammingError) and self._closed:
            return self._over()
        if name.startswith("SQLITE_BUSY"):
            said = "another program is writing to it; is a second one running?"
        elif name == "SQLITE_NOTADB":
            said = "this file is no SQLite database."
        elif name == "SQLITE_FULL":
            said = "the disk is full; nothing was written."
        elif name.startswith("SQLITE_IOERR"):
            said = f"the disk failed ({name}); nothing was written."
        elif name.startswith("SQLITE_READONLY"):
            said = "this file can't be written to: look at its owner and permissions, and its folder's."
        elif name.startswith("SQLITE_CORRUPT"):
            said = f"this database is damaged ({error}). Put a backup back: limen db restore."
        else:
            said = str(error)
        return exc.StoreError(f"{self.path}: {said}")


class _Hand:
    """See `limen.store.sql.engine.Hand`. *wrote*: whether there may be something to undo. *erased*: until the WAL was
    emptied."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute, self._executemany = connection.execute, connection.executemany
        self.wrote = self.erased = False

    def ask(self, *questions: Question) -> list[list[Row]]:
        answers = []
        for statement, parameters in questions:
            if statement[:6] != "SELECT":
                self.wrote = True
            answers.append(self._execute(statement, parameters).fetchall())
        return answers

    def tell(self, statement: str, parameters: Parameters = ()) -> None:
        self.wrote = True
        try:
            self._execute(statement, parameters)
        except sqlite3.IntegrityError as error:
            raise Duplicate(str(error)) from None

    def many(self, statement: str, rows: Iterable[Parameters]) -> None:
        self.wrote = True
        try:
            self._executemany(statement, rows)
        except sqlite3.IntegrityError as error:
            raise Duplicate(str(error)) from None


def _fail(jobs: list[Job[Any]], error: Exception) -> None:
    for job in jobs:
        if not job.settled:
            job.failed(error)
