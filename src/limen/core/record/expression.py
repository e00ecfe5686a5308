"""Expressions: conditions on the fields of a record that are looked at as data, so that a database can answer them.

    >>> done, text, due = field("done"), field("text"), field("due")
    >>> wanted = (done == False) & text.contains("milk")
    >>> wanted
    (field('done') == False) & field('text').contains('milk')
    >>> wanted.matches({"done": False, "text": "oat milk"}), wanted.matches({"text": "oat milk"})
    (True, False)

What they mean, in Python and in every database:

- Each value is of one **kind**: None (a missing field too), number, text, bytes, uuid, date, time, aware time,
  datetime, aware datetime, timedelta, or other (lists, dicts, tuples, sets). Values of two kinds are not equal, and
  neither is less than the other; that is never an error.
- **Numbers** are int, float, bool and Decimal, and compare by their exact values: `2**53 + 1` is not `2.0**53`, True is
  1, `Decimal("0.1")` is less than the float 0.1. NaN equals nothing, itself included, and is neither less nor
  greater.
- **Texts** compare by code points, **bytes** and **uuids** by their bytes, **aware datetimes** by instant. A time or
  datetime is aware where its `utcoffset()` is not None. **Aware times** compare by their clock time less their offset,
  not taken round midnight, as Python does.
- None equals None. `<`, `<=`, `>` and `>=` are False where either side is None, and for the kind other.
- Others are equal as Python says (`[1] == [True]`, `(1,) != [1]`).
- `!=` is exactly not `==`, and `~` exactly not: there is no third value. `done != True` holds for a record without
  `done`.
- `contains` and `startswith` are False for all but texts; upper and lower case differ; "" is in every text.
- `is_in(values)` is `==` to one of them, `between(a, b)` is `>= a` and `<= b`.

A value counts as what it will be when it is stored (docs/values.md): a member of an enum as its value, a dataclass as a
dict, an instance of a subclass as one of the class.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from limen import exc

from .kinds import KINDS, NONE, OTHER, Matches, comparing, kind_and_key, one_of, slow_text, stored

__all__ = [
    "And",
    "Compare",
    "Contains",
    "Expression",
    "Field",
    "IsIn",
    "IsNull",
    "Not",
    "Or",
    "Order",
    "StartsWith",
    "field",
]

DEEPEST = 100
"""So deep may conditions stand in each other: each level takes a few calls wherever one is looked at."""


def _literal(value: Any, of: str) -> Any:
    """*value* as it is when stored; teaches where it can't be."""
    if isinstance(value, Field):
        raise TypeError(
            f"{of} is compared with another field, {value!r}: an expression compares a field with a value. "
            "Use a function: lambda record: …"
        )
    if isinstance(value, Expression):
        raise TypeError(
            f"{of} is compared with a condition. `&` and `|` bind more closely than comparisons: put each "
            "comparison in parentheses, (a == 1) & (b == 2)."
        )
    try:
        plain = stored(value)
    except exc.InvalidValue as error:
        raise TypeError(
            f"{of} can't be compared with a {type(value).__name__}, which can't be stored: {error}"
        ) from None
    return copy.deepcopy(plain) if KINDS.get(type(plain)) == OTHER else plain  # a list may be changed later


def _identity(value: Any) -> tuple[Any, ...]:
    """Equal for literals that are the same with their types."""
    return type(value), *kind_and_key(value)


