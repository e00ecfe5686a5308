"""The columns of an index: which type a kind of value has in the database, and values on their way there.

A column holds what **fits** it: values that the database compares exactly as expressions do
(`limen.core.record.expression`). What does not fit (a text in a column of numbers, NaN, a whole number of more than 64
bits, a naive datetime, a very long text) is left NULL and marked as odd; whoever asks the database looks at the odd
ones in Python. So a column never has to be right about everything, only about what fits.

Numbers are numbers whatever their type: True, 1.0 and Decimal("1") fit a column of int, 1.5 does not. Nothing is ever
read back from these columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from limen import exc
from limen.core.record import kinds
from limen.core.record.kinds import stored
from limen.core.record.typed import COLUMN_KINDS

Dialect = Literal["sqlite", "postgresql"]
Fit = Callable[[Any], Any]

TYPES: Final[dict[str, dict[Dialect, str]]] = {
    "bool": {"sqlite": "INTEGER", "postgresql": "BOOLEAN"},
    "int": {"sqlite": "INTEGER", "postgresql": "BIGINT"},
    "float": {"sqlite": "REAL", "postgresql": "DOUBLE PRECISION"},
    # NUMERIC's operators are not leakproof: under row level security PostgreSQL would not use an index for them.
    "decimal": {"sqlite": "TEXT", "postgresql": 'TEXT COLLATE "C"'},
    "text": {"sqlite": "TEXT", "postgresql": 'TEXT COLLATE "C"'},
    "bytes": {"sqlite": "BLOB", "postgresql": "BYTEA"},
    "uuid": {"sqlite": "BLOB", "postgresql": "UUID"},
    "date": {"sqlite": "TEXT", "postgresql": "DATE"},
    "time": {"sqlite": "TEXT", "postgresql": "TIME"},
    "datetime": {"sqlite": "TEXT", "postgresql": "TIMESTAMPTZ"},
    "timedelta": {"sqlite": "INTEGER", "postgresql": "BIGINT"},
}
"""Each kind of column, and its type in a database."""

COMPARES: Final[dict[str, int]] = {
    **dict.fromkeys(("bool", "int", "float", "decimal"), kinds.NUMBER),
    "text": kinds.TEXT,
    "bytes": kinds.BYTES,
    "uuid": kinds.UUID_,
    "date": kinds.DATE,
    "time": kinds.TIME,
    "datetime": kinds.AWARE_DATETIME,
    "timedelta": kinds.TIMEDELTA,
}
"""With values of which kind (of expressions) those that fit a column compare."""

ODD: Final = object()
"""What a value becomes that does not fit."""
BIGGEST: Final = 2**63 - 1
LONGEST: Final = 1000
"""Bytes of the longest text that fits; an index of PostgreSQL takes no more than some 2,700 in a row."""
_SHORT: Final = LONGEST // 4  # characters that are no more bytes than that, whichever they are
_EXPONENT: Final = 500_000
_COMPLEMENT: Final = str.maketrans("0123456789", "9876543210")
_MICROSECOND: Final = timedelta(microseconds=1)
_PLAIN: Final = frozenset({*COLUMN_KINDS, list, dict, tuple, set, frozenset})


def kind_of(value: Any) -> str | None:
    """The kind of column for values like this one; None where there is none.

    >>> kind_of(1.5), kind_of([1.5])
    ('float', None)
    """
    return COLUMN_KINDS.get(type(_plain(value)))


def fitter(kind: str, dialect: Dialect) -> Fit:
    """What makes a value (not None) a parameter for a column of *kind*: gives ODD for what does not fit.

    >>> fit = fitter("int", "sqlite")
    >>> fit(True), fit(Decimal("7.0")), fit(2**63) is ODD, fit("7") is ODD
    (1, 7, True, True)
    """
    fits = _FITS[dialect][kind]

    def fit(value: Any) -> Any:
        try:
            return fits(value if type(value) in _PLAIN else _plain(value))  # a member of an enum, say
        except OverflowError:  # a datetime that is not in the years 1 to 9999 in UTC
            return ODD

    return fit


def floor(kind: str, dialect: Dialect, value: Any) -> tuple[Any, bool] | None:
    """The greatest value that could fit a column of *kind* and is not greater than *value*, and whether it equals it.
    None: all that fits is greater.

    *value*: a literal of an expression that compares with the column (`COMPARES`). With this every comparison becomes
    one between values of the column: `n < 2.5` is `n <= 2`.

    >>> floor("int", "sqlite", 2.5), floor("bool", "sqlite", -1), floor("int", "sqlite", 2**70)
    ((2, False), None, (9223372036854775807, False))
    """
    if COMPARES[kind] == kinds.NUMBER:
        return _FLOORS[kind](value)
    if kind == "timedelta":
        return _floor_whole(value // _MICROSECOND, True)
    if kind == "datetime":
        try:
            return _FITS[dialect]["datetime"](value), True
        except OverflowError:
            if value.utcoffset() > timedelta(0):
                return None
            return _FITS[dialect]["datetime"](datetime.max.replace(tzinfo=UTC)), False
    if kind == "text":
        if dialect == "postgresql" and "\0" in value:
            return value[: value.index("\0")], False  # what lies between the two has a U+0000 as well
        return value, True
    if kind == "bytes":  # long ones too
        return value, True
    return _FITS[dialect][kind](value), True


def behind(prefix: str) -> str | None:
    """The first text behind all that begin with *prefix*; None where nothing is.

    >>> behind("ab"), behind("a\\U0010ffff"), behind("\\ud7ff") == "\\ue000", behind("")
    ('ac', 'b', True, None)
    """
    prefix = prefix.rstrip("\U0010ffff")
    if not prefix:
        return None
    last = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(0xE000 if last == 0xD800 else last)


def decimal_text(value: Decimal) -> str:
    """A text for a finite Decimal: texts compare by code points as the numbers do, equal numbers give equal ones.

    The sign, the exponent of the first digit, the digits; of negative numbers exponent and digits are turned round.

    >>> decimal_text(Decimal("1.50")), decimal_text(Decimal("-2")), decimal_text(Decimal("-0.0"))
    ('250000015', '04999997~', '1')
    """
    sign, numbers, exponent = value.as_tuple()
    digits = "".join(map(str, numbers))
    plain = digits.lstrip("0")
    if not plain:
        return "1"
    adjusted = _EXPONENT + len(plain) + int(exponent) - 1
    plain = plain.rstrip("0")
    if sign:
        return f"0{2 * _EXPONENT - 1 - adjusted:06}{plain.translate(_COMPLEMENT)}~"
    return f"2{adjusted:06}{plain}"


# -- what fits ------------------------------------------------------------------------------------
def _plain(value: Any) -> Any:
    """*value* as it will be when it is stored; of what can't be stored something that fits nowhere."""
    if type(value) in _PLAIN:
        return value
    try:
        return stored(value)
    except exc.InvalidValue:
        return ()


