"""Calling: how a node reaches others, and how what comes for it is run. The half of `Node` that stands on the tree."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.client.callee import Invoked
from limen.service.binding import Binding

from .context import EVENT_IN_PROGRESS, IN_PROGRESS, Heard, NodeContext
from .declared import declared
from .handlers import Handlers, ended
from .passing import across, each, incoming, outgoing
from .tree import Handler, Tree

if TYPE_CHECKING:
    from limen.base.path import Path

    from .proxy import Offline

log = logging.getLogger("limen.node")


class Calling:
    """See the module."""

    __slots__ = ()

    if TYPE_CHECKING:
        _context: NodeContext | None
        _path: Path | None

    @property
    def _tree(self) -> Tree:
        tree: Tree = self._where().tree
        return tree

    def _where(self) -> NodeContext:
        if self._context is None:
            raise exc.InvalidCall(f"{type(self).__name__} is not bound: await node_bind(path, context) first.")
        return self._context

    # -- calls that go out --------------------------------------------------------------------------------------
    def _call_from(
        self,
        address: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        offline: Offline,
    ) -> Coroutine[Any, Any, Any]:
        context = self._where()
        if context.wraps("wrap_call"):
            return _awaited(
                context.wrapped("wrap_call", partial(self._call, timeout=timeout, offline=offline))(
                    address, args, kwargs
                )
            )
        return self._call(address, args, kwargs, timeout, offline)

    def _call(
        self,
        address: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        timeout: float | None,
        offline: Offline,
    ) -> Coroutine[Any, Any, Any]:
        found = self._tree.find(address)
        if found is None:
            return self._call_far(address, args, kwargs, timeout, offline)
        work = self._call_near(*found, address, args, kwargs)
        return work if timeout is None else _within(timeout, work, address)

    async def _call_near(
        self, node: Calling, method: str, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """A call of a node of the same connection: no wire, and the same arguments as if there were one."""
        outcome = await node._run(method, Invoked(address, *each(across, args, kwargs, node), {}))
        if isinstance(outcome, AsyncIterator):
            outcome = [value async for value in outcome]
        return across(outcome, self)

    async def _call_far(
        self,
        address: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        timeout: float | None,
        offline: Offline,
    ) -> Any:
        session = self._tree.session
        if session is None:
            raise exc.NotFound(f"Nothing is called by {address}.")
        if offline == "fail" and session.state != "online":
            raise exc.ConnectionLost(f"The connection is lost, so {address} was not called.")
        out, named = each(outgoing, args, kwargs)
        return incoming(await session.apply(address, out, named, timeout=timeout), self)

    async def _values_from(
        self, address: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """The values of a streaming call, from near or far."""
        found = self._tree.find(address)
        if found is not None:
            node, method = found
            outcome = await node._run(method, Invoked(address, *each(across, args, kwargs, node), {}))
            if not isinstance(outcome, AsyncGenerator):
                for value in across(outcome, self) or ():
                    yield value
                return
            async with aclosing(outcome):
                async for value in outcome:
                    yield across(value, self)
            return
        session = self._tree.session
        if session is None:
            raise exc.NotFound(f"Nothing is called by {address}.")
        out, named = each(outgoing, args, kwargs)
        async with aclosing(session.stream(address, *out, **named)) as values:
            async for value in values:
                yield incoming(value, self)

    # -- calls that come in -------------------------------------------------------------------------------------
    def _run(self, method: str, invoked: Invoked) -> Coroutine[Any, Any, Any]:
        """Runs a call that came for this node, from near or far."""
        return self._perform(method, invoked, self._where())

    async def _perform(self, method: str, invoked: Invoked, context: NodeContext) -> Any:
        token = IN_PROGRESS.set(invoked)
        try:
            if context.wraps("wrap_invocation"):
                last = context.wrapped("wrap_invocation", partial(self._do, method))
                outcome = await last(invoked.uri, tuple(invoked.args), dict(invoked.kwargs))
            else:
                outcome = await self._do(method, invoked.uri, invoked.args, invoked.kwargs)
        finally:
            IN_PROGRESS.reset(token)
        if type(outcome) is AsyncGeneratorType:
            return _outwards(outcome)
        return outgoing(outcome)

    async def _do(self, method: str, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        function = getattr(self, method)
        args, kwargs = each(incoming, args, kwargs, self)
        args, kwargs = _binding(type(self), method, function).bind(args, kwargs)
        outcome = function(*args, **kwargs)
        if type(outcome) is CoroutineType or inspect.isawaitable(outcome):
            outcome = await outcome
        return outcome

    # -- signals ------------------------------------------------------------------------------------------------
    def _signal_notified(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any] | None:
        """What the signal *name* of this node awaits besides its own handlers; None: nothing."""
        context = self._context
        if context is None or self._path is None:
            return None
        topic = f"{self._path}.{name}"
        if context.wraps("wrap_publish"):
            return context.wrapped("wrap_publish", self._publish)(topic, args, kwargs)
        session = self._tree.session
        if session is None:
            return None
        out, named = each(outgoing, args, kwargs)
        return session.publish(topic, *out, **named)

    def _signal_listeners(self, name: str) -> Iterable[Handlers]:
        """Who of this connection listens to the signal *name* of this node."""
        context = self._context
        if context is None or context.wraps("wrap_publish"):  # then it is a publication's own (_publish)
            return ()
        return self._tree.listeners(str(self._path), name)

    async def _notify_from(self, topic: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Says the signal at *topic*, whose node may be here or elsewhere."""
        address, _, name = topic.rpartition(".")
        node = self._tree.nodes.get(address)
        if node is not None and name in declared(type(node)).signals:
            await getattr(node, name).notify(*args, **kwargs)
            return
        context = self._where()
        await context.wrapped("wrap_publish", self._publish)(topic, args, kwargs)

    async def _publish(self, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Listeners of this connection, then the router."""
        tree = self._tree
        address, _, name = topic.rpartition(".")
        errors: list[Exception] = []
        waiting: list[Awaitable[object]] = []
        if tree.session is not None:
            out, named = each(outgoing, args, kwargs)
            waiting.append(tree.session.publish(topic, *out, **named))
        for handlers in tree.listeners(address, name):
            handlers.call(args, kwargs, errors, waiting)
        await ended(waiting, errors)
        if errors:
            raise ExceptionGroup(f"of {topic}", errors)

    async def _listen(self, address: str, handler: Handler) -> Callable[[], Awaitable[None]]:
        tree = self._tree

        async def listen(address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            await tree.listen(self, address, handler)

        await self._where().wrapped("wrap_subscribe", listen)(address, (), {})
        return lambda: tree.listen_no_more(self, address, handler)

    async def _listen_no_more(self, address: str, handler: Handler) -> None:
        await self._tree.listen_no_more(self, address, handler)

    async def _listen_as_declared(self) -> None:
        context = self._where()
        assert self._path is not None
        for attribute, address, signal in declared(type(self)).elsewhere:
            path = self._path.resolve(address, *context.resolvers) if address != "@" else self._path.base
            await self._listen(str(path) if signal is None else f"{path}.{signal}", getattr(self, attribute))

    async def _listen_to_nothing(self) -> None:
        await self._tree.deafen(self)

    async def _heard(
        self, event: Heard, args: Sequence[Any], kwargs: Mapping[str, Any], handlers: Handlers | None
    ) -> None:
        """Somebody elsewhere has said something: for *handlers* of this node, or, None, by a signal of its own."""
        context = self._context
        if context is None:
            return
        EVENT_IN_PROGRESS.set(event)  # of the task that this is
        last = partial(self._take_in, handlers)
        try:
            args, kwargs = each(incoming, args, kwargs, self)
            await context.wrapped("wrap_event", last)(event.topic, tuple(args), dict(kwargs))
        except ExceptionGroup as group:
            for error in group.exceptions:
                log.error("A handler of %s in %r failed", event.topic, self, exc_info=error)
        except Exception:
            log.exception("%s could not be taken in by %r", event.topic, self)

    async def _take_in(
        self, handlers: Handlers | None, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        if handlers is None:
            left = getattr(self, topic.rpartition(".")[2]).heard(args, kwargs)
            if left is not None:
                await left
            return
        errors: list[Exception] = []
        waiting: list[Awaitable[object]] = []
        handlers.call(args, kwargs, errors, waiting)
        await ended(waiting, errors)
        if errors:
            raise ExceptionGroup(f"of {topic}", errors)


_BINDINGS: dict[tuple[type, str], Binding] = {}


def _binding(kind: type, method: str, bound: Callable[..., Any]) -> Binding:
    found = _BINDINGS.get((kind, method))
    if found is None:
        found = _BINDINGS[kind, method] = Binding(bound, parse=False)
    return found


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


async def _within(seconds: float, work: Awaitable[Any], address: str) -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise exc.Timeout(f"{address} has not answered within {seconds:g} s.") from None


async def _outwards(values: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    async with aclosing(values):
        async for value in values:
            yield outgoing(value)
