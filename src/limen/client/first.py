"""What is to be done first on a connection that has returned, before anything is registered and subscribed again, and
before calls that waited are sent: the server may have to learn who this is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeAlias

log = logging.getLogger("limen.client")

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class First:
    """*renew*: what comes then."""

    def __init__(self, renew: Callable[[], None]) -> None:
        self._renew = renew
        self._task: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> bool:
        """It is being done, and nothing else has been yet."""
        return self._task is not None

    def begin(self, works: Iterable[Work]) -> None:
        """Does *works*, if there are any, one after the other, then the rest."""
        if works := tuple(works):
            self._task = asyncio.get_running_loop().create_task(self._run(works))
        else:
            self._renew()

    def over(self) -> None:
        """The connection is lost again."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, works: Iterable[Work]) -> None:
        for work in works:
            try:
                await work()
            except Exception as error:
                log.warning("What was to be done first on a new connection has failed: %s", error)
        self._task = None
        self._renew()
