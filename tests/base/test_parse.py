"""auto_parse does what `vectors/parse.json` says, and loses nothing."""

from __future__ import annotations

import json
import re
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.base.parse import FORMS, auto_parse

sys.path.insert(0, str(Path(__file__).parent))
import neutral

ROWS = json.loads((Path(__file__).parents[2] / "vectors" / "parse.json").read_text())["rows"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"])
def test_each_text_gives_exactly_this(row: Any) -> None:
    assert neutral.same(auto_parse(row["text"]), neutral.value(row["gives"]))


def back(value: Any) -> str:
    """The text again, in the normal spelling of its form."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)


@given(
    st.one_of(st.text(), *(st.from_regex(form.pattern, fullmatch=True) for form in FORMS if form.name != "datetime"))
)
def test_the_text_can_be_had_back(text: str) -> None:
    value = auto_parse(text)
    if not isinstance(value, datetime):
        assert back(value) == text


@given(st.from_regex(next(form.pattern for form in FORMS if form.name == "datetime"), fullmatch=True))
def test_a_datetime_keeps_every_digit_and_its_offset(text: str) -> None:
    value = auto_parse(text)
    if not isinstance(value, datetime):
        assert value == text
        return
    parts = re.fullmatch(r"(.{10})[T ](.{5})(:\d\d)?(\.\d+)?(.*)", text)
    assert parts is not None
    day, clock, second, fraction, zone = parts.groups()
    expected = f"{day}T{clock}{second or ':00'}{(fraction or '.').ljust(7, '0')}{zone.replace('Z', '+00:00')}"
    assert value.isoformat(timespec="microseconds") == expected


@given(st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False) | st.uuids() | st.dates())
def test_what_python_writes_is_read_again(value: Any) -> None:
    text = repr(value) if isinstance(value, float) else str(value)
    parsed = auto_parse(text)
    assert parsed == (text if "e" in text and isinstance(value, float) else value)
    assert isinstance(parsed, str | int | float | UUID | date)


def test_lists_and_dicts_are_gone_through_and_keys_are_not() -> None:
    value = {"12": ["1", {"a": "2026-11-21"}], "b": 3, "c": None}
    assert auto_parse(value) == {"12": [1, {"a": date(2026, 11, 21)}], "b": 3, "c": None}
    assert value["12"] == ["1", {"a": "2026-11-21"}]


def test_what_has_nothing_to_parse_is_not_copied() -> None:
    value = {"a": ["x", {"b": "y"}], "n": 1}
    assert auto_parse(value) is value


@pytest.mark.parametrize("value", [b"1", True, None, 1.5, ("1",), {"1"}])
def test_what_is_no_text_stays(value: Any) -> None:
    assert auto_parse(value) is value


def test_a_number_longer_than_4300_digits_stays_text() -> None:
    assert auto_parse("9" * 4300) == int("9" * 4300)
    assert auto_parse("9" * 4301) == "9" * 4301
    assert auto_parse("0." + "1" * 5000) == "0." + "1" * 5000


def test_the_page_says_the_same_as_the_vectors() -> None:
    page = (Path(__file__).parents[2] / "docs" / "values.md").read_text()
    table = page.partition("Decided one by one")[2].partition("```")[0]
    rows = re.findall(r"^\| `([^`]*)` \| (\w+) \|", table, re.MULTILINE)
    assert len(rows) >= 25
    for text, kind in rows:
        assert type(auto_parse(text)).__name__ == kind
        assert any(row["text"] == text for row in ROWS), text


def test_an_offset_has_less_than_sixty_minutes() -> None:
    """Python's fromisoformat takes -00:60, and would give another text back."""
    assert auto_parse("2026-11-21T12:00-00:60") == "2026-11-21T12:00-00:60"
