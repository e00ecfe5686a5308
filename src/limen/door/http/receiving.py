"""Files that come with plain HTTP: written to disk while they come, so that memory stays flat.

    multipart/form-data     parts with a file name, for the parameters that take an `Upload`; the others are text
    any other body          PUT or POST to a service where one parameter takes an `Upload`: that file

A body that breaks off, is too large, too slow or malformed leaves no file.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from limen import exc
from limen.base.files import Upload
from limen.base.parameters import parameters
from limen.web.multipart import BrokenForm, Multipart, Part, TooManyParts
from limen.web.spool import Spool

from .arguments import MAX_FIELDS, Fields, Malformed, media_type, put_field

if TYPE_CHECKING:
    from limen.base.config import Config

    from .request import Request

BLOCK: Final = 1 << 20
"""Bytes that are gathered before a thread writes them."""
MOST_WAITING: Final = 32 << 20
"""Bytes that all files of a process together gather: where hundreds come slowly, each gathers `LEAST` only."""
LEAST: Final = 64 * 1024
_CALLS: Final = frozenset((b"application/json", b"application/limen+json", b"application/x-www-form-urlencoded"))
"""Bodies that hold arguments, not a file."""


class _Writer:
    """One file on its way to the disk. Blocks are written on a thread, one after the other."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.path: Path | None = None
        self._fd = -1
        self._blocks: list[bytes] = []
        self._waiting = 0
        self.size = 0

    def take(self, data: bytes) -> bool:
        """Takes a piece; True when it is time to `flush`."""
        self._blocks.append(data)
        self._waiting += len(data)
        self._spool.waiting += len(data)
        self.size += len(data)
        return self._waiting >= BLOCK or (self._waiting >= LEAST and self._spool.waiting >= MOST_WAITING)

    async def flush(self) -> None:
        """Writes what was taken. Raises `exc.NoSpace`."""
        blocks, waiting, self._blocks, self._waiting = self._blocks, self._waiting, [], 0
        try:
            await _to_the_end(self._write, blocks)
        finally:
            self._spool.waiting -= waiting

    def _write(self, blocks: list[bytes]) -> None:
        if self.path is None:
            self.path, self._fd = self._spool.create()
        with self._spool.room():
            for start in range(0, len(blocks), 512):  # IOV_MAX is 1024
                some = blocks[start : start + 512]
                done, whole = os.writev(self._fd, some), sum(map(len, some))
                rest = memoryview(b"".join(some))[done:] if done < whole else memoryview(b"")
                while rest:
                    rest = rest[os.write(self._fd, rest) :]

    async def finish(self, filename: str, kind: str) -> Upload:
        """The file is whole."""
        await self.flush()
        os.close(self._fd)
        self._fd = -1
        assert self.path is not None
        return Upload(self.path, filename, kind, self.size)

    async def opened(self) -> BinaryIO:
        """What was taken, to be read: a file that has no name any more; memory, where nothing was written yet."""
        if self.path is None:
            content = b"".join(self._blocks)
            self.drop()
            return io.BytesIO(content)
        await self.flush()
        path = self.path
        file = await asyncio.to_thread(path.open, "rb")
        self.drop()
        return file

    def drop(self) -> None:
        """The file is not wanted."""
        self._spool.waiting -= self._waiting
        self._blocks, self._waiting = [], 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self.path is not None:
            self.path.unlink(missing_ok=True)


async def _to_the_end(work: Callable[..., None], *args: Any) -> None:
    """Runs *work* on a thread; when cancelled, only once the thread has come to its end: what it holds is ours."""
    running = asyncio.get_running_loop().run_in_executor(None, work, *args)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await running
        raise


