"""When the other processes have heard what they were told: whoever is answered then can rely on it at all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limen.door.hub.bus import Bus
    from limen.door.hub.hub import Hub


class Heard:
    """Of many who wait at once the others are asked once."""

    def __init__(self, hub: Hub, bus: Bus) -> None:
        self._hub, self._bus = hub, bus
        self._waiting: list[Callable[[], None]] = []
        self._asking: asyncio.Task[None] | None = None
        bus.answer("heard", self._answer)

    def then(self, follow: Callable[[], None]) -> None:
        """Calls *follow* as soon as the others have heard what was told before now."""
        if not self._bus.others:
            follow()
            return
        self._waiting.append(follow)
        if self._asking is None:
            self._asking = self._hub.loop.create_task(self._ask())

    async def wait(self) -> None:
        """Comes back then."""
        heard = asyncio.Event()
        self.then(heard.set)
        await heard.wait()

    async def _ask(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                await self._bus.gather("heard", None)  # who answers has heard what was told before
                for follow in waiting:
                    follow()
        finally:
            self._asking = None

    async def _answer(self, _: None) -> bool:
        return True
