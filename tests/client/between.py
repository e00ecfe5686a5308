"""Someone on the way between client and server: sees everything, and may cut, swallow or change it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Between:
    """A TCP relay to *port*. `up` and `down` hold what passed; `change(chunk, number)` sees each chunk that the server
    sends, counted from 1 in each connection, and gives what arrives: None cuts the connection. `connections` holds what
    passed in each: (up, down)."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.connections: list[tuple[bytearray, bytearray]] = []
        self.change: Callable[[bytes, int], bytes | None] = lambda chunk, number: chunk
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Between:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        whole = bytearray(), bytearray()
        self.connections.append(whole)
        self._writers |= both

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, seen: list[bytes]) -> None:
            number = 0
            while chunk := await source.read(2**16):
                seen.append(chunk)
                whole[source is far_reader].extend(chunk)
                number += 1
                passed = self.change(chunk, number) if source is far_reader else chunk
                if passed is None:
                    break
                target.write(passed)

        pumps = [
            asyncio.ensure_future(pump(reader, far_writer, self.up)),
            asyncio.ensure_future(pump(far_reader, writer, self.down)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers -= both


def messages(data: bytes) -> list[bytes]:
    """The payloads of the WebSocket frames in one direction, from the upgrade's end, unmasked."""
    data = data.partition(b"\r\n\r\n")[2]
    out = []
    while len(data) >= 2:
        masked, length, at = data[1] & 0x80, data[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        mask = data[at : at + 4] if masked else bytes(4)
        at += 4 if masked else 0
        payload = data[at : at + length]
        out.append(bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))
        data = data[at + length :]
    return out
