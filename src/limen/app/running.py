"""An App that runs: how its hub and its ASGI callable are made, and what happens every second.

start   claim the store, mark the epoch, load the ledger, listen on the control socket
sweep   once a second: late greetings, idle sessions, the ledger's flush
stop    drain, flush, mark
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.principal import Principal
from limen.base.proxies import Proxies
from limen.door.hub.files import Files
from limen.door.hub.gate import Gate
from limen.door.hub.hub import Hub
from limen.door.hub.logins import TOUCH
from limen.door.own.files import link_address
from limen.door.own.own import OWN
from limen.store.relational import Relational
from limen.web.static import StaticTree

from . import control, described, seen
from .allowed import authorize
from .calllog import CallLog
from .elsewhere import Elsewhere, begin_epoch
from .hooks import Event
from .operations import operations
from .origins import origin_of
from .vault import socket_path

if TYPE_CHECKING:
    from limen.door.http.door import HttpDoor
    from limen.door.http.places import OwnAddress
    from limen.door.hub.counts import Counts
    from limen.service.pipeline import OnDone
    from limen.service.service import Service

    from .app import App

log = logging.getLogger("limen")

SPOOL_SWEEP = 30.0
"""Seconds between two looks for uploads that nobody has touched for long."""


TWICE = (
    "This App is being served already; it has one hub, on one event loop. Make another App() for a second server in "
    "this process (with the services that it shall have), or stop the first one before."
)


def make_hub(app: App) -> Hub:
    """The hub of *app*, on its stores."""
    Proxies(app.config.PROXIES)  # a word that is no address is refused at the start
    vault = app.vault
    gate = Gate(
        app.config,
        accounts=vault.accounts,
        slots=vault.slots,
        ledger=vault.ledger,
        ledger_store=vault.ledger_store,
        once=vault.once,
        machines=vault.machines,
        keys=vault.keys,
    )
    app.pipeline.guard(charge=gate.charge, refused=gate.refused)
    hub = Hub(app.config, app.registry, app.pipeline, gate, partial(authorize, app), Files(app.config, app.spool), OWN)
    app.permissions.load()

    def happened(event: str, principal: Principal | None = None, **about: Any) -> None:
        hub.gate.note(event, **{name: value for name, value in about.items() if value is not None})
        app.hooks.happened(Event(event, **about), principal)

    hub.happened = happened
    return hub


@contextlib.asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """From the first to the last moment of a server. Raises RuntimeError where one of this App runs already."""
    if app.running:
        raise RuntimeError(TWICE)
    calls = CallLog()
    async with contextlib.AsyncExitStack() as stack:
        app.running = True
        stack.callback(setattr, app, "running", False)
        stack.callback(calls.close)
        stack.enter_context(app.vault.claimed())
        hub = app.open()
        hub.begin()
        stack.callback(hub.end)
        app.pipeline.on_done = counted(hub.counts, calls)
        stack.callback(app.log_security(calls))
        if app.line is not None:
            from limen.door.processes.across import Across

            from .line import Line

            hub.bus = line = await Line.connect(app.line)
            stack.callback(line.close)
            hub.across = Across(hub, line)
            await hub.across.begin()
        hub.bus.hear("session.over", hub.logins.heard_over)
        await app.parties.begin(hub)
        seen.begin(hub)
        if app.config.TRACES:
            stack.callback(seen.trace(hub))
        hub.gate.epoch = app.vault.mark.epoch
        app.vault.recover()
        app.vault.load_ledger()
        app.vault.purge()
        await asyncio.to_thread(app.spool.sweep)
        stack.callback(app.spool.close)
        app.vault.forget()
        path = socket_path(app.vault.url, app.config.KEYS)
        if path is not None and not (app.vault.shared and control.is_served(path)):
            try:
                listener = await control.listen(path, operations(app))
            except OSError as error:  # a file system without sockets, say
                log.warning("No socket at %s (%s): `limen user` works only while no server runs.", path, error)
            else:
                stack.callback(path.unlink, missing_ok=True)
                stack.callback(listener.close)
        if app.config.METRICS:
            from .metrics import OTEL, listening, measured

            metrics = app.config.METRICS
            await stack.enter_async_context(measured(hub) if metrics == OTEL else listening(hub, metrics))
        for mounted in app.mounts:
            await stack.enter_async_context(mounted.alive())
        trees = await stack.enter_async_context(contextlib.AsyncExitStack())
        await trees.enter_async_context(app.trees.alive(hub))
        first = await hub.bus.claim("limen server.started")  # of several processes one tells it
        if first:
            await app.hooks.started()
        sweeper = asyncio.get_running_loop().create_task(_sweep(app, hub))
        try:
            yield
        finally:
            if first:
                await app.hooks.stopping()
            await trees.aclose()  # what nodes say as they go is still heard
            await hub.drain()
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
            await asyncio.to_thread(hub.gate.collect())
            await app.hooks.stopped()
            app.vault.mark.write()


def counted(counts: Counts, log: CallLog) -> OnDone:
    """What is told of each call that has ended."""

    def done(service: Service, principal: Principal, seconds: float, error: exc.Error | None) -> None:
        counts.called(principal.domain, service.uri, seconds, error)
        log(service, principal, seconds, error)

    return done


async def _sweep(app: App, hub: Hub) -> None:
    gate = hub.gate
    marked = forgot = swept = time.monotonic()
    elsewhere = Elsewhere(hub, app.vault)
    while True:
        await asyncio.sleep(1.0)
        try:
            hub.refuse_late()
            gate.ledger.tick(time.time())
            hub.logins.sweep()
            async with gate.passing:
                await asyncio.to_thread(gate.collect())
            if app.vault.shared:
                await elsewhere.look()
            app.permissions.take(await asyncio.to_thread(app.permissions.news, _domains(app)))
            if app.vault.overheard:
                async with gate.passing:
                    await elsewhere.listen(_domains(app))
            await asyncio.to_thread(follow, app)
            if time.monotonic() - swept >= SPOOL_SWEEP:
                swept = time.monotonic()
                await asyncio.to_thread(app.spool.sweep)
            if time.monotonic() - marked >= 5.0:
                marked = time.monotonic()
                await asyncio.to_thread(app.vault.mark.write)
                begin_epoch(hub, app.vault.mark.epoch)
            if time.monotonic() - forgot >= 60.0:
                forgot = time.monotonic()
                await asyncio.to_thread(app.vault.forget)
                for domain in _domains(app):
                    hub.logins.slots_over(await asyncio.to_thread(app.vault.expire, domain, 2 * TOUCH), "expired")
        except Exception:  # a full disk must not end the sweeping
            log.exception("the once-a-second work failed; it goes on")


def _domains(app: App) -> list[str]:
    return sorted({app.config.DOMAIN, *app.domains})


def follow(app: App) -> None:
    """Brings copies of records in relational stores to where the records are, as far as that goes in a second."""
    for records in {id(records): records for _, records in app.storage.models()}.values():
        if isinstance(records, Relational):
            with contextlib.suppress(exc.Timeout):  # the rest next time
                records.follow(1.0)


def make_door(app: App) -> HttpDoor:
    """The HTTP door of *app*, whoever carries the requests."""
    from limen.door.bridge.signing import signed_principal
    from limen.door.http.door import HttpDoor
    from limen.door.http.places import Callers, Places

    hub = app.open()
    gate = hub.gate
    return HttpDoor(
        app.config,
        app.registry,
        app.pipeline,
        Places(statics=app.statics, mounts=app.mounts, own=own_addresses(app, hub), assets=assets()),
        Callers(
            domain_of=app.domain_of,
            origin_of=origin_of,
            refused=gate.refused,
            charge=gate.charge,
            delay=gate.delay,
            signed=partial(signed_principal, hub),
        ),
        spool=app.spool,
    )


def make_asgi(app: App, inner: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """The ASGI callable: HTTP, WebSocket and lifespan. *inner*: who is asked where nothing of the App's stands."""
    from limen.door.gateway.asgi import Asgi
    from limen.door.gateway.mount import alive
    from limen.door.gateway.outermost import Outermost
    from limen.transport.asgi_ws import AsgiWebSockets

    door, hub = make_door(app), app.open()
    life = contextlib.AsyncExitStack()
    state: dict[str, Any] = {}

    async def start() -> None:
        if inner is not None:
            await life.enter_async_context(alive(inner, state, "The inner application"))
        if not (app.running and hub.loop is asyncio.get_running_loop()):  # by another callable of the same App
            await life.enter_async_context(lifespan(app))

    limen = Asgi(door, AsgiWebSockets(app.accept, app.config), start=start, stop=life.aclose)
    return limen if inner is None else Outermost(limen, door.owns, inner, state)


