"""The right to serve from an SQLite file: one server a file, whose processes (`limen serve --workers N`) share it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from limen import exc

TRIES: Final = 10
"""Looks at a lock that changes hands just now."""


class Claim:
    """A lock on `….lock` beside the database. Not on the database: closing that would drop SQLite's own locks."""

    def __init__(self, database: Path, fold: Callable[[], None], group: str = "") -> None:
        """*fold*: called when the file is given free, so that a copy of it alone is whole. *group*: the processes of
        this name have the claim together; it begins with the id of the process to stop."""
        self._fold = fold
        path = database.with_name(database.name + ".lock")
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)  # it is emptied
        except OSError as error:
            raise exc.StoreError(f"The lock {path} can't be made: {error.strerror}.") from None
        if not (self._share(group) if group else self._take()):
            other = self._text().split(" ")[0]
            os.close(self._handle)
            raise exc.StoreError(
                f"{database} is in use by another Limen (process {other or 'unknown'}); one server per SQLite file. "
                "Stop that one first, or use another file."
            ) from None

    def _take(self, text: str = "") -> bool:
        """Takes the lock for this process alone, and says in it who has it; False where somebody else does."""
        import fcntl

        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{text or os.getpid()}\n".encode(), 0)
        return True

    def _share(self, group: str) -> bool:
        """Takes the lock for *group*: whoever finds it free writes the name into it and keeps it shared, and the others
        share it if that name is theirs. It stays theirs while one of them lives."""
        import fcntl

        for _ in range(TRIES):
            self._take(group)
            with suppress(OSError):  # from exclusive to shared is two steps: in between another may have taken it
                fcntl.flock(self._handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if self._text() == group:
                    return True
                fcntl.flock(self._handle, fcntl.LOCK_UN)
                return False
            time.sleep(0.005)
        return False

    def _text(self) -> str:
        return os.pread(self._handle, 100, 0).decode("ascii", "replace").strip()

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
