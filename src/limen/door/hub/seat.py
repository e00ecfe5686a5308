"""Where a sealed session sits while it asks: on a WebSocket's connection, or in one request of the HTTP lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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
