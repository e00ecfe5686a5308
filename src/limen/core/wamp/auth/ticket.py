"""Ticket-based authentication (advanced profile, "Ticket-based Authentication"): the secret itself, over the wire.

>>> Server("magic").passed("magic", {}), Server("magic").passed("tragic", {})
(True, False)
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from typing import Any

METHOD = "ticket"


def equal(one: str, other: str) -> bool:
    """Whether two texts are the same, in a time that tells nothing of where they differ nor of their lengths."""
    first, second = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (one, other))
    return compare_digest(first, second)


class Server:
    """*ticket*: what the client must say."""

    welcome: dict[str, Any] | None = None

    def __init__(self, ticket: str) -> None:
        self._ticket = ticket

    def challenge(self) -> dict[str, Any]:
        return {}

    def passed(self, signature: str, extra: dict[str, Any]) -> bool:
        return equal(self._ticket, signature)
