"""Which texts are URIs of WAMP and patterns of them, and which belong to nobody (sections "URIs", "Reserved URIs")."""

from __future__ import annotations

import re
from typing import Final

MAX_URI: Final = 1024
"""Characters of a URI; the specification has no bound."""

# The loose rule: components divided by dots, none empty, no white space, no '#'.
_loose = re.compile(r"[^\s.#]+(?:\.[^\s.#]+)*").fullmatch
_empty_allowed = re.compile(r"[^\s#]*").fullmatch
_RESERVED: Final = ("wamp.", "limen.")

EXACT: Final = "exact"
PREFIX: Final = "prefix"
WILDCARD: Final = "wildcard"
MATCHES: Final = frozenset({EXACT, PREFIX, WILDCARD})
"""How a URI of a registration or subscription is meant: Options.match."""


def is_uri(text: str) -> bool:
    """Whether *text* is a URI by the loose rules.

    >>> [is_uri(text) for text in ("todo.add", "todo..add", "todo.a b", "")]
    [True, False, False, False]
    """
    return len(text) <= MAX_URI and _loose(text) is not None


def is_pattern(text: str, match: str) -> bool:
    """Whether *text* can be registered or subscribed by *match*. A prefix may end in a dot or be empty (all there is);
    a wildcard has empty components.

    >>> is_pattern("todo..add", "wildcard"), is_pattern("todo.", "prefix"), is_pattern("todo.", "exact")
    (True, True, False)
    >>> is_pattern("todo..add", "prefix")
    False
    """
    if match == EXACT:
        return is_uri(text)
    if match == PREFIX:
        return text == "" or is_uri(text.removesuffix("."))
    return len(text) <= MAX_URI and _empty_allowed(text) is not None


def is_reserved(uri: str) -> bool:
    """Whether *uri* is the protocol's or Limen's own: no client may register it or publish to it.

    >>> is_reserved("wamp.session.on_join"), is_reserved("wampum")
    (True, False)
    """
    return uri.startswith(_RESERVED) or uri in ("wamp", "limen")
