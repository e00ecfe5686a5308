"""The bus: what the processes of one server tell each other (`limen serve --workers N`).

What must outlive a process, or hold against an attacker, is in the store; the bus carries what is only news: an event
for the others' subscribers, a slot that was taken over, an answer that another process has kept. Bodies are of None,
bool, int, float, str, bytes, lists and dicts with str keys. Everything here is for the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Hear = Callable[[Any], None]
Answer = Callable[[Any], Awaitable[Any]]


class Bus(Protocol):
    """*kind* names what a body is about; each kind has one hearer, and one who answers, in a process."""

    def tell(self, kind: str, body: Any) -> None:
        """Tells all other processes; in order, at most once, and nobody says whether it arrived."""
        ...

    def hear(self, kind: str, heard: Hear) -> None:
        """Calls *heard* with each body of *kind* that others tell."""
        ...

    async def ask(self, kind: str, body: Any, patience: float = 2.0) -> Any:
        """The first answer of any other process that is not None; None if no one has any, or not within *patience*
        seconds."""
        ...

    def answer(self, kind: str, answer: Answer) -> None:
        """Answers what others ask of *kind*; None: this process knows nothing of it."""
        ...


class Alone:
    """The bus of a server that is one process.

    >>> import asyncio
    >>> asyncio.run(Alone().ask("slot", b"1234")) is None
    True
    """

    def tell(self, kind: str, body: Any) -> None: ...

    def hear(self, kind: str, heard: Hear) -> None: ...

    async def ask(self, kind: str, body: Any, patience: float = 2.0) -> Any:
        return None

    def answer(self, kind: str, answer: Answer) -> None: ...
