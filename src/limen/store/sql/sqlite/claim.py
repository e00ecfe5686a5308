"""The right to serve from an SQLite file: one server a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from limen import exc


class Claim:
    """A lock on `….lock` beside the database. Not on the database: closing that would drop SQLite's own locks."""

    def __init__(self, database: Path, fold: Callable[[], None]) -> None:
        """*fold*: called when the file is given free, so that a copy of it alone is whole."""
        import fcntl

        self._fold = fold
        path = database.with_name(database.name + ".lock")
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)  # it is emptied
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
