"""Topics over HTTP: a request for each, answered as long as there are events. Sealed by the HTTP lane when logged in,
else as Server-Sent Events. A connection that is lost comes back, and `missed` is told."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import quote

import msgspec

from limen import exc
from limen.client.address import uri
from limen.client.core import log
from limen.client.events import Handler, Undo
from limen.client.exchange import Exchange, Request
from limen.client.lane import LaneSession
from limen.client.plain import failure

Push = Callable[[list[Any], dict[str, Any]], Awaitable[None]]
Listen = Callable[[str, Push, Callable[[], None]], Awaitable[None]]
"""(topic, what takes arguments of an event, called once the server listens): runs until it is cancelled or lost."""
LONGEST_PAUSE: Final = 10.0
_LOST: Final = (exc.ConnectionLost, exc.OutcomeUnknown)


def by_lane(now: Callable[[], LaneSession | None]) -> Listen:
    """Of a sealed session: the one of *now*, which may become another."""

    async def listen(topic: str, push: Push, began: Callable[[], None]) -> None:
        session = now()
        if session is None:
            raise exc.UnknownSession
        await session.listen(topic, lambda event: push(event.args or [], event.kwargs or {}), began=began)

    return listen


def by_events(exchange: Exchange, max_size: int) -> Listen:
    """In the open, for topics with `safe=False`."""

    async def listen(topic: str, push: Push, began: Callable[[], None]) -> None:
        target = f"{exchange.prefix}/limen/events/{quote(uri(topic), safe='')}"
        answer = await exchange.send(Request("GET", target, (("accept", "text/event-stream"),)))
        if answer.status != 200:
            raise failure(exchange, answer, await answer.read(max_size))
        began()
        rest = b""
        async with aclosing(answer.chunks) as chunks:
            async for chunk in chunks:
                *blocks, rest = (rest + chunk).split(b"\n\n")
                for block in blocks:
                    for line in block.split(b"\n"):
                        if line.startswith(b"data: {"):
                            event = msgspec.json.decode(line[6:])
                            await push(event.get("args", []), event.get("kwargs", {}))
        raise exc.OutcomeUnknown

    return listen


class Listening:
    """The subscriptions of one client. *missed*: told when events may have been lost."""

    def __init__(self, missed: Callable[[], None]) -> None:
        self._missed = missed
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, topic: str, handler: Handler, listen: Listen) -> Undo:
        """Comes back with the undo once the server listens for us; raises what it says if it does not."""
        began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(self._run(topic, handler, listen, began))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait([began, task], return_when=asyncio.FIRST_COMPLETED)
            if not began.done():
                task.result()
        except BaseException:
            task.cancel()
            raise

        def undo() -> None:
            task.cancel()

        return undo

    async def _run(self, topic: str, handler: Handler, listen: Listen, began: asyncio.Future[None]) -> None:
        pause = 0.1

        def begin() -> None:
            nonlocal pause
            pause = 0.1
            if began.done():
                self._missed()
            else:
                began.set_result(None)

        async def push(args: list[Any], kwargs: dict[str, Any]) -> None:
            try:
                outcome = handler(*args, **kwargs)
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception:
                log.exception("A handler failed")

        while True:
            try:
                await listen(topic, push, begin)
            except _LOST:
                if not began.done():
                    raise
            except exc.Error as error:
                if not began.done():
                    raise
                log.warning("%s is not listened to any more: %s", topic, error)
                return
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  # not a secret
            pause = min(pause * 2, LONGEST_PAUSE)

    async def close(self) -> None:
        """Ends all subscriptions."""
        me = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
