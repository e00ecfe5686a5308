"""The URL of a call (P2): what it gives is what comes back; what would not come back is refused."""

from __future__ import annotations

import datetime
import enum
import json
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import App, exc
from limen.door.http.arguments import parse_fields
from limen.door.http.request import path_segments


class Colour(enum.Enum):
    RED = "red"


app = App()
seen: list[Any] = []


@app.service(safe=False, methods=["GET"])
def free(*args, **kwargs):  # type: ignore[no-untyped-def]
    seen.append((list(args), kwargs))


@app.service("typed/one", safe=False, methods=["GET"], csv=str)
def typed(
    text: str,
    number: int = 0,
    day: datetime.date | None = None,
    price: Decimal = Decimal(0),
    colour: Colour = Colour.RED,
    many: list[str] | None = None,
) -> None: ...


@app.service("typed/one/more", safe=False)
def more() -> None: ...


@app.service()
def sealed() -> None: ...


@pytest.mark.parametrize(
    ("args", "params", "extension", "url"),
    [
        (["tea"], {}, None, "/typed/one/tea"),
        (["green tea", 3], {}, "json", "/typed/one/green%20tea/3.json"),
        (["a"], {"number": -7, "day": datetime.date(2026, 1, 31)}, "csv", "/typed/one/a.csv?number=-7&day=2026-01-31"),
        (["é?&=#+%"], {"price": Decimal("1.50")}, None, "/typed/one/%C3%A9%3F%26%3D%23%2B%25?price=1.50"),
        ([], {"text": "a/b", "colour": Colour.RED}, None, "/typed/one?text=a%2Fb&colour=red"),
        ([], {"text": "a", "many": ["x"]}, None, "/typed/one?text=a&many=x"),
        ([], {"text": "a", "many": ["x", "y"]}, None, "/typed/one?text=a&many=x&many=y"),
        (["2.5"], {}, None, "/typed/one/2.5"),
        (["7"], {}, None, "/typed/one/7"),
        (["report.csv"], {}, "json", "/typed/one/report.csv.json"),
    ],
)
def test_arguments_stand_in_path_and_query(args: Any, params: Any, extension: str | None, url: str) -> None:
    assert app.get_url(typed, *args, extension=extension, **params) == url
    assert app.get_url("typed.one", *args, extension=extension, **params) == url


@pytest.mark.parametrize(
    ("target", "args", "params", "extension"),
    [
        (typed, ["a/b"], {}, None),  # a slash in a segment
        (typed, [""], {}, None),
        (typed, [".."], {}, None),
        (typed, ["a\x00"], {}, None),
        (typed, ["more"], {}, None),  # another service stands there
        (typed, ["report.csv"], {}, None),  # the end would be the format
        (typed, ["a"], {}, "pdf"),  # there is no such format
        (typed, ["a"], {"nothing": 1}, None),  # there is no such parameter
        (typed, ["a"], {"number": "x"}, None),
        (typed, ["a", 1, None], {}, None),  # None has no text
        (typed, [b"a"], {}, None),
        (free, [], {"a": ["x"]}, None),  # one value is no list
        (typed, ["a" * 9000], {}, None),
    ],
)
def test_what_would_not_come_back_is_refused(target: Any, args: Any, params: Any, extension: str | None) -> None:
    with pytest.raises(exc.InvalidArguments):
        app.get_url(target, *args, extension=extension, **params)


def test_what_has_no_url_is_refused() -> None:
    with pytest.raises(exc.InvalidCall, match="safe_call"):
        app.get_url(sealed)
    for nothing in (len, "nothing", "typed"):
        with pytest.raises(exc.NotFound):
            app.get_url(nothing)


VALUES = st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.decimals(allow_nan=False), st.dates())


@given(st.lists(VALUES, max_size=3), st.dictionaries(st.sampled_from("abc"), VALUES, max_size=2))
def test_a_url_calls_with_what_it_was_made_of(args: list[Any], params: dict[str, Any]) -> None:
    """Whatever it gives, the door calls the same function with the same values."""
    try:
        url = app.get_url(free, *args, **params)
    except exc.InvalidArguments:
        return
    path, _, query = url.partition("?")
    match = app.registry.by_path(path_segments(path.encode()))
    assert match is not None
    assert match.service.function is free
    fields = parse_fields(query.encode())
    text = {*range(len(match.rest)), *fields}
    assert app.pipeline.plan(match.service).bind(match.rest, fields, text) == (
        app.pipeline.plan(match.service).bind(args, params)
    )
    assert json.dumps(unquote(url)).isprintable()
