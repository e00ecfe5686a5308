"""`HttpClient`: a server's services over HTTP. Plain calls; sealed ones by the HTTP lane, once logged in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ssl import SSLContext
from typing import Any

from limen import exc
from limen.client import lane, plain
from limen.client.address import site
from limen.client.core import NOBODY, AsyncClient, Transport, Who
from limen.client.events import Handler, Undo
from limen.client.exchange import Exchange
from limen.client.files import ahead, sealed
from limen.client.http1 import Sockets
from limen.client.lane import LaneSession
from limen.client.listening import Listening, by_events, by_lane
from limen.client.password import change
from limen.client.stream import Push
from limen.client.sync import Client
from limen.core.seal.machine import Credentials


class HttpTransport(Transport):
    """Calls over an `Exchange`: what HttpClient, AsgiClient and WsgiClient have in common. *listens*: an answer may
    come for as long as there are events."""

    def __init__(self, exchange: Exchange, *, name: str, max_message_size: int, listens: bool = True) -> None:
        self.name, self.domain = name, exchange.domain
        self._exchange, self._max_size, self._listens = exchange, max_message_size, listens
        self._session: LaneSession | None = None
        self._listening = Listening(lambda: self.emit("missed"))

    async def call(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None, push: Push | None
    ) -> Any:
        session = self._session
        if session is not None:
            return await self._sealed(session, name, args, kwargs, timeout, push)
        try:
            async with asyncio.timeout(timeout):
                return await plain.call(self._exchange, name, args, kwargs, push, self._max_size)
        except TimeoutError:
            raise exc.Timeout from None

    async def _sealed(
        self,
        session: LaneSession,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        timeout: float | None,
        push: Push | None,
    ) -> Any:
        in_order = asyncio.Lock()

        async def raw(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
            if name != "limen.upload.write":
                return await session.call(name, args, kwargs, timeout=timeout)
            async with in_order:  # requests on several connections overtake each other; a file is written in order
                return await session.call(name, args, kwargs, timeout=timeout)

        try:
            if push is None:
                return await sealed(raw, name, args, kwargs)
            args, kwargs = await ahead(raw, args, kwargs)
            return await session.call(name, args, kwargs, timeout=timeout, push=push)
        finally:
            if session.over is not None and session is self._session:
                self._session, self.who = None, NOBODY
                self.emit("signed_out", session.over)

    async def login(self, credentials: tuple[str, str] | Credentials, *, force: bool) -> None:
        if isinstance(credentials, Credentials):
            session = await lane.login_with_key(self._exchange, credentials, limit=self._max_size)
        else:
            session = await lane.login(self._exchange, self.domain, *credentials, force=force, limit=self._max_size)
        await self.logout()
        self._session, self.who = session, Who(session.user, list(session.roles), session.profile)

    async def logout(self) -> None:
        session, self._session, self.who = self._session, None, NOBODY
        await self._listening.close()
        if session is not None:
            await session.logout()

    async def become(self, user: str | None) -> None:
        if self._session is None:
            raise exc.Unauthorized
        session = self._session = await self._session.become(user)
        self.who = Who(session.user, list(session.roles), session.profile, session.impersonated_by)

    async def change_password(self, password: str) -> None:
        if self._session is None or self.who.user is None:
            raise exc.Unauthorized("An anonymous client has no password.")
        await change(self._session.call, self.who.user, self.domain, password, self._session.password_min)

    async def subscribe(self, topic: str, handler: Handler) -> Undo:
        if not self._listens:
            raise self.unable("subscribe")
        session = self._session
        listen = by_events(self._exchange, self._max_size) if session is None else by_lane(lambda: self._session)
        return await self._listening.add(topic, handler, listen)

    async def publish(self, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if self._session is None:
            raise exc.Unauthorized(f"{self.name} publishes when it is logged in; signed out, WsClient may.")
        await self._session.publish(topic, args, kwargs)

    async def close(self) -> None:
        await self._listening.close()
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
