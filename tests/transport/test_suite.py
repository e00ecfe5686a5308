"""Every transport keeps the port's promises."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trustme
import uvloop
from uvicorn_here import uvicorn_serving

from limen.base.config import Config
from limen.testing.sockets import SocketClient
from limen.testing.transports import Client, Connect, WireSuite
from limen.transport.asgi_ws import AsgiWebSockets
from limen.transport.http_server import HttpServer
from limen.transport.memory import connect as connect_in_memory
from limen.transport.picows_ws import PicowsServer
from limen.transport.wire import Accept, Handshake


class TestMemory(WireSuite):
    @asynccontextmanager
    async def served(self, accept: Accept, config: Config) -> AsyncIterator[Connect]:
        async def connect(path: str = "/ws", receive_buffer: Any = None, **more: Any) -> Client:
            path, _, query = path.partition("?")
            headers = {"origin": more["origin"]} if "origin" in more else {}
            handshake = Handshake(path, "127.0.0.1:80", client="127.0.0.1", query=query, headers=headers, **more)
            return connect_in_memory(accept, handshake, config)

        yield connect


class OverPicows(WireSuite):
    @asynccontextmanager
    async def served(self, accept: Accept, config: Config) -> AsyncIterator[Connect]:
        ws, http = PicowsServer(accept, config).protocol, HttpServer(config).protocol
        async with uvicorn_serving(ws=ws, http=http) as port:
            yield partial(SocketClient.connect, port)


class TestPicowsOnAsyncio(OverPicows):
    pass


class TestPicowsOnUvloop(OverPicows):
    loop = staticmethod(uvloop.new_event_loop)


class TestPicowsOverTls(WireSuite):
    loop = staticmethod(uvloop.new_event_loop)
    tls = True

    @asynccontextmanager
    async def served(self, accept: Accept, config: Config) -> AsyncIterator[Connect]:
        authority = trustme.CA()
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)

        ws, http = PicowsServer(accept, config).protocol, HttpServer(config).protocol
        with authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as pem:
            async with uvicorn_serving(ws=ws, http=http, ssl_certfile=pem) as port:
                yield partial(SocketClient.connect, port, tls=trusting)


class OverAsgi(WireSuite):
    cut_codes = (1006, 1008, 1012)
    implementation = ""

    @asynccontextmanager
    async def served(self, accept: Accept, config: Config) -> AsyncIterator[Connect]:
        async with uvicorn_serving(AsgiWebSockets(accept, config), ws=self.implementation) as port:
            yield partial(SocketClient.connect, port)


class TestAsgiOnWebsocketsSansio(OverAsgi):
    implementation = "websockets-sansio"


class TestAsgiOnWsproto(OverAsgi):
    implementation = "wsproto"
