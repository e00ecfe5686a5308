"""Growth: how a node and all below it come to stand somewhere, and how they leave.

    placed       it has its address and its context, nobody else can take that place
    telling      its handlers of on_node_bind run; what they add (a guest) is placed and told with it, and leaves with
                 it
    told         … have run
    registering  its handlers of on_node_register have run; the router is asked
    standing     the router has taken it: it can be called

Whatever goes wrong on the way (a handler, the router, a cancellation), what had been reached is left again, and the
error is raised when nothing is left of it. To unbind what is still being bound is the same: the bind ends in an error.

A node leaves at once: its address is free, nothing is called and nothing heard any more. Then it is told, then the
router, and then it can be bound again. One that waits for the end of what it is itself a part of (a handler of
on_node_unbind that unbinds) does not wait.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from limen import exc

from .signal import listened_to
from .wiring import ask, taken_back

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from limen.base.path import Path

    from .context import NodeContext
    from .node import Node
    from .tree import Tree
    from .wiring import Asked

log = logging.getLogger("limen.node")

APART, PLACED, TELLING, TOLD, REGISTERING, STANDING = range(6)

_WITHIN: Final[ContextVar[tuple[asyncio.Future[None], ...]]] = ContextVar("limen leaving", default=())
"""The leavings that this task is part of: it can't wait for them."""

_set: Final = object.__setattr__


class Growth:
    """One bind of *top*, with all that was added to it, by *tree*."""

    __slots__ = ("_open", "_top", "_tree", "nodes")

    def __init__(self, top: Node, tree: Tree) -> None:
        self._top, self._tree = top, tree
        self._open = True
        self.nodes: list[Node] = []
        """Those that were told, in that order."""

    async def run(self, path: Path, context: NodeContext) -> None:
        """Comes back when all of it stands. Raises what was in the way; then none of it does."""
        await self._or_leave(self._top, self._grow(path, context))

    async def join(self, node: Node, path: Path, context: NodeContext) -> None:
        """*node* was added to one of these."""
        await self._or_leave(node, self._grow_with(node, path, context))

    async def _or_leave(self, node: Node, work: Awaitable[None]) -> None:
        try:
            await work
        except BaseException as error:
            if node._growth is self:
                await asyncio.shield(leaving(node, error))
            raise

    async def _grow(self, path: Path, context: NodeContext) -> None:
        self._place(self._top, path, context)
        await self._tell(self._top)
        self._still(self._top)
        await self._wire()

    async def _grow_with(self, node: Node, path: Path, context: NodeContext) -> None:
        parent = node._parent
        _set(node, "_guest", parent is not None and parent._stage == TELLING)
        self._place(node, path, context)
        await self._tell(node)
        self._still(node)
        if not self._open:  # it was too late for the others
            late = Growth(node, self._tree)
            late.nodes = [one for one in _present(node, []) if one._growth is self]
            for one in late.nodes:
                _set(one, "_growth", late)
            await late._or_leave(node, late._wire())

    def _place(self, node: Node, path: Path, context: NodeContext) -> None:
        _set(node, "_growth", self)  # first: if the address is taken, those above it leave again, and this one
        self._tree.enter(node, str(path))
        _set(node, "_path", path)
        _set(node, "_context", context)
        _set(node, "_tree", self._tree)
        _set(node, "_stage", PLACED)
        if node._children:
            for name, child in node._children.items():
                if child._stage == APART:
                    self._place(child, path + name, context)

    async def _tell(self, node: Node) -> None:
        _set(node, "_stage", TELLING)
        self.nodes.append(node)
        if listened_to(node, "on_node_bind"):
            await node.on_node_bind.notify()
            if node._growth is not self:
                return  # it has left; those above it need not
        _set(node, "_stage", TOLD)
        if node._children:
            for child in tuple(node._children.values()):
                if child._growth is self and child._stage == PLACED:
                    await self._tell(child)

    async def _wire(self) -> None:
        while fresh := [node for node in self.nodes if node._growth is self and node._stage == TOLD]:
            for node in fresh:
                if listened_to(node, "on_node_register"):
                    await node.on_node_register.notify()
                if node._growth is self:
                    _set(node, "_stage", REGISTERING)
            self._still(self._top)
            await self._ask([node for node in fresh if node._growth is self])
            for node in fresh:
                if node._growth is self:
                    _set(node, "_stage", STANDING)
                    if listened_to(node, "on_node_registration_success"):
                        await node.on_node_registration_success.notify()
            self._still(self._top)
        self._open = False
        for node in self.nodes:
            if node._growth is self and node._stage == STANDING:
                _set(node, "_growth", None)

    async def _ask(self, fresh: list[Node]) -> None:
        """What the router has to know of *fresh*."""
        top, session = self._top, self._tree.session
        connection = top.node_context.get("connection")
        if connection is not None and session is not None and session.state == "closed":
            await self._answered([(top, ask(top, _opened(connection.connected())))])
        await self._answered(self._tree.tell(fresh))

    async def _answered(self, asked: list[tuple[Node, Asked]]) -> None:
        waiting = [one for _, one in asked if not one.done()]
        if waiting:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        self._still(self._top)
        for node, one in asked:
            if node._growth is self and one.done():  # else it has left meanwhile
                one.result()

    def _still(self, node: Node) -> None:
        if node._growth is not self:
            raise exc.InvalidCall(f"{node!r} was unbound while it was being bound.")


