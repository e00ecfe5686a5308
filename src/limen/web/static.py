"""Trees of files. What stands here must hold whatever the request says:

- **No way out of the root.** A path comes as a list of decoded segments; each is opened relative to the folder before
  it, following no link (`openat` with O_NOFOLLOW). A link is followed only where its target, resolved, lies inside the
  root, and then that target is walked in the same way: what is checked is what is opened, whatever changes meanwhile.
- **Nothing hidden.** Names that begin with a dot are not there; neither is what is no regular file (FIFOs, devices).
- **No open redirect.** A folder without its slash is redirected to the same path with one, on this site.
- **The loop never waits for a disk.** Files are opened and read on worker threads: a small file in one go with its
  opening, a large one chunk by chunk as the client takes it.

The ETag is strong and made of the modification time (in nanoseconds) and the size: a file that is rewritten within one
tick of the clock, to the same size, keeps its tag.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from limen import exc

from .conditions import ranges, unchanged
from .headers import NO_STORE, PAGE_CSP, REVALIDATE, Caching, Pair, http_date, page_headers
from .media import content_type
from .response import Response

SMALL: Final = 64 * 1024
"""Bytes up to which a file is read on the thread that opened it."""
HOUR: Final = 3600
"""Seconds that `cache=True` means, as it does for services."""
CHUNK: Final = 256 * 1024
"""Bytes of a large file that are read at once."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # NONBLOCK: opening a FIFO must not wait
_MISSING: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENXIO, errno.EINVAL}
)


@dataclass(slots=True)
class _Found:
    """A file as it was when it was opened. *fd* is -1 once *content* holds all of it. *folder*: it wants its slash."""

    fd: int = -1
    name: str = ""
    size: int = 0
    modified: int = 0
    etag: bytes = b""
    content: bytes | None = None
    folder: bool = False

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class StaticTree:
    """The files under *root*, served at *urlpath*.

    *urlpath*: begins with a slash. *root*: a folder; it need not exist yet. *index*: the file that stands for a folder,
    None for none. *cache*: False (kept by browsers, but asked for anew each time), seconds, or True (an hour). *csp*:
    the Content-Security-Policy of every file, None for none. *only*: if given, nothing but these names is served.

    Source: RFC 9110, sections 8.8, 13 and 14.

    >>> StaticTree("/docs/", "/tmp").urlpath
    '/docs'
    >>> StaticTree("docs", "/tmp")
    Traceback (most recent call last):
    limen.exc.InvalidAddress: A urlpath begins with a slash: 'docs'.
    """

    def __init__(
        self,
        urlpath: str,
        root: str | os.PathLike[str],
        index: str | None = "index.html",
        *,
        cache: bool | float = False,
        csp: str | None = PAGE_CSP,
        only: frozenset[str] | None = None,
    ) -> None:
        if not urlpath.startswith("/"):
            raise exc.InvalidAddress(f"A urlpath begins with a slash: {urlpath!r}.")
        self.urlpath = "/" + urlpath.strip("/") if urlpath.strip("/") else ""
        self.segments = tuple(self.urlpath.split("/")[1:])
        self.root = Path(root).absolute()
        self.index = index or None
        self._only = only
        self._fixed = page_headers(csp)
        seconds = HOUR if cache is True else int(cache)
        self._caching = Caching(seconds) if seconds else None

    def __repr__(self) -> str:
        return f"StaticTree({self.urlpath or '/'!r}, {str(self.root)!r})"

    async def answer(
        self,
        method: str,
        segments: Sequence[str],
        headers: Mapping[bytes, bytes],
        *,
        query: bytes = b"",
        executor: Executor | None = None,
    ) -> Response:
        """The answer to GET or HEAD of the file at *segments* below the root; a last segment '' is a folder's index.

        *segments*: decoded once. *headers*: of the request, names in lower case. *query*: kept by a redirect.
        *executor*: where files are read; the loop's own if None.
        Raises `exc.NotFound`, `exc.MethodNotAllowed`.
        """
        if method not in ("GET", "HEAD"):
            raise exc.MethodNotAllowed(allow="GET, HEAD")
        opening = asyncio.get_running_loop().run_in_executor(executor, self._open, segments)
        try:
            found = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        try:
            if found is None:
                raise exc.NotFound()
            if found.folder:
                return self._to_slash(segments, query)
            return self._respond(method, headers, found, executor)
        except BaseException:
            if found is not None:
                found.close()
            raise

    # -- answering ----------------------------------------------------------------------------------------------
    def _to_slash(self, segments: Sequence[str], query: bytes) -> Response:
        # Segments are never empty or dots here, so the path begins with exactly one slash: it can't name another host.
        path = "/".join(["", *(quote(part, safe="") for part in (*self.segments, *segments)), ""])
        location = path.encode() + (b"?" + query if query else b"")
        return Response(307, (*self._fixed, NO_STORE, (b"location", location)))

    def _respond(
        self, method: str, headers: Mapping[bytes, bytes], found: _Found, executor: Executor | None
    ) -> Response:
        kept: tuple[Pair, ...] = (REVALIDATE,) if self._caching is None else self._caching.pairs()
        validators = ((b"etag", found.etag), (b"last-modified", http_date(found.modified)))
        common = (*self._fixed, *kept, *validators)
        status = unchanged(headers, found.etag, found.modified)
        if status is not None:
            found.close()
            return Response(status, common)
        kind = content_type(found.name)
        common = (*common, (b"accept-ranges", b"bytes"))
        # Range counts for GET alone (RFC 9110, 14.2).
        parts = ranges(headers, found.etag, found.modified, found.size) if method == "GET" else None
        if parts is None:
            whole = [(0, found.size - 1)] if found.size else []
            return self._send(method, 200, (*common, (b"content-type", kind)), found, _plain(whole), executor)
        if not parts:
            found.close()
            return Response(416, (*self._fixed, NO_STORE, (b"content-range", b"bytes */%d" % found.size)))
        if len(parts) == 1:
            first, last = parts[0]
            span = (b"content-range", b"bytes %d-%d/%d" % (first, last, found.size))
            return self._send(method, 206, (*common, (b"content-type", kind), span), found, _plain(parts), executor)
        boundary = b"limen-" + os.urandom(12).hex().encode()
        pieces = list(_multipart(parts, found.size, kind, boundary))
        several = (b"content-type", b"multipart/byteranges; boundary=" + boundary)
        return self._send(method, 206, (*common, several), found, pieces, executor)

    def _send(
        self,
        method: str,
        status: int,
        headers: tuple[Pair, ...],
        found: _Found,
        pieces: list[Piece],
        executor: Executor | None,
    ) -> Response:
        length = sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] + 1 for piece in pieces)
        if method == "HEAD" or not length:
            found.close()
            return Response(status, headers, length=length)
        content = found.content
        if content is not None:
            body = b"".join(piece if isinstance(piece, bytes) else content[piece[0] : piece[1] + 1] for piece in pieces)
            return Response(status, headers, body)
        return Response(status, headers, stream=_stream(found, pieces, executor), length=length)

    # -- opening (on a worker thread) ---------------------------------------------------------------------------
    def _open(self, segments: Sequence[str]) -> _Found | None:
        """The file or folder at *segments*, opened; None if it is not to be had."""
        names = list(segments)
        if not names or not names[-1]:
            if self.index is None:
                return None
            names = [*names[:-1], self.index]
        if not all(_ordinary(name) for name in names):
            return None
        if self._only is not None and "/".join(names) not in self._only:
            return None
        try:
            fd = self._walk(names)
            try:
                return self._look(fd, names[-1])
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise

    def _look(self, fd: int, name: str) -> _Found | None:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            os.close(fd)
            return _Found(folder=True) if self.index is not None else None
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        etag = b'"%x-%x"' % (status.st_mtime_ns, status.st_size)
        found = _Found(fd, name, status.st_size, int(status.st_mtime), etag)
        if status.st_size <= SMALL:
            content = os.read(fd, SMALL + 1)
            found.close()
            found.content, found.size = content, len(content)
        return found

    def _walk(self, names: list[str]) -> int:
        """An open descriptor of *names* below the root. Raises OSError."""
        try:
            return _descend(self.root, names)
        except OSError as error:
            # On the way there is a link (ELOOP; ENOTDIR where it was to be a folder): it may lead within the root.
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            root = Path(os.path.realpath(self.root))
            target = Path(os.path.realpath(root.joinpath(*names), strict=True))
            if not target.is_relative_to(root):
                raise
            inside = list(target.relative_to(root).parts)
            if not all(_ordinary(name) for name in inside):
                raise
            return _descend(root, inside)


