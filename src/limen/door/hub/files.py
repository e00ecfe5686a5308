"""Files of sealed sessions, in a call and in its answer.

`{"$upload": id}` among the arguments becomes the `Upload` that was sent ahead; a `File` that the function gives becomes
`{"$file": {id, filename, content_type, size}}`. They travel by procedures of Limen's own (`door/own/files.py`), in
pieces that fit a frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from limen import exc
from limen.base.files import File, Given, Sent, Upload
from limen.service.pipeline import discard
from limen.web.shelf import PIECE, Owner, Shelf

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.base.principal import Cancellation
    from limen.base.spans import Carrier
    from limen.service.running import Progress
    from limen.service.service import Service
    from limen.web.spool import Spool

    from .seat import Seat

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


PATIENCE: Final = 5.0
"""Seconds that a piece waits for those before it."""
AHEAD: Final = 8 * PIECE
"""Bytes that it may be ahead of what is there."""
MOST_WAITING: Final = 32
"""Pieces of one file that are under way at once; they wait in memory."""
LOOK: Final = 0.25
"""Seconds after which it looks whether another process has got them."""


class _Turn:
    """The pieces of one file in this process. *moved*: set when one more is there. *waiting*: pieces that are not
    written yet."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.moved = asyncio.Event()
        self.waiting = 0


class Files:
    """Files of the sealed sessions of one hub."""

    def __init__(self, config: Config, spool: Spool) -> None:
        self.shelf = Shelf(config, spool)
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    async def write(self, who: Owner, id: str, offset: int, data: bytes) -> int:
        """Writes a piece in its turn: on the HTTP lane pieces that were sent one after the other overtake each other,
        and may come to several processes. Raises what `Shelf.write` raises, and `exc.Busy` for a piece too many."""
        turn = self._turns.get(key := str(id)[:64])
        if turn is None:
            turn = self._turns[key] = _Turn()
        if turn.waiting >= MOST_WAITING:
            raise exc.Busy("Too many pieces of this file came before their turn.")
        turn.waiting += 1
        try:
            return await self._in_turn(turn, who, id, offset, data)
        finally:
            turn.waiting -= 1

    async def _in_turn(self, turn: _Turn, who: Owner, id: str, offset: int, data: bytes) -> int:
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
    trace: Carrier | None = None,
) -> Any:
    """A call by the pipeline, with files both ways. Raises as `Pipeline.call`."""
    hub = seat.hub
    if ahead(args, kwargs):
        args, kwargs = await hub.files.arguments(seat, service, args or [], kwargs or {})
    value = hub.pipeline.call(
        seat.principal, service, args, kwargs, progress=progress, cancellation=cancellation, trace=trace
    )
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
