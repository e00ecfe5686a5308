"""The hub: the edge of all realms. It does what the realms decide, runs local services, and keeps the time.

    bytes -> Connection.received -> codec -> realm.receive -> effects -> Hub.act -> Connection.send -> bytes

A realm is a machine without I/O (`core/wamp/realm.py`); the hub is the only one who acts on its effects.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import msgspec

from limen import exc
from limen.base.files import File
from limen.base.principal import Cancellation
from limen.core.wamp.effects import Ask, Broadcast, Claim, Close, Effect, Interrupt, Invoke, Send, Spread, Unclaim
from limen.core.wamp.realm import Realm
from limen.core.wamp.verdict import DENIED

from .bus import Alone, Bus
from .files import Files, ahead, call
from .machines import Machines
from .seat import Own, Signed
from .tabs import Calls, KeptCall, Tab, Tabs, digest

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.base.principal import Principal
    from limen.core.guard.accounts import Slot
    from limen.core.wamp.verdict import Authorize
    from limen.door.processes.across import Across
    from limen.door.ws.connection import Connection
    from limen.service.pipeline import Pipeline
    from limen.service.registry import Registry

    from .entrance import Entrance
    from .gate import Gate

_encode = msgspec.msgpack.Encoder().encode
log = logging.getLogger("limen.door")

TOUCH = 60.0
"""Seconds by which the store may be behind what it knows of a slot's last use, at most."""

GOODBYES = {
    "expired": ("limen.close.expired", ""),
    "forced": ("limen.close.forced", "Somebody has logged in elsewhere, and asked that this session end."),
    "password": ("wamp.close.logout", "The password was changed."),
    "logout": ("wamp.close.logout", "The session was ended by a logout."),
}
"""Why a session is over, to what its client is told: GOODBYE's reason and words."""

