"""`WsClient`: a server's services over a WebSocket. What `limen.connect` gives, with login and logout as in a page:
signed out it is an anonymous session, opened when first needed; a login is a sealed one in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ssl import SSLContext
from typing import Any

from limen.base.spans import Spans
from limen.base.values import Encoding
from limen.client.address import endpoint
from limen.client.core import NOBODY, AsyncClient, State, Transport, Who
from limen.client.dial import Settings, WebSocketDial
from limen.client.events import EVENTS, Handler, Undo
from limen.client.files import ahead
from limen.client.session import Session
from limen.client.stream import Push
from limen.client.sync import Client
from limen.core.seal.machine import Credentials


class WsTransport(Transport):
    """One Session at a time."""

    name = "WsClient"

    def __init__(self, url: str, settings: Settings) -> None:
        self._url, self._settings = url, settings
        self.domain = endpoint(url).domain
        self._session: Session | None = None
        self._changing = asyncio.Lock()

    @property
    def state(self) -> State:
        return "online" if self._session is None else self._session.state

    def _trace_by(self, spans: Spans) -> None:
        self._settings = replace(self._settings, spans=spans)
        if self._session is not None:
            self._session._trace_by(spans)

    async def call(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None, push: Push | None
    ) -> Any:
        session = await self._ready()
        if push is None:
            return await session.apply(name, args, kwargs, timeout=timeout)
        args, kwargs = await ahead(session.apply, args, kwargs)
        future, cancel = session._begin_stream(name, args, kwargs, push)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            cancel()
            raise

    async def subscribe(self, topic: str, handler: Handler) -> Undo:
        return await (await self._ready()).subscribe(topic, handler)

    async def publish(self, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        await (await self._ready()).publish(topic, *args, **kwargs)

    async def change_password(self, password: str) -> None:
        await (await self._ready()).change_password(password)

    async def login(self, credentials: tuple[str, str] | Credentials, *, force: bool) -> None:
        session = self._new(credentials, replace(self._settings, force=force))
        async with self._changing:
            await session.__aenter__()
            await self._replace(session)
            self._is_now(session)

    async def become(self, user: str | None) -> None:
        session = await self._ready()
        await (session.relinquish() if user is None else session.impersonate(user))
        self._is_now(session)

    def _is_now(self, session: Session) -> None:
        assert session.user is not None
        self.who = Who(session.user, list(session.roles), session.profile, session.impersonated_by)

    async def logout(self) -> None:
        async with self._changing:
            await self._replace(None)
            self.who = NOBODY

    async def close(self) -> None:
        await self.logout()

    def _new(self, credentials: tuple[str, str] | Credentials | None, settings: Settings) -> Session:
        return Session(WebSocketDial(self._url, credentials, settings), settings)

    async def _ready(self) -> Session:
        async with self._changing:
            if self._session is None or (self.who is NOBODY and self._session.state == "closed"):
                session = self._new(None, self._settings)
                await session.__aenter__()
                await self._replace(session)
            assert self._session is not None
            return self._session

    async def _replace(self, session: Session | None) -> None:
        before, self._session = self._session, session
        if before is not None:
            await before.close()
        if session is None:
            return
        for event in EVENTS:
            session.on(event, lambda *details, event=event: self._told(session, event, details))

    def _told(self, session: Session, event: str, details: Sequence[Any]) -> None:
        if session is self._session and session.sealed and event == "online":
            self._is_now(session)  # roles and profile are read afresh each time
        if session is self._session and (session.sealed or event != "signed_out"):
            self.emit(event, *details)


class AsyncWsClient(AsyncClient):
    """The services of the server at *url* (http, https, ws or wss) over a WebSocket, which comes back when it is lost.

    *encoding*: "msgpack", "json" or "cbor". *realm*: of an anonymous session with a foreign router. *timeout*: seconds
    that a call may take, unless it says otherwise. *patience*: seconds that a connection may stay lost before the
    session is over. *open_timeout*: seconds for each attempt to connect. *max_message_size*: bytes. *ssl*: for a
    certificate authority of one's own.
    """

    def __init__(
        self,
        url: str,
        *,
        encoding: Encoding = "msgpack",
        realm: str | None = None,
        timeout: float | None = None,
        patience: float = 60.0,
        open_timeout: float = 10.0,
        max_message_size: int = 16 * 2**20,
        ssl: SSLContext | None = None,
    ) -> None:
        settings = Settings(
            encoding, realm, None, patience, open_timeout=open_timeout, max_message_size=max_message_size, ssl=ssl
        )
        super().__init__(WsTransport(url, settings), timeout=timeout)


class WsClient(Client):
    """As `AsyncWsClient`, for code that is not async."""

    def __init__(
        self,
        url: str,
        *,
        encoding: Encoding = "msgpack",
        realm: str | None = None,
        timeout: float | None = None,
        patience: float = 60.0,
        open_timeout: float = 10.0,
        max_message_size: int = 16 * 2**20,
        ssl: SSLContext | None = None,
    ) -> None:
        super().__init__(
            AsyncWsClient(
                url,
                encoding=encoding,
                realm=realm,
                timeout=timeout,
                patience=patience,
                open_timeout=open_timeout,
                max_message_size=max_message_size,
                ssl=ssl,
            )
        )
