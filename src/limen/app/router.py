"""`limen router`: realms, rules and listeners by a configuration; the hub behind them is that of `limen serve`.

start   every listener has its socket; only then anybody is let in
sweep   once a second: late greetings, the ledger
stop    no listener takes anybody; GOODBYE wamp.close.system_shutdown to all; then the connections end
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.config import Config
from limen.core.wamp.verdict import ALLOWED
from limen.door.hub.entrance import Admitted
from limen.door.hub.hub import Hub
from limen.door.router.gate import open_gate
from limen.service.pipeline import Pipeline
from limen.service.registry import Registry

from .listeners import Standing

if TYPE_CHECKING:
    from limen.core.wamp.session import Greeting
    from limen.door.hub.entrance import Knocking
    from limen.door.router.config import Settings

log = logging.getLogger("limen")

PATIENCE = 5.0
"""Seconds that connections have to end, when all was said."""


class Router:
    """*settings*: as they are now; `take` changes them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config = _config(settings)
        registry, pipeline = Registry(self.config), Pipeline(self.config)
        nothing: Any = None  # there are no services, so that no call has files
        gate = open_gate(self.config)
        self.hub = Hub(self.config, registry, pipeline, gate, lambda *_: ALLOWED, nothing, {}, _Anyone(self))

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[list[str]]:
        """It routes for the length of the block; gives where it listens. Raises `exc.InvalidAddress`."""
        self.hub.begin()
        async with contextlib.AsyncExitStack() as stack:
            listeners = [stack.enter_context(Standing(self.hub, one, self.config)) for one in self.settings.listeners]
            sweeper = asyncio.get_running_loop().create_task(self._sweep())
            try:
                for listener in listeners:
                    await listener.open()
                yield [listener.where for listener in listeners]
            finally:
                for listener in listeners:
                    listener.stop()
                await self.hub.drain()
                await asyncio.gather(*(listener.close(PATIENCE) for listener in listeners))
                sweeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sweeper

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                now = self.hub.loop.time()
                for connection in tuple(self.hub.connections):
                    if connection.overdue(now):
                        connection.refuse("wamp.error.protocol_violation", "no HELLO came", 1008)
                self.hub.gate.ledger.tick(time.time())
                self.hub.logins.sweep()
            except Exception:
                log.exception("the once-a-second work failed; it goes on")


class _Anyone:
    def __init__(self, router: Router) -> None:
        self._router = router

    def methods(self, connection: Knocking, realm: str) -> Collection[str] | None:
        return ("anonymous",) if self._router.settings.realm(realm) is not None else None

    def admit(self, connection: Knocking, greeting: Greeting) -> Admitted:
        retry_after = connection.hub.gate.refused(connection.domain, connection.origin)
        if retry_after is not None:
            raise exc.Abusive(retry_after=round(retry_after))
        realm = self._router.settings.realm(greeting.realm)
        assert realm is not None
        return Admitted(f"anonymous-{connection.session_id}", (realm.anonymous,), "anonymous", "static")


def _config(settings: Settings) -> Config:
    """The settings that transports and hub go by."""
    config, limits = Config(), settings.limits
    config.MAX_CONNECTIONS, config.MAX_ORIGIN_CONNECTIONS = limits.connections, limits.origin_connections
    config.MAX_PENDING_LOGINS = limits.origin_logins
    config.MAX_MESSAGE_SIZE = limits.message_bytes
    config.MAX_QUEUE_SIZE = limits.queue_bytes
    config.MAX_STALL = limits.stall
    config.HELLO_TIMEOUT, config.LOGIN_TIMEOUT = limits.hello, limits.login
    config.PING_INTERVAL, config.PING_TIMEOUT = limits.ping, limits.pong
    for realm in settings.realms:
        config.domain(realm.name).MAX_PENDING_CALLS = realm.limits.pending_calls
        config.domain(realm.name).MAX_SESSIONS = realm.limits.sessions
    return config