class Receiver:
    """Takes files from requests into *spool*."""

    def __init__(self, config: Config, spool: Spool) -> None:
        self._config, self._spool = config, spool

    async def take(self, request: Request, files: frozenset[str], body: str | None, most: int | None) -> Fields | None:
        """The arguments by name that the body of *request* holds; None where it holds no file, and is still unread.

        *files*: the parameters that take files; *body*: the one that may be the whole body. *most*: bytes of files.
        Raises what `Request.pieces` raises; `Malformed`, `exc.TooLarge`, `exc.NoSpace`, `exc.UnsupportedMediaType`.
        """
        header = request.headers.get(b"content-type")
        kind, boundary = media_type(header) if header is not None else (b"", None)
        limit = min(most or self._config.MAX_UPLOAD_SIZE, self._config.MAX_UPLOAD_SIZE)
        if kind == b"multipart/form-data":
            return await self._form(request, boundary, files, limit)
        # A POST of nothing, of no type, is a call without arguments; a PUT of nothing an empty file.
        nothing = header is None and request.method == "POST" and request.headers.get(b"content-length") == b"0"
        if body is None or kind in _CALLS or nothing:
            return None
        if b"content-range" in request.headers:  # RFC 9110, 14.4: a part must not be taken for the whole
            raise exc.InvalidCall("A part of a file (Content-Range) is not taken; send all of it.")
        return {body: await self._body(request, kind, limit)}

    async def whole(self, request: Request) -> BinaryIO:
        """The body as a file, whole: where it is large, on the disk, and without a name. Raises what `Request.pieces`
        raises, `exc.NoSpace`."""
        config, writer = self._config, _Writer(self._spool)
        try:
            async for piece in request.pieces(config.MAX_UPLOAD_SIZE + config.MAX_MESSAGE_SIZE, config.BODY_TIMEOUT):
                if writer.take(piece):
                    await writer.flush()
            return await writer.opened()
        except BaseException:
            writer.drop()
            raise

    async def _body(self, request: Request, kind: bytes, limit: int) -> Upload:
        name, writer = _named(request), _Writer(self._spool)
        try:
            async for piece in request.pieces(limit, self._config.BODY_TIMEOUT):
                if writer.take(piece):
                    await writer.flush()
            return await writer.finish(name, kind.decode("latin-1"))
        except BaseException:
            writer.drop()
            raise

    async def _form(self, request: Request, boundary: bytes | None, files: frozenset[str], limit: int) -> Fields:
        # What is no file is arguments, and may be as large as they may be elsewhere; so may boundaries and heads.
        form = _Form(self._config, self._spool, files, limit)
        try:
            pieces = request.pieces(limit + self._config.MAX_MESSAGE_SIZE, self._config.BODY_TIMEOUT)
            await form.read(pieces, boundary)
        except BaseException as error:
            form.drop()
            if isinstance(error, BrokenForm):
                raise Malformed(str(error)) from None
            if isinstance(error, TooManyParts):
                raise exc.InvalidCall(f"The form has more than {MAX_FIELDS} fields.") from None
            raise
        return form.fields


class _Form:
    """One form while it comes."""

    def __init__(self, config: Config, spool: Spool, files: frozenset[str], limit: int) -> None:
        self._config, self._spool, self._files, self._limit = config, spool, files, limit
        self.fields: Fields = {}
        self._uploads: list[Upload] = []
        self._part: Part | None = None
        self._writer: _Writer | None = None
        self._text: list[bytes] = []
        self._size = 0
        """Bytes of files so far, without the one under way."""
        self._text_size = 0

    async def read(self, pieces: AsyncIterator[bytes], boundary: bytes | None) -> None:
        form = Multipart(boundary, MAX_FIELDS)
        async for piece in pieces:
            for event in form.feed(piece):
                if type(event) is Part:
                    await self._end_part()
                    self._begin_part(event)
                elif type(event) is bytes and self._take(event) and self._writer is not None:
                    await self._writer.flush()
        form.finish()
        await self._end_part()

    def _begin_part(self, part: Part) -> None:
        self._part = part
        if part.filename is None:
            return
        if part.name not in self._files:
            raise exc.UnsupportedMediaType(f"Files are taken as {', '.join(sorted(self._files))} only.")
        if len(self._uploads) >= self._config.MAX_UPLOAD_PARTS:
            raise exc.TooLarge(f"At most {self._config.MAX_UPLOAD_PARTS} files come with one call.")
        self._writer = _Writer(self._spool)

    def _take(self, data: bytes) -> bool:
        if self._writer is not None:
            full = self._writer.take(data)
            if self._size + self._writer.size > self._limit:
                raise exc.TooLarge(f"The files are larger than {self._limit} bytes.", limit=self._limit)
            return full
        self._text.append(data)
        self._text_size += len(data)
        if self._text_size > self._config.MAX_MESSAGE_SIZE:
            limit = self._config.MAX_MESSAGE_SIZE
            raise exc.TooLarge(f"The fields of the form are larger than {limit} bytes.", limit=limit)
        return False

    async def _end_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        if self._writer is None:
            text, self._text = b"".join(self._text), []
            try:
                put_field(self.fields, part.name, text.decode())
            except UnicodeDecodeError:
                raise BrokenForm("The form is not UTF-8.") from None
            return
        if part.filename or self._writer.size:
            upload = await self._writer.finish(part.filename or "", part.content_type)
            self._uploads.append(upload)
            put_field(self.fields, part.name, upload)
            self._size += upload.size
        self._writer = None  # without a name or a byte: a field of a form in which nobody chose a file

    def drop(self) -> None:
        """The form is not wanted, nor what came with it."""
        if self._writer is not None:
            self._writer.drop()
        for upload in self._uploads:
            upload.discard()


def _named(request: Request) -> str:
    """The file name that a bare body's Content-Disposition gives. Raises `exc.InvalidCall`."""
    try:
        _, named = parameters(request.headers.get(b"content-disposition", b"").decode("latin-1"))
    except ValueError:
        raise exc.InvalidCall("The Content-Disposition is not written as RFC 6266 says.") from None
    return named.get("filename", "")
