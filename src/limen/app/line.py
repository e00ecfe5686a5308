"""A worker's line to its supervisor, and through it to the other workers: the bus of `limen serve --workers N`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from limen.door.hub.bus import Answer, Hear

from .frames import ALL, SUPERVISOR, Frames

log = logging.getLogger("limen")
TELL, ASK, ANSWER, JOINED, LEFT, WON, PING = range(7)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Question:
    """What was asked, and who has yet to answer. *first*: the first answer is enough."""

    __slots__ = ("answers", "done", "first", "open")

    def __init__(self, others: set[int], first: bool, done: asyncio.Future[None]) -> None:
        self.open, self.first, self.done = set(others), first, done
        self.answers: list[Any] = []
        self._look()

    def take(self, peer: int, value: Any = None) -> None:
        """*peer* has answered, or is gone."""
        if peer in self.open:
            self.open.discard(peer)
            if value is not None:
                self.answers.append(value)
            self._look()

    def _look(self) -> None:
        if not self.done.done() and (not self.open or (self.first and self.answers)):
            self.done.set_result(None)


class Line(Frames):
    """See `limen.door.hub.bus.Bus`. `await Line.connect(sock)` gives one that is heard by all others.

    Where the supervisor is gone this process is told to end (SIGTERM): nobody would start it again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.me = 0
        self.others: set[int] = set()
        self._loop = asyncio.get_running_loop()
        self._joined: asyncio.Future[None] = self._loop.create_future()
        self._hearers: dict[str, Hear] = {}
        self._answerers: dict[str, Answer] = {}
        self._questions: dict[int, Question] = {}
        self._claims: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._gone: list[Callable[[int], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self._waiting: list[Callable[[], None]] = []

    @classmethod
    async def connect(cls, sock: socket.socket) -> Line:
        """Joins the others over *sock*, the worker's half of a pair."""
        sock.setblocking(False)
        _, line = await asyncio.get_running_loop().create_unix_connection(cls, sock=sock)
        line._say(SUPERVISOR, ["join"])
        await line._joined
        return line

    def close(self) -> None:
        """Nothing is heard any more."""
        self._over = True
        if self.transport is not None:
            self.transport.close()

    # -- what a Bus does
    def tell(self, kind: str, body: Any, to: int = ALL) -> None:
        if to or self.others:
            self._say(to, [TELL, kind, 0, body])

    def hear(self, kind: str, heard: Hear) -> None:
        self._hearers[kind] = heard

    async def ask(self, kind: str, body: Any, patience: float = 2.0) -> Any:
        answers = await self._ask(kind, body, patience, first=True)
        return answers[0] if answers else None

    async def gather(self, kind: str, body: Any, patience: float = 2.0) -> list[Any]:
        return await self._ask(kind, body, patience, first=False)

    def answer(self, kind: str, answer: Answer) -> None:
        self._answerers[kind] = answer

    async def claim(self, name: str) -> bool:
        return bool(await self._request("claim", name))

    async def _request(self, what: str, *about: Any) -> Any:
        """What the supervisor says to that."""
        self._number += 1
        number = self._number
        future = self._claims[number] = self._loop.create_future()
        self._say(SUPERVISOR, [what, number, *about])
        return await future

    def release(self, name: str) -> None:
        self._say(SUPERVISOR, ["release", name])

    async def share(self, name: str, terms: str, *, force: bool = False) -> int:
        return int(await self._request("share", name, terms, force))

    def part(self, name: str, number: int) -> None:
        self._say(SUPERVISOR, ["part", name, number])

    def left(self, gone: Callable[[int], None]) -> None:
        self._gone.append(gone)

    def when_free(self, free: Callable[[], None]) -> None:
        if self.crowded:
            self._waiting.append(free)
        else:
            free()

    def resume_writing(self) -> None:
        super().resume_writing()
        waiting, self._waiting = self._waiting, []
        for free in waiting:
            free()

    def ready(self, url: str) -> None:
        """This worker answers at *url*."""
        self._say(SUPERVISOR, ["ready", url])

    # -- inside
    async def _ask(self, kind: str, body: Any, patience: float, *, first: bool) -> list[Any]:
        if not self.others:
            return []
        self._number += 1
        number = self._number
        question = self._questions[number] = Question(self.others, first, self._loop.create_future())
        self._say(ALL, [ASK, kind, number, body])
        try:
            async with asyncio.timeout(patience):
                await question.done
        except TimeoutError:
            pass
        finally:
            del self._questions[number]
        return question.answers

    def _say(self, to: int, message: list[Any]) -> None:
        if not self.send(to, _encode(message)) and not self._over and self.transport is not None:
            log.error("The supervisor does not read what this worker says; it is stopped.")
            self.transport.abort()

    def received(self, peer: int, payload: bytes) -> None:
        kind, *rest = _decode(payload)
        try:
            self._act(peer, kind, rest)
        except Exception:
            log.exception("What another worker said could not be followed")

    def _act(self, peer: int, kind: int, rest: list[Any]) -> None:
        match kind:
            case 0:  # TELL
                name, _, body = rest
                hearer = self._hearers.get(name)
                if hearer is not None:
                    hearer(body)
            case 1:  # ASK
                task = self._loop.create_task(self._reply(peer, *rest))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case 2:  # ANSWER
                _, number, body = rest
                question = self._questions.get(number)
                if question is not None:
                    question.take(peer, body)
            case 3:  # JOINED
                self._have_joined(*rest)
            case 4:  # LEFT
                self._has_left(*rest)
            case 5:  # WON
                number, won = rest
                future = self._claims.pop(number, None)
                if future is not None and not future.done():
                    future.set_result(won)
            case 6:  # PING
                self._say(SUPERVISOR, ["pong"])

    async def _reply(self, peer: int, name: str, number: int, body: Any) -> None:
        value = None
        answerer = self._answerers.get(name)
        try:
            if answerer is not None:
                value = await answerer(body)
        except Exception:
            log.exception("A question of another worker could not be answered")
        self._say(peer, [ANSWER, name, number, value])

    def _have_joined(self, me: int, others: list[int]) -> None:
        self.others.update(others)
        if me:
            self.me = me
            self._joined.set_result(None)

    def _has_left(self, number: int) -> None:
        self.others.discard(number)
        for question in tuple(self._questions.values()):
            question.take(number)
        for gone in self._gone:
            gone(number)

    def ended(self) -> None:
        if not self._over:
            self._over = True
            os.kill(os.getpid(), signal.SIGTERM)
