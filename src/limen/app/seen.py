"""What is seen of a running server: one picture of all its processes, for `limen top`, Prometheus and the devtools."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from limen.door.hub.watching import begin, whole, whole_tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from opentelemetry.trace import TracerProvider

    from limen.door.hub.hub import Hub

    from .operations import Operation


__all__ = ["begin", "operated", "seen_operations", "trace", "whole"]
log = logging.getLogger("limen")


def trace(hub: Hub, provider: TracerProvider | None = None) -> Callable[[], None]:
    """Calls and events are spans from now on, by *provider* or the program's global one; gives what ends that."""
    from limen.door.hub.tracing import Tracing
    from limen.observe import traces

    hub.pipeline.spans = spans = traces(provider)
    hub.watching.traces = tracing = Tracing(spans)
    hub.watching.settle()

    def end() -> None:
        tracing.sweep()
        hub.pipeline.spans = hub.watching.traces = None
        hub.watching.settle()

    return end


@contextlib.asynccontextmanager
async def operated(hub: Hub, path: Path) -> AsyncIterator[None]:
    """A socket at *path* that `limen top` asks, for the length of the block; where there can be none, that is said."""
    from . import control

    async with contextlib.AsyncExitStack() as stack:
        if control.is_served(path):
            log.warning("Another server answers `limen top` at %s already; this one does not.", path)
        else:
            try:
                listener = await control.listen(path, seen_operations(lambda: hub))
            except OSError as error:  # a file system without sockets, say
                log.warning("No socket at %s (%s): `limen top` finds nothing.", path, error)
            else:
                stack.callback(path.unlink, missing_ok=True)
                stack.callback(listener.close)
        yield


def seen_operations(running: Callable[[], Hub | None]) -> dict[str, Operation]:
    """For the control socket. *running*: the hub, None where no server runs."""

    def on_loop(look: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
        hub = running()
        return None if hub is None else asyncio.run_coroutine_threadsafe(look(hub), hub.loop).result(10)

    return {
        "picture": lambda: on_loop(whole),
        "tree": lambda domain=None: on_loop(lambda hub: whole_tree(hub, domain)),
    }