def _bool(value: Any) -> Any:
    if type(value) is bool:
        return value
    found = _int(value)
    return found == 1 if found is not ODD and 0 <= found <= 1 else ODD


def _int(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        if not value.is_integer():  # infinity and NaN aren't
            return ODD
    elif kind is Decimal:
        if not value.is_finite() or value.adjusted() > 18 or value != int(value):
            return ODD
    elif kind is not int and kind is not bool:
        return ODD
    whole = int(value)
    return whole if -BIGGEST - 1 <= whole <= BIGGEST else ODD


def _float(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return value if value == value else ODD
    if kind is int or kind is bool:
        try:
            real = float(value)
        except OverflowError:
            return ODD
        return real if real == value else ODD
    if kind is Decimal and value.is_finite():
        real = float(value)
        return real if math.isfinite(real) and Decimal.from_float(real) == value else ODD
    return ODD


def _decimal(value: Any) -> Any:
    kind = type(value)
    if kind is int or kind is bool:
        value = Decimal(value)
    elif kind is float:
        value = Decimal.from_float(value)
    elif kind is not Decimal:
        return ODD
    if not value.is_finite() or not -_EXPONENT < value.adjusted() < _EXPONENT:
        return ODD
    text = decimal_text(value)
    return text if len(text) <= LONGEST else ODD


def _text(value: Any) -> Any:
    if type(value) is not str or (len(value) > _SHORT and len(value.encode("utf-8", "replace")) > LONGEST):
        return ODD
    return value


def _text_without_null(value: Any) -> Any:
    found = _text(value)
    return ODD if found is not ODD and "\0" in found else found


def _bytes(value: Any) -> Any:
    return value if type(value) is bytes and len(value) <= LONGEST else ODD


def _uuid(value: Any) -> Any:
    return value.bytes if type(value) is UUID else ODD


def _date(value: Any) -> Any:
    return value.isoformat() if type(value) is date else ODD


def _time(value: Any) -> Any:
    if type(value) is not time or value.utcoffset() is not None:
        return ODD
    return value.replace(tzinfo=None).isoformat("microseconds")


def _instant(value: Any) -> Any:
    """The datetime in UTC, without saying so. Raises OverflowError where there is none."""
    offset = value.utcoffset() if type(value) is datetime else None
    return ODD if offset is None else value.replace(tzinfo=None, fold=0) - offset


def _datetime(value: Any) -> Any:
    found = _instant(value)
    return found if found is ODD else found.isoformat(timespec="microseconds")


def _timedelta(value: Any) -> Any:
    return _int(value // _MICROSECOND) if type(value) is timedelta else ODD


def _itself(wanted: type) -> Fit:
    return lambda value: value if type(value) is wanted else ODD


def _time_itself(value: Any) -> Any:
    return ODD if _time(value) is ODD else value.replace(tzinfo=None, fold=0)


def _datetime_itself(value: Any) -> Any:
    found = _instant(value)
    return found if found is ODD else found.replace(tzinfo=UTC)


_SQLITE: Final[dict[str, Fit]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "decimal": _decimal,
    "text": _text,
    "bytes": _bytes,
    "uuid": _uuid,
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "timedelta": _timedelta,
}
_POSTGRESQL: Final[dict[str, Fit]] = {
    **_SQLITE,
    "text": _text_without_null,
    "uuid": _itself(UUID),
    "date": _itself(date),
    "time": _time_itself,
    "datetime": _datetime_itself,
}
_FITS: Final[dict[Dialect, dict[str, Fit]]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


# -- the greatest that is not greater -------------------------------------------------------------
Floor = tuple[Any, bool] | None


def _floor_bool(value: Any) -> Floor:
    if value < 0:
        return None
    return (False, value == 0) if value < 1 else (True, value == 1)


def _floor_int(value: Any) -> Floor:
    if type(value) in (float, Decimal):
        if not math.isfinite(value):
            return (BIGGEST, False) if value > 0 else None
        whole = math.floor(value)
    else:
        whole = int(value)
    return _floor_whole(whole, whole == value)


def _floor_whole(whole: int, exact: bool) -> Floor:
    if whole > BIGGEST:
        return BIGGEST, False
    return (whole, exact) if whole >= -BIGGEST - 1 else None


def _floor_float(value: Any) -> Floor:
    if type(value) is float:
        return value, True
    if type(value) is Decimal and not value.is_finite():
        return float(value), True
    try:
        real = float(value)
    except OverflowError:
        real = math.inf if value > 0 else -math.inf
    # Compared as Decimals, which is exact: a Decimal and a float don't always compare (a context's FloatOperation).
    exact = Decimal(value)
    if Decimal.from_float(real) > exact:
        real = math.nextafter(real, -math.inf)
    return real, Decimal.from_float(real) == exact


def _floor_decimal(value: Any) -> Floor:
    if type(value) in (float, Decimal) and not math.isfinite(value):
        return ("3", False) if value > 0 else None  # behind all numbers
    return decimal_text(Decimal.from_float(value) if type(value) is float else Decimal(value)), True


_FLOORS: Final[dict[str, Callable[[Any], Floor]]] = {
    "bool": _floor_bool,
    "int": _floor_int,
    "float": _floor_float,
    "decimal": _floor_decimal,
}
