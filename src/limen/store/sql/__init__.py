"""`SQLStore`: everything in an SQLite file.

store = SQLStore("sqlite:///todo.db")           # relative; sqlite:////var/lib/app/todo.db is absolute
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from limen import exc

from .. import statements as sql
from ..sqlaccounts import SQLAccounts, SQLLedger, SQLMeta, SQLSlots
from ..sqlite import File
from ..sqlrecords import Names, SQLRecords


class SQLStore:
    """A store that outlives the process, for one server and as many threads as it has.

    *url*: `sqlite:///relative/path` or `sqlite:////absolute/path`; a file that is not there is made (0600).
    Raises `StoreError`, in words, for any other URL, a file that is no database of ours, and one that a newer Limen has
    written.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.path = _path(url)
        self._file = File(self.path)
        domains = Names(self._file, sql.FIND_DOMAIN, sql.ADD_DOMAIN)
        self.records = SQLRecords(self._file, domains)
        self.accounts = SQLAccounts(self._file, domains)
        self.slots = SQLSlots(self._file, domains)
        self.ledger = SQLLedger(self._file)
        self.meta = SQLMeta(self._file, self.records)

    def claim(self) -> Claim:
        """The right to serve from this file, taken at once, given back when the `with` block ends or the process does.

        Raises `StoreError` where another has it: two servers on one file would not hear of each other's sessions and
        events.
        """
        return Claim(self.path, self._file.fold)

    def close(self) -> None:
        """Closes the file; its WAL is folded into it."""
        self._file.close()

    def __repr__(self) -> str:
        return f"SQLStore({self.url!r})"


class Claim:
    """A lock on `….lock` beside the database. Not on the database: closing that would drop SQLite's own locks."""

    def __init__(self, database: Path, fold: Callable[[], None]) -> None:
        """*fold*: called when the file is given free, so that a copy of it alone is whole."""
        import fcntl

        self._fold = fold
        path = database.with_name(database.name + ".lock")
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise exc.StoreError(f"The lock {path} can't be made: {error.strerror}.") from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = os.read(self._handle, 20).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise exc.StoreError(
                f"{database} is in use by another Limen (process {other or 'unknown'}); one server per SQLite file. "
                "Stop that one first, or use another file."
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Gives the file free. The lock's file stays: removing it could take another's lock away."""
        if self._handle >= 0:
            self._fold()
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _path(url: str) -> Path:
    scheme, separator, rest = str(url).partition("://")
    host, slash, name = rest.partition("/")
    if scheme not in ("sqlite", "sqlite+pysqlite") or not separator or host or "?" in name:
        shown = re.sub(r"//[^/@]*@", "//…@", str(url))  # no password into a log
        raise exc.StoreError(
            f"SQLStore can't take {shown!r}. It takes SQLite files: sqlite:///relative/path.db or "
            "sqlite:////absolute/path.db; nothing else is supported."
        )
    if not slash or not name or name == ":memory:" or name.startswith("file:"):
        raise exc.StoreError("SQLStore keeps records in a file: sqlite:///path.db. For memory use dbm.MemDictStore().")
    path = Path(name).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise exc.StoreError(f"{path} is a folder." if path.is_dir() else f"There is no folder {path.parent}.")
    return path
