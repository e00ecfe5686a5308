"""A publication that the router keeps, for retention or for history: in bytes, so that it can be counted and nobody
changes it later.

    >>> kept = Kept.of("todo.changed", 7, {}, {"exclude": [3]}, 0, [1, (2, 3)], None)
    >>> kept.payload(), kept.size > 0
    (([1, (2, 3)], None), True)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from limen.base import values
from limen.core.wamp.events.lists import eligible, lists
from limen.core.wamp.messages import Args, Kwargs
from limen.core.wamp.passthru import SCHEME, may_pass
from limen.core.wamp.session import Session
from limen.exc import InvalidValue

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

ROW: Final = 400
"""Bytes of memory that a kept publication takes besides its payload, roughly."""
ITEM: Final = 40
"""… and that each name in its lists takes."""


class Kept(Struct, frozen=True, gc=False):
    """*details*: what every EVENT of it says. *lists*: its black- and whitelists. *excluded*: the session that does not
    get it because it is the publisher, or 0. *time*: when it came, in milliseconds of Unix time. *weight*: bytes of
    details and lists, which are as long as the publisher likes."""

    uri: str
    publication: int
    details: Mapping[str, Any]
    lists: Mapping[str, Any]
    excluded: int
    body: bytes
    time: int = 0
    weight: int = 0

    @classmethod
    def of(
        cls,
        uri: str,
        publication: int,
        details: Mapping[str, Any],
        options: Mapping[str, Any],
        excluded: int,
        args: Args,
        kwargs: Kwargs,
        time: int = 0,
    ) -> Kept | None:
        """None for a payload that can't be kept."""
        body, named = packed([args, kwargs]), lists(options)
        about = packed([details, named]) if details or named else b""
        if body is None or about is None:
            return None
        weight = len(about) + ITEM * sum(map(len, named.values()))
        return cls(uri, publication, details, named, excluded, body, time, weight)

    @property
    def size(self) -> int:
        return ROW + len(self.body) + len(self.uri) + self.weight

    def payload(self) -> tuple[Args, Kwargs]:
        args, kwargs = unpacked(self.body)
        return args, kwargs

    def is_for(self, session: Session) -> bool:
        """Whether *session* would have got it, had it been subscribed."""
        if SCHEME in self.details and not may_pass(session, "subscriber"):
            return False
        return bool(eligible([session], self.lists)) if self.lists else True


def packed(value: Any) -> bytes | None:
    """*value* as bytes, None where it can't be."""
    try:
        return _encode(values.tag(value, "msgpack"))
    except (InvalidValue, ValueError, TypeError, OverflowError, RecursionError):
        return None


def unpacked(body: bytes) -> Any:
    return values.untag(_decode(body), "msgpack")
