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
from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from limen import exc
from limen.base.path import Path

from .calling import Calling
from .context import NodeContext
from .declared import declared
from .proxy import Offline, Proxy
from .signal import Signal
from .tree import Tree, undo_all

if TYPE_CHECKING:
    from .port import Undo

_NO_CHILDREN: Mapping[str, Node] = MappingProxyType({})


class Node(Calling):
    """An object that lives at an address; see the module. Subclasses need not call `__init__`."""

    __slots__ = ("__dict__", "__weakref__", "_children", "_context", "_ending", "_parent", "_path", "_wired")

    _children: dict[str, Node] | None
    _context: NodeContext | None
    _ending: asyncio.Future[None] | None
    _parent: Node | None
    _path: Path | None
    _wired: list[Undo] | None  # what ends what the router was told; None: it was not told yet

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
        for name in ("_children", "_context", "_ending", "_parent", "_path", "_wired"):
            object.__setattr__(made, name, None)
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
        """Its connection is lost: it cannot be reached, and does not reach what is elsewhere, until that returns."""
        return self._context is not None and self._tree.away

    # -- binding ------------------------------------------------------------------------------------------------
    async def node_bind(self, path: Path | str, context: NodeContext | None = None, parent: Node | None = None) -> None:
        """Makes the node, and all that was added to it, stand at *path*; with *parent* it is added to that node, as the
        last part of the path. *context*: what it knows, and by which connection it is reached; without one it lives in
        this process alone.

        Raises `exc.InvalidAddress` where another node stands there or the path is none, what a handler of
        `on_node_bind` raised, and what the router says; then nothing of it is bound.
        """
        if parent is not None:
            name = Path(path).name
            if Path(path) != parent.node_path + name:
                raise exc.InvalidAddress(f"{path} is not below its parent, which stands at {parent.node_path}.")
            await parent._adopt(name, self, context)
            return
        if self._parent is not None:
            raise exc.InvalidCall(f"{self!r} was added to another node; bind that one, or remove this one from it.")
        if context is None:
            context = NodeContext()
        if context.get("tree") is None:
            context.tree = Tree()
        await self._bind(Path(path), context)

    async def node_add(self, name: str, node: Node) -> None:
        """Adds *node* below this one as *name*: `self.name`, and `node_path + name` as soon as this one is bound."""
        await self._adopt(name, node, None)

    async def node_remove(self, name: str) -> None:
        """Takes the child *name* away, unbound. Raises `exc.NotFound` where there is none."""
        child = self.node_children.get(name)
        if child is None:
            raise exc.NotFound(f"{self!r} has no child {name!r}.")
        await child.node_unbind()

    async def node_unbind(self) -> None:
        """Takes the node and all below it from its address; one that was added is taken from its parent, too. While
        that is under way a second call waits for the first; of a node that stands nowhere nothing happens."""
        ending = self._ending
        if ending is None:
            if self._path is None and self._parent is None:
                return
            ending = asyncio.ensure_future(self._unbind())
            object.__setattr__(self, "_ending", ending)
            ending.add_done_callback(lambda _: object.__setattr__(self, "_ending", None))
        await asyncio.shield(ending)

    @contextlib.asynccontextmanager
    async def bound(self, path: Path | str, context: NodeContext | None = None) -> AsyncIterator[Self]:
        """The node bound for the length of the block."""
        await self.node_bind(path, context)
        try:
            yield self
        finally:
            await self.node_unbind()

    async def _adopt(self, name: str, node: Node, context: NodeContext | None) -> None:
        if name[:1] == "_" or name[:3] == "on_" or name[:5] == "node_" or not name.isidentifier():
            raise exc.InvalidAddress(
                f"A child cannot be called {name!r}: it becomes an attribute, and _…, on_… and node_… are taken."
            )
        if node._parent is not None or node._path is not None:
            raise exc.InvalidCall(f"{node!r} stands somewhere already; remove it there first.")
        if node is self.node_root:
            raise exc.InvalidCall(f"{node!r} is above this node; a node cannot be added to itself.")
        if hasattr(self, name):
            raise exc.InvalidAddress(f"{self!r} has {name!r} already; take another name, or remove that first.")
        children = self._children
        if children is None:
            children = {}
            object.__setattr__(self, "_children", children)
        children[name] = node
        object.__setattr__(node, "_parent", self)
        object.__setattr__(self, name, node)
        try:
            if self._path is not None and self._context is not None:
                await node._bind(self._path + name, self._context if context is None else context)
        except BaseException:
            self._forget(node)
            raise
        await self.on_node_add.notify(node)

    def _forget(self, child: Node) -> None:
        for name, node in tuple((self._children or {}).items()):
            if node is child and self._children is not None:
                del self._children[name]
                if self.__dict__.get(name) is child:
                    del self.__dict__[name]
        object.__setattr__(child, "_parent", None)

    async def _bind(self, path: Path, context: NodeContext) -> None:
        if self._path is not None:
            raise exc.InvalidCall(f"{self!r} is bound already; unbind it first.")
        tree: Tree = context.tree
        nodes: list[Node] = []
        try:
            self._take(path, context, tree)
            await self._tell_bound(nodes)
            parent = self._parent
            if parent is None or parent._context is None or parent._tree is not tree or parent._wired is not None:
                await self._wire(nodes, tree)
        except BaseException:
            self._give_back()
            for node in nodes:
                with contextlib.suppress(Exception):
                    await node.on_node_unbind.notify()
            self._clear()
            raise

    def _take(self, path: Path, context: NodeContext, tree: Tree) -> None:
        """The addresses of this node and all below it, or none."""
        tree.enter(self, str(path))
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_context", context)
        for name, child in (self._children or {}).items():
            child._take(path + name, context, tree)

    async def _tell_bound(self, told: list[Node]) -> None:
        """on_node_bind, from the top down, of what is there and of what its handlers add."""
        told.append(self)
        await self.on_node_bind.notify()
        for child in tuple((self._children or {}).values()):
            if child not in told:
                await child._tell_bound(told)

    async def _wire(self, nodes: Sequence[Node], tree: Tree) -> None:
        for node in nodes:
            await node.on_node_register.notify()
        root = self._parent is None or self._parent._tree is not tree
        try:
            undos = await (tree.plant(self, nodes) if root else tree.graft(nodes))
            object.__setattr__(self, "_wired", undos)
            await asyncio.gather(*(node._listen_as_declared() for node in nodes if declared(type(node)).elsewhere))
        except BaseException as error:
            for node in nodes:
                with contextlib.suppress(Exception):
                    await node.on_node_registration_failure.notify(error)
            raise
        for node in nodes:
            if node._wired is None:
                object.__setattr__(node, "_wired", [])
            await node.on_node_registration_success.notify()

    async def _unbind(self) -> None:
        nodes = list(self._walk())
        self._give_back()
        if self._path is not None:
            errors = [error for node in nodes for error in await _told(node.on_node_unbind)]
            errors += [error for node in nodes for error in await _told(node.on_node_unregister)]
            undos = [undo for node in nodes for undo in node._wired or ()]
            await asyncio.gather(undo_all(undos), *(node._listen_to_nothing() for node in nodes))
            self._clear()
        else:
            errors = []
        if self._parent is not None:
            self._parent._forget(self)
        if errors:
            raise ExceptionGroup(f"Handlers failed while {type(self).__name__} was unbound", errors)

    def _walk(self) -> Sequence[Node]:
        found: list[Node] = [self]
        for child in (self._children or {}).values():
            found += child._walk()
        return found

    def _give_back(self) -> None:
        """Nothing comes in any more."""
        for node in self._walk():
            if node._path is not None and node._context is not None:
                node._tree.leave(node, str(node._path))

    def _clear(self) -> None:
        for node in self._walk():
            for name in ("_path", "_context", "_wired"):
                object.__setattr__(node, name, None)

    # -- the rest of the tree -----------------------------------------------------------------------------------
    def remote(self, address: Path | str, *, timeout: float | None = None, offline: Offline = "wait") -> Proxy:
        """What stands at *address*, from here: "test.third", "@third" from the base, "#view" by its role. *timeout*:
        seconds that a call may take. *offline*: calls made while the connection is lost wait for it, or "fail"."""
        path = self.node_path.resolve(address, *self.node_context.resolvers)
        return Proxy(self, str(path), path.base, timeout, offline)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Node) and value._path is None and value._parent is None:
            raise exc.InvalidCall(
                f"{type(value).__name__} is not bound, and to assign it does not bind it: "
                f"await self.node_add({name!r}, node)."
            )
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'unbound' if self._path is None else str(self._path)!r})"

    def _unbound(self) -> exc.Error:
        return exc.InvalidCall(f"{type(self).__name__} is not bound: await node_bind(path, context) first.")


async def _told(signal: Any) -> list[Exception]:
    try:
        await signal.notify()
    except ExceptionGroup as group:
        return list(group.exceptions)
    return []
