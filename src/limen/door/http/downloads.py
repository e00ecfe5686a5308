"""A `File` that a service gave, as an answer to plain HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from limen import exc
from limen.base.files import UNKNOWN_TYPE, File
from limen.base.media import content_type
from limen.web.disposition import disposition
from limen.web.headers import Caching, Pair, data_headers
from limen.web.opened import Found, open_file
from limen.web.response import Response
from limen.web.sending import send

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from limen.service.service import Service

    from .request import Request

NO_OPEN: Final = (b"x-download-options", b"noopen")
"""Old browsers offered to run a download "in the context of the site"."""


def media_type(file: File) -> bytes:
    """The Content-Type of *file*: what it was given, else that of its name."""
    if file.content_type is None:
        return content_type(file.filename)
    known = content_type("." + file.content_type.partition("/")[2])
    # A text says in which letters; a type that we know from a table says so itself.
    if file.content_type.startswith("text/"):
        return file.content_type.encode() + b"; charset=utf-8"
    return known if known.partition(b";")[0] == file.content_type.encode() else file.content_type.encode()


async def download(request: Request, service: Service, file: File, executor: Executor | None) -> Response:
    """*file* as the result of *service*. Raises `exc.NotFound` where it is not there."""
    found = await opened(file, executor)
    try:
        kind = media_type(file)
        if service.force_download:
            kind = UNKNOWN_TYPE.encode()
        inline = service.content_disposition == "inline" and not service.force_download
        named = (b"content-disposition", disposition(file.filename, kind.decode(), inline=inline))
        caching = Caching(service.cache_seconds) if request.method in ("GET", "HEAD") else Caching(0)
        fixed = (*data_headers(kind, service.csp)[1:], NO_OPEN, named, *request.grant)
        if service.accel is not None and file.path is not None:
            found.close()
            headers = (*fixed, *caching.pairs(), (b"content-type", kind), _accel(service.accel, file))
            return Response(200, headers, length=None if request.method == "HEAD" else 0)
        return send(request.method, request.headers, found, (*fixed, *caching.pairs()), fixed, kind, executor)
    except BaseException:
        found.close()
        raise


def _accel(accel: str, file: File) -> Pair:
    """The header by which a web server in front sends the file itself."""
    assert file.path is not None
    if accel == "X-Sendfile":
        return b"x-sendfile", quote(str(file.path)).encode()
    if file.root is None:
        raise RuntimeError(f"accel={accel!r} stands for one folder: answer with limen.File.below(folder, name).")
    return b"x-accel-redirect", (accel + "/".join(quote(name, safe="") for name in file.names)).encode()


async def opened(file: File, executor: Executor | None) -> Found:
    """*file*, opened on a worker thread. Raises `exc.NotFound`."""
    opening = asyncio.get_running_loop().run_in_executor(executor, open_file, file)
    try:
        found = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise
    if found is None:
        raise exc.NotFound("There is no such file.")
    return found


def _close_unwanted(opening: asyncio.Future[Found | None]) -> None:
    if not opening.cancelled() and opening.exception() is None and (found := opening.result()) is not None:
        found.close()
