"""Who calls, as Limen's own procedures and the hub know them.

A sealed session sits on a WebSocket's connection, or in one request of the HTTP lane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from limen.base.principal import Principal

    from .hub import Hub
    from .tabs import Tab


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

    key: bytes
    principal: Principal
    since: float

    @property
    def domain(self) -> str: ...

    def goodbye(self, reason: str, details: dict[str, Any]) -> None: ...
