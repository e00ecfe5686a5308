"""Values where they are compared: of which kind they are, and functions that compare a field with a literal.

What comparing means stands in `expression.py`. A literal here is as it is when stored.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, FloatOperation, localcontext
from typing import Any
from uuid import UUID

import msgspec

from limen import exc
from limen.base import values
from limen.base.values import SAFE_INT

Matches = Callable[[Mapping[str, Any]], bool]

NONE, NUMBER, NAN, TEXT, BYTES, UUID_, DATE, TIME, AWARE_TIME, DATETIME, AWARE_DATETIME, TIMEDELTA, OTHER = range(13)
"""The kinds, in the order in which values of different kinds are sorted. NaN stands behind all other numbers."""
KINDS: dict[type, int] = {
    type(None): NONE,
    bool: NUMBER,
    int: NUMBER,
    float: NUMBER,
    Decimal: NUMBER,
    str: TEXT,
    bytes: BYTES,
    UUID: UUID_,
    date: DATE,
    time: TIME,
    datetime: DATETIME,
    timedelta: TIMEDELTA,
    **dict.fromkeys((list, dict, tuple, set, frozenset), OTHER),
}
_BINARY = frozenset({bool, int, float})
_UNCHANGED = frozenset({type(None), bool, float, bytes, UUID, date, timedelta})
"""Of these types every value comes back from a store as it is."""
_EPOCH = datetime(1970, 1, 1)
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_encode = msgspec.json.Encoder().encode


# -- values ---------------------------------------------------------------------------------------
def stored(value: Any) -> Any:
    """*value* as it will be when it has been stored and read again. Raises InvalidValue for what can't be stored.

    >>> stored({"at": (1, bytearray(b"x"))})
    {'at': (1, b'x')}
    """
    kind: type = type(value)
    if kind in _UNCHANGED or (kind is str and value.isascii()) or (kind is int and -SAFE_INT <= value <= SAFE_INT):
        return value
    tree = values.tag(value, "json")
    try:
        _encode(tree)
    except UnicodeEncodeError:
        values.blame_text(tree)
    return values.untag(tree, "json")


def kind_and_key(value: Any) -> tuple[int, Any]:
    """The kind of *value*, and what stands for it where it is compared with values of its kind.

    These tuples sort as values are sorted: by kind, in the order above, then by value. Others sort by the code points
    of their JSON.

    >>> kind_and_key(True), kind_and_key("a") < kind_and_key(b""), kind_and_key(None) < kind_and_key(-1)
    ((1, True), True, True)
    """
    kind = KINDS.get(type(value))
    if kind is None:
        try:
            value = stored(value)
        except exc.InvalidValue:
            return OTHER, ""  # it will not get into a store: whatever it is, it equals nothing there
        kind = KINDS.get(type(value), OTHER)
    if kind == NUMBER:
        if value.is_nan() if type(value) is Decimal else value != value:
            return NAN, 0
    elif kind == DATETIME:
        offset = value.utcoffset()
        if offset is not None:
            return AWARE_DATETIME, value.replace(tzinfo=None) - _EPOCH - offset
        value = value.replace(tzinfo=None)
    elif kind == TIME:
        offset = value.utcoffset()
        if offset is not None:
            return AWARE_TIME, datetime.combine(_EPOCH, value.replace(tzinfo=None)) - _EPOCH - offset
        value = value.replace(tzinfo=None)
    elif kind == OTHER:
        try:
            return OTHER, _encode(values.tag(value, "json")).decode()
        except (exc.InvalidValue, UnicodeEncodeError):
            return OTHER, ""
    return kind, value


def exactly(test: Callable[[Any, Any], bool], a: Any, b: Any) -> bool:
    """`test(a, b)` of two keys, also where the program has told decimals not to meet floats."""
    try:
        return test(a, b)
    except FloatOperation:  # a trap of the program's own decimal context
        with localcontext() as context:
            context.traps[FloatOperation] = False
            return test(a, b)


def _equal_others(a: Any, b: Any) -> bool:
    """*b* is stored already."""
    try:
        return bool(stored(a) == b)
    except (exc.InvalidValue, ArithmeticError):
        return False


# -- compiling ------------------------------------------------------------------------------------
def comparing(name: str, op: str, literal: Any) -> Matches:
    test = _TESTS[op]
    kind, key = kind_and_key(literal)
    equality = op in ("==", "!=")
    unlike = op == "!="  # what comparing values of two kinds gives
    if kind == NAN or (not equality and kind in (NONE, OTHER)):
        return lambda fields: unlike
    fast = frozenset() if kind in (TIME, AWARE_TIME, DATETIME, AWARE_DATETIME, OTHER) else frozenset({type(literal)})
    if kind == NUMBER:  # what compares with the literal exactly, without an error, whatever its value
        fast = _BINARY - {float} if type(literal) is Decimal else _BINARY

    def slow(value: Any) -> bool:
        other, compared = kind_and_key(value)
        if other != kind:
            return unlike
        if kind == OTHER:
            return _equal_others(value, literal) is not unlike
        return exactly(test, compared, key)

    def matches(fields: Mapping[str, Any]) -> bool:
        value = fields.get(name)
        if type(value) in fast:
            return test(value, literal)
        return slow(value)

    if kind not in (DATETIME, AWARE_DATETIME) or type(literal.tzinfo) not in (type(None), timezone):
        return matches
    zone = type(literal.tzinfo)

    def matches_datetime(fields: Mapping[str, Any]) -> bool:
        value = fields.get(name)
        if type(value) is datetime and type(value.tzinfo) is zone:  # Python's own comparison knows no traps then
            return test(value, literal)
        return slow(value)

    return matches_datetime


def slow_text(value: Any, test: Callable[[str], bool]) -> bool:
    """For what is no text itself, but may be one when it is stored: a member of an enum, say."""
    if type(value) in KINDS:
        return False
    kind, plain = kind_and_key(value)
    return kind == TEXT and test(plain)


def one_of(name: str, literals: tuple[Any, ...]) -> Matches:
    others = [literal for literal in literals if kind_and_key(literal)[0] == OTHER]
    known = frozenset((kind, key) for kind, key in map(kind_and_key, literals) if kind not in (NAN, OTHER))
    quick = frozenset(key for kind, key in known if kind in (NUMBER, TEXT))
    fast = frozenset({str, *_BINARY})

    def matches(fields: Mapping[str, Any]) -> bool:
        value = fields.get(name)
        if type(value) in fast:
            return value in quick  # no NaN is: there is none to be the same object
        kind_key = kind_and_key(value)
        if kind_key[0] == OTHER:
            return any(_equal_others(value, other) for other in others)
        return kind_key in known

    return matches
