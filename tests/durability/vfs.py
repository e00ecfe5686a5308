"""A layer between SQLite and the file system, in Python: what is written passes through it and may be seen or refused.

Registered through ctypes in the very library that `sqlite3` is linked with, as the default VFS, so that a store that
knows nothing of it goes through it. Files are opened by SQLite's own VFS; only the table of their methods is replaced,
by a copy in which xWrite, xTruncate, xSync and xClose come here first (sqlite.org/c3ref/io_methods.html). Reads, locks
and shared memory stay native. The WAL's index (`-shm`) is memory that SQLite builds anew: no power cut leaves one.

    with watched(watcher):
        ...             # connections that are opened here go through `watcher`, also after the block
"""

from __future__ import annotations

import _sqlite3
import atexit
import ctypes as c
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

OK, FULL, IOERR = 0, 13, 10
IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE = IOERR | 3 << 8, IOERR | 4 << 8, IOERR | 6 << 8
CREATE = 0x4
_P = c.c_void_p
# Names are passed on as the pointers that they came as: SQLite's own VFS keeps a file's for as long as it is open.
_OPEN = c.CFUNCTYPE(c.c_int, _P, _P, _P, c.c_int, c.POINTER(c.c_int))
_DELETE = c.CFUNCTYPE(c.c_int, _P, _P, c.c_int)
_CLOSE = c.CFUNCTYPE(c.c_int, _P)
_WRITE = c.CFUNCTYPE(c.c_int, _P, _P, c.c_int, c.c_int64)
_TRUNCATE = c.CFUNCTYPE(c.c_int, _P, c.c_int64)
_SYNC = c.CFUNCTYPE(c.c_int, _P, c.c_int)


class _VFS(c.Structure):
    _fields_ = [
        *[(name, c.c_int) for name in ("version", "file_size", "max_path")],
        ("next", _P),
        ("name", c.c_char_p),
        ("data", _P),
        ("open", _P),
        ("delete", _P),
        *[(f"rest{n}", _P) for n in range(14)],
    ]


class _Methods(c.Structure):
    _fields_ = [
        ("version", c.c_int),
        ("close", _P),
        ("read", _P),
        ("write", _P),
        ("truncate", _P),
        ("sync", _P),
        *[(f"rest{n}", _P) for n in range(13)],
    ]