# -- fields ---------------------------------------------------------------------------------------
class Field:
    """A field of a model's records, to build conditions and orders from. `Todo.done` of a registered model is one;
    `field("done")` makes one for what is declared nowhere."""

    __slots__ = ("label", "name")

    name: str
    label: str
    """How the program writes it: "Todo.done"."""

    def __init__(self, name: str, label: str = "") -> None:
        if type(name) is not str or not name or name[0] == "_":
            raise TypeError(f"a field's name is a text that does not begin with '_', not {name!r}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "label", label or f"field({name!r})")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a field is not changed")

    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        value = _literal(value, self.label)
        return IsNull(self.name, self.label) if value is None else Compare(self.name, "==", value, self.label)

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        value = _literal(value, self.label)
        return Not(IsNull(self.name, self.label)) if value is None else Compare(self.name, "!=", value, self.label)

    def __lt__(self, value: Any) -> Compare:
        return self._compare("<", value)

    def __le__(self, value: Any) -> Compare:
        return self._compare("<=", value)

    def __gt__(self, value: Any) -> Compare:
        return self._compare(">", value)

    def __ge__(self, value: Any) -> Compare:
        return self._compare(">=", value)

    def contains(self, text: str) -> Contains:
        """True where the field is a text in which *text* stands; upper and lower case differ."""
        return Contains(self.name, _text(text, f"{self.label}.contains"), self.label)

    def startswith(self, text: str) -> StartsWith:
        """True where the field is a text that begins with *text*; upper and lower case differ."""
        return StartsWith(self.name, _text(text, f"{self.label}.startswith"), self.label)

    def is_in(self, values: Iterable[Any]) -> IsIn:
        """True where the field equals one of *values* (None among them: where it is None or missing)."""
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise TypeError(f"{self.label}.is_in takes a list of values, not a {type(values).__name__}")
        return IsIn(self.name, tuple(_literal(value, self.label) for value in values), self.label)

    def between(self, low: Any, high: Any) -> Expression:
        """`>= low` and `<= high`."""
        return And((self._compare(">=", low), self._compare("<=", high)))

    def asc(self) -> Order:
        """For order_by: the smallest first, None before all."""
        return Order(self.name, False, self.label)

    def desc(self) -> Order:
        """For order_by: the largest first, None after all."""
        return Order(self.name, True, self.label)

    def _compare(self, op: str, value: Any) -> Compare:
        return Compare(self.name, op, _literal(value, self.label), self.label)

    def _alone(self, *_: Any) -> NoReturn:
        raise TypeError(
            f"{self.label} alone is no condition: write {self.label} == True, and put each comparison in parentheses "
            "where `&`, `|` or `~` join them."
        )

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = __bool__ = _alone

    def __contains__(self, value: Any) -> NoReturn:
        raise TypeError(f"`in` can't be asked of a field: write {self.label}.contains(…)")

    def __hash__(self) -> int:
        return hash((Field, self.name))

    def __reduce__(self) -> tuple[Any, ...]:
        return Field, (self.name, self.label)

    def __repr__(self) -> str:
        return self.label


def field(name: str) -> Field:
    """The field *name* of whatever model, for expressions on fields that are declared nowhere.

    >>> field("price") >= 5
    field('price') >= 5
    """
    return Field(name)


class Order:
    """One term of an order: a field, ascending or *descending*."""

    __slots__ = ("descending", "field", "label")

    def __init__(self, field: str, descending: bool = False, label: str = "") -> None:
        self.field, self.descending, self.label = field, descending, label or f"field({field!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and (self.field, self.descending) == (other.field, other.descending)

    def __hash__(self) -> int:
        return hash((self.field, self.descending))

    def __repr__(self) -> str:
        return f"{self.label}.{'desc' if self.descending else 'asc'}()"


def _text(text: Any, of: str) -> str:
    found = _literal(text, of)
    if type(found) is not str:
        raise TypeError(f"{of} takes a text, not a {type(text).__name__}")
    return found


