"""What is sent while a burst of messages is worked off goes out at its end, in one piece for each connection.

One `send()` costs more than routing a message does. A peer that has sent thirty calls in a row has thirty answers
coming: they go out together, at the end of this turn of the event loop. Who sends one message has its answer at once.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Protocol

PATIENCE = 0.001
"""Seconds that something waits at most before the next message is worked off."""


SLICE = 0.005
"""Seconds after which others get their turn: some messages cost a thousand times what most do."""

LARGE = 65536
"""Bytes of a message after which others get their turn, too: uvloop reads from one socket as long as its buffers come
full, up to 8 MiB, and decoding so much may take seconds."""


class Corked(Protocol):
    """What has something to send when the cork is drawn."""

    def flush(self) -> None: ...


class Cork:
    """One for all connections of an event loop. *held*: what is sent now waits (`add`) for the end of the turn."""

    __slots__ = ("_since", "_waiting", "held")

    def __init__(self) -> None:
        self.held = False
        self._since = 0.0
        self._waiting: list[Corked] = []

    def hold(self) -> float:
        """A message was read, and more of them are there. What waits since too long goes out first. Gives the time, by
        which the reader sees whether it has had its turn (`SLICE`)."""
        now = monotonic()
        if not self.held:
            self.held = True
            self._since = now
            asyncio.get_running_loop().call_soon(self._drawn)
        elif now - self._since > PATIENCE:
            self.flush()
        return now

    def add(self, link: Corked) -> None:
        """*link* has something that waits now."""
        self._waiting.append(link)

    def flush(self) -> None:
        """What waits goes out, and more may come after it."""
        self._since = monotonic()
        waiting, self._waiting = self._waiting, []
        for link in waiting:
            link.flush()

    def _drawn(self) -> None:
        self.held = False
        self.flush()
