"""What is seen of a running server: one picture of all its processes, for `limen top`, Prometheus and the devtools."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from limen.door.hub.counts import Picture, picture, together

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from opentelemetry.trace import TracerProvider

    from limen.door.hub.hub import Hub

    from .operations import Operation


def begin(hub: Hub) -> None:
    """Answers the other processes of this server; to be called when its bus is there."""

    async def answer(_: Any) -> Picture:
        hub.watching.look()
        return picture(hub)

    hub.bus.answer("picture", answer)


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


def seen_operations(running: Callable[[], Hub | None]) -> dict[str, Operation]:
    """For the control socket. *running*: the hub, None where no server runs."""

    def on_loop(look: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
        hub = running()
        return None if hub is None else asyncio.run_coroutine_threadsafe(look(hub), hub.loop).result(10)

    return {"picture": lambda: on_loop(whole)}