# -- conditions -----------------------------------------------------------------------------------
class Expression:
    """A condition. Immutable, hashable by what it says: 1, True and 1.0 are different literals (a database compiles
    them differently), although they compare alike."""

    __slots__ = ("depth", "fields", "matches")

    matches: Matches
    """`matches(fields)`: whether the condition holds for a record of these fields. Compiled when it was made."""
    fields: frozenset[str]
    """The names that it asks for."""
    depth: int
    """How deep its conditions stand in each other."""

    def _made(self, matches: Matches, fields: frozenset[str], depth: int = 1, **parts: Any) -> None:
        if depth > DEEPEST:
            raise exc.InvalidValue(f"A condition nests at most {DEEPEST} deep.")
        for name, value in parts.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "matches", matches)
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "depth", depth)

    def _identity(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("an expression is not changed")

    def __and__(self, other: Any) -> And:
        return And(_joined(And, self, other))

    def __or__(self, other: Any) -> Or:
        return Or(_joined(Or, self, other))

    def __invert__(self) -> Expression:
        return Not(self)

    def __rand__(self, other: Any) -> NoReturn:
        raise _no_condition(other)

    __ror__ = __rand__

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is a condition on records, neither true nor false by itself. Join conditions with `&`, `|` and "
            "`~`, each comparison in parentheses, instead of `and`, `or` and `not`; write .between(a, b) for "
            "a <= field <= b, .is_in([…]) for `in`; and condition.matches(fields) to ask it of one record."
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression):
            return NotImplemented
        return self is other or self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


def _no_condition(value: Any) -> TypeError:
    if isinstance(value, Field):
        return TypeError(f"{value!r} alone is no condition: write {value!r} == True")
    hint = " A function can't be joined with conditions." if callable(value) else ""
    return TypeError(
        f"{value!r} is no condition.{hint} Put each comparison in parentheses where `&` or `|` join them: "
        "(a == 1) & (b == 2)"
    )


def _joined(kind: type[And] | type[Or], *conditions: Any) -> tuple[Expression, ...]:
    parts: list[Expression] = []
    for one in conditions:
        if not isinstance(one, Expression):
            raise _no_condition(one)
        parts += one.parts if isinstance(one, And | Or) and type(one) is kind else (one,)
    return tuple(parts)


class Compare(Expression):
    """*field* *op* *value*; op is one of == != < <= > >=. The value is as it is when stored."""

    __slots__ = ("field", "label", "op", "value")
    __match_args__ = ("field", "op", "value")

    field: str
    op: str
    value: Any
    label: str

    def __init__(self, field: str, op: str, value: Any, label: str = "") -> None:
        matches = comparing(field, op, value)
        self._made(matches, frozenset((field,)), field=field, op=op, value=value, label=label or f"field({field!r})")

    def _identity(self) -> tuple[Any, ...]:
        return Compare, self.field, self.op, _identity(self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Compare, (self.field, self.op, self.value, self.label)

    def __repr__(self) -> str:
        return f"{self.label} {self.op} {self.value!r}"


class _OfText(Expression):
    __slots__ = ("field", "label", "text")
    __match_args__ = ("field", "text")

    field: str
    text: str
    label: str

    def __init__(self, field: str, text: str, label: str = "") -> None:
        matches = self._compiled(field, text)
        self._made(matches, frozenset((field,)), field=field, text=text, label=label or f"field({field!r})")

    @staticmethod
    def _compiled(field: str, text: str) -> Matches:
        raise NotImplementedError

    def _identity(self) -> tuple[Any, ...]:
        return type(self), self.field, self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.text, self.label)

    def __repr__(self) -> str:
        return f"{self.label}.{type(self).__name__.lower()}({self.text!r})"


class Contains(_OfText):
    """*text* stands somewhere in the field, which is a text."""

    __slots__ = ()

    @staticmethod
    def _compiled(field: str, text: str) -> Matches:
        def matches(fields: Mapping[str, Any]) -> bool:
            value = fields.get(field)
            return text in value if type(value) is str else slow_text(value, lambda plain: text in plain)

        return matches


class StartsWith(_OfText):
    """The field is a text that begins with *text*."""

    __slots__ = ()

    @staticmethod
    def _compiled(field: str, text: str) -> Matches:
        def matches(fields: Mapping[str, Any]) -> bool:
            value = fields.get(field)
            return value.startswith(text) if type(value) is str else slow_text(value, lambda p: p.startswith(text))

        return matches


