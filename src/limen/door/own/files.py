"""What is asked of the files of a sealed session (`hub/files.py`), and what answers a link to one.

limen.upload.begin(filename, content_type, size) -> id     then limen.upload.write(id, offset, bytes) -> bytes there
limen.file.read(id, offset, length) -> bytes
limen.file.link(id, inline) -> path                        GET once, within 30 s, over TLS
limen.upload.drop(id), limen.file.drop(id)                 it is not wanted any more
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.files import File
from limen.door.http.crosssite import Caller, who_asks
from limen.door.http.downloads import NO_OPEN, media_type
from limen.door.hub.files import owner
from limen.web.disposition import disposition
from limen.web.headers import NO_STORE, data_headers
from limen.web.response import Response
from limen.web.sending import send
from limen.web.shelf import Shelf, digest, found

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.base.principal import Principal
    from limen.door.http.places import OwnAddress
    from limen.door.http.request import Request
    from limen.door.hub.gate import Gate
    from limen.door.hub.seat import Seat

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


# -- own procedures -------------------------------------------------------------------------------------------------
async def upload_begin(seat: Seat, filename: Any, content_type: Any, size: Any) -> str:
    """`limen.upload.begin(filename, content_type, size)` gives the id to write to."""
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise exc.InvalidCall("limen.upload.begin takes a name, a type and a number of bytes.")
    return await asyncio.to_thread(seat.hub.files.shelf.begin, owner(seat), filename, content_type, size)


async def upload_write(seat: Seat, id: Any, offset: Any, data: Any) -> int:
    """`limen.upload.write(id, offset, data)` gives the number of bytes that are there."""
    if not isinstance(data, bytes) or not isinstance(offset, int) or isinstance(offset, bool):
        raise exc.InvalidCall("limen.upload.write takes an id, an offset and bytes.")
    return await seat.hub.files.write(owner(seat), id, offset, data)


async def file_read(seat: Seat, id: Any, offset: Any, length: Any) -> bytes:
    """`limen.file.read(id, offset, length)` gives bytes."""
    if type(offset) is not int or type(length) is not int:
        raise exc.InvalidCall("limen.file.read takes an id, an offset and a length.")
    return await asyncio.to_thread(seat.hub.files.shelf.read, owner(seat), id, offset, length)


async def file_drop(seat: Seat, id: Any) -> None:
    """`limen.upload.drop(id)`, `limen.file.drop(id)`: it is not wanted any more."""
    await asyncio.to_thread(seat.hub.files.shelf.drop, owner(seat), id)


async def file_link(seat: Seat, id: Any, inline: Any = False) -> str:
    """`limen.file.link(id, inline=False)` gives a path that answers one GET. Raises `exc.RequireSSL`."""
    if not seat.tls and not seat.hub.config.IS_DEVELOPMENT:
        raise exc.RequireSSL("A link goes in the open: it is made where there is TLS only.")
    token = await asyncio.to_thread(seat.hub.files.shelf.link, owner(seat), id, inline=inline is True)
    return f"/limen/link/{token}"


PROCEDURES: dict[str, Callable[..., Any]] = {
    "limen.upload.begin": upload_begin,
    "limen.upload.write": upload_write,
    "limen.upload.drop": file_drop,
    "limen.file.read": file_read,
    "limen.file.drop": file_drop,
    "limen.file.link": file_link,
}


# -- links ----------------------------------------------------------------------------------------------------------
def link_address(config: Config, gate: Gate, shelf: Shelf) -> OwnAddress:
    """What answers at `/limen/link/TOKEN`: the file, once."""

    async def answer(request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        if len(rest) != 1 or not _TOKEN.fullmatch(rest[0]):
            raise exc.NotFound
        if request.method != "GET":
            raise exc.MethodNotAllowed(allow="GET")
        if not request.tls and not config.IS_DEVELOPMENT:
            raise exc.RequireSSL
        headers = request.headers
        if who_asks("GET", headers, request.tls) is not Caller.OWN:
            raise exc.Forbidden("Another site's page may not follow this.")
        if b"prefetch" in headers.get(b"sec-purpose", b"") + headers.get(b"purpose", b""):
            raise exc.Forbidden("This is fetched when it is wanted, not before.")
        waiting = await asyncio.to_thread(shelf.linked, rest[0], asker.domain)
        if not await gate.on_thread(gate.once.spend, asker.domain, "limen.link", digest(rest[0]), waiting.until):
            raise exc.NotFound
        await asyncio.to_thread(shelf.unlink, rest[0])
        kind = media_type(File(b"", filename=waiting.filename, content_type=waiting.content_type))
        named = (b"content-disposition", disposition(waiting.filename, kind.decode(), inline=waiting.inline))
        fixed = (*data_headers(kind)[1:], NO_OPEN, named, NO_STORE)
        return send("GET", headers, await asyncio.to_thread(found, waiting), fixed, fixed, kind, None)

    return answer
