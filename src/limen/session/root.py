"""SessionRoot: one client's session, above all that it has open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from limen import exc
from limen.node.declared import call
from limen.node.node import Node
from limen.node.signal import Signal

from .context import Context, Controller
from .roles import CLIENT

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.node.context import Next

    from .service import ApplicationService

MAX_CONTEXTS = 256
"""What a session may have open at once."""


class SessionRoot(Node):
    """Made by `ApplicationService.start_session`; `ApplicationService.SESSION` says of which class.

    *user*: who has logged in, None for nobody. *principal*: who that is, as far as it is known. *details*: what the
    page said when it began.
    """

    __slots__ = ("_service", "details", "principal")

    _limen_own = True

    on_open = Signal()
    """A context was opened: what the page makes its view of."""
    on_close = Signal()
    """A context is over: its name."""
    on_end = Signal()
    """The session is over: why ("end", "timeout", "room", "stop", "gone")."""

    MAX_CONTEXTS: ClassVar[int] = MAX_CONTEXTS

    def __init__(self, service: ApplicationService, principal: Principal, details: Mapping[str, Any]) -> None:
        self._service = service
        self.principal, self.details = principal, details

    @property
    def user(self) -> str | None:
        """Who has logged in."""
        return self.principal.user

    @property
    def is_here(self) -> bool:
        """Whether the page is; not, while the session waits for it to come back."""
        return self._service._is_here(self.node_name)

    @property
    def opened(self) -> tuple[Context, ...]:
        """The contexts that are open."""
        return tuple(node for node in self.node_children.values() if isinstance(node, Context))

    async def open(self, what: type[Context] | type[Controller] | Context | Controller, name: str = "") -> Context:
        """Opens a context, or a plain one for a controller; the page is told, and makes the view. *name*: its place in
        the session; without one that of the class, numbered where it is taken. Raises `exc.Busy` where too much is
        open."""
        made = what() if isinstance(what, type) else what
        context = made if isinstance(made, Context) else Context(made)
        if len(self.node_children) >= self.MAX_CONTEXTS:
            raise exc.Busy(f"{self.MAX_CONTEXTS} contexts are open in this session: close some first.")
        await context.begin(self, name or self._free_name(type(made).__name__.lower()))
        await self.on_open.notify(context._described())
        return context

    def _free_name(self, stem: str) -> str:
        stem = stem if (stem != CLIENT and not hasattr(self, stem)) or stem in self.node_children else f"{stem}_"
        name, number = stem, 1
        while name in self.node_children:
            number += 1
            name = f"{stem}_{number}"
        return name

    # -- what the page calls ------------------------------------------------------------------------------------
    @call
    def contexts(self) -> list[dict[str, Any]]:
        """What is open, as `on_open` says it."""
        self._service._confirm(self.node_name)
        return [context._described() for context in self.opened]

    @call
    async def viewing(self, name: str) -> None:
        """The page has bound the view of the context *name*."""
        await self._named(name)._view_is_there()

    @call
    async def close(self, name: str) -> None:
        """Ends the context *name*; one that is not there does no harm."""
        context = self.node_children.get(name)
        if isinstance(context, Context):
            await self.on_close.notify(name)
            context._over("closed")
            await context.node_unbind()

    @call
    async def end(self) -> None:
        """Ends the session, and all of it. Either side may."""
        await self._service.end(self.node_name, "end")

    @call
    def server(self) -> int | None:
        """The number of the WAMP session by which the server is reached: all that it says comes from there."""
        return self._service._number

    def _named(self, name: str) -> Context:
        context = self.node_children.get(name)
        if not isinstance(context, Context):
            raise exc.NotFound(f"No context {name!r} is open in this session.")
        return context

    # -- for the service ----------------------------------------------------------------------------------------
    def _page_is_away(self) -> None:
        """The page is away, or another one has taken its place: there are no views."""
        for context in self.opened:
            context._view_is_gone()

    def _over(self, why: str) -> None:
        """Nobody waits for a view any more."""
        for context in self.opened:
            context._over(why)

    async def _wrap_call(self, next: Next, address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls of a view wait for it, as long as the session waits for its page. What runs here acts for its party: a
        session of another's it reaches by the policy alone, whoever gave it the address."""
        if not self._service._lets_reach(self, address):
            raise exc.NotFound(f"Nothing is called by {address}.")
        head = f"{self.node_path}.{CLIENT}."
        if address.startswith(head):
            await self._named(address[len(head) :].partition(".")[0]).when_viewed()
        return await next(address, args, kwargs)

    async def _wrap_subscribe(self, next: Next, address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """… and so it hears what is said there."""
        if not self._service._lets_reach(self, address):
            raise exc.NotFound(f"Nothing is at {address}.")
        return await next(address, args, kwargs)

    async def _wrap_invocation(self, next: Next, address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls from elsewhere pass only if they are the party's, or by the policy."""
        if not self._service._lets_call(self, self.node_context.call):
            raise exc.NotFound(f"Nothing is called by {address}.")
        return await next(address, args, kwargs)

    async def _wrap_event(self, next: Next, topic: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """… and so do events that are said in the name of what is below here."""
        if topic.startswith(f"{self.node_path}.") and not self._service._lets_say(self, self.node_context.event):
            return None
        return await next(topic, args, kwargs)
