"""`limen router`: realms, rules and listeners by a configuration; the hub behind them is that of `limen serve`.

    start    each listener has its socket; only then anybody is let in
    sweep    once a second: late greetings, the ledger
    reload   `take`: other settings, the same sessions (renewal.py says which of them end)
    stop     no listener takes anybody; GOODBYE wamp.close.system_shutdown to all; then the connections end

Without a store nothing is kept, and nothing loaded that keeps. With one, sealed logins come in, too: behind the router
is an App then, without services of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.config import Config
from limen.core.wamp.events.history import History
from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.verdict import DENIED
from limen.door.hub.hub import Hub
from limen.door.router.entrance import RouterEntrance
from limen.door.router.gate import open_gate
from limen.door.router.inside import Inside
from limen.door.router.policy import Policy
from limen.service.pipeline import Pipeline
from limen.service.registry import Registry
from limen.transport.cork import Cork

from . import seen
from .calllog import CallLog
from .control import router_socket
from .listeners import Standing

if TYPE_CHECKING:
    from limen.core.wamp.effects import Ask
    from limen.core.wamp.messages import Kwargs, Result
    from limen.core.wamp.realm import Realm
    from limen.core.wamp.session import Session
    from limen.core.wamp.verdict import Verdict
    from limen.door.router.config import RealmSettings, Settings

    from .app import App

log = logging.getLogger("limen")

PATIENCE = 5.0
"""Seconds that connections have to end, when all was said."""


class Router:
    """*settings*: as they are now; `take` changes them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app: App | None = None
        """Who keeps the users of sealed logins."""
        secret = None if settings.secret is None else sha256(settings.secret.value.encode()).digest()
        self.entrance = RouterEntrance(settings, self.call, secret)
        self.hub = self._hub()
        if settings.metrics is not None:
            host = f"[{settings.metrics.host}]" if ":" in settings.metrics.host else settings.metrics.host
            self.config.METRICS = f"{host}:{settings.metrics.port}"
        self.config.TRACES = settings.traces
        self.hub.settings_of, self.hub.ask = self._realm, self._ask
        self._inside = Inside(self.hub)
        self.policies = {realm.name: Policy(self.hub, self.call, settings, realm.name) for realm in settings.realms}
        self.cork = Cork()
        self.listening: list[Standing] = []
        self.leaving: list[Standing] = []
        """Listeners that have gone from the configuration, and those who came by them not yet."""

    def _hub(self) -> Hub:
        if self.settings.store is not None:
            from .storedrouter import app_of

            self.app = app_of(self.settings.store)
            self.config = self.app.config
            self.adopt(self.settings)
            hub = self.app.open()
            hub.authorize, hub.entrance = self._authorize, self.entrance
        else:
            self.config = Config()
            self.adopt(self.settings)
            registry, pipeline = Registry(self.config), Pipeline(self.config)
            nothing: Any = None  # there are no services, so that no call has files
            gate = open_gate(self.config)
            hub = Hub(self.config, registry, pipeline, gate, self._authorize, nothing, {}, self.entrance)
        return hub

    def adopt(self, settings: Settings) -> None:
        """What transports and hub go by is *settings* from now on."""
        self.settings = settings
        adopt(self.config, settings)
        if self.app is not None:
            from .storedrouter import answer_for

            answer_for(self.app, settings)

    async def call(self, realm: str, uri: str, args: list[Any], kwargs: Kwargs, seconds: float) -> Result:
        """A call by the router itself: see `Inside.call`."""
        return await self._inside.call(realm, uri, args, kwargs, seconds)

    def _realm(self, name: str) -> dict[str, Any]:
        """What the realm *name* is made with."""
        settings = self.settings.realm(name)
        assert settings is not None  # nobody else comes in
        limits = settings.limits
        return {
            "authorize": self.policies[name].authorize,
            "max_pending": limits.pending_calls,
            "max_invocations": limits.invocations,
            "max_registrations": limits.registrations,
            "max_subscriptions": limits.subscriptions,
            "keeping": _keeping(settings),
        }

    def _authorize(self, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict | None:
        who = session.principal
        policy = None if who is None else self.policies.get(who.domain)
        return DENIED if policy is None else policy.authorize(session, action, uri, options)

    def _ask(self, realm: Realm, ask: Ask) -> None:
        policy = self.policies.get(realm.name)
        if policy is None:  # the realm has gone meanwhile
            self.hub.act(realm, realm.decide(ask.session, DENIED))
        else:
            policy.ask(realm, ask)

    @property
    def where(self) -> list[str]:
        """The URLs of its listeners."""
        return [listener.where for listener in self.listening]

    async def take(self, settings: Settings) -> list[str]:
        """Other settings from now on; gives what of them needs a restart. Raises `exc.InvalidAddress` where one of the
        listeners can't listen; nothing has changed then."""
        from .renewal import renew

        return await renew(self, settings)

    # -- its life -------------------------------------------------------------------------------------------------
    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[list[str]]:
        """It routes for the length of the block; gives where it listens. Raises `exc.InvalidAddress`."""
        async with self._life():
            try:
                for settings in self.settings.listeners:
                    self.listening.append(Standing(self, settings))
                for listener in self.listening:
                    await listener.open()
                async with self._operated():
                    yield self.where
            finally:
                for listener in self.listening:
                    listener.stop()
                await asyncio.gather(*(policy.close() for policy in self.policies.values()))
                await self.hub.drain()
                await asyncio.gather(*(listener.close(PATIENCE) for listener in (*self.leaving, *self.listening)))
                self.listening.clear()

    def _life(self) -> AbstractAsyncContextManager[None]:
        if self.app is None:
            return self._alone()
        from .running import lifespan

        return lifespan(self.app)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """What `lifespan` is for an App, as far as there is anything to do."""
        hub, calls = self.hub, CallLog()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(calls.close)
            hub.begin()
            hub.gate.note = calls.event
            hub.gate.ledger.noted = lambda what, entry: calls.entry(hub.gate.ledger, what, entry)
            seen.begin(hub)
            if self.config.TRACES:
                stack.callback(seen.trace(hub))
            if self.config.METRICS:
                from .metrics import listening

                await stack.enter_async_context(listening(hub, self.config.METRICS))
            sweeper = asyncio.get_running_loop().create_task(self._sweep())
            try:
                yield
            finally:
                sweeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sweeper

    def _operated(self) -> AbstractAsyncContextManager[None]:
        """The socket that `limen top` asks; that of an App is the one beside its store."""
        if self.app is not None:
            return contextlib.nullcontext()
        port = next((listener.port for listener in self.listening if listener.port), None)
        try:
            control = Path(self.settings.control) if self.settings.control else router_socket(port)
        except (exc.StoreError, OSError) as error:
            log.warning("No control socket (%s): `limen top` finds nothing.", error)
            return contextlib.nullcontext()
        return seen.operated(self.hub, control)

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


def adopt(config: Config, settings: Settings) -> None:
    """Sets *config* as *settings* say."""
    limits = settings.limits
    config.MAX_CONNECTIONS, config.MAX_ORIGIN_CONNECTIONS = limits.connections, limits.origin_connections
    config.MAX_PENDING_LOGINS = limits.origin_logins
    config.SOFT_ORIGIN_ABUSE_LEVEL, config.MAX_ORIGIN_ABUSE_LEVEL = limits.origin_abuse / 2, limits.origin_abuse
    config.MAX_MESSAGE_SIZE = limits.message_bytes
    config.MAX_QUEUE_SIZE = limits.queue_bytes
    config.MAX_STALL = limits.stall
    config.HELLO_TIMEOUT, config.LOGIN_TIMEOUT = limits.hello, limits.login
    config.PING_INTERVAL, config.PING_TIMEOUT = limits.ping, limits.pong
    for realm in settings.realms:
        config.domain(realm.name).MAX_PENDING_CALLS = realm.limits.pending_calls
        config.domain(realm.name).MAX_SESSIONS = realm.limits.sessions
