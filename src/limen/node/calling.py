"""Calling: how a node calls others, and how what is called of it runs. Near and far differ in the wire alone: arguments
and results are what they would be from far, and so are errors."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, NoReturn

from limen import exc
from limen.client.callee import Invoked

from .calls import Called
from .context import IN_PROGRESS, NEAR, Next, NodeContext
from .declared import declared
from .mirror import STREAM
from .passing import LEAVES, across, incoming, outgoing, passed

if TYPE_CHECKING:
    from limen.base.path import Path

    from .node import Node
    from .port import Session
    from .proxy import CallOptions
    from .tree import Tree

log = logging.getLogger("limen.node")


class Calling:
    """See the module."""

    __slots__ = ()
    _limen_own = True

    if TYPE_CHECKING:
        _context: NodeContext | None
        _path: Path | None
        _tree: Tree | None
        _ending: asyncio.Future[None] | None
        _stateful: bool

    def _where(self) -> tuple[NodeContext, Tree]:
        if self._context is None or self._tree is None:
            raise exc.InvalidCall(
                f"{type(self).__name__} is not bound, or not any more: await node_bind(path, context) first."
            )
        return self._context, self._tree

    @property
    def _present(self) -> bool:
        """It stands somewhere, and is not leaving."""
        return self._context is not None and self._ending is None

    # -- calls that go out --------------------------------------------------------------------------------------
    def _call_from(
        self, address: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Coroutine[Any, Any, Any]:
        context, tree = self._where()
        if context.wraps("wrap_call"):
            return _asked(context.wrapped("wrap_call", partial(self._call, tree, options)), address, args, kwargs)
        return self._call(tree, options, address, args, kwargs)

    def _call(
        self, tree: Tree, options: CallOptions, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        found = tree.find(address)
        if found is None:
            return self._call_far(tree, options, address, args, kwargs)
        work = partial(self._call_near, *found, address, args, kwargs)
        return work() if options.timeout is None else _within(options.timeout, work, address)

    async def _call_near(
        self, node: Node, called: Called, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        given, named = passed(across, args, kwargs, node)
        try:
            outcome = node._perform(called, Invoked(address, given, named, NEAR))
            if type(outcome) is CoroutineType:
                outcome = await outcome
            if type(outcome) is AsyncGeneratorType:
                outcome = await _all(outcome)
        except exc.Error:
            raise
        except (Exception, asyncio.CancelledError) as error:
            _raise_as_from_far(error, address)
        return across(outcome, self)

    async def _call_far(
        self, tree: Tree, options: CallOptions, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        session = _reaching(tree, address, options)
        out, named = passed(outgoing, args, kwargs)
        return incoming(await session.apply(address, out, named, timeout=options.timeout), self)

    async def _values_from(
        self, address: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> AsyncGenerator[Any, None]:
        """The values of a streaming call, from near or far; of another one its result, if that is a list."""
        context, tree = self._where()

        async def begin(address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            found = tree.find(address)
            if found is None:
                return self._values_far(tree, options, address, args, kwargs)
            return await self._values_near(*found, address, args, kwargs)

        values = await context.wrapped("wrap_call", begin)(address, args, kwargs)
        async with aclosing(values):
            async for value in values:
                yield value

    async def _values_near(
        self, node: Node, called: Called, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[Any, None]:
        given, named = passed(across, args, kwargs, node)
        invoked = Invoked(address, given, named, NEAR, _pushed)
        try:
            outcome = node._perform(called, invoked)
            if type(outcome) is CoroutineType:
                outcome = await outcome
        except exc.Error:
            raise
        except (Exception, asyncio.CancelledError) as error:
            _raise_as_from_far(error, address)
        if type(outcome) is not AsyncGeneratorType:
            outcome = _values_of()  # as from far: what is no stream has none
        return self._values_across(outcome, address)

    async def _values_across(self, values: AsyncGenerator[Any, None], address: str) -> AsyncGenerator[Any, None]:
        async with aclosing(values):
            while True:
                try:
                    value = await anext(values)
                except StopAsyncIteration:
                    return
                except exc.Error:
                    raise
                except (Exception, asyncio.CancelledError) as error:
                    _raise_as_from_far(error, address)
                yield across(value, self)

    async def _values_far(
        self, tree: Tree, options: CallOptions, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[Any, None]:
        session = _reaching(tree, address, options)
        out, named = passed(outgoing, args, kwargs)
        async with aclosing(session.stream(address, *out, **named)) as values:
            async for value in values:
                yield incoming(value, self)

    # -- calls that come in -------------------------------------------------------------------------------------
    def _offers(self) -> Sequence[str]:
        """The names of what can be called of this node."""
        offered = declared(type(self)).calls
        return tuple(offered) if self._stateful else tuple(name for name in offered if name != STREAM)

    def _perform(self, called: Called, invoked: Invoked) -> Any:
        """Runs a call that came for this node, from near or far, with arguments as it gets them. Gives what it gives,
        or a coroutine of that; a stream of values is an async generator."""
        context = self._context
        if context is None:
            raise exc.NotFound(f"Nothing is called by {invoked.uri} any more.")
        if context.wraps("wrap_invocation"):
            go = context.wrapped("wrap_invocation", partial(self._do, called))
            return _finished(_asked(go, invoked.uri, tuple(invoked.args), dict(invoked.kwargs)), invoked)
        token = IN_PROGRESS.set(invoked)
        try:
            args, kwargs = called.bind(invoked.args, invoked.kwargs)
            outcome = getattr(self, called.attribute)(*args, **kwargs)
        finally:
            IN_PROGRESS.reset(token)
        kind = type(outcome)
        if kind in LEAVES:
            return outcome
        if kind is CoroutineType or inspect.isawaitable(outcome):
            return _finished(outcome, invoked)
        return _stepped(outcome, invoked) if isinstance(outcome, _STREAMS) else outcome

    async def _do(self, called: Called, address: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        given, named = called.bind(list(args), dict(kwargs))
        outcome = getattr(self, called.attribute)(*given, **named)
        if type(outcome) is CoroutineType or inspect.isawaitable(outcome):
            outcome = await outcome
        return outcome


_STREAMS = (AsyncIterator, GeneratorType)


async def _asked(go: Next, address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What *go* gives; it is asked when this is awaited: of a call that is cancelled before, nothing is left."""
    return await go(address, args, kwargs)


