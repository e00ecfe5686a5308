"""Topics and their handlers: one SUBSCRIBE a topic, however many handlers; renewed with every new session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.client.events import Handler, Undo
from limen.client.tracing import handled
from limen.core.wamp.messages import Event, Subscribe, Unsubscribe
from limen.core.wamp.trace import headers

if TYPE_CHECKING:
    from limen.client.session import Session

log = logging.getLogger("limen.client")


class _Topic:
    __slots__ = ("handlers", "id", "options", "ready", "uri")

    def __init__(self, uri: str, options: dict[str, Any], ready: asyncio.Future[None]) -> None:
        self.uri, self.options, self.ready = uri, options, ready
        self.handlers: list[Handler] = []
        self.id = 0


class Subscriptions:
    """All subscriptions of one Session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._topics: dict[str, _Topic] = {}
        self._by_id: dict[int, _Topic] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._topics)

    async def add(self, uri: str, handler: Handler, options: dict[str, Any]) -> Undo:
        """Subscribes, and comes back with the undo once the server has agreed; raises what it said if it has not."""
        topic = self._topics.get(uri)
        if topic is None:
            topic = self._topics[uri] = _Topic(uri, options, asyncio.get_running_loop().create_future())
            self._renew(topic)
        topic.handlers.append(handler)
        try:
            await asyncio.shield(topic.ready)
        except BaseException:
            self._drop(topic, handler)
            raise
        return lambda: self._drop(topic, handler)

    def _drop(self, topic: _Topic, handler: Handler) -> None:
        if handler not in topic.handlers:
            return
        topic.handlers.remove(handler)
        if topic.handlers or self._topics.get(topic.uri) is not topic:
            return
        del self._topics[topic.uri]
        if topic.id and self._by_id.pop(topic.id, None) is not None:
            self._session.request(lambda id: Unsubscribe(id, topic.id), lambda reply: None)

    # -- what the session says ----------------------------------------------------------------------------------
    def renew(self) -> None:
        """There is a new session: every topic is subscribed again."""
        self._by_id.clear()
        for topic in tuple(self._topics.values()):
            self._renew(topic)

    def _renew(self, topic: _Topic) -> None:
        def settle(reply: int | exc.Error) -> None:
            if isinstance(reply, int):
                topic.id = reply
                if self._topics.get(topic.uri) is topic:
                    self._by_id[reply] = topic
                    if not topic.ready.done():
                        topic.ready.set_result(None)
                else:  # undone meanwhile
                    self._session.request(lambda id: Unsubscribe(id, reply), lambda reply: None)
                return
            if isinstance(reply, exc.ConnectionLost):
                return  # it is asked again when the session is back
            self._topics.pop(topic.uri, None)
            if not topic.ready.done():
                topic.ready.set_exception(reply)
            else:
                log.warning("%s can't be subscribed any more: %s", topic.uri, reply)

        self._session.request(lambda id: Subscribe(id, topic.options, topic.uri), settle)

    def event(self, message: Event) -> None:
        """An EVENT came."""
        topic = self._by_id.get(message.subscription)
        if topic is None:
            return
        spans = self._session._spans
        for handler in tuple(topic.handlers):
            if spans is None:
                self.run(handler, *(message.args or ()), **(message.kwargs or {}))
            else:
                span = spans.hear(topic.uri, self._session.domain, headers(message.details))
                handled(span, handler, self.run, *(message.args or ()), **(message.kwargs or {}))

    def run(self, handler: Handler, *args: Any, **kwargs: Any) -> None:
        """Runs a handler; one that is a coroutine function gets a task. What it raises is logged."""
        try:
            outcome = handler(*args, **kwargs)
        except Exception:
            log.exception("A handler failed")
            return
        if asyncio.iscoroutine(outcome):
            task = asyncio.get_running_loop().create_task(_logged(outcome))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def over(self, error: exc.Error) -> None:
        """The session is over."""
        for topic in self._topics.values():
            if not topic.ready.done():
                topic.ready.set_exception(error)
                topic.ready.exception()  # whoever waits has it; maybe nobody does
        self._topics.clear()
        self._by_id.clear()

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
