"""URIs and patterns of them: what stands for what (sections "Pattern-based Subscription", "Reserved URIs").

Which texts are any is for the doors: `limen.core.wamp.uris`.
"""

from __future__ import annotations

from typing import Final

EXACT: Final = "exact"
PREFIX: Final = "prefix"
WILDCARD: Final = "wildcard"
MATCHES: Final = frozenset({EXACT, PREFIX, WILDCARD})
"""How a URI of a registration or subscription is meant: Options.match."""

_RESERVED: Final = ("wamp.", "limen.")


def matches(pattern: str, match: str, uri: str) -> bool:
    """Whether *pattern*, meant as *match*, stands for *uri*.

    >>> matches("todo", "prefix", "todolist"), matches("todo..add", "wildcard", "todo.x.add")
    (True, True)
    """
    if match == EXACT:
        return uri == pattern
    if match == PREFIX:
        return uri.startswith(pattern)
    wanted, parts = pattern.split("."), uri.split(".")
    return len(wanted) == len(parts) and all(w in ("", p) for w, p in zip(wanted, parts, strict=True))


def head_of(pattern: str, match: str) -> str:
    """What all URIs begin with that *pattern*, meant as *match*, stands for.

    >>> head_of("todo..add", "wildcard"), head_of("todo", "prefix"), head_of(".add", "wildcard")
    ('todo.', 'todo', '')
    """
    parts = pattern.split(".")
    if match != WILDCARD or "" not in parts:
        return pattern
    return "".join(part + "." for part in parts[: parts.index("")])


def is_reserved(uri: str) -> bool:
    """Whether *uri* is the protocol's or Limen's own: no client may register it or publish to it. A pattern stands for
    such URIs only if it is one of them itself: who listens to all there is (the prefix "") does not hear the router.

    >>> is_reserved("wamp.session.on_join"), is_reserved("wampum")
    (True, False)
    """
    return uri.startswith(_RESERVED) or uri in ("wamp", "limen")
