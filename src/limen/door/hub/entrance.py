"""The port of plain WAMP's greeting: who may come in by `wamp.2.*`, and as whom.

    HELLO -> Entrance.methods: is there such a realm, and what may one log in with?   -> ABORT
          -> Entrance.admit: CHALLENGE and AUTHENTICATE, once or more                 -> ABORT
          -> Admitted -> WELCOME

`limen serve` has `Machines` (machines.py), `limen router` what its configuration says. Sealed logins never pass here.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from limen.core.wamp.messages import Authenticate
    from limen.core.wamp.session import Greeting
    from limen.transport.wire import Wire

    from .hub import Hub


class Knocking(Protocol):
    """A connection that has said HELLO, as an Entrance sees it."""

    hub: Hub
    domain: str
    """The realm that HELLO names, from `admit` on; in `methods` still the domain of the Host header."""
    origin: str
    """As the ledger counts it."""
    wire: Wire
    session_id: int
    """The id that the session will have, 1 to 2^53 - 1; what is signed may name it."""

    @property
    def tls(self) -> bool:
        """The transport is encrypted."""
        ...

    async def challenge(self, method: str, extra: dict[str, Any]) -> Authenticate:
        """Sends CHALLENGE; gives the AUTHENTICATE that answers it. One question, one answer: who wants to ask again
        says so by another `challenge`.

        Raises TimeoutError after LOGIN_TIMEOUT, `core.wamp.codecs.Malformed` for anything but AUTHENTICATE: let both
        pass. Cancelled when the connection is lost meanwhile.
        """
        ...


class Admitted(Struct, frozen=True):
    """Who has come in. What is said of it in WELCOME: *authid*, *roles* (the first is the authrole), *method*,
    *provider*, *extra* (authextra, where there is any), and *details* as they are.

    *user*: the principal's, None for the anonymous; *profile*: the principal's. *key*: the id of the machine's key by
    which it signed in: with that key, or that user, its session ends.
    """

    authid: str
    roles: tuple[str, ...]
    method: str
    provider: str
    user: str | None = None
    profile: Mapping[str, Any] = {}
    extra: Mapping[str, Any] | None = None
    details: Mapping[str, Any] = {}
    key: bytes = b""


class Entrance(Protocol):
    """Decides on the HELLOs of plain WAMP. Asked on the loop, for many connections at once."""

    def methods(self, connection: Knocking, realm: str) -> Collection[str] | None:
        """The methods of login that *realm* takes, of this connection (TLS, origin); None: there is no such realm.
        The first of the client's that is among them becomes `Greeting.method`. Cheap: nothing is asked for it."""
        ...

    def admit(self, connection: Knocking, greeting: Greeting) -> Admitted | Coroutine[Any, Any, Admitted]:
        """Who this is: at once where nothing need be waited for (anonymous: no task is made), else a coroutine.

        Raises `exc.Error`, which becomes ABORT: `exc.InvalidCredential` is wamp.error.authentication_denied, told alike
        for unknown users and wrong secrets; any other its own URI; what is no `exc.Error` is logged, and the client
        hears wamp.error.authentication_failed. Failures are charged to the ledger here (`Gate.ledger.issue`,
        `lapse`, `succeed`), once each. What is returned opens the session at once, with no further turn of the loop:
        what was read last of the store still holds.
        """
        ...
