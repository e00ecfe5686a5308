"""RawSocket keeps the port's promises, over TCP, TLS and Unix sockets."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import trustme
import uvloop

from limen.base.config import Config
from limen.testing.rawsockets import RawSocketClient
from limen.testing.transports import Connect, MessageSuite
from limen.transport.rawsocket import RawSocketServer
from limen.transport.wire import Accept, Handshake, Peer, Refusal


def within(accept: Accept) -> Accept:
    """The suite's door looks at a path, which a RawSocket has not."""

    def shown(handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        assert (handshake.framing, handshake.path, handshake.host) == ("rawsocket", "", "")
        return accept(replace(handshake, path="/ws"))

    return shown


class OverRawSocket(MessageSuite):
    says_why = False
    kinds = (False,)
    max_message_size = 65536

    @asynccontextmanager
    async def served(self, accept: Accept, config: Config) -> AsyncIterator[Connect]:
        server = RawSocketServer(within(accept), config)
        async with self.listening(server) as connect:
            yield connect
            server.shutdown()

    @asynccontextmanager
    async def listening(self, server: RawSocketServer) -> AsyncIterator[Any]:
        listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
        try:
            yield partial(RawSocketClient.connect, listener.sockets[0].getsockname()[1])
        finally:
            listener.close()


class TestRawSocketOnAsyncio(OverRawSocket):
    pass


class TestRawSocketOnUvloop(OverRawSocket):
    loop = staticmethod(uvloop.new_event_loop)


class TestRawSocketOfJson(OverRawSocket):
    loop = staticmethod(uvloop.new_event_loop)
    kinds = (True,)

    @asynccontextmanager
    async def listening(self, server: RawSocketServer) -> AsyncIterator[Any]:
        async with super().listening(server) as connect:
            yield partial(connect, subprotocols=("wamp.2.json",))


class TestRawSocketOverTls(OverRawSocket):
    loop = staticmethod(uvloop.new_event_loop)

    @asynccontextmanager
    async def listening(self, server: RawSocketServer) -> AsyncIterator[Any]:
        authority = trustme.CA()
        trusting, own = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.configure_trust(trusting)
        authority.issue_cert("127.0.0.1").configure_cert(own)
        listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0, ssl=own)
        try:
            yield partial(RawSocketClient.connect, listener.sockets[0].getsockname()[1], tls=trusting)
        finally:
            listener.close()


class TestRawSocketOverUnix(OverRawSocket):
    loop = staticmethod(uvloop.new_event_loop)

    @asynccontextmanager
    async def listening(self, server: RawSocketServer) -> AsyncIterator[Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "raw")
            listener = await asyncio.get_running_loop().create_unix_server(server.protocol, path)
            try:
                yield partial(RawSocketClient.connect, path)
            finally:
                listener.close()