async def _opened(opening: Awaitable[object]) -> None:
    await opening  # nothing is to be undone: the connection is not the node's


# -- leaving ----------------------------------------------------------------------------------------------------
def leaving(top: Node, failure: BaseException | None = None) -> asyncio.Future[None]:
    """*top* and all below it leave, from now on; gives what is done when nothing is left of them. *failure*: what was
    in the way while they were being bound. What handlers raise is in an ExceptionGroup there; of a failure it is
    logged."""
    below: list[asyncio.Future[None]] = []
    nodes = _present(top, below)
    confirmed: list[Awaitable[object]] = []
    ending = asyncio.get_running_loop().create_task(_leave(top, nodes, failure, confirmed, below))
    for node in nodes:
        _set(node, "_ending", ending)
        _set(node, "_growth", None)
        if node._tree is not None:
            node._tree.leave(node, str(node._path))
            confirmed += node._tree.listeners.deafen(node)
    return ending


def _present(node: Node, below: list[asyncio.Future[None]]) -> list[Node]:
    """*node* and those below it; to *below* goes what must end first."""
    found = [node]
    if node._children:
        for child in node._children.values():
            if child._ending is not None:
                below.append(child._ending)
            else:
                found += _present(child, below)
    return found


async def _leave(
    top: Node,
    nodes: list[Node],
    failure: BaseException | None,
    confirmed: list[Awaitable[object]],
    below: list[asyncio.Future[None]],
) -> None:
    within = _WITHIN.get()
    me = asyncio.current_task()
    assert me is not None
    _WITHIN.set((*within, me))
    errors: list[Exception] = []
    told = [node for node in nodes if node._stage >= TELLING]
    registered = [node for node in told if node._stage >= REGISTERING]
    if failure is not None:
        for node in registered:
            await _notified(node, "on_node_registration_failure", errors, failure)
    for node in told:
        await _notified(node, "on_node_unbind", errors)
    if failure is None:
        for node in registered:
            await _notified(node, "on_node_unregister", errors)
    for node in nodes:
        if node._wired:
            confirmed += taken_back(node._wired)
    if confirmed or below:
        await asyncio.gather(*confirmed, *(one for one in below if one not in within), return_exceptions=True)
    for node in nodes:
        for name, value in _NOWHERE:
            _set(node, name, value)
        if node._parent is not None and (node._guest or (node is top and failure is None)):
            node._parent._forget(node)
    if failure is not None:
        for error in errors:
            log.error("A handler failed while %r was given up", top, exc_info=error)
    elif errors:
        raise ExceptionGroup(f"Handlers failed while {type(top).__name__} was unbound", errors)


_NOWHERE: Final[tuple[tuple[str, Any], ...]] = (
    ("_path", None),
    ("_context", None),
    ("_tree", None),
    ("_wired", ()),
    ("_stage", APART),
    ("_ending", None),
)


async def _notified(node: Node, name: str, errors: list[Exception], *args: Any) -> None:
    if not listened_to(node, name):
        return
    try:
        await getattr(node, name).notify(*args)
    except ExceptionGroup as group:
        errors += group.exceptions
    except Exception as error:  # a wrapper's own
        errors.append(error)


async def left(node: Node) -> None:
    """Comes back when a leaving of *node* that is under way is over; at once where this task is part of it."""
    ending = node._ending
    if ending is not None and ending not in _WITHIN.get():
        await asyncio.shield(ending)


def is_within(node: Node) -> bool:
    """Whether this task is part of a leaving of *node*."""
    return node._ending is not None and node._ending in _WITHIN.get()
