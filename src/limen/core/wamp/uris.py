"""Which texts are URIs of WAMP and patterns of them (section "URIs"); what else is said of them: `limen.base.uris`."""

from __future__ import annotations

import re
from typing import Final

from limen.base.uris import EXACT, MATCHES, PREFIX, WILDCARD, is_reserved, matches

__all__ = [
    "EXACT",
    "MATCHES",
    "MAX_URI",
    "PREFIX",
    "WILDCARD",
    "is_pattern",
    "is_reserved",
    "is_uri",
    "matches",
]

MAX_URI: Final = 1024
"""Characters of a URI; the specification has no bound."""
MAX_WILD: Final = 32
"""Components of a wildcard: each is a branch of a tree, and costs memory and time as a character does not."""

# The loose rule: components divided by dots, none empty, no white space, no '#'.
_loose = re.compile(r"[^\s.#]+(?:\.[^\s.#]+)*").fullmatch
_empty_allowed = re.compile(r"[^\s#]*").fullmatch


def is_uri(text: str) -> bool:
    """Whether *text* is a URI by the loose rules.

    >>> [is_uri(text) for text in ("todo.add", "todo..add", "todo.a b", "")]
    [True, False, False, False]
    """
    return len(text) <= MAX_URI and _loose(text) is not None


def is_pattern(text: str, match: str) -> bool:
    """Whether *text* can be registered or subscribed by *match*. A prefix may end in a dot or be empty (all there is);
    a wildcard has empty components, and at most `MAX_WILD` in all.

    >>> is_pattern("todo..add", "wildcard"), is_pattern("todo.", "prefix"), is_pattern("todo.", "exact")
    (True, True, False)
    >>> is_pattern("todo..add", "prefix")
    False
    """
    if match == EXACT:
        return is_uri(text)
    if match == PREFIX:
        return text == "" or is_uri(text.removesuffix("."))
    return len(text) <= MAX_URI and text.count(".") < MAX_WILD and _empty_allowed(text) is not None