def _close_unwanted(opening: asyncio.Future[_Found | None]) -> None:
    if not opening.cancelled() and opening.exception() is None and (found := opening.result()) is not None:
        found.close()


def _ordinary(name: str) -> bool:
    """True for a name that one folder can hold and that is not hidden."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


def _descend(root: Path, names: list[str]) -> int:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # the root itself may be a link: its owner chose it
    for at, name in enumerate(names):
        parent = fd
        try:
            fd = os.open(name, _FILE if at == len(names) - 1 else _FOLDER, dir_fd=parent)
        finally:
            os.close(parent)
    return fd


# -- sending ----------------------------------------------------------------------------------------------------
Piece = bytes | tuple[int, int]
"""Bytes as they are, or (first, last) of the file."""


def _plain(parts: list[tuple[int, int]]) -> list[Piece]:
    return list(parts)


def _multipart(parts: list[tuple[int, int]], size: int, kind: bytes, boundary: bytes) -> Iterator[Piece]:
    """The parts with their heads between, as multipart/byteranges (RFC 9110, 14.6)."""
    for at, (first, last) in enumerate(parts):
        before = b"" if at == 0 else b"\r\n"
        yield b"%s--%s\r\ncontent-type: %s\r\ncontent-range: bytes %d-%d/%d\r\n\r\n" % (
            before,
            boundary,
            kind,
            first,
            last,
            size,
        )
        yield first, last
    yield b"\r\n--" + boundary + b"--\r\n"


async def _stream(found: _Found, pieces: list[Piece], executor: Executor | None) -> AsyncGenerator[bytes, None]:
    """The pieces in chunks, each read on a worker thread when the one before was taken."""
    run: Callable[..., asyncio.Future[bytes]] = asyncio.get_running_loop().run_in_executor
    reading: asyncio.Future[bytes] | None = None
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            at, last = piece
            while at <= last:
                reading = run(executor, os.pread, found.fd, min(CHUNK, last - at + 1), at)
                chunk = await asyncio.shield(reading)
                if not chunk:
                    # The length is promised already: the connection must be broken off, which whoever sends does.
                    raise exc.StoreError("A file became shorter while it was being sent.")
                at += len(chunk)
                yield chunk
    finally:
        if reading is not None and not reading.done():
            # The descriptor must not be closed (and given to another file) under a thread that still reads from it.
            with contextlib.suppress(Exception):
                await reading
        found.close()
