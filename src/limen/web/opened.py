"""Files, opened so that what was checked is what is read.

- **No way out of a root.** Each name is opened relative to the folder before it, following no link (`openat` with
  O_NOFOLLOW). A link is followed only where its target, resolved, lies inside the root, and then that target is walked
  in the same way: whatever changes meanwhile.
- What is no regular file (a FIFO, a device) is not there.

The ETag is strong and made of the modification time (in nanoseconds) and the size: a file that is rewritten within one
tick of the clock, to the same size, keeps its tag.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from limen.base.files import File, ordinary

SMALL: Final = 64 * 1024
"""Bytes up to which a file is read on the thread that opened it."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # NONBLOCK: opening a FIFO must not wait
MISSING: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENXIO, errno.EINVAL}
)
"""Errors that say that nothing is to be had there."""


@dataclass(slots=True)
class Found:
    """A file as it was when it was opened. *fd* is -1 once *content* holds all of it. *folder*: it is a folder."""

    fd: int = -1
    name: str = ""
    size: int = 0
    modified: int = 0
    etag: bytes = b""
    content: bytes | None = None
    folder: bool = False

    def read(self) -> bytes:
        """All of it. Blocks."""
        return self.content if self.content is not None else os.pread(self.fd, self.size, 0)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def open_file(file: File) -> Found | None:
    """*file*, opened; None if it is not to be had. Blocks."""
    if file.content is not None:
        etag = b'"%s"' % sha256(file.content).hexdigest()[:32].encode()
        return Found(-1, file.filename, len(file.content), 0, etag, file.content)
    found = _open_path(file.path) if file.root is None else open_below(file.root, file.names)
    return None if found is None or found.folder else found


def _open_path(path: Path | None) -> Found | None:
    assert path is not None
    try:
        return _look(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), path.name)
    except OSError as error:
        if error.errno in MISSING:
            return None
        raise


def open_below(root: Path, names: Sequence[str]) -> Found | None:
    """The file or folder at *names* below *root*, opened; None if it is not to be had. Blocks."""
    try:
        return _look(_walk(root, list(names)), names[-1])
    except OSError as error:
        if error.errno in MISSING:
            return None
        raise


def _look(fd: int, name: str) -> Found | None:
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            os.close(fd)
            return Found(folder=True)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        etag = b'"%x-%x"' % (status.st_mtime_ns, status.st_size)
        found = Found(fd, name, status.st_size, int(status.st_mtime), etag)
        if status.st_size <= SMALL:
            content = os.read(fd, SMALL + 1)
            found.close()
            found.content, found.size = content, len(content)
    except BaseException:
        os.close(fd)
        raise
    return found


def _walk(root: Path, names: list[str]) -> int:
    """An open descriptor of *names* below *root*. Raises OSError."""
    try:
        return _descend(root, names)
    except OSError as error:
        # On the way there is a link (ELOOP; ENOTDIR where it was to be a folder): it may lead within the root.
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        real = Path(os.path.realpath(root))
        target = Path(os.path.realpath(real.joinpath(*names), strict=True))
        if not target.is_relative_to(real):
            raise
        inside = list(target.relative_to(real).parts)
        if not all(ordinary(name) for name in inside):
            raise
        return _descend(real, inside)


def _descend(root: Path, names: list[str]) -> int:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # the root itself may be a link: its owner chose it
    for at, name in enumerate(names):
        parent = fd
        try:
            fd = os.open(name, _FILE if at == len(names) - 1 else _FOLDER, dir_fd=parent)
        finally:
            os.close(parent)
    return fd
