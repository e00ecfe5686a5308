"""The client's half of a session, in Python: `start_session`. `js/src/session/joined.js` is the same for pages.

    joined = await start_session(connection, "shop", views={"Desktop": DesktopView})
    await joined.remote("#session").end()                       calls of the session itself
    joined.views["desktop"].remote("#controller").save()        … and of a controller

What is open on the server has its view here: made when the context opens, unbound when it closes. After the connection
was lost, or the page reloaded, the session goes on as it was; where the server has it no more, a new one begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.base.path import Path
from limen.node.context import NEAR, NodeContext
from limen.node.node import Node

from .context import View
from .roles import CLIENT, Roles

if TYPE_CHECKING:
    from limen.node.connection import Connection
    from limen.node.context import Next
    from limen.node.port import Session, Undo
    from limen.node.proxy import Offline, Proxy

log = logging.getLogger("limen.session")

Event = Callable[..., object]
EVENTS: Final = ("started", "opened", "closed", "ended")
LOSSES: Final = 10
"""Of the connection amid a question, after which it is not asked again."""


async def start_session(
    connection: Connection | NodeContext,
    address: str,
    *,
    views: Mapping[str, Callable[[], View]] | None = None,
    store: MutableMapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Joined:
    """A session of the application at *address*: the one that *store* remembers, if the server has it still, else a new
    one. Comes back when all that is open has its view.

    *connection*: a `Connection`, or a `NodeContext` of one. *views*: what makes a view, by the name that the server
    says; one that is not there is a plain `View`. *store*: keeps address and token between two lives of a program, as
    `sessionStorage` does for a page. *details*: what the program is told of this client.
    """
    context = connection if isinstance(connection, NodeContext) else connection.new_context()
    joined = Joined(context, address, views or {}, {} if store is None else store, dict(details or {}))
    await joined._begin()
    return joined


class Joined:
    """A session that this client has.

    `on(event, f)`: "started" (the session, again after each loss), "opened" and "closed" (the view), "ended" (why).
    """

    def __init__(
        self,
        context: NodeContext,
        address: str,
        views: Mapping[str, Callable[[], View]],
        store: MutableMapping[str, Any],
        details: dict[str, Any],
    ) -> None:
        self._makers, self._store, self._details = views, store, details
        self._application, self._context = address, context
        session = context.tree.session
        if session is None:
            raise exc.InvalidCall("This context is of no connection: await start_session(connection, address).")
        self._session: Session = session
        self._handlers: dict[str, list[Event]] = {event: [] for event in EVENTS}
        self._undos: list[Callable[[], object]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._client: _Client | None = None
        self._server: int | None = None
        self._untold: list[str] = []
        """Views of which the server does not know yet."""
        self._lost = False
        """The server has the session no more."""
        self.views: dict[str, View] = {}
        """By the names of their contexts."""
        self.new = False
        """It began with this `start_session`: it was not found again."""
        self.address = ""
        """Of the session; empty where there is none."""

    def on(self, event: str, handler: Event) -> Callable[[], None]:
        """Calls *handler* when that happens; gives the undo."""
        if event not in self._handlers:
            raise ValueError(f"There is no {event!r} here; there are: {', '.join(EVENTS)}.")
        self._handlers[event].append(handler)

        def undo() -> None:
            with contextlib.suppress(ValueError):
                self._handlers[event].remove(handler)

        return undo

    def remote(self, address: Path | str, *, timeout: float | None = None, offline: Offline = "wait") -> Proxy:
        """What stands at *address*, counted from the session: `#session`, `@desktop.controller`. Options as of
        `Node.remote`."""
        if self._client is None:
            raise exc.UnknownSession("This session has ended.")
        return self._client.remote(address, timeout=timeout, offline=offline)

    async def end(self) -> None:
        """Ends the session, here and on the server."""
        if self._client is not None:
            with contextlib.suppress(exc.NotFound, exc.ConnectionLost):
                await _surely(self.remote("#session").end)
            await self._over("end")

    async def leave(self) -> None:
        """Unbinds all of it here, as a page does that is closed: on the server it waits for its time to be up."""
        async with self._turn:
            self._stop()
            await self._unbind()

    # -- beginning ----------------------------------------------------------------------------------------------
    async def _begin(self) -> None:
        """For `start_session`."""
        # Where the router leaves it to clients whether they are named: the application must know who says something.
        self._session.discloses = True
        self._session.first.append(self._resume)
        self._undos = [self._session.on("restored", self._restored)]
        try:
            self._undos.append(await self._heard_of())
            await self._in_turn(self._start())
        except BaseException:  # nothing is left that would begin a session later, when nobody asks for one
            self._stop()
            await self._unbind()
            raise

    async def _heard_of(self) -> Undo:
        """The server says when the application begins; whom it does not let hear that may begin nothing either."""
        try:
            return await self._session.subscribe(f"{self._application}.on_begin", self._restored)
        except exc.Unauthorized as error:
            raise type(error)(
                f"{self._application!r} begins no session for this client: {error} Either no application "
                "stands there, or it asks for a login (SAFE), or for a role (USER_ROLES); another router must let this "
                "client subscribe what is below that address.",
                **error.facts,
            ) from None

    async def _start(self) -> None:
        """Has a session, the one that is known or a new one, if there is none here yet: the connection may have been
        lost meanwhile, and it has begun with its return."""
        if self.address:
            return
        known, told = self._store.get(self._application), None
        if isinstance(known, Mapping):
            try:
                told = await self._ask(known["address"], known["token"], self._details)
            except exc.UnknownSession:
                self._store.pop(self._application, None)
        if told is None:
            told = await self._ask(None, None, self._details)
        self._remember(told)
        self.address = told["address"]
        self._client = client = _Client(self)
        context = self._context.new(resolvers=(self._resolve,), wrap_invocation=self._guard)
        await client.node_bind(Path(f"{self.address}.{CLIENT}", self.address), context)
        session = client.remote("#session")
        await asyncio.gather(
            session.on_open.connect(self._opened),
            session.on_close.connect(self._closed),
            session.on_end.connect(self._ended),
        )
        await self._agree()
        self._emit("started", self)

    def _remember(self, told: Mapping[str, Any]) -> None:
        self._store[self._application] = {"address": told["address"], "token": told["token"]}
        self.new, self._server = told["new"], told["server"]

    async def _resume(self) -> None:
        """The connection has returned: the server learns whose it is before anything else is said."""
        known = self._store.get(self._application)
        if self.address and isinstance(known, Mapping):
            try:
                self._remember(await self._ask(known["address"], known["token"], self._details))
            except exc.Error as error:  # what there is to do then is done when all else stands again
                log.info("The session at %s was not found again: %s", self._application, error)
                self._lost = True

    async def _go_on(self, why: str = "gone") -> None:
        """The server has the session, or it is over and a new one begins."""
        if self.address and not self._lost:
            try:
                await self._agree()
            except exc.NotFound:
                self._lost = True
            else:
                self._emit("started", self)
        if self._lost or not self.address:
            had, self._lost = bool(self.address), False
            await self._unbind()
            if had:
                self._emit("ended", why)
            with contextlib.suppress(exc.NotFound):  # it will say when it has begun
                await self._start()

    async def _agree(self) -> None:
        """What is open there is open here, and nothing else."""
        there = {told["name"]: told for told in await _surely(self.remote("#session").contexts)}
        for name in [name for name in self.views if name not in there]:
            await self._close(name)
        for told in there.values():
            await self._open(told)

    def _ask(self, *args: Any) -> Awaitable[dict[str, Any]]:
        return _surely(lambda: self._session.apply(f"{self._application}.start_session", args))

    # -- what the server says -----------------------------------------------------------------------------------
    def _opened(self, told: dict[str, Any]) -> None:
        self._do(self._in_turn(self._open(told)))

    def _closed(self, name: str) -> None:
        self._do(self._in_turn(self._close(name)))

    def _ended(self, why: str) -> None:
        self._do(self._over(why))

    async def _open(self, told: Mapping[str, Any]) -> None:
        client, name = self._client, told["name"]
        if client is None:
            return
        if name not in self.views:
            view = self._makers.get(told["view"], View)()
            view.options = told["options"]
            roles = Roles(Path(self.address, self.address), name, told["roles"])
            context = client.node_context.new(resolvers=(roles,))
            await view.node_bind(client.node_path + name, context, parent=client)
            self.views[name] = view
            self._emit("opened", view)
        self._untold.append(name)

    async def _tell(self) -> None:
        """The server learns which views there are. Not in turn: what it does then may open more, and wait for it."""
        names, self._untold = self._untold, []
        if self._client is not None:
            session = self.remote("#session")
            telling = (_surely(partial(session.viewing, name)) for name in names)
            for outcome in await asyncio.gather(*telling, return_exceptions=True):
                if isinstance(outcome, BaseException) and not isinstance(outcome, exc.NotFound):  # closed meanwhile
                    raise outcome

    async def _close(self, name: str) -> None:
        view = self.views.pop(name, None)
        if view is not None:
            await view.node_unbind()
            await view.closed()
            self._emit("closed", view)

    async def _over(self, why: str) -> None:
        async with self._turn:
            if not self.address:
                return
            self._store.pop(self._application, None)
            if why in ("gone", "stop"):
                self._lost = True
                await self._go_on(why)
            else:
                await self._unbind()
                self._stop()
                self._emit("ended", why)
        await self._tell()

    # -- the connection -----------------------------------------------------------------------------------------
    def _restored(self, *_: Any) -> None:
        """The connection is back, or the application has begun."""
        self._do(self._in_turn(self._go_on()))

    async def _guard(self, next: Next, address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Views answer the server alone."""
        call = self._client.node_context.call if self._client is not None else None
        if call is not None and call.details is not NEAR:
            if call.caller != self._server:
                self._server = await _surely(self.remote("#session").server)  # it may have another connection by now
            if call.caller is None or call.caller != self._server:
                raise exc.NotFound(f"Nothing is called by {address}.")
        return await next(address, args, kwargs)

    # -- inside -------------------------------------------------------------------------------------------------
    def _resolve(self, role: str, path: Path) -> str | None:
        return self.address if role == "session" else None

    async def _unbind(self) -> None:
        client, self._client, self.address = self._client, None, ""
        views, self.views = tuple(self.views.values()), {}
        if client is not None:
            await client.node_unbind()
        for view in views:
            await view.closed()

    def _stop(self) -> None:
        undos, self._undos = self._undos, []
        for undo in undos:
            undo()
        if self._resume in self._session.first:
            self._session.first.remove(self._resume)

    async def _in_turn(self, work: Coroutine[Any, Any, None]) -> None:
        async with self._turn:
            await work
        await self._tell()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._session.state != "closed":
            log.error("The session at %s: %s", self._application, error, exc_info=error)

    def _emit(self, event: str, *args: Any) -> None:
        for handler in tuple(self._handlers[event]):
            handler(*args)


async def _surely(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Asks again where the connection was lost amid it: all that is asked here may be done twice."""
    for _ in range(LOSSES):
        with contextlib.suppress(exc.OutcomeUnknown):
            return await ask()
    return await ask()


class _Client(Node):
    """Where the page's half of a session stands: above its views."""

    def __init__(self, joined: Joined) -> None:
        self._joined = joined
