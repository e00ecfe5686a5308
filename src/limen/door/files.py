"""Files of sealed sessions: sent ahead of a call, read after one, in pieces that fit a frame; and links to them.

limen.upload.begin(filename, content_type, size) -> id     then limen.upload.write(id, offset, bytes) -> bytes there
a call with {"$upload": id} among its arguments            the function gets an `Upload`
a result {"$file": {id, filename, content_type, size}}     then limen.file.read(id, offset, length) -> bytes
limen.file.link(id, inline) -> path                        GET once, within 30 s, over TLS
limen.upload.drop(id), limen.file.drop(id)                 it is not wanted any more
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from limen import exc
from limen.base.files import File, Given, Sent, Upload
from limen.service.pipeline import discard
from limen.web.disposition import disposition
from limen.web.headers import NO_STORE, data_headers
from limen.web.response import Response
from limen.web.sending import send
from limen.web.shelf import PIECE, Owner, Shelf, digest, found

from .crosssite import Caller, who_asks
from .downloads import NO_OPEN, media_type

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.base.principal import Cancellation
    from limen.service.running import Progress
    from limen.service.service import Service
    from limen.web.spool import Spool

    from .gate import Gate
    from .http import OwnAddress
    from .request import Request
    from .seat import Seat

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


PATIENCE: Final = 5.0
"""Seconds that a piece waits for those before it."""
AHEAD: Final = 8 * PIECE
"""Bytes that it may be ahead of what is there."""
LOOK: Final = 0.25
"""Seconds after which it looks whether another process has got them."""


class _Turn:
    """The pieces of one file in this process. *moved*: set when one more is there."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.moved = asyncio.Event()


class Files:
    """Files of the sealed sessions of one hub."""

    def __init__(self, config: Config, spool: Spool) -> None:
        self.shelf = Shelf(config, spool)
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    async def write(self, who: Owner, id: str, offset: int, data: bytes) -> int:
        """Writes a piece in its turn: on the HTTP lane pieces that were sent one after the other overtake each other,
        and may come to several processes. Raises what `Shelf.write` raises."""
        turn = self._turns.get(key := str(id)[:64])
        if turn is None:
            turn = self._turns[key] = _Turn()
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            moved = turn.moved
            try:
                async with turn.lock:
                    there = await asyncio.to_thread(self.shelf.write, who, id, offset, data)
            except exc.InvalidCall as error:
                have = error.facts.get("have", offset)
                if not 0 < offset - have <= AHEAD or asyncio.get_running_loop().time() >= until:
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(moved.wait(), LOOK)
            else:
                turn.moved, moved = asyncio.Event(), turn.moved
                moved.set()
                return there

    async def arguments(
        self, seat: Seat, service: Service, args: list[Any], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with the files that were sent ahead in place of their ids. Raises `exc.NotFound`,
        `exc.TooLarge`."""
        who, size = owner(seat), 0

        async def one(value: Any) -> Any:
            nonlocal size
            if type(value) is not Sent:
                return value
            upload = await asyncio.to_thread(self.shelf.take, who, value.id)
            taken.append(upload)
            size += upload.size
            if service.max_upload is not None and size > service.max_upload:
                raise exc.TooLarge(f"The files are larger than {service.max_upload} bytes.", limit=service.max_upload)
            return upload

        async def some(value: Any) -> Any:
            return [await one(item) for item in value] if type(value) is list else await one(value)

        taken: list[Upload] = []
        try:
            return [await some(value) for value in args], {name: await some(value) for name, value in kwargs.items()}
        except BaseException:
            discard(taken, None)
            raise

    async def result(self, seat: Seat, file: File) -> Given:
        """What stands for *file* in the answer."""
        return await asyncio.to_thread(self.shelf.give, owner(seat), file)


def ahead(args: list[Any] | None, kwargs: dict[str, Any] | None) -> bool:
    """Whether files that were sent ahead stand among the arguments."""
    for value in (*(args or ()), *(kwargs or {}).values()):
        if type(value) is Sent or (type(value) is list and any(type(item) is Sent for item in value)):
            return True
    return False


async def call(
    seat: Seat,
    service: Service,
    args: list[Any] | None,
    kwargs: dict[str, Any] | None,
    *,
    progress: Progress | None = None,
    cancellation: Cancellation | None = None,
) -> Any:
    """A call by the pipeline, with files both ways. Raises as `Pipeline.call`."""
    hub = seat.hub
    if ahead(args, kwargs):
        args, kwargs = await hub.files.arguments(seat, service, args or [], kwargs or {})
    value = hub.pipeline.call(seat.principal, service, args, kwargs, progress=progress, cancellation=cancellation)
    if inspect.iscoroutine(value):
        value = await value
    return await hub.files.result(seat, value) if type(value) is File else value


def owner(seat: Seat) -> Owner:
    """Whose files these are. Raises `exc.InvalidCall` for who has no sealed session of their own."""
    tab = seat.tab
    if tab is None or tab.slot is None:
        raise exc.InvalidCall(
            "Files travel in a sealed session that has its slot (limen.slot.open), or over plain HTTP."
        )
    return Owner(tab.domain, tab.user, tab.slot)


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

    async def answer(request: Request, domain: str, rest: tuple[str, ...]) -> Response:
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
        waiting = await asyncio.to_thread(shelf.linked, rest[0], domain)
        if not await gate.on_thread(gate.once.spend, domain, "limen.link", digest(rest[0]), waiting.until):
            raise exc.NotFound
        await asyncio.to_thread(shelf.unlink, rest[0])
        kind = media_type(File(b"", filename=waiting.filename, content_type=waiting.content_type))
        named = (b"content-disposition", disposition(waiting.filename, kind.decode(), inline=waiting.inline))
        fixed = (*data_headers(kind)[1:], NO_OPEN, named, NO_STORE)
        return send("GET", headers, await asyncio.to_thread(found, waiting), fixed, fixed, kind, None)

    return answer
