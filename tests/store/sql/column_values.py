"""Values of every kind, with those that do not fit a column among them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(
    ["", "a", "ab", "abc", "a\0b", "ä", "\ud7ff", "\ue000", "\U0010ffff", "x" * 1001, "%", "A"]
)
_offsets = st.sampled_from([UTC, timezone(timedelta(hours=1)), timezone(-timedelta(hours=13, minutes=30))])
_datetimes = st.datetimes(timezones=st.none() | _offsets) | st.sampled_from(
    [
        datetime(2026, 11, 21, 12, tzinfo=UTC),
        datetime(2026, 11, 21, 13, tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=2))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 11, 21, 12),
    ]
)
_ints = (
    st.integers(-3, 3) | st.integers() | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
)
_floats = st.floats() | st.sampled_from([0.0, -0.0, 0.1, 1.0, 2.5, -2.5, 1e300, float(2**53), float(2**63)])
_decimals = (
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**6), max_value=10**6)
    | st.sampled_from([Decimal(text) for text in ("0.1", "1.50", "1.5", "-0", "1E+2", "NaN", "Infinity", "-1E-300")])
    | st.builds(lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(-999, 999), st.integers(-9, 9))
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": _ints,
    "float": _floats,
    "decimal": _decimals,
    "text": _texts,
    "bytes": st.binary(max_size=3) | st.just(bytes(1001)),
    "uuid": st.uuids(),
    "date": st.dates(),
    "time": st.times(timezones=st.none() | st.just(UTC)),
    "datetime": _datetimes,
    "timedelta": st.timedeltas() | st.sampled_from([timedelta.min, timedelta.max, timedelta(0)]),
}
"""Mostly what fits a column of that kind."""


def values() -> st.SearchStrategy[Any]:
    """Any value that can be stored."""
    others = st.sampled_from([[], [1], {}, {"a": 1}, (1,), {1}, frozenset({1})])
    return st.one_of(st.none(), *VALUES.values(), others)


def mostly(kind: str) -> st.SearchStrategy[Any]:
    """Values for a field whose column is of that *kind*."""
    small = {
        "int": st.integers(-2, 2),
        "float": st.sampled_from([0.0, -0.0, 1.5, -1.5, float("inf")]),
        "text": st.sampled_from(["", "a", "ab", "b", "ba"]),
        "decimal": st.sampled_from([Decimal("1.5"), Decimal("1.50"), Decimal(0), Decimal("-1.5"), Decimal(3)]),
    }
    usual = small.get(kind, VALUES[kind])
    return st.one_of(usual, usual, usual, VALUES[kind], st.none(), values())
