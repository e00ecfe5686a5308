"""Output formats: what an extension makes of a result."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from limen import exc
from limen.service.formats import BUILT_IN, content_type, render


@pytest.mark.parametrize(
    ("extension", "value", "data"),
    [
        ("json", {"a": date(2026, 11, 21)}, b'{"a":"2026-11-21"}'),
        ("json", "x", b'"x"'),
        ("txt", "x", b"x"),
        ("txt", None, b""),
        ("txt", {"a": 1}, b'{"a":1}'),
        ("raw", "é", b"\xc3\xa9"),
        ("raw", bytearray(b"\x00"), b"\x00"),
    ],
)
def test_the_built_in_formats(extension: str, value: Any, data: bytes) -> None:
    assert render(extension, BUILT_IN[extension], value) == data


@pytest.mark.parametrize(
    ("extension", "value"), [("raw", 7), ("raw", None), ("json", float("nan")), ("json", "\ud800"), ("txt", "\ud800")]
)
def test_what_a_format_cannot_say_is_refused(extension: str, value: Any) -> None:
    with pytest.raises(exc.InvalidValue):
        render(extension, BUILT_IN[extension], value)


def test_a_format_of_one_s_own_gives_text_or_bytes_and_may_name_its_type() -> None:
    def csv(rows: list[list[Any]]) -> str:
        return "\n".join(",".join(map(str, row)) for row in rows)

    assert render("csv", csv, [[1, 2], [3, 4]]) == b"1,2\n3,4"
    assert content_type("csv", csv) == "text/csv; charset=utf-8"
    assert content_type("xyz", csv) == "application/octet-stream"
    csv.content_type = "text/x-mine"  # type: ignore[attr-defined]
    assert content_type("csv", csv) == "text/x-mine"
    with pytest.raises(exc.InvalidValue):
        render("x", lambda value: 7, None)  # type: ignore[arg-type,return-value]
