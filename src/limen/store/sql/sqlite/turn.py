"""Whose turn it is to write: a lock of the kernel in front of BEGIN IMMEDIATE, for processes that share a file.

SQLite alone would let them wait by looking again and again, up to 100 ms apart, in no order. `flock` wakes who waits as
soon as the other is done, and gives the lock back when its process is gone, however that ended.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from limen import exc


class Turn:
    """`with turn:` lasts while this process may write. For one thread at a time. *database*: the file it is about."""

    def __init__(self, database: Path) -> None:
        import fcntl

        self._flock, self._take, self._give = fcntl.flock, fcntl.LOCK_EX, fcntl.LOCK_UN
        path = database.with_name(database.name + ".turn")
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise exc.StoreError(f"The lock {path} can't be made: {error.strerror}.") from None

    def __enter__(self) -> None:
        self._flock(self._handle, self._take)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flock(self._handle, self._give)

    def close(self) -> None:
        """Gives the file back; may be called again."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
