"""Who watches what the hub sends: times of addresses for whoever asks, and traces. Nobody: `Hub.watcher` is None.

`whole` and `whole_tree` give what is seen of all processes of the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .counts import Picture, picture, together
from .times import Times
from .tree import joined, tree

if TYPE_CHECKING:
    from limen.core.wamp.messages import Event, Message
    from limen.core.wamp.session import Session

    from .hub import Hub
    from .times import Watcher

ATTENTION: Final = 10.0
"""Seconds for which times are taken after somebody has asked for them."""


class Both:
    """Two who watch; the first sees what the second may have added."""

    def __init__(self, first: Watcher, second: Watcher) -> None:
        self._first, self._second = first, second

    def sending(self, session: Session, message: Message) -> None:
        self._second.sending(session, message)
        self._first.sending(session, message)

    def broadcasting(self, sessions: list[Session], message: Event) -> None:
        self._second.broadcasting(sessions, message)
        self._first.broadcasting(sessions, message)


class Watching:
    """Which of them are there. *always*: times are taken whether somebody asks or not (metrics are on)."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._until = 0.0
        self.always = False
        self.traces: Watcher | None = None

    def look(self) -> None:
        """Somebody asks for times: they are taken for a while."""
        self._until = self._hub.loop.time() + ATTENTION
        self._hub.loop.call_at(self._until, self.settle)
        self.settle()

    def settle(self) -> None:
        """Something has changed: who watches begins, and who is not needed any more goes."""
        counts = self._hub.counts
        wanted = self.always or self._hub.loop.time() < self._until
        if wanted and counts.times is None:
            counts.times = Times()
        elif not wanted:
            counts.times = None
        times, traces = counts.times, self.traces
        self._hub.watcher = Both(times, traces) if times is not None and traces is not None else times or traces


# -- all processes of a server --------------------------------------------------------------------------------------
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


async def whole(hub: Hub) -> Picture:
    """The picture of all processes; from now on, for a while, times are taken in each. On the loop."""
    hub.watching.look()
    return together([picture(hub), *await hub.bus.gather("picture", None)])


async def whole_tree(hub: Hub, domain: str | None = None) -> dict[str, Any]:
    """The tree of all processes, of *domain* or of all; see `door/hub/tree.py`. On the loop."""
    hub.watching.look()
    return joined([tree(hub, domain), *await hub.bus.gather("tree", domain)])
