"""The hub: the edge of all realms. It does what the realms decide, and keeps the time.

    bytes -> Connection.received -> codec -> realm.receive -> effects -> Hub.act -> Connection.send -> bytes

A realm is a machine without I/O (`core/wamp/realm.py`); the hub is the only one who acts on its effects.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.core.wamp.effects import (
    Ask,
    Broadcast,
    Claim,
    Close,
    Effect,
    Gather,
    Interrupt,
    Invoke,
    Listen,
    Send,
    Spread,
    Unclaim,
)
from limen.core.wamp.realm import Realm
from limen.core.wamp.verdict import DENIED

from .bus import Alone, Bus
from .counts import Counts
from .local import Local
from .logins import Logins
from .seat import CHANGED, SHUTDOWN
from .tabs import Tabs
from .watching import Watching

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.core.wamp.session import Session
    from limen.core.wamp.verdict import Authorize
    from limen.service.pipeline import Pipeline
    from limen.service.registry import Registry

    from .bus import Across
    from .entrance import Entrance
    from .files import Files
    from .gate import Gate
    from .seat import Caller, Own, Signed, Wired
    from .times import Watcher


class Hub:
    """The realms by domain, and who is here: connections, guests, tabs. Lives on one event loop.

    *authorize* (`core/wamp/verdict.py`) says whether a session may call, register, publish or subscribe. *own*: what
    Limen itself answers, by URI. *entrance*: that of `limen serve` if None.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        pipeline: Pipeline,
        gate: Gate,
        authorize: Authorize,
        files: Files,
        own: Mapping[str, Own],
        entrance: Entrance | None = None,
    ) -> None:
        self.config, self.registry, self.pipeline, self.gate = config, registry, pipeline, gate
        self.authorize, self.files, self._own = authorize, files, own
        self.entrance: Entrance = entrance or _machines()
        """Who may come in by plain WAMP."""
        self.bus: Bus = Alone()
        """What the other processes of this server are told."""
        self.across: Across | None = None
        """What this process does for the others, where there are others; set before the first connection."""
        self.settings_of: Callable[[str], dict[str, Any]] = lambda domain: {}
        """What else the realm of a domain is made with: keywords of `Realm`."""
        self.ask: Callable[[Realm, Ask], None] = lambda realm, ask: self.act(realm, realm.decide(ask.session, DENIED))
        """Finds out whether a session may, where *authorize* could not say; then `Realm.decide`."""
        self.happened: Callable[..., None] = lambda event, principal=None, **about: None
        """Told what happens to sessions, for the program (`limen.app.hooks`)."""
        self.logins = Logins(self)
        self._run = Local(self).run
        self.counts = Counts()
        self.watcher: Watcher | None = None
        """Sees what is sent, while somebody watches (`watching.py`)."""
        self.watching = Watching(self)
        self.tabs = Tabs()
        self.connections: set[Wired] = set()
        self.guests: set[Signed] = set()
        """What listens over plain HTTP."""
        self._realms: dict[str, Realm] = {}
        self._deadline: asyncio.TimerHandle | None = None
        self._ticks = 0.0  # uvloop's timers do not all say when: those that are due at once are none
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def begin(self) -> None:
        """A server starts on the running loop: of one that ran before on another loop nothing is left."""
        self._loop = asyncio.get_running_loop()
        self.gate.begin()
        self._realms, self._deadline, self.counts = {}, None, Counts()
        self.tabs, self.connections, self.guests = Tabs(), set(), set()

    def end(self) -> None:
        """The server is over, and soon its loop: what is published from now on nobody hears."""
        self._loop = None

    def refuse_late(self) -> None:
        """Once a second: ends connections on which no HELLO came. (A loop in the caller, which goes on, would keep the
        last one that it looked at.)"""
        now = self.loop.time()
        for connection in tuple(self.connections):
            if connection.overdue(now):
                connection.refuse("wamp.error.protocol_violation", "no HELLO came", 1008)

    def is_crowded(self, origin: str) -> bool:
        """*origin* has as many WebSockets and streams of events without a login as one may have; or this process has
        as many connections as it may."""
        if len(self.connections) >= self.config.MAX_CONNECTIONS:
            return True
        most = self.config.MAX_ORIGIN_CONNECTIONS
        if len(self.connections) + len(self.guests) < most:  # nobody can have so many: mostly nothing need be counted
            return False
        callers = [session.principal for session in (*self.connections, *self.guests)]
        return sum(who.origin == origin and who.user is None for who in callers) >= most

    # -- realms -------------------------------------------------------------------------------------------------
    def realm(self, domain: str) -> Realm:
        """The realm of *domain*, made when first asked for. The caller has checked that the domain exists."""
        found = self._realms.get(domain)
        if found is None:
            settings: dict[str, Any] = {
                "rng": lambda: secrets.randbelow(2**53 - 1) + 1,
                "procedures": self._procedure,
                "authorize": self.authorize,
                "now": self.loop.time,
                "max_pending": self.config.domain(domain).MAX_PENDING_CALLS,
                "shared": self.across is not None,
                **self.settings_of(domain),
            }
            found = self._realms[domain] = Realm(domain, **settings)
        return found

    def known_realm(self, domain: str) -> Realm | None:
        """The realm of *domain*, None where nobody has asked for it yet."""
        return self._realms.get(domain)

    def drop(self, domain: str) -> Realm | None:
        """The realm of *domain* is no more; gives it, for its sessions to be told."""
        return self._realms.pop(domain, None)

    @property
    def realms(self) -> tuple[Realm, ...]:
        """All realms that somebody has asked for."""
        return tuple(self._realms.values())

    def denied(self, session: Session, action: str, uri: str, **about: Any) -> None:
        """*session* may not do that: whoever decides so says it here, for the counts and the log."""
        self.counts.denied[action] += 1
        who = session.principal
        facts = {"domain": who.domain, "user": who.user, "origin": who.origin} if who is not None else {}
        if who is not None and who.impersonated_by is not None:
            facts["by"] = who.impersonated_by
        self.gate.note("denied", did=action, uri=uri[:200], **facts, **about)

    def _procedure(self, uri: str) -> object | None:
        return self.registry.by_uri(uri) or self._own.get(uri)

    def publish(self, domain: str, uri: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Publishes by the server itself; from any thread."""
        if self._loop is None:
            return  # nobody is connected yet
        if asyncio._get_running_loop() is self._loop:
            self._publish(domain, uri, args, kwargs)
        else:
            self._loop.call_soon_threadsafe(self._publish, domain, uri, args, kwargs)

    def _publish(self, domain: str, uri: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        realm = self._realms.get(domain)
        if realm is None and self.across is not None:
            realm = self.realm(domain)  # nobody is here, but at another process there may be
        if realm is not None:
            self.act(realm, realm.publish(uri, args, kwargs))

    def tell_here(self, domain: str, uri: str, args: list[Any]) -> None:
        """Publishes to the sessions of this process alone."""
        realm = self._realms.get(domain)
        if realm is not None:
            self.act(realm, realm.hear(Spread(uri, args, None, secrets.randbelow(2**53 - 1) + 1, {})))

    def join(self, realm: Realm, session: Session, peer: Caller) -> None:
        """*session* begins in *realm*; what the realm has for it goes to *peer*."""
        session.peer = peer
        self.act(realm, realm.attach(session))
        self.counts.entered += 1

    def part(self, realm: Realm, session: Session) -> None:
        """*session* is over, whatever the reason. A second time nothing happens."""
        self.act(realm, realm.detach(session))

    # -- acting -------------------------------------------------------------------------------------------------
    def act(self, realm: Realm, effects: Iterable[Effect]) -> None:
        """Does what a realm decided."""
        for effect in effects:
            match effect:
                case Send():
                    if self.watcher is not None:
                        self.watcher.sending(effect.session, effect.message)
                    try:
                        effect.session.peer.send(effect.message)
                    except exc.InvalidValue as error:  # NaN to a JSON peer, say: the caller learns why
                        self.act(realm, realm.undeliverable(effect.session, effect.message, error))
                case Invoke():
                    self._run(effect)
                case Broadcast():
                    frames: dict[object, bytes] = {}
                    if self.watcher is not None:
                        self.watcher.broadcasting(effect.sessions, effect.message)
                    for session in effect.sessions:
                        session.peer.send_shared(effect.message, frames)
                case Interrupt():
                    effect.session.peer.interrupt(effect.request)
                case Close():
                    effect.session.peer.end(effect.message)
                case Ask():
                    self.ask(realm, effect)
                case _:
                    self._tell_others(realm, effect)
        if realm.deadlines:
            self._watch(realm)

    def _tell_others(self, realm: Realm, effect: Effect) -> None:
        if self.across is not None:
            match effect:
                case Spread():
                    self.across.spread(realm, effect)
                case Claim():
                    self.across.claim(realm, effect)
                case Unclaim():
                    self.across.unclaim(realm, effect)
                case Gather():
                    self.across.gather(realm, effect)
                case Listen():
                    self.across.listen(realm, effect)

    def _watch(self, realm: Realm) -> None:
        """Wakes the realm for the next call that times out."""
        deadline = realm.next_deadline()
        if deadline is None:
            return
        if self._deadline is not None:
            if not self._deadline.cancelled() and self._ticks <= deadline:
                return
            self._deadline.cancel()
        self._ticks = deadline
        self._deadline = self.loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._deadline = None
        now = self.loop.time()
        for realm in self._realms.values():
            self.act(realm, realm.tick(now))
            self._watch(realm)

    # -- ends ---------------------------------------------------------------------------------------------------
    def review(self, domain: str) -> None:
        """Who may do what in *domain* has changed: sessions that listen, or answer, where they may not any more begin
        anew."""
        realm = self._realms.get(domain)
        self.review_these(tuple(realm.sessions.values()) if realm is not None else ())

    def declared(self, uri: str) -> None:
        """The program has a topic there from now on: who listens, and may not any more, begins anew. From any
        thread; what the program publishes there next they do not get."""
        if self._loop is None:
            return  # nobody is connected yet
        if asyncio._get_running_loop() is self._loop:
            self._declared(uri)
        else:
            self._loop.call_soon_threadsafe(self._declared, uri)

    def _declared(self, uri: str) -> None:
        for realm in self.realms:
            self.review_these(realm.hearers(uri))

    def review_these(self, sessions: Iterable[Session]) -> None:
        """What these sessions may do has changed: as `review`."""
        for session in sessions:
            if session.principal is None:
                continue  # it stands for sessions of another process, which looks at them itself
            verdicts = [self.authorize(session, *what) for what in does(session)]
            if not all(verdict is None or verdict.allow for verdict in verdicts):
                session.peer.goodbye(CHANGED, {})

    async def drain(self, seconds: float = 10.0) -> None:
        """Says GOODBYE to all and waits for the calls under way."""
        tasks: set[asyncio.Future[None]] = {task for c in self.connections for task, _, _ in c.running.values()}
        tasks |= {call.task for tab in self.tabs for call in tab.calls.running() if call.task is not None}
        lanes = [tab.connection for tab in self.tabs if tab.kind == "lane" and tab.connection is not None]
        for lane in lanes:
            tasks |= lane.tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for tab in self.tabs:
            self.logins.touch(tab)
        for session in (*self.connections, *self.guests, *lanes):
            session.goodbye(SHUTDOWN, {})


def _machines() -> Entrance:
    from .machines import Machines  # needs cryptography, a router perhaps not

    return Machines()


def does(session: Session) -> list[tuple[str, str, dict[str, Any]]]:
    """What *session* listens to and answers: action, URI, options, as `authorize` takes them."""
    all_of: dict[str, Mapping[int, Any]] = {"subscribe": session.subscriptions, "register": session.registrations}
    return [(action, one.uri, {"match": one.match}) for action, those in all_of.items() for one in those.values()]
