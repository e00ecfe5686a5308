"""What is seen of a running server: one picture of all its processes, for `limen top`, Prometheus and the devtools."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from limen.door.hub.counts import Picture, picture, together
from limen.door.hub.tree import joined, tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from opentelemetry.trace import TracerProvider

    from limen.door.hub.hub import Hub

    from .operations import Operation


def begin(hub: Hub) -> None:
    """Answers the other processes of this server; to be called when its bus is there."""

    async def answer(_: Any) -> Picture:
        hub.watching.look()
        return picture(hub)

    async def answer_tree(domain: str | None) -> dict[str, Any]:
        hub.watching.look()
        return tree(hub, domain)

    hub.bus.answer("picture", answer)
    hub.bus.answer("tree", answer_tree)


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


async def whole(hub: Hub) -> Picture:
    """The picture of all processes; from now on, for a while, times are taken in each. On the loop."""
    hub.watching.look()
    return together([picture(hub), *await hub.bus.gather("picture", None)])


async def whole_tree(hub: Hub, domain: str | None = None) -> dict[str, Any]:
    """The tree of all processes, of *domain* or of all; see `door/hub/tree.py`. On the loop."""
    hub.watching.look()
    return joined([tree(hub, domain), *await hub.bus.gather("tree", domain)])


@contextlib.asynccontextmanager
async def operated(hub: Hub, metrics: str = "", control: Path | None = None) -> AsyncIterator[None]:
    """What operators of a server without a store have, for the length of the block: a line a session in the log,
    metrics at *metrics* (`metrics.place`), and a socket at *control* that `limen top` asks."""
    from . import control as socket
    from .calllog import CallLog

    begin(hub)
    async with contextlib.AsyncExitStack() as stack:
        log = CallLog()
        stack.callback(log.close)
        hub.gate.note = log.event
        if metrics:
            from .metrics import listening

            await stack.enter_async_context(listening(hub, metrics))
        if control is not None:
            listener = await socket.listen(control, seen_operations(lambda: hub))
            stack.callback(control.unlink, missing_ok=True)
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
