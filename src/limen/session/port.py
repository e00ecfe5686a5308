"""The port of application sessions: who stands at the way in, where that is part of the same program.

A connection of the program's own in `limen serve` is `Guarded`, by `limen.app.parties`: nobody reaches a session who is
not its party, whatever process they come to. With another router there is no doorkeeper, and what the service itself
checks is all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeAlias, TypedDict, runtime_checkable

Policy: TypeAlias = Callable[[int | None, str | None, str, str], bool]
"""(WAMP session, user, role, address of a session) -> whether they may reach it though it is not theirs."""


class Caller(NamedTuple):
    """Who calls or publishes, as the router says: the WAMP session, the user (None: nobody has logged in), the role."""

    session: int | None
    user: str | None
    role: str


class Known(TypedDict):
    """Who a WAMP session is, as it travels between processes. *party*: the login in one tab, and as whom; the rest as
    of `limen.base.principal.Principal`."""

    party: str
    domain: str
    user: str | None
    roles: list[str]
    profile: dict[str, Any]
    origin: str
    sealed: bool
    tls: bool


class Doorkeeper(Protocol):
    """Knows each session of the realm, and lets through whom the program names."""

    def declare(
        self, uri: str, *, safe: bool = True, roles: Iterable[str] = (), policy: Policy | None = None
    ) -> Awaitable[None]:
        """From now on nobody but the program reaches what is below *uri*, save by `admit` and *policy*; and
        `start_session` there, who is logged in (`safe`), in one of *roles* if there are any."""
        ...

    def withdraw(self, uri: str) -> None:
        """Undoes `declare`."""
        ...

    def who(self, id: int) -> Awaitable[Known | None]:
        """Who the WAMP session *id* is; None: it has gone."""
        ...

    def admit(self, place: str, party: str) -> Awaitable[None]:
        """*party*, and nobody else, reaches *place* and what is below."""
        ...

    def dismiss(self, place: str) -> None:
        """Nobody does."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """A connection at whose other end somebody stands at the way in."""

    @property
    def doorkeeper(self) -> Doorkeeper:
        """Who."""
        ...
