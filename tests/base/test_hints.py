from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from limen.base.hints import hints

if TYPE_CHECKING:
    from nowhere import Missing


class Base:
    a: int
    b: Missing


class Below(Base):
    c: Annotated[str, "kept"]
    a: str


def function(a: int, b: Missing, c: list[str] = []) -> None:  # noqa: B006 never called
    """Is never called."""


def test_what_can_be_resolved_is_and_the_rest_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "limen"):
        assert hints(function) == {"a": int, "c": list[str], "return": type(None)}
        assert hints(Below) == {"a": str, "c": Annotated[str, "kept"]}
    assert caplog.messages == [
        "function: the annotation of 'b' is ignored: name 'Missing' is not defined",
        "Base: the annotation of 'b' is ignored: name 'Missing' is not defined",
    ]


def test_a_name_of_another_function_is_not_seen() -> None:
    class Inner:
        pass

    def inner(a: Inner, b: int) -> Any: ...

    assert hints(inner) == {"b": int, "return": Any}