class IsIn(Expression):
    """The field equals one of *values*; never where there are none."""

    __slots__ = ("field", "label", "values")
    __match_args__ = ("field", "values")

    field: str
    values: tuple[Any, ...]
    label: str

    def __init__(self, field: str, values: tuple[Any, ...], label: str = "") -> None:
        matches = one_of(field, values)
        self._made(matches, frozenset((field,)), field=field, values=values, label=label or f"field({field!r})")

    def _identity(self) -> tuple[Any, ...]:
        return IsIn, self.field, tuple(map(_identity, self.values))

    def __reduce__(self) -> tuple[Any, ...]:
        return IsIn, (self.field, self.values, self.label)

    def __repr__(self) -> str:
        return f"{self.label}.is_in({list(self.values)!r})"


class IsNull(Expression):
    """The field is None, or missing."""

    __slots__ = ("field", "label")
    __match_args__ = ("field",)

    field: str
    label: str

    def __init__(self, field: str, label: str = "") -> None:
        def matches(fields: Mapping[str, Any]) -> bool:
            value = fields.get(field)
            return value is None or (type(value) not in KINDS and kind_and_key(value)[0] == NONE)

        self._made(matches, frozenset((field,)), field=field, label=label or f"field({field!r})")

    def _identity(self) -> tuple[Any, ...]:
        return IsNull, self.field

    def __reduce__(self) -> tuple[Any, ...]:
        return IsNull, (self.field, self.label)

    def __repr__(self) -> str:
        return f"{self.label} == None"


class _Joined(Expression):
    __slots__ = ("parts",)
    __match_args__ = ("parts",)

    parts: tuple[Expression, ...]

    def __init__(self, parts: tuple[Expression, ...]) -> None:
        names = frozenset[str]().union(*(part.fields for part in parts))
        depth = 1 + max((part.depth for part in parts), default=0)
        self._made(self._compiled([part.matches for part in parts]), names, depth, parts=parts)

    @staticmethod
    def _compiled(parts: list[Matches]) -> Matches:
        raise NotImplementedError

    def _identity(self) -> tuple[Any, ...]:
        return type(self), self.parts

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.parts,)


class And(_Joined):
    """All of *parts*; true where there are none."""

    __slots__ = ()

    @staticmethod
    def _compiled(parts: list[Matches]) -> Matches:
        if len(parts) == 2:
            first, second = parts
            return lambda fields: first(fields) and second(fields)
        return lambda fields: all(part(fields) for part in parts)

    def __repr__(self) -> str:
        return " & ".join(map(_bracketed, self.parts)) or "And(())"


class Or(_Joined):
    """One of *parts* at least; false where there are none."""

    __slots__ = ()

    @staticmethod
    def _compiled(parts: list[Matches]) -> Matches:
        if len(parts) == 2:
            first, second = parts
            return lambda fields: first(fields) or second(fields)
        return lambda fields: any(part(fields) for part in parts)

    def __repr__(self) -> str:
        return " | ".join(map(_bracketed, self.parts)) or "Or(())"


class Not(Expression):
    """*part* does not hold."""

    __slots__ = ("part",)
    __match_args__ = ("part",)

    part: Expression

    def __init__(self, part: Expression) -> None:
        inner = part.matches
        self._made(lambda fields: not inner(fields), part.fields, 1 + part.depth, part=part)

    def _identity(self) -> tuple[Any, ...]:
        return Not, self.part

    def __reduce__(self) -> tuple[Any, ...]:
        return Not, (self.part,)

    def __repr__(self) -> str:
        return f"{self.part.label} != None" if isinstance(self.part, IsNull) else f"~{_bracketed(self.part)}"


def _bracketed(part: Expression) -> str:
    return f"{part!r}" if isinstance(part, _OfText | IsIn) else f"({part!r})"
