"""What is said of an action: whether a session may, and what its callees and subscribers learn of it.

    authorize(session, action, uri, options) -> Verdict | None

*action*: "call", "register", "publish" or "subscribe"; *options*: the message's. None: the answer comes later; the
realm gives an `Ask`, holds what the session says next, and goes on at `Realm.decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from limen.core.wamp.session import Session


class Verdict(Struct, frozen=True):
    """*disclose*: the other side is told who it is, asked or not; *may_disclose*: it may ask for that (`disclose_me`).
    *trust*: the trust level that callee or subscribers are told (section "Call Trust Levels"). *error*: what a denial
    is called.

    >>> Verdict(True, disclose=True).allow
    True
    """

    allow: bool
    disclose: bool = False
    may_disclose: bool = True
    trust: int | None = None
    error: str = "wamp.error.not_authorized"


ALLOWED: Final = Verdict(True)
DENIED: Final = Verdict(False)
NOT_THERE: Final = Verdict(False, error="wamp.error.no_such_procedure")
"""Denied to who shall not learn whether there is anything."""

Authorize: TypeAlias = "Callable[[Session, str, str, Mapping[str, Any]], Verdict | None]"
