"""Files that a client sends with a call (`Upload.of(path)` among the arguments), and files that a call gives.

Sealed, a file goes ahead of the call in pieces, a few of them under way at once; a result is fetched when it is asked
for. `sealed` does both over whatever makes sealed calls; `forms.py` does it over plain HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from limen import exc
from limen.base.files import Given, Sent, Upload

if TYPE_CHECKING:
    from limen.client.runner import Runner

PIECE: Final = 180 * 1024
"""Bytes of a piece: with base64 and all that is round it a frame stays below 256 KiB."""
WINDOW: Final = 4
"""Pieces that are under way at once."""

Raw = Callable[[str, Sequence[Any], Mapping[str, Any]], Awaitable[Any]]
"""Makes a sealed call of (name, args, kwargs)."""
Pull = Callable[[int, int], Awaitable[bytes]]
"""Reads bytes of a file, from an offset on."""


class Download:
    """A file that a call gave. *filename*: made harmless, for a person to see. *content_type*, *size* (bytes).

    It waits on the server for some minutes, and is fetched when it is asked for: `await file.read()`,
    `await file.save(path)`, `async for piece in file`.
    """

    def __init__(
        self,
        filename: str,
        content_type: str,
        size: int,
        pull: Pull,
        link: Callable[[bool], Awaitable[str]] | None = None,
    ) -> None:
        self.filename, self.content_type, self.size = filename, content_type, size
        self._pull, self._link = pull, link

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Its pieces, in order. Raises exc.NotFound where it is gone or has changed meanwhile."""
        under_way: deque[asyncio.Future[bytes]] = deque()
        asked = 0
        try:
            while asked < self.size or under_way:
                while asked < self.size and len(under_way) < WINDOW:
                    length = min(PIECE, self.size - asked)
                    under_way.append(asyncio.ensure_future(self._pull(asked, length)))
                    asked += length
                piece = await under_way.popleft()
                if not piece:
                    raise exc.OutcomeUnknown("The file became shorter while it was read.")
                yield piece
        finally:
            for future in under_way:
                future.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def read(self) -> bytes:
        """All of it."""
        async with aclosing(self.__aiter__()) as pieces:
            return b"".join([piece async for piece in pieces])

    async def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> Path:
        """Writes it to *path*: whole, or nothing is there. Raises FileExistsError, unless *replace*; OSError."""
        target = Path(path)
        if target.exists() and not replace:
            raise FileExistsError(f"There is a file {target}; say replace=True.")
        handle, half = await asyncio.to_thread(tempfile.mkstemp, dir=target.parent, prefix=".limen-")
        try:
            with os.fdopen(handle, "wb") as file:
                async with aclosing(self.__aiter__()) as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(_put, half, target, replace)
        except BaseException:
            Path(half).unlink(missing_ok=True)
            raise
        return target

    async def link(self, *, inline: bool = False) -> str:
        """A path by which anybody may fetch it, once, within 30 seconds. *inline*: a browser may show it, if it is of a
        type in which nothing runs. Raises exc.RequireSSL without TLS."""
        if self._link is None:
            raise exc.InvalidCall("A link is for what came sealed; this came in the open already.")
        return await self._link(inline)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.filename!r}, {self.content_type!r}, {self.size})"


def _put(half: str, target: Path, replace: bool) -> None:
    if replace:
        os.replace(half, target)
    else:
        os.link(half, target)
        os.unlink(half)


class SyncDownload:
    """As `Download`, for code that is not async."""

    def __init__(self, download: Download, runner: Runner) -> None:
        self._download, self._runner = download, runner
        self.filename, self.content_type, self.size = download.filename, download.content_type, download.size

    def __iter__(self) -> Iterator[bytes]:
        """Its pieces, in order."""
        for at in range(0, self.size, PIECE):
            yield self._runner.run(self._piece(at))

    async def _piece(self, at: int) -> bytes:
        return await self._download._pull(at, min(PIECE, self.size - at))

    def read(self) -> bytes:
        """All of it."""
        return self._runner.run(self._download.read())

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> Path:
        """See `Download.save`."""
        return self._runner.run(self._download.save(path, replace=replace))

    def link(self, *, inline: bool = False) -> str:
        """See `Download.link`."""
        return self._runner.run(self._download.link(inline=inline))

    def __repr__(self) -> str:
        return repr(self._download)


# -- sealed ---------------------------------------------------------------------------------------------------------
async def sealed(raw: Raw, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A sealed call with files both ways. Raises what *raw* raises, OSError for a file that can't be read."""
    args, kwargs = await ahead(raw, args, kwargs)
    return received(raw, await raw(name, args, kwargs))


def holds(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether files stand among the arguments."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Upload) or (type(value) is list and any(isinstance(item, Upload) for item in value)):
            return True
    return False


async def ahead(raw: Raw, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments with files sent ahead, and what stands for them in their place."""
    if not holds(args, kwargs):
        return args, kwargs
    sent: list[Sent] = []

    async def one(value: Any) -> Any:
        if isinstance(value, Upload):
            sent.append(await send(raw, value))
            return sent[-1]
        return value

    async def some(value: Any) -> Any:
        return [await one(item) for item in value] if type(value) is list else await one(value)

    try:
        return [await some(value) for value in args], {name: await some(value) for name, value in kwargs.items()}
    except BaseException:
        for file in sent:
            await _forget(raw, file.id)
        raise


async def send(raw: Raw, upload: Upload) -> Sent:
    """Sends one file ahead; if that fails the server is told that nobody wants it."""
    id: str = await raw("limen.upload.begin", [upload.filename, upload.content_type, upload.size], {})
    under_way: deque[asyncio.Future[Any]] = deque()
    try:
        with await asyncio.to_thread(upload.open) as file:
            offset = 0
            while piece := await asyncio.to_thread(file.read, PIECE):
                under_way.append(asyncio.ensure_future(raw("limen.upload.write", [id, offset, piece], {})))
                offset += len(piece)
                if len(under_way) >= WINDOW:
                    await _written(upload, under_way)
            while under_way:
                await _written(upload, under_way)
        return Sent(id)
    except BaseException:
        for future in under_way:
            future.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await _forget(raw, id)
        raise


async def _written(upload: Upload, under_way: deque[asyncio.Future[Any]]) -> None:
    there = await under_way.popleft()
    if upload.progress is not None:
        upload.progress(there, upload.size)


async def _forget(raw: Raw, id: str) -> None:
    with contextlib.suppress(exc.Error):  # it goes by itself if the server can't be told
        await raw("limen.upload.drop", [id], {})


def received(raw: Raw, value: Any) -> Any:
    """The result of a sealed call: a `Download` where the server gave a file."""
    if type(value) is not Given:
        return value

    async def pull(offset: int, length: int) -> bytes:
        piece: bytes = await raw("limen.file.read", [value.id, offset, length], {})
        return piece

    async def link(inline: bool) -> str:
        path: str = await raw("limen.file.link", [value.id, inline], {})
        return path

    return Download(value.filename, value.content_type, value.size, pull, link)


# -- at hand --------------------------------------------------------------------------------------------------------
def at_hand(filename: str, content_type: str, size: int, file: IO[bytes]) -> Download:
    """A Download of what is here already, in *file*."""

    async def pull(offset: int, length: int) -> bytes:
        def read() -> bytes:
            file.seek(offset)
            return file.read(length)

        async with turn:
            return await asyncio.to_thread(read)

    turn = asyncio.Lock()
    return Download(filename, content_type, size, pull)
