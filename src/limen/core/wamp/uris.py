"""Which texts are URIs of WAMP, and which of them belong to nobody (sections "URIs" and "Reserved URIs")."""

from __future__ import annotations

import re
from typing import Final

MAX_URI: Final = 1024
"""Characters of a URI; the specification has no bound."""

# The loose rule: components divided by dots, none empty, no white space, no '#'.
_loose = re.compile(r"[^\s.#]+(?:\.[^\s.#]+)*").fullmatch
_RESERVED: Final = ("wamp.", "limen.")


def is_uri(text: str) -> bool:
    """Whether *text* is a URI by the loose rules.

    >>> [is_uri(text) for text in ("todo.add", "todo..add", "todo.a b", "")]
    [True, False, False, False]
    """
    return len(text) <= MAX_URI and _loose(text) is not None


def is_reserved(uri: str) -> bool:
    """Whether *uri* is the protocol's or Limen's own: no client may register it or publish to it.

    >>> is_reserved("wamp.session.on_join"), is_reserved("wampum")
    (True, False)
    """
    return uri.startswith(_RESERVED) or uri in ("wamp", "limen")
