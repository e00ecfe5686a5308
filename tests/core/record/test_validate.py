from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from limen import exc
from limen.core.record.expression import field
from limen.core.record.port import Reads, Version
from limen.core.record.validate import Key, clash

A, B = b"a" * 16, b"b" * 16


def version(fields: str, *, deleted: bool = False, erased: bool = False) -> Version:
    return Version(A, 1, 1, fields, deleted, erased)


def check(
    reads: Reads, sides: tuple[Version | None, Version | None] | Exception | None = None, last: int = 7
) -> tuple[str, bytes, int | None] | None:
    """Record A of model T was changed by transaction 6. *sides*: what it was and is; None: not to be asked."""

    def states(model: str, uuid: bytes) -> tuple[Version | None, Version | None]:
        assert (model, uuid) == ("T", A)
        if isinstance(sides, Exception):
            raise sides
        assert sides is not None
        return sides

    def there(keys: Iterable[Key]) -> Iterable[Key]:
        return [key for key in keys if key[1] == A]

    return clash(reads, last, [("T", A, 6)], states, there)


def searched(*where: Any) -> Reads:
    return Reads(5, set(), {"T": [*where]})


def test_nothing_is_looked_at_where_nothing_was_committed_since() -> None:
    def never(*_: Any) -> Any:
        raise AssertionError

    everything = Reads(7, {("T", A)}, {"T": [None]}, frozenset({("T", B)}))
    assert clash(everything, 7, (never() for _ in range(1)), never, never) is None


def test_a_key_is_that_record_and_no_other() -> None:
    assert check(Reads(5, {("T", A)}, {})) == ("T", A, 6)
    assert check(Reads(5, {("T", B), ("U", A)}, {})) is None


def test_all_of_a_model_is_every_record_of_it() -> None:
    assert check(searched(None)) == ("T", A, 6)
    assert check(searched(field("a") == 1, None)) == ("T", A, 6)
    assert check(Reads(5, set(), {"U": [None]})) is None


@pytest.mark.parametrize(
    ("before", "after", "conflicts"),
    [
        (None, version('{"a":1}'), True),
        (version('{"a":1}'), version('{"a":2}'), True),
        (version('{"a":1}'), version('{"a":1,"b":2}'), True),
        (version('{"a":2}'), version('{"a":1}'), True),
        (version('{"a":1}'), version('{"a":1}', deleted=True), True),
        (version('{"a":2}'), version('{"a":3}'), False),
        (None, version('{"a":1}', deleted=True), False),
        (version('{"a":1}', deleted=True), version('{"a":2}'), False),
        (version("{}", deleted=True, erased=True), version("{}", deleted=True, erased=True), True),
        (exc.HistoryGone(), None, True),
    ],
)
def test_a_search_is_what_matched_before_or_matches_now(before: Any, after: Any, conflicts: bool) -> None:
    sides = before if isinstance(before, Exception) else (before, after)
    assert (check(searched(field("a") == 1), sides) is not None) is conflicts


def test_any_of_several_searches_counts() -> None:
    sides = (None, version('{"a":1}'))
    assert check(searched(field("a") == 5, field("a") < 2), sides) is not None
    assert check(searched(field("a") == 5, field("a") > 2), sides) is None


def test_what_leaves_no_trace_must_still_be_there() -> None:
    assert check(Reads(5, set(), {}, frozenset({("T", A), ("T", B)}))) == ("T", B, None)
    assert check(Reads(5, set(), {}, frozenset({("T", A)}))) is None
