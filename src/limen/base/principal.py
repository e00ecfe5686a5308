"""Who calls, and the state of the call that is running here: `get_state()`."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ANONYMOUS: Final = "anonymous"
"""The role of whoever has not logged in."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who stands behind a connection or a request; made once, by the door that let them in.

    *domain*: tenant. *origin*: IPv4 address or IPv6 /64, '' in process. *user*: None for the anonymous.
    *roles*: all roles; *role*: the first. *sealed*: travels in a sealed session (or in process, as a user).
    *tls*: the transport is encrypted. *profile*: what is kept of the user (`username`, …). *session*: WAMP session id.
    """

    domain: str
    origin: str = ""
    user: str | None = None
    roles: tuple[str, ...] = (ANONYMOUS,)
    sealed: bool = False
    tls: bool = False
    profile: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)  # 3.11 takes an unhashable one for mutable
    impersonated_by: str | None = None
    session: int | None = None

    @property
    def role(self) -> str:
        return self.roles[0] if self.roles else ANONYMOUS


class Cancellation:
    """Set when the caller has cancelled; a function on a worker thread may ask for it now and then."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: threading.Event | None = None

    def set(self) -> None:
        self._event = self._event or threading.Event()
        self._event.set()

    def is_set(self) -> bool:
        return self._event is not None and self._event.is_set()


@dataclass(frozen=True, slots=True)
class State:
    """What `get_state()` gives: the principal and the service that runs."""

    principal: Principal
    service: str = ""
    """The WAMP URI of the service that was called, '' outside any."""
    cancellation: Cancellation = field(default_factory=Cancellation, repr=False)

    @property
    def domain(self) -> str:
        return self.principal.domain

    @property
    def origin(self) -> str:
        return self.principal.origin

    @property
    def user(self) -> str | None:
        return self.principal.user

    @property
    def role(self) -> str:
        return self.principal.role

    @property
    def roles(self) -> tuple[str, ...]:
        return self.principal.roles

    @property
    def profile(self) -> Any:
        return self.principal.profile

    @property
    def impersonated_by(self) -> str | None:
        return self.principal.impersonated_by

    @property
    def sealed(self) -> bool:
        return self.principal.sealed

    @property
    def tls(self) -> bool:
        return self.principal.tls

    @property
    def session(self) -> int | None:
        return self.principal.session

    @property
    def cancelled(self) -> bool:
        """True once the caller has cancelled this call."""
        return self.cancellation.is_set()


current: ContextVar[State] = ContextVar("limen_state")
"""Set by the pipeline around each call; copied into threads and tasks."""

_OUTSIDE: Final = State(Principal("localhost"))
_outside: ContextVar[State] = ContextVar("limen_outside")


def get_state() -> State:
    """The state of the running call, at any depth, in threads and tasks; outside any call nobody's, at 'localhost', or
    at the domain that the program's own connection is of (`App.connection`), in what is called and heard by it.

    >>> get_state().user is None, get_state().domain, get_state().service
    (True, 'localhost', '')
    """
    state = current.get(None)
    return _outside.get(_OUTSIDE) if state is None else state


def stand_at(domain: str) -> None:
    """From now on what runs in this context, and is no call of a service, is the program's own work for *domain*.

    >>> from contextvars import Context
    >>> north = Context()
    >>> north.run(stand_at, "north.example")
    >>> north.run(get_state).domain, north.run(get_state).user, north.run(in_call)
    ('north.example', None, False)
    """
    _outside.set(State(Principal(domain)))


def in_call() -> bool:
    """Whether a call is running here; False in scripts, and in threads and tasks that no call has begun.

    >>> in_call()
    False
    """
    return current.get(None) is not None
