"""The bus: what the processes of one server tell each other (`limen serve --workers N`).

What must outlive a process, or hold against an attacker, is in the store; the bus carries what is only news: an event
for the others' subscribers, a slot that was taken over, an answer that another process has kept. Bodies are of None,
bool, int, float, str, bytes, lists and dicts with str keys. Everything here is for the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from limen.base import values

if TYPE_CHECKING:
    from limen.core.guard.accounts import Slot
    from limen.core.wamp.effects import Claim, Gather, Listen, Spread, Unclaim
    from limen.core.wamp.realm import Realm

ALONE = "single"
"""The terms of `Bus.share` on which there is one holder."""

Hear = Callable[[Any], None]
Answer = Callable[[Any], Awaitable[Any]]


class Bus(Protocol):
    """*kind* names what a body is about; each kind has one hearer, and one who answers, in a process."""

    me: int
    """The number of this process among all that the server has had; rises with each."""
    others: set[int]
    """The numbers of the other processes, as of what was heard last."""
    crowded: bool
    """More waits for the others than they take: who makes them more shall wait (`when_free`)."""

    def tell(self, kind: str, body: Any, to: int = 0) -> None:
        """Tells all other processes, or the one numbered *to*; in order, at most once, and nobody says whether it
        arrived. What two processes tell, and that a process is gone, arrives everywhere in one order."""
        ...

    def hear(self, kind: str, heard: Hear) -> None:
        """Calls *heard* with each body of *kind* that others tell."""
        ...

    async def ask(self, kind: str, body: Any, patience: float = 2.0) -> Any:
        """The first answer of any other process that is not None; None if no one has any, or not within *patience*
        seconds."""
        ...

    async def gather(self, kind: str, body: Any, patience: float = 2.0) -> list[Any]:
        """The answers of all other processes that are not None; of those that come within *patience* seconds."""
        ...

    def answer(self, kind: str, answer: Answer) -> None:
        """Answers what others ask of *kind*; None: this process knows nothing of it."""
        ...

    async def claim(self, name: str) -> bool:
        """Whether *name* is this process's from now on, among all of the server; until `release`, or its end."""
        ...

    def release(self, name: str) -> None:
        """Gives *name* free; does nothing where it is not this process's."""
        ...

    async def share(self, name: str, terms: str, *, force: bool = False) -> int:
        """The number of one more holder of *name*, in this process, among all of the server; numbers rise. 0: others
        hold it on other *terms*, or for themselves alone (ALONE); with *force* they do no longer."""
        ...

    def part(self, name: str, number: int) -> None:
        """That holder is none any more."""
        ...

    def left(self, gone: Callable[[int], None]) -> None:
        """Calls *gone* with the number of each process that ends."""
        ...

    def when_free(self, free: Callable[[], None]) -> None:
        """Calls *free* as soon as it is `crowded` no more."""
        ...


class Across(Protocol):
    """What one process does for the others, over its bus (`door/processes/across.py`)."""

    def spread(self, realm: Realm, event: Spread) -> None:
        """Tells the others of an event."""
        ...

    def claim(self, realm: Realm, claim: Claim) -> None:
        """A session here wants to register; `Realm.claimed` says how that went, when all know."""
        ...

    def unclaim(self, realm: Realm, unclaim: Unclaim) -> None:
        """A callee here answers no longer."""
        ...

    def gather(self, realm: Realm, gather: Gather) -> None:
        """A call of the meta API: the others are asked; `Realm.gathered` says what follows."""
        ...

    def listen(self, realm: Realm, listen: Listen) -> None:
        """Somebody here listens to meta events, or nobody any more."""
        ...

    def user_over(self, domain: str, user: str, keep: bytes | None, key: bytes | None, words: str, why: str) -> None:
        """The sessions of a user are over; see `ends.py`."""
        ...

    async def take(self, slot: Slot, origin: str) -> None:
        """Brings the tab of *slot*, which has proved itself here, from wherever it is."""
        ...

    def forget(self, slot: bytes) -> None:
        """A login is over: nobody will ask for its calls."""
        ...

    async def all_know(self) -> None:
        """Comes back when the others have heard what they were told before."""
        ...

    async def clear(self, domain: str | None, key: str | None) -> None:
        """An operator clears the ledger: comes back when the others have forgotten."""
        ...


def packed(*parts: Any) -> list[Any]:
    """Values of a message (arguments, keyword arguments, …) as the bus carries them.

    Raises `InvalidValue` for what can't travel.
    """
    return [values.tag(part, "msgpack") for part in parts]


def unpacked(parts: list[Any]) -> list[Any]:
    """What was packed.

    >>> unpacked(packed([1, (2, 3)], None))
    [[1, (2, 3)], None]
    """
    return [values.untag(part, "msgpack") for part in parts]


class Alone:
    """The bus of a server that is one process.

    >>> import asyncio
    >>> asyncio.run(Alone().ask("slot", b"1234")) is None
    True
    """

    me = 0
    crowded = False

    def __init__(self) -> None:
        self.others: set[int] = set()

    def tell(self, kind: str, body: Any, to: int = 0) -> None: ...

    def hear(self, kind: str, heard: Hear) -> None: ...

    async def ask(self, kind: str, body: Any, patience: float = 2.0) -> Any:
        return None

    async def gather(self, kind: str, body: Any, patience: float = 2.0) -> list[Any]:
        return []

    def answer(self, kind: str, answer: Answer) -> None: ...

    async def claim(self, name: str) -> bool:
        return True

    def release(self, name: str) -> None: ...

    async def share(self, name: str, terms: str, *, force: bool = False) -> int:
        return 1

    def part(self, name: str, number: int) -> None: ...

    def left(self, gone: Callable[[int], None]) -> None: ...

    def when_free(self, free: Callable[[], None]) -> None:
        free()
