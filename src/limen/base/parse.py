"""Text to values, for services without annotations (docs/values.md, vectors/parse.json).

One table, `FORMS`: a text that matches a row's form becomes that row's value; everything else stays the text it was.
Nothing is lost: each form says how the text can be had back from the value. Nothing is ever executed, and no value is
a bomb: there is no exponent, and no number has more than 4,300 digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from limen.base.values import MAX_DIGITS

__all__ = ["FORMS", "Form", "auto_parse"]


@dataclass(frozen=True, slots=True)
class Form:
    """A row of the table. *read* may raise ValueError: then the text stays a text. *back*: what gives it again."""

    name: str
    pattern: re.Pattern[str]
    read: Callable[[str], Any]
    back: str


def _fraction(text: str) -> float | Decimal:
    value = float(text)
    return value if repr(value) == text else Decimal(text)


def _datetime(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if text.endswith("-00:00"):
        raise ValueError  # RFC 3339, 4.3: UTC, and where it was is not known; a datetime can't say that
    return value


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


FORMS: tuple[Form, ...] = (
    Form("int", _pattern(r"0|-?[1-9]\d*"), int, "str(value)"),
    Form(
        "float or Decimal",
        _pattern(r"-?(0|[1-9]\d*)\.\d+"),
        _fraction,
        "repr(value) of a float, else format(value, 'f')",
    ),
    Form("UUID", _pattern(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), UUID, "str(value)"),
    Form("date", _pattern(r"\d{4}-\d\d-\d\d"), date.fromisoformat, "value.isoformat()"),
    Form(
        "datetime",
        _pattern(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{3}|\.\d{6})?)?(Z|[+-]\d\d:[0-5]\d)?"),
        _datetime,
        "value.isoformat(), with 'T' or a space, seconds and a fraction of 3 digits where they are 0, Z for +00:00",
    ),
)


def auto_parse(value: Any) -> Any:
    """*value* with each text in it that has one of the `FORMS` turned into int, float, Decimal, UUID, date or datetime.

    Lists and dicts are gone through (keys stay as they are); what has nothing to parse is returned as the same object.

    >>> auto_parse(["12", "1.5", "1.50", "2026-11-21"])
    [12, 1.5, Decimal('1.50'), datetime.date(2026, 11, 21)]
    >>> auto_parse({"zip": "007", "name": "nan", "n": "1e5", "x": " 1", "y": "1_000", "z": "١٢"})
    {'zip': '007', 'name': 'nan', 'n': '1e5', 'x': ' 1', 'y': '1_000', 'z': '١٢'}
    """
    kind: type = type(value)
    if kind is str:
        # Most texts are words: one look at the first character settles those.
        return _parse(value) if value[:1] in _FIRST and len(value) <= MAX_DIGITS else value
    if kind is not dict and kind is not list:
        return value
    changed: Any = None
    for key, item in value.items() if kind is dict else enumerate(value):
        if (new := auto_parse(item)) is not item:
            if changed is None:
                changed = value.copy()
            changed[key] = new
    return value if changed is None else changed


_FIRST = frozenset("-0123456789abcdef")


def _parse(text: str) -> Any:
    for form in FORMS:
        if form.pattern.fullmatch(text):
            try:
                return form.read(text)
            except ValueError:
                return text
    return text
