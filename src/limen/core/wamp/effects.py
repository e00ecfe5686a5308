"""What a realm decides: the edge does it, in this order, one `match` or `type()` for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct

from limen.base.path import quoted
from limen.core.wamp.messages import (
    CALL,
    Abort,
    Args,
    Call,
    Error,
    Event,
    Goodbye,
    Kwargs,
    Message,
    Register,
    Subscribe,
)
from limen.core.wamp.session import Session


class Send(Struct, frozen=True, gc=False):
    """Send *message* to *session*. Where its payload cannot be encoded for that peer: `Realm.undeliverable`."""

    session: Session
    message: Message


class Broadcast(Struct, frozen=True, gc=False):
    """Send the same *message* to all *sessions*: encode it once for each codec."""

    sessions: list[Session]
    message: Event


class Invoke(Struct, frozen=True, gc=False):
    """Run the local service *procedure* for a CALL. `Realm.settle(session, request)` says whether its answer is still
    awaited; `Realm.progressed` the same for progressive results."""

    session: Session
    request: int
    uri: str
    procedure: Any
    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any]


class Interrupt(Struct, frozen=True, gc=False):
    """Stop the local service that runs for *request* of *session*. With *mode* "kill" its answer is awaited, with
    "killnowait" the caller has had one already."""

    session: Session
    request: int
    mode: str


class Close(Struct, frozen=True, gc=False):
    """*session* is over and has left the realm: send *message* if there is one, then close the connection."""

    session: Session
    message: Abort | Goodbye | None


class Spread(Struct, frozen=True, gc=False):
    """Where several processes are one router: the others have subscribers, too. See `Realm.hear`.

    *options*: black- and whitelists, and `retain`. *details*: what each EVENT of it says. *excluded*: the id of the
    session that does not get it because it is the publisher, or 0. *hidden*: a meta event of a sealed session.
    *then* follows when all have heard it.
    """

    uri: str
    args: Args
    kwargs: Kwargs
    publication: int
    options: Mapping[str, Any]
    details: Mapping[str, Any] = {}
    excluded: int = 0
    hidden: bool = False
    then: Effects = ()


class Claim(Struct, frozen=True, gc=False):
    """Where several processes are one router: find out whether one more callee may answer there, let the others know of
    it, and say so by `Realm.claimed`. *forced*: it takes the place of all who do."""

    session: Session
    message: Register
    match: str
    invoke: str
    forced: bool


class Unclaim(Struct, frozen=True, gc=False):
    """The callee that was given *number* answers there no longer."""

    match: str
    uri: str
    number: int


class Gather(Struct, frozen=True, gc=False):
    """Where several processes are one router: find out what the others answer to this call of the meta API
    (`Realm.answer`), and say so by `Realm.gathered`. *here*: what this one does."""

    session: Session
    request: int
    uri: str
    args: list[Any]
    kwargs: dict[str, Any]
    here: Told | MetaError


class Listen(Struct, frozen=True, gc=False):
    """Where several processes are one router: let the others know whether anybody here listens to what happens to
    sessions, subscriptions and registrations (`Realm.listened`). *session* wants to: `Realm.listening`, when they
    know."""

    listens: bool
    session: Session | None = None
    message: Subscribe | None = None


class Ask(Struct, frozen=True, gc=False):
    """Find out whether *session* may, and say so by `Realm.decide`. Until then what else it says is held; its answers
    to invocations are not."""

    session: Session
    action: str
    uri: str
    options: Mapping[str, Any]


Effect: TypeAlias = Send | Broadcast | Invoke | Interrupt | Close | Spread | Claim | Unclaim | Gather | Listen | Ask
Effects: TypeAlias = tuple[Effect, ...] | list[Effect]


class Violation(Exception):
    """Raised instead of effects: the session breaks the protocol, and is over. Its text is what ABORT says."""


def refuse(session: Session, kind: int, request: int, reason: str, sentence: str = "") -> Effects:
    """The ERROR that answers a request. *kind*: the request's code; *sentence*: what there is to say, if not what is
    always said with *reason*."""
    sentence = sentence or SENTENCES.get(reason, "")
    return (Send(session, Error(kind, request, {}, reason, [sentence] if sentence else None)),)


NOBODY: Final = "wamp.error.no_such_procedure"


def nobody(uri: str) -> str:
    """What is said with NOBODY, alike where there is nothing and where it is hidden: no more than the caller said."""
    return f"Nobody has registered {quoted(uri)}, or it is not for you."


def refuse_call(session: Session, message: Call, reason: str) -> Effects:
    """The ERROR that answers a CALL."""
    return refuse(session, CALL, message.request, reason, nobody(message.procedure) if reason == NOBODY else "")


SENTENCES: Final[Mapping[str, str]] = {
    "limen.error.outcome_unknown": "The connection was lost while this call was under way: it may have run or not.",
    "wamp.error.invalid_argument": "An option has a value of another type than the specification says.",
    "wamp.error.invalid_uri": (
        "A URI has components divided by dots, none empty, without white space and #; wamp. and limen. are reserved."
    ),
    "wamp.error.no_such_registration": "There is no such registration here.",
    "wamp.error.no_such_session": "There is no such session here.",
    "wamp.error.no_such_subscription": "There is no such subscription here.",
    "wamp.error.not_authorized": "Your role may not do this.",
    "wamp.error.option_not_allowed": "An option has a value that is not known here, or that your role may not use.",
    "wamp.error.option_disallowed.disclose_me": "Your role may not ask for being disclosed.",
    "wamp.error.procedure_already_exists": (
        "It is registered already; to share it, all its callees say the same `invoke`, and none says single."
    ),
}
"""What is said with an error for which nothing more particular is known."""


# -- the meta API -----------------------------------------------------------------------------------------------
class Happened(Protocol):
    """Says that something happened, where anybody listens: a meta event. *about*: the session it speaks of."""

    def __call__(self, uri: str, args: list[Any], *, about: Session | None = None) -> Effects: ...


def unheard(uri: str, args: list[Any], *, about: Session | None = None) -> Effects:
    """Nobody listens."""
    return ()


class Told(Struct, frozen=True):
    """What a meta procedure answers where that is not one value, or something follows from it."""

    args: list[Any]
    effects: Effects = ()
    kwargs: dict[str, Any] | None = None


class MetaError(Exception):
    """Raised by a meta procedure: the ERROR that answers the call."""

    def __init__(self, reason: str, sentence: str = "") -> None:
        super().__init__(reason, sentence)
        self.reason = reason
        self.sentence = sentence