def own_addresses(app: App, hub: Hub) -> dict[str, OwnAddress]:
    """What stands at `/limen/NAME`, by NAME; all else there is `assets`."""
    from limen.door.bridge.bridge import Bridge
    from limen.door.bridge.events import Events
    from limen.door.lane.lane import Lane

    from . import metrics

    return {
        "bridge": Bridge(hub),
        "events": Events(hub),
        "lane": Lane(hub, app.vault.lanes),
        **described.addresses(app),
        "link": link_address(app.config, hub.gate, hub.files.shelf),
        "metrics": metrics.address(hub, app.config.IS_DEVELOPMENT, app.config.OBSERVE_ROLES),
        "status.json": described.for_developers(app.config, lambda request: status(app, hub)),
    }


def assets() -> StaticTree:
    """The browser's half, built by `make` and packed into the wheel, at `/limen`."""
    return StaticTree("/limen", Path(__file__).parent.parent / "browser", index=None)


def status(app: App, hub: Hub) -> dict[str, Any]:
    """What `/limen/status.json` shows, to developers only."""
    return {
        "domain": app.config.DOMAIN,
        "domains": sorted(app.domains),
        "services": [service.uri for service in app.registry],
        "topics": sorted(app.registry.topics),
        "connections": len(hub.connections),
        "sessions": len(hub.tabs),
    }