SHUTDOWN = "wamp.close.system_shutdown"
CHANGED = "limen.close.changed"
"""GOODBYE to a session that is to come back at once: who it is, or what it may, is another by then."""

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Hub:
    """Realms by domain, tabs, and the calls under way. Lives on one event loop.

    *authorize* (`core/wamp/verdict.py`) says whether a session may call, register, publish or subscribe. *own*: what
    Limen itself answers, by URI.
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
    ) -> None:
        self.config, self.registry, self.pipeline, self.gate = config, registry, pipeline, gate
        self.authorize, self.files, self._own = authorize, files, own
        self.entrance: Entrance = Machines()
        self.bus: Bus = Alone()
        """What the other processes of this server are told."""
        self.across: Across | None = None
        """What this process does for the others, where there are others; set before the first connection."""
        self.ask: Callable[[Realm, Ask], None] = lambda realm, ask: self.act(realm, realm.decide(ask.session, DENIED))
        """Finds out whether a session may, where *authorize* could not say; then `Realm.decide`."""
        self.happened: Callable[..., None] = lambda event, principal=None, **about: None
        """Told what happens to sessions, for the program (`limen.app.hooks`)."""
        gate.slots_over = self.slots_over
        self.tabs = Tabs()
        self.connections: set[Connection] = set()
        self.guests: set[Signed] = set()
        """What listens over plain HTTP."""
        self._realms: dict[str, Realm] = {}
        self._deadline: asyncio.TimerHandle | None = None
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
        self._realms, self._deadline = {}, None
        self.tabs, self.connections, self.guests = Tabs(), set(), set()

    def is_crowded(self, origin: str) -> bool:
        """*origin* has as many WebSockets and streams of events without a login as one may have."""
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
            found = self._realms[domain] = Realm(
                domain,
                rng=lambda: secrets.randbelow(2**53 - 1) + 1,
                procedures=self._procedure,
                authorize=self.authorize,
                now=self.loop.time,
                max_pending=self.config.domain(domain).MAX_PENDING_CALLS,
                shared=self.across is not None,
            )
        return found

    def known_realm(self, domain: str) -> Realm | None:
        """The realm of *domain*, None where nobody has asked for it yet."""
        return self._realms.get(domain)

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

    # -- acting -------------------------------------------------------------------------------------------------
    def act(self, realm: Realm, effects: Iterable[Effect]) -> None:
        """Does what a realm decided."""
        for effect in effects:
            match effect:
                case Send():
                    try:
                        effect.session.peer.send(effect.message)
                    except exc.InvalidValue as error:  # NaN to a JSON peer, say: the caller learns why
                        self.act(realm, realm.undeliverable(effect.session, effect.message, error))
                case Invoke():
                    self._invoke(effect)
                case Broadcast():
                    frames: dict[object, bytes] = {}
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
                    self.across.lent.claim(realm, effect.session, effect.message)
                case Unclaim():
                    self.across.lent.unclaim(realm, effect.uri)

    def _watch(self, realm: Realm) -> None:
        """Wakes the realm for the next call that times out."""
        deadline = realm.next_deadline()
        if deadline is None:
            return
        if self._deadline is not None:
            if not self._deadline.cancelled() and self._deadline.when() <= deadline:
                return
            self._deadline.cancel()
        self._deadline = self.loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._deadline = None
        now = self.loop.time()
        for realm in self._realms.values():
            self.act(realm, realm.tick(now))
            self._watch(realm)

    # -- calls --------------------------------------------------------------------------------------------------
    def _invoke(self, effect: Invoke) -> None:
        connection: Connection = effect.session.peer
        procedure = effect.procedure
        if type(procedure) is Own:
            if connection.tab is None:
                connection.error(effect.request, exc.NotFound())
                return
            self._run_own(connection, effect, procedure)
            return
        kept = None
        options = effect.options
        progress = connection.progress(effect.request) if options and options.get("receive_progress") else None
        tab = connection.tab
        if tab is not None:
            tab.used = time.time()
            key = options.get("x_id")
            if type(key) is bytes and len(key) == 16 and progress is None and tab.kind != "lane":  # its number does it
                kept = self._begin(connection, effect, tab, key)
                if kept is None:
                    return
            elif options.get("x_repeat"):
                connection.error(effect.request, exc.OutcomeUnknown())
                return
        # What is over at once nobody can cancel.
        args, kwargs = effect.args, effect.kwargs
        files = (procedure.plan or self.pipeline.plan(procedure)).files and ahead(args, kwargs)
        cancellation = None if procedure.at_once and progress is None and not files else Cancellation()
        try:
            if files:
                outcome = call(connection, procedure, args, kwargs, progress=progress, cancellation=cancellation)
            else:
                outcome = self.pipeline.call(
                    connection.principal, procedure, args, kwargs, progress=progress, cancellation=cancellation
                )
                if type(outcome) is File:
                    cancellation, outcome = Cancellation(), self.files.result(connection, outcome)
        except exc.Error as error:
            self._answer(connection, effect.request, kept, None, error)
            return
        if cancellation is None or type(outcome) is not CoroutineType:
            self._answer(connection, effect.request, kept, outcome, None)
            return
        task = self._start(self._finish(connection, effect.request, kept, outcome))
        if task.done():
            return
        if kept is not None:
            kept.task, kept.cancellation = task, cancellation
        connection.running[effect.request] = (task, cancellation, kept)
        if not _EAGER:
            task.add_done_callback(partial(self._never_began, connection, effect.request, kept, outcome))

    def _never_began(
        self,
        connection: Connection,
        request: int,
        kept: KeptCall | None,
        outcome: CoroutineType[Any, Any, Any],
        task: asyncio.Future[None],
    ) -> None:
        """Before Python 3.12 a task may be cancelled before its first step, and then never is: CALL and CANCEL in one
        piece. The call has its answer all the same."""
        if task.cancelled() and getcoroutinestate(outcome) == CORO_CREATED:
            outcome.close()
            connection.running.pop(request, None)
            self._answer(connection, request, kept, None, exc.Canceled())

    def _begin(self, connection: Connection, effect: Invoke, tab: Tab, key: bytes) -> KeptCall | None:
        """The call, which is to run; None where it ran before under this id, or may not run: that is answered here."""
        try:
            said = digest(effect.uri, effect.args, effect.kwargs)
            repeat = effect.options.get("x_repeat") is True
            kept = tab.calls.begin(key, said, connection, effect.request, repeat=repeat)
        except exc.Error as error:
            connection.error(effect.request, error)
            return None
        if kept is None:
            self._adopt(connection, effect.request, tab.calls.under_way(key))
        return kept

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if _EAGER:
            # An eager task runs at once up to its first wait: most services never wait.
            return asyncio.Task(coroutine, loop=self.loop, **_EAGER)
        return self.loop.create_task(coroutine)

    def _adopt(self, connection: Connection, request: int, call: KeptCall | None) -> None:
        """A call that runs since an earlier connection can be cancelled from this one as well."""
        if call is not None and call.task is not None:
            connection.running[request] = (call.task, call.cancellation, call)
            call.task.add_done_callback(lambda _: connection.running.pop(request, None))

    async def _finish(
        self, connection: Connection, request: int, kept: KeptCall | None, outcome: Awaitable[Any]
    ) -> None:
        value, error = None, None
        try:
            value = await outcome
            if type(value) is File:
                value = await self.files.result(connection, value)
        except exc.Error as caught:
            error = caught
        except asyncio.CancelledError:
            error = exc.Canceled()
        except Exception:  # of the files that came or go; the pipeline itself raises none
            log.exception("The files of a call failed")
            error = exc.InternalError()
        connection.running.pop(request, None)
        self._answer(connection, request, kept, value, error)

    def _answer(
        self, connection: Connection, request: int, kept: KeptCall | None, value: Any, error: exc.Error | None
    ) -> None:
        if kept is not None:
            kept.finish(self.loop.time(), value, error)  # to whoever asked last: that may be another connection by now
        elif error is not None:
            connection.error(request, error)
        else:
            connection.result(request, value)

    def _run_own(self, connection: Connection, effect: Invoke, own: Own) -> None:
        async def run() -> None:
            value, error = None, None
            try:
                value = await own.run(connection, *(effect.args or ()), **(effect.kwargs or {}))
            except exc.Error as caught:
                error = caught
            except TypeError:
                error = exc.InvalidCall(f"{effect.uri}: the arguments do not fit; docs/security.md lists them.")
            except Exception:
                log.exception("%s failed", effect.uri)
                error = exc.InternalError()
            if error is not None:
                connection.error(effect.request, error)
            else:
                connection.result(effect.request, value)

        task = self._start(run())
        if not task.done():
            connection.running[effect.request] = (task, Cancellation(), None)
            task.add_done_callback(lambda _: connection.running.pop(effect.request, None))

    # -- tabs ---------------------------------------------------------------------------------------------------
    def open_tab(self, principal: Principal, login: float) -> Tab:
        config = self.config.domain(principal.domain)
        calls = Calls(config.PARK_TIMEOUT, config.PARK_MAX_RESULTS)
        tab = Tab(principal.domain, principal.impersonated_by or principal.user or "", login, calls)
        self.tabs.add(tab)
        return tab

    def review(self, domain: str) -> None:
        """Who may do what in *domain* has changed: sessions that listen, or answer, where they may not any more begin
        anew."""
        realm = self._realms.get(domain)
        for session in tuple(realm.sessions.values()) if realm is not None else ():
            if session.principal is None:
                continue  # it stands for sessions of another process, which looks at them itself
            does = [("subscribe", subscription.uri) for subscription in session.subscriptions.values()]
            does += [("register", registration.uri) for registration in session.registrations.values()]
            verdicts = [self.authorize(session, action, uri, {}) for action, uri in does]
            if not all(verdict is None or verdict.allow for verdict in verdicts):
                session.peer.goodbye(CHANGED, {})

    def refresh(self, tab: Tab) -> None:
        """Who a session is has changed: it is to come back at once, and is that from then on."""
        if tab.connection is not None:
            tab.connection.goodbye(CHANGED, {})

    def opened(self, principal: Principal, id: str, kind: str) -> None:
        """Somebody has come in: the program hears of it."""
        about = {"id": id, "origin": principal.origin, "kind": kind, "impersonated_by": principal.impersonated_by}
        self.happened("session.opened", principal, domain=principal.domain, user=principal.user or "", **about)

    def end_tab(self, tab: Tab, reason: str, details: dict[str, Any] | None = None, why: str = "ended") -> None:
        """Ends a tab for good, and its slot: its connection hears GOODBYE *reason*, its calls are cancelled.
        *why*: as the program is told (`limen.app.hooks`)."""
        self.over(tab, why)
        connection, tab.connection = tab.connection, None
        if connection is not None:
            connection.goodbye(reason, details or {})

    def over(self, tab: Tab, why: str) -> None:
        """A tab is over, and its slot will be."""
        was_over = tab.over
        self.tabs.remove(tab)
        if tab.slot is not None:  # whoever takes the slot out of the store says that it is over
            self.gate.ended[tab.slot] = tab.domain
            self.gate.reasons.setdefault(tab.slot, why)
        elif not was_over:
            self._closed(tab.domain, tab.user, tab.id, tab.origin, tab.kind, why)

    def end_signed(self, domain: str, user: str, key: bytes | None = None) -> None:
        """Ends the unsealed sessions in which *user* has signed in (with *key*, if one is named). On the loop."""
        for session in self.signed():
            if session.domain == domain and session.principal.user == user and key in (None, session.key):
                session.goodbye("wamp.close.logout", {"message": "This session was ended."})

    def signed(self) -> list[Signed]:
        """The unsealed sessions that have a user, over WebSockets and HTTP."""
        return [*(c for c in self.connections if c.key), *(guest for guest in self.guests if guest.key)]

    def slots_over(self, slots: Iterable[Slot], why: str) -> None:
        """These slots have gone from the store, taken out by this process: their tabs end, and the program hears of
        it. On the loop."""
        away = []
        for slot in slots:
            self.gate.endings += 1
            if why:  # else it never came to be
                self._closed(slot.domain, slot.user, slot.id, slot.origin, slot.kind, why, slot.acting)
            if not self._end_slot(slot.handle, why):
                away.append(slot.handle)
                self.gate.elsewhere.add((slot.domain, slot.user))
        if away:
            self.bus.tell("session.over", {"slots": away, "why": why})

    def heard_over(self, body: Any) -> None:
        """Another process of this server has ended these slots."""
        self.gate.endings += 1
        for handle in body["slots"]:
            self._end_slot(handle, body["why"])
            if self.across is not None:
                self.across.moving.forget(handle)

    def _end_slot(self, handle: bytes, why: str) -> bool:
        """Ends the tab of a slot; False: it is not here."""
        tab = self.tabs.get(handle)
        if tab is not None and not tab.over:
            reason, words = GOODBYES.get(why, ("wamp.close.logout", "This session was ended."))
            self.end_tab(tab, reason, {"message": words} if words else {}, why)
        return tab is not None

    def _closed(self, domain: str, user: str, id: str, origin: str, kind: str, why: str, acting: str = "") -> None:
        who = {"user": acting, "impersonated_by": user} if acting else {"user": user}
        self.happened("session.closed", domain=domain, id=id, origin=origin, kind=kind, why=why, **who)

    def sweep(self) -> None:
        """Once a second: ends tabs that are idle, too old or parked too long."""
        now, wall = self.loop.time(), time.time()
        for session in self.signed():
            if now - session.since > self.config.domain(session.domain).SESSION_MAX_AGE:
                session.goodbye("limen.close.expired", {})
        for tab in self.tabs:
            parent = self.tabs.get(tab.parent) if tab.parent else None
            if parent is not None and parent.used < tab.used:
                parent.used = tab.used  # they are one login: it is in use
        for tab in self.tabs:
            config = self.config.domain(tab.domain)
            if wall - tab.used > config.SESSION_TIMEOUT or wall - tab.login > config.SESSION_MAX_AGE:
                if tab.kind == "lane" and tab.connection is not None:
                    tab.connection.look()  # it may be in use at another process
                else:
                    self.end_tab(tab, "limen.close.expired", why="expired")
            elif tab.parked is not None and now - tab.parked > config.PARK_TIMEOUT:
                self.touch(tab)
                self.tabs.remove(tab)
            else:
                tab.calls.trim(now)
                if tab.used - tab.stored > min(TOUCH, config.SESSION_TIMEOUT / 10):
                    self.touch(tab)

    def touch(self, tab: Tab) -> None:
        """The store learns, with the next batch, when the tab's slot was last used: it may outlive this process."""
        if tab.slot is not None and tab.used > tab.stored:
            tab.stored = tab.used
            self.gate.touch(tab.domain, tab.slot, tab.used)

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
            self.touch(tab)
        for session in (*self.connections, *self.guests, *lanes):
            session.goodbye(SHUTDOWN, {})
