"""Node: an object that lives at an address.

    class Counter(Node):
        on_full = Signal()

        @call
        async def add(self, number: int) -> int:
            self["total"] = self.get("total", 0) + number
            if self["total"] > 100:
                await self.on_full.notify(self["total"])
            return self["total"]

    async with Counter().bound("shop.counter", connection.new_context()):
        …

From then on `shop.counter.add` is a procedure for everyone who may call it, `shop.counter.on_full` a topic, and for
other nodes there is `self.remote("@counter").add(3)`. A node is a dictionary, too, whose readers follow it (`state`).

What happens, in order:

    bind     addresses are taken, from the top down · on_node_bind, from the top down · on_node_register · the router
             has taken all of it · on_node_registration_success · of a node that was added: its parent's on_node_add
    unbind   nothing comes in any more · on_node_unbind, from the top down · on_node_unregister · the router knows
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from limen import exc
from limen.base.path import Path

from .context import NodeContext
from .declared import declared
from .growth import APART, REGISTERING, Growth, is_within, leaving, left
from .hearing import Hearing
from .mirror import STREAM
from .proxy import CallOptions, Offline, Proxy
from .signal import Signal, listened_to
from .state import State
from .tree import Tree

if TYPE_CHECKING:
    from .wiring import Asked

_NO_CHILDREN: Mapping[str, Node] = MappingProxyType({})
_UNBOUND: Final = {
    "_children": None,
    "_context": None,
    "_ending": None,
    "_growth": None,
    "_guest": False,
    "_parent": None,
    "_path": None,
    "_stage": APART,
    "_tree": None,
    "_wired": (),
}
_set: Final = object.__setattr__


class Node(Hearing, State):
    """An object that lives at an address; see the module. Subclasses need not call `__init__`."""

    __slots__ = ("__dict__", "__weakref__", *_UNBOUND)

    _children: dict[str, Node] | None
    _context: NodeContext | None
    _ending: asyncio.Future[None] | None  # there while it leaves
    _growth: Growth | None  # there while it is being bound
    _guest: bool  # it leaves its parent when that leaves
    _parent: Node | None
    _path: Path | None
    _stage: int
    _tree: Tree | None
    _wired: tuple[Asked, ...]  # what the router was asked for in its name

    _limen_node_ = True
    _limen_own = True

    on_node_bind = Signal()
    """The node has an address and a context; nobody can call it yet. What its handlers add is bound with it."""
    on_node_add = Signal()
    """A child was added, which is the argument, and can be called."""
    on_node_unbind = Signal()
    """The node is leaving: nothing comes in any more, it may still say something."""
    on_node_register = Signal()
    """The router is about to be told of the node."""
    on_node_registration_success = Signal()
    """The router has taken it: it can be called."""
    on_node_registration_failure = Signal()
    """The router, whose error is the argument, has not taken it; nothing is left of what it had taken."""
    on_node_unregister = Signal()
    """The router is about to be told that the node is no more."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declared(cls)  # mistakes are told where the class is made

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        for name, value in _UNBOUND.items():
            _set(made, name, value)
        return made

    # -- where it is --------------------------------------------------------------------------------------------
    @property
    def node_path(self) -> Path:
        """Where it stands. Raises `exc.InvalidCall` where it stands nowhere."""
        if self._path is None:
            raise self._unbound()
        return self._path

    @property
    def node_name(self) -> str:
        """The last part of its path; of a child also before it is bound."""
        if self._path is None and self._parent is not None:
            return next(name for name, child in self._parent.node_children.items() if child is self)
        return self.node_path.name

    @property
    def node_parent(self) -> Node | None:
        """The node that it was added to; None for a root."""
        return self._parent

    @property
    def node_root(self) -> Node:
        """The node above all others that this one was added to, itself where it was added to none."""
        node = self
        while node._parent is not None:
            node = node._parent
        return node

    @property
    def node_context(self) -> NodeContext:
        """What its branch of the tree knows. Raises `exc.InvalidCall` where it stands nowhere."""
        if self._context is None:
            raise self._unbound()
        return self._context

    @property
    def node_children(self) -> Mapping[str, Node]:
        """Those that were added to it, by name."""
        return _NO_CHILDREN if self._children is None else MappingProxyType(self._children)

    @property
    def node_bound(self) -> bool:
        """It stands somewhere."""
        return self._path is not None

    @property
    def node_away(self) -> bool:
        """Its connection is lost: it cannot be reached, and does not reach what is elsewhere, until that is back with
        all that is bound by it. An effect that reads this runs again when it changes."""
        return self._tree is not None and self._tree.away

    # -- binding ------------------------------------------------------------------------------------------------
    async def node_bind(self, path: Path | str, context: NodeContext | None = None, parent: Node | None = None) -> None:
        """Makes the node, and all that was added to it, stand at *path*; with *parent* it is added to that node, as the
        last part of the path, whose base it keeps. *context*: what it knows, and by which connection it is reached;
        without one it lives in this process alone. A connection that is not open yet is opened, one that is lost waited
        for.

        Raises `exc.InvalidAddress` where another node stands there or the path is none, what a handler of
        `on_node_bind` raised, what the router says, and `exc.InvalidCall` where it was unbound meanwhile; then nothing
        of it is bound.
        """
        if parent is not None and not isinstance(path, Path):
            path = Path(path, parent.node_path.base)
        path = Path(path)
        if parent is not None:
            if path != parent.node_path + path.name:
                raise exc.InvalidAddress(f"{path} is not below its parent, which stands at {parent.node_path}.")
            await parent._adopt(path.name, self, context, path)
            return
        if is_within(self):
            raise exc.InvalidCall(f"{self!r} is being unbound by whoever asks; bind it when that is done.")
        await left(self)
        if self._parent is not None:
            raise exc.InvalidCall(f"{self!r} was added to another node; bind that one, or remove this one from it.")
        if self._stage != APART:
            raise exc.InvalidCall(f"{self!r} is bound already, or about to be; unbind it first.")
        if context is None:
            context = NodeContext()
        if context.get("tree") is None:
            context.tree = Tree(context.get("session"))
        await Growth(self, context.tree).run(path, context)

    async def node_add(self, name: str, node: Node) -> None:
        """Adds *node* below this one as *name*: `self.name`, and `node_path + name` as soon as this one is bound. One
        that a handler of `on_node_bind` adds leaves with this one; any other stays its child.

        Raises `exc.InvalidAddress` for a name that is taken or can be none, `exc.InvalidCall` where either node is
        somewhere else or leaving, and what `node_bind` raises; then it is not added.
        """
        await self._adopt(name, node, None)

    async def node_remove(self, name: str) -> None:
        """Takes the child *name* away, unbound. Raises `exc.NotFound` where there is none."""
        child = self.node_children.get(name)
        if child is None:
            raise exc.NotFound(f"{self!r} has no child {name!r}.")
        await child.node_unbind()

    async def node_unbind(self) -> None:
        """Takes the node and all below it from its address, at once; comes back when handlers have run and the router
        knows, if it can be reached. One that was added is taken from its parent, too. While that is under way a second
        call waits for the first; of a node that stands nowhere nothing happens; a bind that is under way fails.

        Raises an ExceptionGroup of what handlers raised, when all is done.
        """
        if self._ending is None and self._stage != APART:
            await asyncio.shield(leaving(self))
        else:
            await left(self)
            if self._stage == APART and self._ending is None and self._parent is not None:
                self._parent._forget(self)

    @contextlib.asynccontextmanager
    async def bound(self, path: Path | str, context: NodeContext | None = None) -> AsyncIterator[Self]:
        """The node bound for the length of the block."""
        await self.node_bind(path, context)
        try:
            yield self
        finally:
            await self.node_unbind()

    async def _adopt(self, name: str, node: Node, context: NodeContext | None, path: Path | None = None) -> None:
        self._may_adopt(name, node)
        children = self._children
        if children is None:
            children = {}
            _set(self, "_children", children)
        children[name] = node
        _set(node, "_parent", self)
        _set(self, name, node)
        try:
            if self._path is not None and self._context is not None and self._tree is not None:
                path = path or self._path + name
                if context is not None and context.get("tree") is None:
                    context.tree = self._tree
                within = self._context if context is None else context
                if self._growth is not None and within.tree is self._tree:
                    await self._growth.join(node, path, within)
                else:
                    await Growth(node, within.tree).run(path, within)
        except BaseException:
            self._forget(node)
            raise
        if listened_to(self, "on_node_add"):
            await self.on_node_add.notify(node)

    def _may_adopt(self, name: str, node: Node) -> None:
        if name[:1] == "_" or name[:3] == "on_" or name[:5] == "node_" or not name.isidentifier():
            raise exc.InvalidAddress(
                f"A child cannot be called {name!r}: it becomes an attribute, and _…, on_… and node_… are taken."
            )
        if node._parent is not None or node._stage != APART:
            raise exc.InvalidCall(f"{node!r} stands somewhere already; remove it there first.")
        if node is self.node_root:
            raise exc.InvalidCall(f"{node!r} is above this node; a node cannot be added to itself.")
        if self._ending is not None or node._ending is not None:
            raise exc.InvalidCall(f"{self!r} is being unbound; add to it when that is done.")
        if hasattr(self, name):
            raise exc.InvalidAddress(f"{self!r} has {name!r} already; take another name, or remove that first.")

    def _forget(self, child: Node) -> None:
        if child._parent is not self or self._children is None:
            return
        for name, node in self._children.items():
            if node is child:
                del self._children[name]
                if self.__dict__.get(name) is child:
                    del self.__dict__[name]
                break
        _set(child, "_parent", None)
        _set(child, "_guest", False)

    def _state_began(self) -> None:
        if self._stage >= REGISTERING and self._present and self._tree is not None:
            self._tree.offer(self, STREAM)  # else that is part of the bind

    @property
    def _stem(self) -> Node:
        """The topmost node of its branch that is reached by the same connection: that of which the router knows."""
        node = self
        while (above := node._parent) is not None and above._tree is self._tree:
            node = above
        return node

    # -- the rest of the tree -----------------------------------------------------------------------------------
    def remote(self, address: Path | str, *, timeout: float | None = None, offline: Offline = "wait") -> Proxy:
        """What stands at *address*, from here: "test.third", "@third" from the base, "#view" by its role. *timeout*:
        seconds that a call may take. *offline*: calls made while the connection is lost wait for it, or "fail"."""
        path = self.node_path.resolve(address, *self.node_context.resolvers)
        return Proxy(self, str(path), path.base, CallOptions(timeout, offline))

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Node) and value._path is None and value._parent is None:
            raise exc.InvalidCall(
                f"{type(value).__name__} is not bound, and to assign it does not bind it: "
                f"await self.node_add({name!r}, node)."
            )
        if name in _UNBOUND:
            raise exc.InvalidCall(f"{name} is a name that nodes work by themselves; call yours otherwise.")
        _set(self, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'unbound' if self._path is None else str(self._path)!r})"

    def _unbound(self) -> exc.Error:
        return exc.InvalidCall(
            f"{type(self).__name__} is not bound, or not any more: await node_bind(path, context) first."
        )