async def _finished(work: Awaitable[Any], invoked: Invoked) -> Any:
    """What *work* gives, with *invoked* as the call in progress."""
    token = IN_PROGRESS.set(invoked)
    try:
        outcome = await work
    finally:
        IN_PROGRESS.reset(token)
    return _stepped(outcome, invoked) if isinstance(outcome, _STREAMS) else outcome


def _reaching(tree: Tree, address: str, options: CallOptions) -> Session:
    """The session that reaches *address*."""
    session = tree.session
    if session is None:
        raise exc.NotFound(f"Nothing is called by {address}.")
    if options.offline == "fail" and session.state != "online":
        raise exc.ConnectionLost(f"The connection is lost, so {address} was not called.")
    return session


async def _stepped(values: Any, invoked: Invoked) -> AsyncGenerator[Any, None]:
    """What an iterator of a call gives, as it may travel; it runs with *invoked* as the call in progress."""
    plain = isinstance(values, GeneratorType)
    stop = getattr(values, "close" if plain else "aclose", None)
    try:
        while True:
            token = IN_PROGRESS.set(invoked)
            try:
                value = next(values) if plain else await anext(values)
            except (StopIteration, StopAsyncIteration):
                return
            finally:
                IN_PROGRESS.reset(token)
            yield outgoing(value)
    finally:
        if stop is not None:
            token = IN_PROGRESS.set(invoked)
            try:
                closed = stop()
                if closed is not None:
                    await closed
            finally:
                IN_PROGRESS.reset(token)


def _raise_as_from_far(error: BaseException, address: str) -> NoReturn:
    """*error*, which is no exc.Error, of a call that was near, as it would be from far; the log has it."""
    if isinstance(error, asyncio.CancelledError):
        me = asyncio.current_task()
        if me is None or me.cancelling():
            raise error
        raise exc.Canceled from None  # the callee is, not the caller
    log.error("%s failed", address, exc_info=error)
    raise exc.InternalError from error


async def _all(values: AsyncGenerator[Any, None]) -> list[Any]:
    async with aclosing(values):
        return [value async for value in values]


async def _values_of(*values: Any) -> AsyncGenerator[Any, None]:
    """Those."""
    for value in values:
        yield value


def _pushed(value: Any) -> None:
    """What takes values from far; near they are asked for."""


async def _within(seconds: float, work: Callable[[], Awaitable[Any]], address: str) -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await work()
    except TimeoutError:
        raise exc.Timeout(f"{address} has not answered within {seconds:g} s.") from None
