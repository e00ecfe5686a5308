"""Hearing: how the signals of a node reach others, and how it hears what others say.

A signal that is said here reaches its own handlers, listeners of the same connection (with the arguments as they would
be from far), and the router. What comes from elsewhere is handled as it comes: synchronous handlers have run, in the
order of publication, before the next event is looked at; async ones have begun. A handler that fails is in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from limen import exc

from .calling import Calling
from .context import EVENT_IN_PROGRESS, Heard
from .declared import declared
from .handlers import Round
from .listening import Listening
from .passing import across, incoming, is_plain, outgoing, passed

if TYPE_CHECKING:
    from .handlers import Handler
    from .node import Node
    from .signal import BoundSignal

log = logging.getLogger("limen.node")


class Hearing(Calling):
    """See the module."""

    __slots__ = ()
    _limen_own = True

    # -- what it says -------------------------------------------------------------------------------------------
    def _signal_notified(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any] | None:
        """What the signal *name* of this node awaits besides its own handlers; None: nothing."""
        context, tree = self._context, self._tree
        if context is None or tree is None:
            return None
        if context.wraps("wrap_publish"):
            said = context.wrapped("wrap_publish", self._publish)(f"{self._path}.{name}", args, kwargs)
            return asyncio.ensure_future(said)  # in the order of notify, whatever own handlers wait for
        session = tree.session
        if session is None:
            if not is_plain(args, kwargs):
                passed(across, args, kwargs, self)  # raises for what could not travel, before anything has run
            return None
        out, named = passed(outgoing, args, kwargs)
        return session.publish(f"{self._path}.{name}", *out, **named)

    def _signal_listeners(self, name: str) -> Iterable[Listening]:
        """Who of this connection listens to the signal *name* of this node."""
        context, tree = self._context, self._tree
        if context is None or tree is None or context.wraps("wrap_publish"):  # then it is a publication's (_publish)
            return ()
        return tree.listeners.of(str(self._path), name)

    async def _notify_from(self, topic: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Says the signal at *topic*, whose node may be here or elsewhere."""
        context, _ = self._where()
        await context.wrapped("wrap_publish", partial(self._publish, anothers=True))(topic, args, kwargs)

    async def _publish(
        self, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any], anothers: bool = False
    ) -> None:
        """To the router, and to listeners of this connection. *anothers*: the node whose signal it is has not heard it,
        and does if it is here."""
        _, tree = self._where()
        address, _, name = topic.rpartition(".")
        round = Round()
        node = tree.nodes.get(address) if anothers else None
        own: BoundSignal | None = None
        if node is not None and name in declared(type(node)).signals:
            own = getattr(node, name)
            given, named = passed(across, args, kwargs, node)
            own.signal.checked(node, tuple(given), named)  # what does not fit is not published either
        if tree.session is not None:
            out, sent = passed(outgoing, args, kwargs)
            round.waiting.append(tree.session.publish(topic, *out, **sent))
        if own is not None:
            try:
                left = own.heard(given, named)
            except ExceptionGroup as group:
                round.errors += group.exceptions
            else:
                round.waiting += [left] if left is not None else []
        for listening in tree.listeners.of(address, name):
            listening.call(args, kwargs, round)
        await round.finish(f"of {topic}")

    # -- what it listens to -------------------------------------------------------------------------------------
    async def _listen(self, address: str, handler: Handler) -> Callable[[], Awaitable[None]]:
        context, tree = self._where()

        async def listen(where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal address
            address = where  # a wrapper may have given another, and that is to be undone
            await tree.listeners.add(cast("Node", self), where, handler)

        if context.wraps("wrap_subscribe"):
            await context.wrapped("wrap_subscribe", listen)(address, (), {})
        else:
            await tree.listeners.add(cast("Node", self), address, handler)

        def undo() -> Awaitable[None]:
            return _confirmed(tree.listeners.drop(cast("Node", self), address, handler))

        return undo

    async def _listen_no_more(self, address: str, handler: Handler) -> None:
        _, tree = self._where()
        await _confirmed(tree.listeners.drop(cast("Node", self), address, handler))

    def _listens_as_declared(self) -> Iterator[Coroutine[Any, Any, None]]:
        """For each handler that its class declares for others: what makes it listen."""
        listens = declared(type(self)).elsewhere
        if not listens:
            return
        context, _ = self._where()
        assert self._path is not None
        resolvers = context.resolvers
        for attribute, address, signal in listens:
            path = self._path.resolve(address, *resolvers)
            yield self._listen_at(str(path) if signal is None else f"{path}.{signal}", getattr(self, attribute))

    async def _listen_at(self, address: str, handler: Handler) -> None:
        await self._listen(address, handler)  # nothing is to be undone: leaving, it listens to nothing any more

    def _heard(self, event: Heard, args: Sequence[Any], kwargs: Mapping[str, Any], listening: Listening | None) -> None:
        """Somebody elsewhere has said something that it listens to or, without *listening*, in its own name."""
        context, tree = self._context, self._tree
        if context is None or tree is None or self._ending is not None:
            return
        token = EVENT_IN_PROGRESS.set(event)
        try:
            given, named = passed(incoming, args, kwargs, self)
            left: Awaitable[object] | None
            if context.wraps("wrap_event"):
                go = context.wrapped("wrap_event", partial(self._take_in_wrapped, listening))
                left = go(event.topic, tuple(given), named)
            else:
                left = self._take_in(listening, event.topic, given, named)
            if left is not None:
                tree._begin(self._logged(left, event.topic))
        except Exception as error:
            self._log(error, event.topic)
        finally:
            EVENT_IN_PROGRESS.reset(token)

    def _take_in(
        self, listening: Listening | None, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Awaitable[object] | None:
        if listening is None:
            left: Awaitable[object] | None = getattr(self, topic.rpartition(".")[2]).heard(args, kwargs)
            return left
        handlers = listening.by_node.get(cast("Node", self))
        if handlers is None:
            return None
        round = Round()
        handlers.call(args, kwargs, round)
        for error in round.errors:
            self._log(error, topic)
        round.errors.clear()
        return round.finish(f"of {topic}") if round.waiting else None

    async def _take_in_wrapped(
        self, listening: Listening | None, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        if self._ending is None and self._context is not None:  # it may have left while a wrapper waited
            left = self._take_in(listening, topic, args, kwargs)
            if left is not None:
                await left

    async def _logged(self, work: Awaitable[object], topic: str) -> None:
        try:
            await work
        except Exception as error:
            self._log(error, topic)

    def _log(self, error: Exception, topic: str) -> None:
        if isinstance(error, ExceptionGroup):
            for one in error.exceptions:
                log.error("A handler of %s in %r failed", topic, self, exc_info=one)
        elif isinstance(error, exc.InvalidCall):
            log.warning("%r did not hear %s: %s", self, topic, error)
        else:
            log.error("A handler of %s in %r failed", topic, self, exc_info=error)


def _confirmed(confirmed: Awaitable[object] | None) -> asyncio.Future[None]:
    """What acted already, to be awaited or not."""
    done: asyncio.Future[None]
    if confirmed is None:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done
    return asyncio.ensure_future(confirmed)  # type: ignore[arg-type]
