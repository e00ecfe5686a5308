"""Values as they travel (docs/values.md, vectors/values.json).

A **plain tree** is what an encoding ("json", "msgpack" or "cbor") writes by itself: None, bool, int, float, str, list,
dict with text keys, and bytes except in JSON. Every other value becomes a plain tree in one of two ways.

`natural` is for plain peers (any WAMP or HTTP client): what their encoding would say.

    >>> from datetime import date, timedelta
    >>> from decimal import Decimal
    >>> natural({"price": Decimal("1.50"), "due": date(2026, 11, 21)}, "json")
    {'price': '1.50', 'due': '2026-11-21'}

`tag` and `untag` are for Limen peers: types cross unharmed. A tagged value is a dict with exactly one key, which begins
with "$". A dict of the user's that looks like one gets one more "$", so that data can never forge a tag.

    >>> tag({"price": Decimal("1.50"), "fake": {"$decimal": "9.99"}}, "json")
    {'price': {'$decimal': '1.50'}, 'fake': {'$$decimal': '9.99'}}
    >>> untag(_, "json")
    {'price': Decimal('1.50'), 'fake': {'$decimal': '9.99'}}

What cannot travel is refused with its path:

    >>> natural({"a": [1.0, 2.0, float("nan")]}, "json")
    Traceback (most recent call last):
    limen.exc.InvalidValue: JSON has no NaN and no infinity. At: $.a[2]

Whatever has nothing to change is returned as the same object, not copied: what comes out may share parts with what
went in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from limen.base.values import incoming, outgoing
from limen.base.values.refused import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT, SAFE_INT, Encoding, Refused

__all__ = [
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_EXPONENT",
    "SAFE_INT",
    "Encoding",
    "binary",
    "blame_text",
    "natural",
    "tag",
    "untag",
    "writer",
]


def natural(value: Any, encoding: Encoding) -> Any:
    """The plain tree of *value* for a plain peer: what *encoding* says naturally.

    Raises InvalidValue (fact `path`) for what cannot travel.

    >>> from datetime import timedelta
    >>> from uuid import UUID
    >>> natural([UUID(int=1), {3, 1, 2}, timedelta(days=1), b"hi"], "json")
    ['00000000-0000-0000-0000-000000000001', [1, 2, 3], 'P1D', '\\x00aGk=']
    """
    try:
        return outgoing.NATURAL[encoding](value, 0)
    except Refused as refused:
        raise refused.error() from None


def tag(value: Any, encoding: Encoding) -> Any:
    """The plain tree of *value* for a Limen peer; `untag` gives the value back, with its types.

    Raises InvalidValue (fact `path`) for what cannot travel.

    >>> tag([2**53, (1, 2), {1: "one"}, {"$x": 1}], "msgpack")
    [{'$int': '9007199254740992'}, {'$tuple': [1, 2]}, {'$dict': [[1, 'one']]}, {'$$x': 1}]
    """
    try:
        return outgoing.TAG[encoding](value, 0)
    except Refused as refused:
        raise refused.error() from None


def writer(encoding: Encoding, tagged: bool) -> Callable[[Any], Any]:
    """`tag` or `natural` with its encoding settled, for those who write one message after the other.

    >>> writer("json", tagged=True)((1, 2))
    {'$tuple': [1, 2]}
    """
    walk = (outgoing.TAG if tagged else outgoing.NATURAL)[encoding]

    def write(value: Any) -> Any:
        try:
            return walk(value, 0)
        except Refused as refused:
            raise refused.error() from None

    return write


def untag(tree: Any, encoding: Encoding) -> Any:
    """The value whose tagged tree *tree* is. The tags are the same in every *encoding*.

    Raises InvalidValue (fact `path`) for an unknown or malformed tag.

    >>> untag({"$set": [1, 2]}, "json")
    {1, 2}
    >>> untag([{"$uuid": "not one"}], "json")
    Traceback (most recent call last):
    limen.exc.InvalidValue: This is no $uuid. At: $[0]
    """
    try:
        return incoming.untag(tree, 0)
    except Refused as refused:
        raise refused.error() from None


def binary(tree: Any) -> Any:
    """*tree* as it came from a plain JSON peer, with WAMP's binary strings (U+0000 and base64) made bytes.

    Raises InvalidValue (fact `path`) for a string that begins with U+0000 and does not go on in base64.

    >>> binary(["\\0aGk=", "aGk="])
    [b'hi', 'aGk=']
    """
    try:
        return incoming.binary(tree, 0)
    except Refused as refused:
        raise refused.error() from None


def blame_text(tree: Any) -> NoReturn:
    """For an encoder that met UnicodeEncodeError: raises the InvalidValue that names the text with a lone surrogate.

    >>> blame_text({"a": ["good", "bad \\ud800"]})
    Traceback (most recent call last):
    limen.exc.InvalidValue: A text holds a lone surrogate. At: $.a[1]
    """
    try:
        incoming.find_surrogate(tree, 0)
    except Refused as refused:
        raise refused.error() from None
    raise Refused("A text is not Unicode.").error()
