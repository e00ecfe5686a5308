"""Bytes of strangers: what is refused before, while and after they are decoded, in JSON, MessagePack and CBOR.

Refused, with InvalidValue: nesting deeper than *max_depth*, lengths that lie, bytes after the value, text that is not
Unicode, the same key twice in one map, keys that are not text, numbers out of bounds, and every construct that costs
the reader more than it cost the writer (CBOR's shared references, huge bignums, executable or expensive tags).

    >>> load_json(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> load_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    limen.exc.InvalidValue: JSON: the same key twice: 'a'
    >>> check_json(b'[' * 200 + b']' * 200)
    Traceback (most recent call last):
    limen.exc.InvalidValue: JSON: nested more than 128 deep

Small messages take only tests that run at the speed of C: counting brackets and colons, and encoding again what was
decoded, since a repeated key gets lost on the way and what comes out is shorter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import accumulate
from typing import Any, Final
from uuid import UUID

import cbor2
import msgspec

from limen.exc import InvalidValue

MAX_DEPTH: Final = 128
"""Deepest nesting of lists and maps, unless the caller says otherwise."""
MAX_BIGNUM: Final = 64
"""Bytes of a CBOR bignum."""
MAX_EXPONENT: Final = 6144
"""Largest exponent of a CBOR decimal fraction (decimal128's): beyond it, writing the number out would be a bomb."""


# -- JSON -------------------------------------------------------------------------------------------------------
_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode
# Possessive, and a string that is never closed matches to its end: linear whatever comes.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_STRING = re.compile(_TEXT, re.DOTALL)
_STRETCH = re.compile(rb'(?:[^"]++|%b){1,4096}+' % _TEXT, re.DOTALL)
"""Some strings and what is between them, so that the memory that counting takes has a bound."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}.__getitem__


def json_depth(data: bytes, max_depth: int = MAX_DEPTH) -> None:
    """Raises InvalidValue where JSON text nests deeper than *max_depth*, without decoding it."""
    if data.count(b"[") + data.count(b"{") <= max_depth:
        return
    depth = 0
    for stretch in _STRETCH.finditer(data):
        brackets = _STRING.sub(b"", stretch[0]).translate(None, _NO_BRACKETS)
        for at in range(0, len(brackets), 4096):
            part = brackets[at : at + 4096]
            if depth + max(accumulate(map(_STEP, part))) > max_depth:
                raise InvalidValue(f"JSON: nested more than {max_depth} deep")
            depth += 2 * (part.count(b"[") + part.count(b"{")) - len(part)


def json_keys(data: bytes, decoded: Any) -> None:
    """Raises InvalidValue where an object in *data* has a key twice. *decoded* is what *data* was decoded to."""
    # One key takes one colon. Decoded and encoded again, a repeated key is gone and its colon with it.
    colons = data.count(b":")
    if colons > 1 and _encode_json(decoded).count(b":") != colons:
        json.loads(data, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidValue(f"JSON: the same key twice: {key[:64]!r}")
        seen.add(key)


def load_json(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Decodes JSON from a stranger. Raises InvalidValue.

    NaN, Infinity, numbers beyond float64, lone surrogates, control characters in strings and other encodings than UTF-8
    are refused (RFC 8259, RFC 7493). Integers keep their value, up to 4,300 digits.
    """
    json_depth(data, max_depth)
    try:
        decoded = _decode_json(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"JSON: {reason(error)}") from None
    json_keys(data, decoded)
    return decoded


def check_json(data: bytes, max_depth: int = MAX_DEPTH) -> None:
    """Raises InvalidValue for JSON that `load_json` would refuse. Where you decode anyway, `load_json` is cheaper."""
    load_json(data, max_depth)


def reason(error: Exception) -> str:
    """Why a decoder refused, without a piece of the data in it."""
    if isinstance(error, UnicodeDecodeError):
        return "the text is not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deep"
    return str(error)[:200].removeprefix("JSON is malformed: ").removeprefix("MessagePack data is malformed: ")


# -- MessagePack ------------------------------------------------------------------------------------------------
def msgpack_ext(code: int, data: memoryview) -> None:
    """The hook for MessagePack's extension types: type 0 is how JavaScript clients write `undefined`: None."""
    if code == 0:
        return
    raise InvalidValue(f"MessagePack: extension type {code} is not known here")


_decode_msgpack = msgspec.msgpack.Decoder(ext_hook=msgpack_ext).decode
_encode_msgpack = msgspec.msgpack.Encoder().encode


def load_msgpack(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Decodes MessagePack from a stranger. Raises InvalidValue. Timestamps become datetime, extension type 0 None."""
    try:
        decoded = _decode_msgpack(data)
    except (ValueError, RecursionError, TypeError) as error:
        raise InvalidValue(f"MessagePack: {reason(error)}") from None
    check_tree(decoded, max_depth)
    msgpack_keys(data, len(_encode_msgpack(decoded)))
    return decoded


def msgpack_keys(data: bytes, again: int) -> None:
    """Raises InvalidValue where a map in *data* has a key twice. *again* is the length of what *data* was decoded to,
    encoded once more."""
    # Without a repeated key, what comes out is never shorter than the shortest spelling of what went in; only a
    # float32 comes out longer (as float64) and could hide a loss.
    if again != len(data) or b"\xca" in data:
        _scan_msgpack(data)


def _scan_msgpack(data: bytes) -> None:
    """Walks through well-formed MessagePack, comparing the keys of each map. Keys that are no texts are refused: they
    can only stand in what decoding has lost, the value of a key that comes again."""
    at, size = 0, len(data)
    # A frame for each open array or map: how many items are left, the keys seen (None in an array).
    stack: list[tuple[int, set[bytes] | None]] = []
    left, keys = 1, None
    expect_key = False
    while True:
        while left == 0:
            if not stack:
                return
            left, keys = stack.pop()
            expect_key = keys is not None
        if at >= size:
            return
        head = data[at]
        at += 1
        if expect_key and keys is not None:
            start, at = _text(data, at, head)
            key = data[start:at]
            if key in keys:
                raise InvalidValue(f"MessagePack: the same key twice: {key[:64].decode(errors='replace')!r}")
            keys.add(key)
            expect_key = False
            continue
        left -= 1
        expect_key = keys is not None
        if head <= 0x7F or head >= 0xE0 or 0xC0 <= head <= 0xC3:
            continue
        if 0xA0 <= head <= 0xBF:
            at += head & 31
        elif head <= 0x8F or head in (0xDE, 0xDF):
            count, at = _count(data, at, head, 0xDE)
            stack.append((left, keys))
            left, keys, expect_key = count, set(), True
        elif head <= 0x9F or head in (0xDC, 0xDD):
            count, at = _count(data, at, head, 0xDC)
            stack.append((left, keys))
            left, keys, expect_key = count, None, False
        elif head in _FIXED:
            at += _FIXED[head]
        else:
            width, extra = _SIZED[head]
            at += width + extra + int.from_bytes(data[at : at + width], "big")


_FIXED: Final = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
"""Bytes after the head: float, uint, int, fixext (whose type takes one)."""
_SIZED: Final = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip
"""Width of the length, bytes besides: bin, ext, str."""
_TEXTS: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Width of the length of a text that is longer than 31 bytes."""


def _count(data: bytes, at: int, head: int, wide: int) -> tuple[int, int]:
    if head < 0xA0:
        return head & 15, at
    width = 2 if head == wide else 4
    return int.from_bytes(data[at : at + width], "big"), at + width


def _text(data: bytes, at: int, head: int) -> tuple[int, int]:
    if 0xA0 <= head <= 0xBF:
        return at, at + (head & 31)
    width = _TEXTS.get(head)
    if width is None:
        raise InvalidValue("MessagePack: a key that is no text, in a map that is lost behind the same key twice")
    return at + width, at + width + int.from_bytes(data[at : at + width], "big")


# -- CBOR -------------------------------------------------------------------------------------------------------
def load_cbor(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Decodes CBOR from a stranger. Raises InvalidValue.

    `undefined` becomes None, tags 0 and 1 datetime, 2 and 3 int (up to 64 bytes), 4 Decimal, 37 UUID, 64 bytes, 100 and
    1004 date, 258 list, 55799 nothing. All other tags are refused.
    """
    stream = BytesIO(data)
    try:
        decoded = cbor2.CBORDecoder(
            stream,
            tag_hook=_refuse_tag,
            semantic_decoders=_CBOR_TAGS,
            max_depth=max_depth,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        ).decode()
    except (cbor2.CBORDecodeError, ValueError, ArithmeticError, TypeError, RecursionError) as error:
        raise InvalidValue(f"CBOR: {_cbor_reason(error)}") from None
    if stream.tell() != len(data):
        raise InvalidValue("CBOR: bytes after the value")
    if b"\xf7" in data:
        decoded = _defined(decoded)
    check_tree(decoded, max_depth)
    return decoded


def _cbor_reason(error: Exception) -> str:
    """The reason, out of the decoder's wrapping (which hides ours behind 'error decoding …')."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    cause = error.__cause__
    if isinstance(cause, UnicodeDecodeError):
        return "the text is not UTF-8"
    return str(cause if isinstance(cause, ValueError) else error)[:200]


def _refuse_tag(tag: cbor2.CBORTag, _: bool) -> Any:
    raise ValueError(f"tag {tag.tag} is not known here")


def _refuse(number: int) -> Callable[[Any, bool], Any]:
    def refuse(_value: Any, _immutable: bool) -> Any:
        raise ValueError(f"tag {number} is not taken from strangers")

    return refuse


def _bignum(value: Any, _: bool) -> int:
    if type(value) is not bytes or len(value) > MAX_BIGNUM:
        raise ValueError(f"a bignum is at most {MAX_BIGNUM} bytes")
    return int.from_bytes(value, "big")


def _decimal(value: Any, _: bool) -> Decimal:
    exponent, mantissa = value
    if type(exponent) is not int or type(mantissa) is not int or abs(exponent) > MAX_EXPONENT:
        raise ValueError("this is no decimal fraction")
    return Decimal((int(mantissa < 0), tuple(map(int, str(abs(mantissa)))), exponent))


def _datetime(value: Any, _: bool) -> datetime:
    if type(value) is not str:
        raise ValueError("this is no date and time")
    return datetime.fromisoformat(value)


def _epoch(value: Any, _: bool) -> datetime:
    if type(value) not in (int, float):
        raise ValueError("this is no time since the epoch")
    return datetime.fromtimestamp(value, UTC)


def _uuid(value: Any, _: bool) -> UUID:
    if type(value) is not bytes:
        raise ValueError("this is no UUID")
    return UUID(bytes=value)


def _binary(value: Any, _: bool) -> bytes:
    if type(value) is not bytes:
        raise ValueError("this is no typed array")
    return value


def _list(value: Any, _: bool) -> list[Any]:
    if type(value) not in (list, tuple):
        raise ValueError("this is no set")
    return list(value)


def _days(value: Any, _: bool) -> date:
    if type(value) is not int:
        raise ValueError("this is no date")
    return date(1970, 1, 1) + timedelta(days=value)


def _date(value: Any, _: bool) -> date:
    if type(value) is not str:
        raise ValueError("this is no date")
    return date.fromisoformat(value)


_CBOR_TAGS: Final[dict[int, Callable[[Any, bool], Any]]] = {
    0: _datetime,
    1: _epoch,
    2: _bignum,
    3: lambda value, immutable: -1 - _bignum(value, immutable),
    4: _decimal,
    37: _uuid,
    64: _binary,
    100: _days,
    258: _list,
    1004: _date,
    # What cbor2 would build by itself: floats of any size, shared references (28, 29: a few bytes that stand for 2^30
    # items), references to strings (25, 256), rationals, regular expressions, MIME, networks, complex numbers.
    **{number: _refuse(number) for number in (5, 25, 28, 29, 30, 35, 36, 256, 260, 261, 43000, 55799)},
}


def _defined(tree: Any) -> Any:
    """*tree* with None for each `undefined`."""
    if tree is cbor2.undefined:
        return None
    if type(tree) is list:
        return [_defined(item) for item in tree]
    if type(tree) is dict:
        return {key: _defined(item) for key, item in tree.items()}
    return tree


# -- what was decoded -------------------------------------------------------------------------------------------
_LEAVES: Final = frozenset({type(None), bool, int, float, str, bytes, datetime, date, Decimal, UUID})


def check_tree(tree: Any, max_depth: int = MAX_DEPTH) -> None:
    """Raises InvalidValue where a decoded *tree* nests deeper than *max_depth*, has a key that is no text, or holds
    what is no value (a CBOR simple value)."""
    if type(tree) not in _LEAVES:
        _check_branch(tree, max_depth)


def _check_branch(tree: Any, max_depth: int) -> None:
    if max_depth <= 0:
        raise InvalidValue("nested too deep")
    kind: type = type(tree)
    if kind is list or kind is tuple:
        items: Iterable[Any] = tree
    elif kind is dict:
        for key in tree:
            if type(key) is not str:
                raise InvalidValue("the keys of a map are texts")
        items = tree.values()
    else:
        raise InvalidValue(f"{str(tree)[:64]} is not a value")
    for item in items:
        if type(item) not in _LEAVES:
            _check_branch(item, max_depth - 1)
