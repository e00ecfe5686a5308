"""`HttpClient`: a server's services over HTTP. Plain calls; sealed ones by the HTTP lane, once logged in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ssl import SSLContext
from typing import Any

from limen import exc
from limen.client import plain
from limen.client.address import site
from limen.client.core import AsyncClient, Transport
from limen.client.exchange import Exchange
from limen.client.http1 import Sockets
from limen.client.stream import Push
from limen.client.sync import Client


class HttpTransport(Transport):
    """Calls over an `Exchange`: what HttpClient, AsgiClient and WsgiClient have in common."""

    def __init__(self, exchange: Exchange, *, name: str, max_message_size: int) -> None:
        self.name, self.domain = name, exchange.domain
        self._exchange = exchange
        self._max_size = max_message_size

    async def call(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None, push: Push | None
    ) -> Any:
        try:
            async with asyncio.timeout(timeout):
                return await plain.call(self._exchange, name, args, kwargs, push, self._max_size)
        except TimeoutError:
            raise exc.Timeout from None

    async def close(self) -> None:
        await self._exchange.close()


class AsyncHttpClient(AsyncClient):
    """The services of the server at *url* (http or https), over HTTP/1.1.

    *timeout*: seconds that a call may take, unless it says otherwise. *patience*: seconds that a server which was there
    may be gone (it is restarted) before a call raises exc.ConnectionLost. *open_timeout*: seconds for one attempt to
    connect. *max_message_size*: bytes of an answer. *ssl*: for a certificate authority of one's own.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None = None,
        patience: float = 60.0,
        open_timeout: float = 10.0,
        max_message_size: int = 16 * 2**20,
        ssl: SSLContext | None = None,
    ) -> None:
        sockets = Sockets(site(url), ssl=ssl, patience=patience, open_timeout=open_timeout)
        transport = HttpTransport(sockets, name="HttpClient", max_message_size=max_message_size)
        super().__init__(transport, timeout=timeout)


class HttpClient(Client):
    """As `AsyncHttpClient`, for code that is not async."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None = None,
        patience: float = 60.0,
        open_timeout: float = 10.0,
        max_message_size: int = 16 * 2**20,
        ssl: SSLContext | None = None,
    ) -> None:
        super().__init__(
            AsyncHttpClient(
                url,
                timeout=timeout,
                patience=patience,
                open_timeout=open_timeout,
                max_message_size=max_message_size,
                ssl=ssl,
            )
        )
