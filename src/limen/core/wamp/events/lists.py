"""Black- and whitelists of a publication: which of its subscribers get it (section "Subscriber Black- and
Whitelisting"). A list that can't be read must not let an event out to everyone: `is_listing` says so before.

    >>> from limen.core.wamp.session import Session
    >>> ann, bob = Session(1, authid="ann", authroles=["staff"]), Session(2, authid="bob")
    >>> eligible([ann, bob], {"eligible_authrole": ["staff", "admin"]}), eligible([ann, bob], {"exclude": [1]})
    ([<Session 1 ann>], [<Session 2 bob>])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from limen.core.wamp.messages import integer
from limen.core.wamp.session import Session

LISTS: Final[Mapping[str, tuple[bool, Callable[[Session, frozenset[Any]], bool]]]] = {
    "eligible": (True, lambda session, ids: session.id in ids),
    "eligible_authid": (True, lambda session, ids: session.authid in ids),
    "eligible_authrole": (True, lambda session, roles: not roles.isdisjoint(session.authroles)),
    "exclude": (False, lambda session, ids: session.id in ids),
    "exclude_authid": (False, lambda session, ids: session.authid in ids),
    "exclude_authrole": (False, lambda session, roles: not roles.isdisjoint(session.authroles)),
}
"""Option to whether its list names those who get the event, and whether a session is in it."""


def is_listing(options: Mapping[str, Any]) -> bool:
    """Whether each list in *options* is one.

    >>> is_listing({"exclude": [1], "eligible": None}), is_listing({"exclude": 1})
    (True, False)
    """
    for name in LISTS.keys() & options.keys():
        value = options[name]
        if value is not None and not (type(value) is list and all(map(_is_name, value))):
            return False
    return True


def _is_name(item: Any) -> bool:
    return type(item) is str or integer(item) is not None


def lists(options: Mapping[str, Any]) -> dict[str, Any]:
    """The lists in *options*, and nothing else.

    >>> lists({"exclude": [], "eligible": None, "retain": True})
    {'exclude': []}
    """
    return {name: options[name] for name in LISTS if options.get(name) is not None}


def sets(options: Mapping[str, Any]) -> dict[str, Any]:
    """*options* with their lists as sets, for whoever asks `eligible` more than once."""
    return {**options, **{name: frozenset(value) for name, value in lists(options).items()}}


def eligible(receivers: list[Session], options: Mapping[str, Any]) -> list[Session]:
    """Those of *receivers* whom the lists in *options* let have the event."""
    for name, (wanted, holds) in LISTS.items():
        value = options.get(name)
        if value is not None:
            named = frozenset(value)
            receivers = [session for session in receivers if holds(session, named) is wanted]
    return receivers