class Watcher:
    """What sees the changes, each before it is done and after. What a method named `before_…` gives other than None or
    0 is an error that SQLite meets instead of the change."""

    def before(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> int | None:
        """*what*: write, truncate (*offset*: the new length), sync or delete."""
        return None

    def after(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> None:
        """As before; besides `create` and `open`: a file was made, or one opened that was there."""


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Connections opened in the block go through *watcher*."""
    layer = _Layer(watcher)
    layer.register()
    try:
        yield
    finally:
        layer.unregister()


def library() -> c.CDLL:
    """The SQLite that Python's sqlite3 calls: linked with the module, or built into it or into Python."""
    try:
        found = c.CDLL(getattr(_sqlite3, "__file__", None))
        found.sqlite3_vfs_find.restype = c.POINTER(_VFS)
    except AttributeError:
        raise RuntimeError(
            f"The SQLite inside {sys.executable} shows none of its functions; these tests need a Python whose sqlite3 "
            "uses a shared libsqlite3."
        ) from None
    return found


_KEPT: list[_Layer] = []


@atexit.register
def _step_aside() -> None:
    """A connection that is still open when Python ends is closed without Python."""
    for layer in _KEPT:
        layer.step_aside()


class _Layer:
    def __init__(self, watcher: Watcher) -> None:
        self._sqlite = library()
        self._real = self._sqlite.sqlite3_vfs_find(None)
        self._watcher = watcher
        self._paths: dict[int, str] = {}
        self._tables: dict[int, _Methods] = {}
        self._callbacks: list[Any] = []
        self._vfs = _VFS.from_buffer_copy(self._real.contents)
        self._vfs.name = f"watched-{len(_KEPT)}".encode()
        self._vfs.open = self._as_pointer(_OPEN, self._open)
        self._vfs.delete = self._as_pointer(_DELETE, self._delete)
        self._real_open = _OPEN(self._real.contents.open)
        self._real_delete = _DELETE(self._real.contents.delete)
        # SQLite keeps pointers into a layer for as long as a connection is open: neither is ever given back.
        c.pythonapi.Py_IncRef(c.py_object(self._vfs))
        _KEPT.append(self)

    def register(self) -> None:
        assert self._sqlite.sqlite3_vfs_register(c.byref(self._vfs), 1) == OK

    def unregister(self) -> None:
        assert self._sqlite.sqlite3_vfs_register(self._real, 1) == OK
        assert self._sqlite.sqlite3_vfs_unregister(c.byref(self._vfs)) == OK

    def step_aside(self) -> None:
        for real, table in self._tables.items():
            c.memmove(c.byref(table), real, c.sizeof(table))

    def _as_pointer(self, kind: Any, function: Callable[..., int]) -> int:
        def guarded(*arguments: Any) -> int:
            try:
                return function(*arguments)
            except BaseException as error:
                print(f"in the layer below SQLite: {error!r}", file=sys.stderr)
                return IOERR

        callback = kind(guarded)
        self._callbacks.append(callback)
        return c.cast(callback, _P).value or 0

    def _open(self, _: int, name: int | None, file: int, flags: int, out: Any) -> int:
        path = os.fsdecode(c.string_at(name)) if name else ""
        made = bool(path) and flags & CREATE and not os.path.exists(path)
        done = self._real_open(c.addressof(self._real.contents), name, file, flags, out)
        table = c.cast(file, c.POINTER(_P)).contents.value
        if done == OK and path and table:
            self._paths[file] = path
            c.cast(file, c.POINTER(_P))[0] = c.addressof(self._table(table))
            self._watcher.after("create" if made else "open", path)
        return int(done)

    def _delete(self, _: int, name: int, sync: int) -> int:
        path = os.fsdecode(c.string_at(name))
        return self._through("delete", path, lambda: self._real_delete(c.addressof(self._real.contents), name, sync))

    def _table(self, real: int) -> _Methods:
        """The copy of a table of methods with ours in it."""
        known = self._tables.get(real)
        if known is not None:
            return known
        table = self._tables[real] = _Methods.from_buffer_copy(c.cast(real, c.POINTER(_Methods)).contents)
        c.pythonapi.Py_IncRef(c.py_object(table))
        close, write, truncate, sync = (
            kind(pointer)
            for kind, pointer in (
                (_CLOSE, table.close),
                (_WRITE, table.write),
                (_TRUNCATE, table.truncate),
                (_SYNC, table.sync),
            )
        )

        def closed(file: int) -> int:
            self._paths.pop(file, None)
            return close(file)

        def written(file: int, data: int, length: int, offset: int) -> int:
            return self._through(
                "write", self._paths[file], lambda: write(file, data, length, offset), offset, c.string_at(data, length)
            )

        def truncated(file: int, length: int) -> int:
            return self._through("truncate", self._paths[file], lambda: truncate(file, length), length)

        def synced(file: int, flags: int) -> int:
            return self._through("sync", self._paths[file], lambda: sync(file, flags))

        table.close = self._as_pointer(_CLOSE, closed)
        table.write = self._as_pointer(_WRITE, written)
        table.truncate = self._as_pointer(_TRUNCATE, truncated)
        table.sync = self._as_pointer(_SYNC, synced)
        return table

    def _through(self, what: str, path: str, do: Callable[[], int], offset: int = 0, data: bytes = b"") -> int:
        error = self._watcher.before(what, path, offset, data)
        if error:
            return error
        done = do()
        if done == OK:
            self._watcher.after(what, path, offset, data)
        return int(done)
