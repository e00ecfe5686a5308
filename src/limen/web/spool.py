"""The folder in which files lie on their way: uploads until their function is over, results until they are read.

    UPLOADS/
      lock              held while a process makes or sweeps what follows
      run-<id>/         one for each process: what its calls hold. It locks `alive` in it as long as it lives
      sent/<owner>/     what sealed sessions send ahead of a call: <id>, and what is known of it, <id>.json
      given/<owner>/    results that sealed sessions read: <id>.json, and <id> where the content was bytes
      links/            <hash of a token>.json

Processes that share it need nothing else of each other: a call takes a file that was sent by renaming it into its own
run folder, which can happen once only. A process that died leaves its run folder, which nobody locks any more: whoever
starts or sweeps next removes it. All else goes by age.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from limen import exc

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Spool:
    """*folder*: where files lie; one of its own for this process if None. Made when first needed, for its owner only.

    *idle*: seconds after which what nobody touches goes. *reserve*: bytes that are left free on its disk, which mostly
    is the database's, too.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, idle: float = 600.0, reserve: int = 0) -> None:
        self._folder = None if folder is None else Path(folder).absolute()
        self._temporary = folder is None
        self.idle, self.reserve = idle, reserve
        self._run: Path | None = None
        self._alive = -1
        self._lock = threading.Lock()
        self.waiting = 0
        """Bytes that wait in memory to be written here."""

    @property
    def folder(self) -> Path:
        """Where it lies. Blocks when first asked for."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="limen-uploads-"))
        return self._folder

    @property
    def run(self) -> Path:
        """This process's own folder in it. Blocks when first asked for."""
        with self._lock:
            if self._run is None:
                with self.locked():
                    run = self.folder / f"run-{secrets.token_hex(8)}"
                    run.mkdir(0o700)
                    self._alive = os.open(run / "alive", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                    fcntl.flock(self._alive, fcntl.LOCK_EX)
                self._run = run
            return self._run

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else, in any process, makes or sweeps in it meanwhile. Blocks."""
        self._own()
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _own(self) -> None:
        """Makes the folder. Raises `exc.StoreError` where others may put something into it: what stands in it is read,
        and files that it names are handed out."""
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        if os.stat(self.folder).st_mode & 0o002:
            raise exc.StoreError(
                f"UPLOADS: everybody may write into {self.folder}. Name a folder of this server's own; it is made "
                "where there is none."
            )

    def place(self, *names: str) -> Path:
        """The path of *names* below the folder, whose own folder is made if need be. Blocks."""
        path = self.folder.joinpath(*names)
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        return path

    @contextlib.contextmanager
    def room(self) -> Iterator[None]:
        """Raises `exc.NoSpace` where the disk is full, or would be but for the reserve. Blocks."""
        if self.reserve:
            disk = os.statvfs(self.folder)
            if disk.f_bavail * disk.f_frsize < self.reserve:
                raise exc.NoSpace
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise exc.NoSpace from None
            raise

    def create(self) -> tuple[Path, int]:
        """A new, empty file of this process: its path and a descriptor to write it. Blocks. Raises `exc.NoSpace`."""
        run = self.run
        with self.room():
            path = run / secrets.token_hex(16)
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    # -- sweeping ---------------------------------------------------------------------------------------------------
    def sweep(self) -> None:
        """Removes what processes that died have left, and what is too old. Blocks."""
        if self._folder is None or not self._folder.is_dir():
            return
        with self.locked():
            for run in self._folder.glob("run-*"):
                if run != self._run and _is_dead(run):
                    shutil.rmtree(run, ignore_errors=True)
            self._sweep_old(time.time() - self.idle)

    def _sweep_old(self, before: float) -> None:
        for path in (*self.folder.glob("sent/*/*"), *self.folder.glob("given/*/*"), *self.folder.glob("links/*")):
            with contextlib.suppress(OSError):
                about = path.with_suffix("")  # a file and what is known of it go together, by the younger of the two
                times = [p.stat().st_mtime for p in (about, about.with_suffix(".json")) if p.exists()]
                if max(times, default=0.0) < before:
                    path.unlink(missing_ok=True)
        for owner in (*self.folder.glob("sent/*"), *self.folder.glob("given/*")):
            with contextlib.suppress(OSError):
                owner.rmdir()  # fails where there is something

    def close(self) -> None:
        """The process ends: its own files go. Blocks."""
        with self._lock:
            run, self._run = self._run, None
            if run is not None:
                os.close(self._alive)
                shutil.rmtree(run, ignore_errors=True)
            if self._temporary and self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None


def _is_dead(run: Path) -> bool:
    try:
        handle = os.open(run / "alive", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:  # no file number is left, say: who can't be asked counts as alive
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
