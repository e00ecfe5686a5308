"""From expressions to what a database is asked: shapes and parameters.

A **shape** says what stands in a statement, but for the values: tuples of texts and numbers, which can be a key. So
the text of a statement is made once for each shape (`compile.py`), and values only ever travel as parameters.

What the shapes mean is about rows whose columns all fit (`columns.py`), with two truth values: NULL is None, `~` is
pushed down to the comparisons, where "not less" becomes "not less, or NULL".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from limen.core.record.expression import And, Compare, Contains, Expression, IsIn, IsNull, Not, Or, Order, StartsWith
from limen.core.record.kinds import NAN, NONE, TEXT, kind_and_key
from limen.core.record.query import Cursor

from .columns import COMPARES, Dialect, behind, floor

Shape = tuple[Any, ...]
Columns = Mapping[str, tuple[int, str]]
"""Field to the number and the kind of its column."""

MOST: Final = 1000
"""Parameters in one statement; what would take more is looked at in Python."""
NEVER: Final[Shape] = ("never",)
ALWAYS: Final[Shape] = ("always",)
_INVERSE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class Part(NamedTuple):
    """A condition: ("=", column, 1), ("null", column, 0), ("and", shape, …) …, and its parameters in their order."""

    shape: Shape
    values: tuple[Any, ...] = ()


_never, _always = Part(NEVER), Part(ALWAYS)


class Lowered(NamedTuple):
    """*part*: what the database is asked. *rest*: what remains to be looked at in Python. *used*: the columns."""

    part: Part
    rest: Expression | None
    used: frozenset[int]


def lower(where: Expression | None, columns: Columns, dialect: Dialect) -> Lowered:
    """What of *where* a table with these *columns* can answer.

    >>> from limen.core.record.expression import field
    >>> lower((field("n") < 2.5) & (field("x") == 1), {"n": (0, "int")}, "sqlite")
    Lowered(part=Part(shape=('<=', 0, 1), values=(2,)), rest=field('x') == 1, used=frozenset({0}))
    """
    if where is None:
        return Lowered(_always, None, frozenset())
    parts: list[Part] = []
    rest: list[Expression] = []
    used: set[int] = set()
    room = MOST
    for each in where.parts if type(where) is And else (where,):
        numbers = {columns[name][0] if name in columns else -1 for name in each.fields}
        part = None if -1 in numbers else _lower(each, False, columns, dialect)
        if part is None or len(part.values) > room:
            rest.append(each)
            continue
        room -= len(part.values)
        used |= numbers
        parts.append(part)
    left = None if not rest else rest[0] if len(rest) == 1 else And(tuple(rest))
    return Lowered(_all(parts), left, frozenset(used))


def _lower(where: Expression, negate: bool, columns: Columns, dialect: Dialect) -> Part:
    match where:
        case And(parts) | Or(parts):
            lowered = [_lower(part, negate, columns, dialect) for part in parts]
            return _all(lowered) if (type(where) is And) is not negate else _any(lowered)
        case Not(part):
            return _lower(part, not negate, columns, dialect)
        case IsNull(name):
            return _null(columns[name][0], negate)
        case Compare(name, op, value):
            number, kind = columns[name]
            return _compare(number, kind, op, value, negate, dialect)
        case IsIn(name, values):
            number, kind = columns[name]
            return _is_in(number, kind, values, negate, dialect)
        case StartsWith(name, text) | Contains(name, text):
            number, kind = columns[name]
            if COMPARES[kind] != TEXT or (dialect == "postgresql" and "\0" in text):
                return _always if negate else _never
            if not text:
                return _null(number, not negate)
            if type(where) is Contains:
                return _or_null(number, Part(("lacks", number, 1), (text,)), negate)
            return _startswith(number, text, negate)
    raise TypeError(f"{type(where).__name__} is no condition that is known here")  # pragma: no cover


def _compare(number: int, kind: str, op: str, value: Any, negate: bool, dialect: Dialect) -> Part:
    alike = kind_and_key(value)[0]
    if op in ("==", "!="):
        negate = negate is not (op == "!=")
        if alike == NONE:
            return _null(number, negate)
        found = floor(kind, dialect, value) if alike == COMPARES[kind] else None
        if found is None or not found[1]:
            return _always if negate else _never
        return Part(("isnt" if negate else "=", number, 1), (found[0],))
    if alike != COMPARES[kind]:
        return _always if negate else _never
    place = floor(kind, dialect, value)
    if negate:
        return _any([_ordered(number, _INVERSE[op], place), _null(number)])
    return _ordered(number, op, place)


def _ordered(number: int, op: str, place: tuple[Any, bool] | None) -> Part:
    """`column op value`; *place*: the floor of the value."""
    less = op[0] == "<"
    if place is None:
        return _never if less else _null(number, True)
    low, exact = place
    return Part((op if exact else "<=" if less else ">", number, 1), (low,))


def _is_in(number: int, kind: str, values: Sequence[Any], negate: bool, dialect: Dialect) -> Part:
    wanted: list[Any] = []
    null = False
    for value in values:
        alike = kind_and_key(value)[0]
        null = null or alike == NONE
        found = floor(kind, dialect, value) if alike == COMPARES[kind] else None
        if found is not None and found[1]:
            wanted.append(found[0])
    if not wanted:
        return _null(number, negate) if null else _always if negate else _never
    size = 1 << (len(wanted) - 1).bit_length()  # few sizes, so that few texts have to be made
    wanted += wanted[-1:] * (size - len(wanted))
    if negate:
        part = Part(("not in", number, size), tuple(wanted))
        return part if null else _any([part, _null(number)])
    part = Part(("in", number, size), tuple(wanted))
    return _any([part, _null(number)]) if null else part


def _startswith(number: int, text: str, negate: bool) -> Part:
    end = behind(text)
    low, high = ("<", ">=") if negate else (">=", "<")
    parts = [Part((low, number, 1), (text,))]
    if end is not None:
        parts.append(Part((high, number, 1), (end,)))
    return _any([*parts, _null(number)]) if negate else _all(parts)


def _or_null(number: int, lacks: Part, negate: bool) -> Part:
    return _any([lacks, _null(number)]) if negate else Part(("contains", *lacks.shape[1:]), lacks.values)


def _null(number: int, negate: bool = False) -> Part:
    return Part(("not null" if negate else "null", number, 0))


def _all(parts: Sequence[Part]) -> Part:
    return _joined("and", parts, ALWAYS, NEVER)


def _any(parts: Sequence[Part]) -> Part:
    return _joined("or", parts, NEVER, ALWAYS)


def _joined(word: str, parts: Sequence[Part], neutral: Shape, decisive: Shape) -> Part:
    told = [part for part in parts if part.shape != neutral]
    if any(part.shape == decisive for part in told):
        return Part(decisive)
    if len(told) < 2:
        return told[0] if told else Part(neutral)
    return Part((word, *(part.shape for part in told)), tuple(value for part in told for value in part.values))


# -- what comes after a place ---------------------------------------------------------------------
def segments(order: Sequence[Order], place: Cursor, columns: Columns, dialect: Dialect) -> list[Part]:
    """What stands behind *place*, as conditions of which at most one holds for each row. Each is one range of an index
    where there is one in that order; with `or` between them they would not be.

    ("row", ">", columns, n) compares (columns…, uuid) with n values at once.
    """
    backwards = bool(order) and order[-1].descending
    terms = [(*columns[term.field], term.descending, value) for term, value in zip(order, place.values, strict=True)]
    equal = [_equal(number, kind, value, dialect) for number, kind, _, value in terms]
    start = len(terms)
    while start and terms[start - 1][2] is backwards and equal[start - 1].shape[0] == "=":
        start -= 1
    numbers = tuple(number for number, *_ in terms[start:])
    values = (*(part.values[0] for part in equal[start:]), place.uuid)
    found = [_all([*equal[:start], Part(("row", "<" if backwards else ">", numbers, len(values)), values)])]
    if backwards:
        found += [_all([*equal[:at], _null(terms[at][0])]) for at in range(start, len(terms))]
    for at in reversed(range(start)):
        found += [_all([*equal[:at], behind]) for behind in _behind(*terms[at], dialect)]
    return [part for part in found if part.shape != NEVER]


def _equal(number: int, kind: str, value: Any, dialect: Dialect) -> Part:
    alike = kind_and_key(value)[0]
    return _never if alike == NAN else _compare(number, kind, "==", value, False, dialect)


def _behind(number: int, kind: str, descending: bool, value: Any, dialect: Dialect) -> list[Part]:
    """What of a column stands behind *value* alone."""
    alike, group = kind_and_key(value)[0], COMPARES[kind]
    if alike == group:
        place = floor(kind, dialect, value)
        if not descending:
            return [_ordered(number, ">", place)]
        return [_ordered(number, "<", place), _null(number)]
    if not descending:
        return [_null(number, True)] if alike < group else []
    if alike == NONE:
        return []
    return [_null(number)] if alike < group else [_always]
