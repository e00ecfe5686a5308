"""A bad line: a TCP relay that delays, tears in two, swallows and cuts, by a seeded chance."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

PIECE = 2**14


@dataclass
class Storm:
    """A relay to *port* of this machine. For each piece of up to 16 KiB in each direction: with the chance *cut* half
    of it arrives, and the connection is reset; with *swallow* nothing arrives any more, either way, and after up to
    *dead* seconds it is reset; with *tear* it arrives in two halves; with *delay* it comes up to *late* seconds late.
    """

    port: int
    seed: int
    cut: float = 0.004
    swallow: float = 0.002
    tear: float = 0.1
    delay: float = 0.1
    late: float = 0.01
    dead: float = 0.2
    calm: bool = False
    cuts: int = 0
    swallowed: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Storm:
        self._chance = random.Random(self.seed)
        self._end = asyncio.Event()
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._end.set()
        await asyncio.gather(*self.tasks)

    @property
    def at(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        dead = asyncio.Event()
        pumps = [
            asyncio.ensure_future(self._pump(reader, far_writer, dead)),
            asyncio.ensure_future(self._pump(far_reader, writer, dead)),
        ]
        end = asyncio.ensure_future(self._end.wait())
        await asyncio.wait([*pumps, end], return_when=asyncio.FIRST_COMPLETED)
        if not dead.is_set() and not end.done():  # one side has closed: what is on its way may still arrive
            both = asyncio.gather(*pumps, return_exceptions=True)
            await asyncio.wait([both, end], timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        for part in (*pumps, end):
            part.cancel()
        await asyncio.gather(*pumps, end, return_exceptions=True)
        for each in (writer, far_writer):
            each.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, dead: asyncio.Event) -> None:
        chance = self._chance
        while piece := await source.read(PIECE):
            if dead.is_set():
                continue
            luck = 1.0 if self.calm else chance.random()
            if luck < self.cut:
                self.cuts += 1
                dead.set()
                target.write(piece[: chance.randrange(len(piece))])
                await target.drain()
                return
            if luck < self.cut + self.swallow:
                self.swallowed += 1
                dead.set()
                await asyncio.sleep(chance.uniform(0, self.dead))
                return
            if not self.calm and chance.random() < self.delay:
                await asyncio.sleep(chance.uniform(0, self.late))
            if not self.calm and chance.random() < self.tear:
                middle = chance.randrange(len(piece))
                target.write(piece[:middle])
                await asyncio.sleep(0)
                piece = piece[middle:]
            target.write(piece)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
