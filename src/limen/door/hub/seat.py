"""Whoever stands before the hub, as the rooms behind the doors know them.

Peer      the `peer` of a session of a realm: it is told things
Caller    … that local services are run for: a WebSocket's connection, a request of the lane, a guest over HTTP
Wired     … that sits on a connection
Seat      what Limen's own procedures know of their caller
Signed    an unsealed session that may have a user
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import Future

    from limen import exc
    from limen.base.principal import Principal
    from limen.core.wamp.messages import Abort, Goodbye, Message

    from .hub import Hub
    from .tabs import KeptCall, Tab


SHUTDOWN = "wamp.close.system_shutdown"
CHANGED = "limen.close.changed"
"""GOODBYE to a session that is to come back at once: who it is, or what it may, is another by then."""


class Seat(Protocol):
    """What Limen's own procedures (`door/own/own.py`) know of whoever calls them.

    *tab*: the login; None where it is over. *domain*, *origin*, *tls*: of the connection or request. *principal*: the
    user, with roles and profile of the moment.
    """

    @property
    def hub(self) -> Hub: ...
    @property
    def tab(self) -> Tab | None: ...
    @property
    def domain(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def principal(self) -> Principal: ...
    @property
    def tls(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Own:
    """A procedure that Limen itself answers, in a sealed session only: `run(seat, *args)` (`seat.py`)."""

    run: Callable[..., Any]


class Signed(Protocol):
    """An unsealed session that may have a user: *key* is the id of the machine's key with which it has signed in, b""
    without one; *since*: when it began, by the loop's clock."""

    @property
    def key(self) -> bytes: ...
    @property
    def since(self) -> float: ...
    @property
    def domain(self) -> str: ...
    @property
    def principal(self) -> Principal: ...

    def goodbye(self, reason: str, details: dict[str, Any]) -> None: ...


class Peer(Protocol):
    """What the hub says to a session of a realm. *transport*: by what it comes in, as people are shown it."""

    @property
    def transport(self) -> str: ...

    def send(self, message: Message) -> int:
        """Sends one message; gives its encoded size in bytes. Raises `InvalidValue` for what can't be said."""
        ...

    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None:
        """Sends a message that others get too; *frames*: what they have made of it already, by encoding."""
        ...

    def interrupt(self, request: int) -> None:
        """The call of a local service is cancelled, or its time is up."""
        ...

    def end(self, message: Abort | Goodbye | None) -> None:
        """The realm has ended the session; *message* is its last."""
        ...

    def goodbye(self, reason: str, details: dict[str, Any]) -> None:
        """The server ends the session."""
        ...


class Caller(Peer, Seat, Protocol):
    """A peer that local services are run for. *running*: those under way, by request: the task, what cancels it, and
    the kept call behind it, if it has one."""

    @property
    def running(self) -> dict[int, tuple[Future[None], Any, KeptCall | None]]: ...

    def result(self, request: int, value: Any) -> int:
        """Answers a call; gives the answer's size in bytes, 0 where nobody waits for it any more."""
        ...

    def error(self, request: int, error: exc.Error) -> int:
        """… by an error."""
        ...

    def progress(self, request: int) -> Callable[[Any], Awaitable[None] | None]:
        """What a stream calls with each value; gives something to await where the peer reads too slowly."""
        ...


class Wired(Caller, Signed, Protocol):
    """A connection, with its session or before it. *bytes_in* and so on: of payload, since it opened."""

    bytes_in: int
    bytes_out: int
    messages_in: int
    messages_out: int

    @property
    def queued(self) -> int:
        """Bytes that the other side has not read yet."""
        ...

    def overdue(self, now: float) -> bool:
        """No session yet, and no greeting under way, though it was time."""
        ...

    def refuse(self, reason: str, message: str, code: int = 1002) -> None:
        """ABORT, then the end."""
        ...
