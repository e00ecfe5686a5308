"""Topics and their handlers: one SUBSCRIBE a topic and match, however many handlers; renewed with every new session."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from limen.client.events import ConfirmedUndo, Handler
from limen.client.standing import Standing, Standings
from limen.client.tracing import handled
from limen.core.wamp.messages import Event, Subscribe, Unsubscribe
from limen.core.wamp.trace import headers

if TYPE_CHECKING:
    from limen.client.line import Line
    from limen.client.requests import Requests
    from limen.client.standing import Owner

log = logging.getLogger("limen.client")


class _Topic(Standing):
    """*handlers*: with each, whether it is told the topic: `handler(topic, args, kwargs, details)`."""

    def __init__(self, uri: str, match: str, options: dict[str, Any]) -> None:
        super().__init__(uri, match, options)
        self.handlers: list[tuple[Handler, bool]] = []


class Subscriptions(Standings[_Topic]):
    """All subscriptions of one Session; *line*: its connection."""

    kind = "subscription"

    def __init__(self, session: Owner, requests: Requests, line: Line) -> None:
        super().__init__(session, requests, Subscribe, Unsubscribe)
        self._line = line
        self._tasks: set[asyncio.Task[Any]] = set()

    async def add(
        self, uri: str, handler: Handler, match: str, told_topic: bool, options: dict[str, Any]
    ) -> ConfirmedUndo:
        """Subscribes, and comes back with the undo once the router has agreed; raises what it said if it has not."""
        await self.free((uri, match))
        topic = self._by_key.get((uri, match))
        if topic is None:
            topic = _Topic(uri, match, options)
            self.begin(topic)
        entry = (handler, told_topic)
        topic.handlers.append(entry)
        undone: list[asyncio.Future[None]] = []

        def undo() -> asyncio.Future[None]:
            if not undone:
                undone.append(self._drop(topic, entry))
            return undone[0]

        try:
            await asyncio.shield(topic.ready)
        except BaseException:
            undo()
            raise
        return undo

    def _drop(self, topic: _Topic, entry: tuple[Handler, bool]) -> asyncio.Future[None]:
        topic.handlers.remove(entry)
        if not topic.handlers:
            return self.end(topic)
        done: asyncio.Future[None] = topic.ready.get_loop().create_future()
        done.set_result(None)
        return done

    def event(self, message: Event) -> None:
        """An EVENT came."""
        topic = self._by_id.get(message.subscription)
        if topic is None:
            return
        spans = self._line.settings.spans
        args, kwargs = message.args or [], message.kwargs or {}
        for handler, told_topic in tuple(topic.handlers):
            given: tuple[Any, ...] = tuple(args)
            named = kwargs
            if told_topic:
                given, named = (message.details.get("topic", topic.uri), args, kwargs, message.details), {}
            if spans is None:
                self.run(handler, *given, **named)
            else:
                span = spans.hear(topic.uri, self._line.domain, headers(message.details))
                handled(span, handler, self.run, *given, **named)

    def run(self, handler: Handler, /, *args: Any, **kwargs: Any) -> None:
        """Runs a handler; one that is a coroutine function gets a task. What it raises is logged."""
        try:
            outcome = handler(*args, **kwargs)
        except Exception:
            log.exception("A handler failed")
            return
        if inspect.iscoroutine(outcome):
            task = asyncio.get_running_loop().create_task(_logged(outcome))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends the handlers that still run."""
        me = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _logged(coroutine: Coroutine[Any, Any, Any]) -> None:
    try:
        await coroutine
    except Exception:
        log.exception("A handler failed")
