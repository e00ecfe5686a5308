"""What a realm knows of a session, and what a first message must be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from limen.core.wamp.messages import Abort, Hello, Message

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.core.wamp.calls.pending import PendingCall
    from limen.core.wamp.calls.registrations import Registration
    from limen.core.wamp.events.subscriptions import Subscription
    from limen.exc import InvalidValue

FEATURES: Final = frozenset(
    {
        "call_canceling",
        "call_timeout",
        "call_trustlevels",
        "caller_identification",
        "event_history",
        "event_retention",
        "pattern_based_registration",
        "pattern_based_subscription",
        "payload_passthru_mode",
        "progressive_call_invocations",
        "progressive_call_results",
        "publication_trustlevels",
        "publisher_exclusion",
        "publisher_identification",
        "registration_revocation",
        "shared_registration",
        "subscriber_blackwhite_listing",
    }
)
"""Features that a client may announce, of all roles; others say nothing to a router."""

CLIENT_ROLES: Final = frozenset({"caller", "callee", "publisher", "subscriber"})
PROTOCOL_VIOLATION: Final = "wamp.error.protocol_violation"
GOODBYE_AND_OUT: Final = "wamp.close.goodbye_and_out"


class Session:
    """A session of one realm.

    *id*: 1 to 2^53. *roles*: HELLO.Details.roles, as it came; *features*: what they announce, "callee.call_canceling".
    *authid*, *authroles*: what black- and whitelists go by; *authrole*: the first of them. *details*: what else the
    session meta API tells of it (authmethod, authprovider, transport). *codec_name*: its encoding. *peer*: whatever the
    edge knows it by; never looked at here.
    """

    __slots__ = (
        "attached",
        "authid",
        "authrole",
        "authroles",
        "busy",
        "calls",
        "can_be_interrupted",
        "can_progress",
        "can_time",
        "codec_name",
        "details",
        "features",
        "held",
        "id",
        "invocations",
        "last_invocation",
        "next_request",
        "peer",
        "principal",
        "registrations",
        "sealed",
        "subscriptions",
    )

    def __init__(
        self,
        id: int,
        principal: Principal | None = None,
        roles: Any = None,
        codec_name: str = "json",
        peer: Any = None,
        *,
        authid: str = "",
        authroles: Collection[str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = id
        self.principal = principal
        self.sealed = principal is not None and principal.sealed
        self.codec_name = codec_name
        self.peer: Any = peer
        self.authid = authid
        if authroles is None:
            authroles = () if principal is None else principal.roles
        self.authrole = next(iter(authroles), "anonymous")
        self.authroles: frozenset[str] = _interned(frozenset((*authroles, self.authrole)))
        self.details: Mapping[str, Any] = details or {}
        self.features = features = announced(roles)
        self.can_be_interrupted = "callee.call_canceling" in features
        # A callee that could not be interrupted must not be asked to stream (section "Progressive Call Results").
        self.can_progress = self.can_be_interrupted and "callee.progressive_call_results" in features
        self.can_time = "callee.call_timeout" in features
        self.attached = False
        self.busy = False
        """It does not read what it is sent as fast as it comes: the edge says so, and callees get no calls then."""
        self.held: deque[tuple[Message, InvalidValue | None]] | None = None
        """While an answer to `Ask` is awaited: what was asked for, and what it has said since, with what is wrong with
        it."""
        self.next_request = 1
        """The request id that this peer must use next (section "IDs")."""
        self.last_invocation = 0
        self.calls: dict[int, PendingCall] = {}
        """Its calls that have no answer yet, by request id."""
        self.invocations: dict[int, PendingCall] = {}
        """Calls that it has to answer, by the id of the INVOCATION."""
        self.registrations: dict[int, Registration] = {}
        self.subscriptions: dict[int, Subscription] = {}

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.authid}>"


def announced(roles: Any) -> frozenset[str]:
    """The features that a HELLO's roles announce; what is not well formed announces none.

    >>> announced({"callee": {"features": {"call_canceling": True, "call_timeout": False}}, "caller": {}})
    frozenset({'callee.call_canceling'})
    """
    if type(roles) is not dict:
        return frozenset()
    found = {role: one.get("features") for role, one in roles.items() if role in CLIENT_ROLES and type(one) is dict}
    return _interned(
        frozenset(
            f"{role}.{name}"
            for role, features in found.items()
            if type(features) is dict
            for name, value in features.items()
            if value is True and name in FEATURES
        )
    )


@lru_cache(maxsize=256)
def _interned(names: frozenset[str]) -> frozenset[str]:
    """Ten thousand sessions of one client library, or of one role, share theirs."""
    return names


class Greeting(Struct, frozen=True):
    """A HELLO that may go on to be authenticated: *method* is the first of the client's that the door takes."""

    realm: str
    method: str
    authid: str
    extra: dict[str, Any]
    roles: dict[str, Any]


def no_such_realm(realm: str) -> Abort:
    """ABORT for who asks for a *realm* that is not there. Of the name, which a stranger has chosen, as much as it takes
    to see a typing mistake."""
    return _abort("wamp.error.no_such_realm", f'there is no realm "{realm[:100]}" here')


def handshake(message: Message, methods: Callable[[str], Collection[str] | None]) -> Greeting | Abort:
    """Decides on the first message of a connection: what to authenticate, or the ABORT that answers it.

    *methods*: the authentication methods that a realm takes, None where there is no such realm. A HELLO that names
    none asks for "anonymous".

    >>> handshake(Hello("a.example", {"roles": {"caller": {}}}), {"a.example": ["anonymous"]}.get)
    Greeting(realm='a.example', method='anonymous', authid='', extra={}, roles={'caller': {}})
    >>> handshake(Hello("b.example", {"roles": {"caller": {}}}), {"a.example": ["anonymous"]}.get).reason
    'wamp.error.no_such_realm'
    """
    if type(message) is not Hello:
        return _abort(PROTOCOL_VIOLATION, "the first message must be HELLO")
    details = message.details
    roles = details.get("roles")
    if type(roles) is not dict or CLIENT_ROLES.isdisjoint(roles):
        return _abort(PROTOCOL_VIOLATION, "HELLO.Details.roles must name a role")
    taken = methods(message.realm)
    if taken is None:
        return no_such_realm(message.realm)
    offered, authid, extra = details.get("authmethods"), details.get("authid"), details.get("authextra")
    if offered is None or offered == []:
        offered = ["anonymous"]
    if type(offered) is not list or type(authid or "") is not str or type(extra or {}) is not dict:
        return _abort(PROTOCOL_VIOLATION, "HELLO.Details: authmethods is a list, authid a string, authextra a dict")
    for method in offered:
        if type(method) is str and method in taken:
            return Greeting(message.realm, method, authid or "", extra or {}, roles)
    reason = "authentication_required" if offered == ["anonymous"] else "no_matching_auth_method"
    return _abort(f"wamp.error.{reason}", f"this realm takes: {', '.join(taken)}")


def _abort(reason: str, sentence: str) -> Abort:
    return Abort({"message": sentence}, reason)
