"""Contexts: a `Controller` here and a `View` in the page, which find each other as `#controller` and `#view`.

class Desktop(Context):
    CONTROLLER = DesktopController
    VIEW = "Desktop"                                    the page makes the view that it knows by this name
    ROLES = {**Context.ROLES, "cursor": "controller.cursor"}

await session.open(Desktop)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from limen import exc
from limen.node.declared import call
from limen.node.node import Node

from .roles import USUAL, Roles

if TYPE_CHECKING:
    from .root import SessionRoot


class Controller(Node):
    """The server's half of a context. A subclass need not call `__init__`.

    *VIEW*: the view that belongs to it, where it is opened without a `Context` of its own: its name, or a mapping with
    its name as `type`; the view gets the rest as `options`.
    """

    _limen_own = True

    VIEW: ClassVar[str | Mapping[str, Any]] = ""

    async def viewed(self) -> None:
        """A view stands at `#view`: called when the page has made it, and again after each return of the page with a
        new one. Does nothing, unless a subclass says what."""


class View(Node):
    """The page's half, here for pages and programs that are written in Python.

    *options*: what the server says of it.
    """

    _limen_own = True

    options: Mapping[str, Any] = {}

    async def closed(self) -> None:
        """The context is over. Does nothing, unless a subclass says what."""


class Context(Node):
    """One thing that a user has open. Made by `SessionRoot.open`.

    *CONTROLLER*: what is made at `#controller`. *VIEW*: as `Controller.VIEW`, which is taken where this is empty.
    *ROLES*: where `#role` leads: below the context, or, what begins with `view`, in the page.
    """

    _limen_own = True

    CONTROLLER: ClassVar[type[Controller]] = Controller
    VIEW: ClassVar[str | Mapping[str, Any]] = ""
    ROLES: ClassVar[Mapping[str, str]] = USUAL

    __slots__ = ("_has_view", "_make", "_viewed")

    controller: Controller
    """What stands at `#controller`."""

    def __init__(self, controller: Controller | None = None) -> None:
        self._make: Callable[[], Controller] = self.CONTROLLER if controller is None else lambda: controller
        self._has_view = False
        self._viewed: asyncio.Future[None] | None = None
        """What those wait for who wait for the view."""

    @property
    def session(self) -> SessionRoot:
        """The session that it belongs to."""
        root: SessionRoot = self.node_context.session
        return root

    @call
    async def close(self) -> None:
        """Ends the context: the page is told, and all of it is unbound. Either side may; a second time does no harm."""
        if self.node_bound:
            await self.session.close(self.node_name)

    async def begin(self, root: SessionRoot, name: str) -> None:
        """Binds it, and its controller, below *root* as *name*; a subclass may bind more."""
        roles = Roles(root.node_path, name, self.ROLES)
        context = root.node_context.new(resolvers=(roles,))
        await self.node_bind(root.node_path + name, context, parent=root)
        await self.node_add("controller", self._make())

    async def when_viewed(self) -> None:
        """Comes back when a view stands at `#view`. Raises `exc.UnknownSession` where the context ends before."""
        if not self._has_view:
            if self._viewed is None:
                self._viewed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._viewed)

    # -- for the session ----------------------------------------------------------------------------------------
    def _described(self) -> dict[str, Any]:
        """What the page is told of it."""
        view = self.VIEW or self.controller.VIEW or type(self.controller).__name__
        options = dict(view) if isinstance(view, Mapping) else {"type": view}
        kind = options.pop("type", type(self.controller).__name__)
        return {"name": self.node_name, "view": kind, "options": options, "roles": dict(self.ROLES)}

    async def _view_is_there(self) -> None:
        """The page has bound the view; it may say so twice."""
        if self._has_view:
            return
        waiting, self._viewed = self._viewed, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        self._has_view = True
        await self.controller.viewed()

    def _view_is_gone(self) -> None:
        """The page is away; it will make another one."""
        self._has_view = False

    def _over(self, why: str) -> None:
        """Whoever waits for the view waits no longer."""
        waiting, self._viewed = self._viewed, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(exc.UnknownSession(f"The session has ended ({why})."))
            waiting.exception()
