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
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from limen.base.config import Config
from limen.core.wamp.history import History
from limen.core.wamp.keeping import Keeping
from limen.core.wamp.verdict import DENIED
from limen.door.hub.hub import Hub
from limen.door.router.entrance import RouterEntrance
from limen.door.router.gate import open_gate
from limen.door.router.inside import Inside
from limen.door.router.policy import Policy
from limen.service.pipeline import Pipeline
from limen.service.registry import Registry

from .listeners import Standing

if TYPE_CHECKING:
    from limen.core.wamp.effects import Ask
    from limen.core.wamp.messages import Kwargs, Result
    from limen.core.wamp.realm import Realm
    from limen.core.wamp.session import Session
    from limen.core.wamp.verdict import Verdict
    from limen.door.router.config import RealmSettings, Settings

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
        self.entrance = RouterEntrance(settings, self._call, None)
        self.hub = Hub(self.config, registry, pipeline, gate, self._authorize, nothing, {}, self.entrance)
        self.hub.settings_of, self.hub.ask = self._realm, self._ask
        self._inside = Inside(self.hub)
        self._policies = {realm.name: Policy(self.hub, self._call, realm) for realm in settings.realms}

    async def _call(self, realm: str, uri: str, args: list[Any], kwargs: Kwargs, seconds: float) -> Result:
        return await self._inside.call(realm, uri, args, kwargs, seconds)

    def _realm(self, name: str) -> dict[str, Any]:
        """What the realm *name* is made with."""
        settings = self.settings.realm(name)
        assert settings is not None  # nobody else comes in
        limits = settings.limits
        return {
            "authorize": self._policies[name].authorize,
            "max_pending": limits.pending_calls,
            "max_invocations": limits.invocations,
            "max_registrations": limits.registrations,
            "max_subscriptions": limits.subscriptions,
            "keeping": _keeping(settings),
        }

    def _authorize(self, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict | None:
        who = session.principal
        policy = None if who is None else self._policies.get(who.domain)
        return DENIED if policy is None else policy.authorize(session, action, uri, options)

    def _ask(self, realm: Realm, ask: Ask) -> None:
        self._policies[realm.name].ask(realm, ask)

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
                await asyncio.gather(*(policy.close() for policy in self._policies.values()))
                await self.hub.drain()
                await asyncio.gather(*(listener.close(PATIENCE) for listener in listeners))
                sweeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sweeper

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                self.hub.refuse_late()
                self.hub.gate.ledger.tick(time.time())
                self.hub.logins.sweep()
            except Exception:
                log.exception("the once-a-second work failed; it goes on")


def _keeping(realm: RealmSettings) -> Keeping:
    """What the realm keeps of events and for sessions that are gone."""
    limits = realm.limits
    return Keeping(
        retained=limits.retained_events,
        retained_bytes=limits.retained_bytes,
        history=tuple(History(one.uri, one.match, one.limit) for one in realm.history),
        history_bytes=limits.history_bytes,
        testaments=limits.testaments,
        testament_bytes=limits.testament_bytes,
    )


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
