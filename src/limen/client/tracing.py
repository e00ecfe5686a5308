"""The trace that a client's calls belong to, where it is traced (`limen.observe.traced`)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.spans import Carrier, Span
from limen.core.wamp.trace import options

if TYPE_CHECKING:
    from limen.client.events import Handler

here: ContextVar[Carrier | None] = ContextVar("limen_carrier", default=None)
"""What the server is told of the trace, in the call that is being made here."""


@contextmanager
def within(span: Span) -> Iterator[None]:
    """What is called in this block belongs to *span*, which ends with it."""
    token, error = here.set(span.carrier), None
    try:
        yield
    except exc.Error as failed:
        error = failed.uri
        raise
    except asyncio.CancelledError:
        error = exc.Canceled.uri
        raise
    finally:
        here.reset(token)
        span.end(error)


Begun = tuple[asyncio.Future[Any], Callable[[], object]]


def begun(span: Span, begin: Callable[[], Begun]) -> Begun:
    """What *begin* gives, for a call that goes on behind it: *span* ends with its future."""
    token = here.set(span.carrier)
    try:
        future, cancel = begin()
    except exc.Error as failed:
        span.end(failed.uri)
        raise
    finally:
        here.reset(token)

    def end(done: asyncio.Future[Any]) -> None:
        error = exc.Canceled() if done.cancelled() else done.exception()
        span.end(error.uri if isinstance(error, exc.Error) else None)

    future.add_done_callback(end)
    return future, cancel


def with_trace(given: dict[str, Any]) -> dict[str, Any]:
    """Options of CALL or PUBLISH with the trace in them, if there is one."""
    carrier = here.get()
    return given if carrier is None else {**given, **options(carrier)}


def handled(span: Span, handler: Handler, run: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """*handler*, run by *run*, within *span*, which ends with it, or with the coroutine that it gives."""
    context = copy_context()
    context.run(span.enter)

    def within_span(*args: Any, **kwargs: Any) -> Any:
        try:
            outcome = context.run(handler, *args, **kwargs)
        except BaseException as error:
            span.end(type(error).__qualname__)
            raise
        if inspect.iscoroutine(outcome):
            return _awaited(span, asyncio.get_running_loop().create_task(outcome, context=context))
        span.end()
        return outcome

    run(within_span, *args, **kwargs)


async def _awaited(span: Span, task: asyncio.Task[Any]) -> None:
    try:
        await task
    except BaseException as error:
        span.end(type(error).__qualname__)
        raise
    finally:
        span.end()
