"""What matches a URI, against the specification's words done one after the other."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from limen.core.wamp.patterns import Patterns
from limen.core.wamp.uris import is_pattern

part = st.sampled_from(["a", "b", "aa"])
uris = st.lists(part, min_size=1, max_size=4).map(".".join)
wildcards = st.lists(st.one_of(part, st.just("")), min_size=1, max_size=4).map(".".join)
prefixes = st.one_of(uris, uris.map(lambda uri: uri + "."), st.just(""))
entries = st.one_of(
    st.tuples(st.just("exact"), uris), st.tuples(st.just("prefix"), prefixes), st.tuples(st.just("wildcard"), wildcards)
)


def matches(match: str, pattern: str, uri: str) -> bool:
    if match == "exact":
        return pattern == uri
    if match == "prefix":
        return uri.startswith(pattern)
    mine, its = pattern.split("."), uri.split(".")
    return len(mine) == len(its) and all(a in ("", b) for a, b in zip(mine, its, strict=True))


def portions(pattern: str) -> list[int]:
    """Components before each wildcard, one after the other."""
    wild = [-1] + [at for at, part in enumerate(pattern.split(".")) if not part] + [len(pattern.split("."))]
    return [b - a - 1 for a, b in pairwise(wild)]


@given(st.lists(entries, max_size=12), st.lists(entries, max_size=6), uris)
def test_all_that_matches_is_found_and_the_closest_is_the_best(
    put: list[tuple[str, str]], dropped: list[tuple[str, str]], uri: str
) -> None:
    patterns: Patterns[tuple[str, str]] = Patterns()
    for match, pattern in put:
        assert is_pattern(pattern, match)
        patterns.put(match, pattern, (match, pattern))
    for match, pattern in set(dropped) & set(put):
        patterns.drop(match, pattern)
    there = [entry for entry in set(put) - set(dropped) if matches(*entry, uri)]
    found = patterns.all(uri)
    assert sorted(found) == sorted(there)
    order = {"exact": 0, "prefix": 1, "wildcard": 2}
    assert [order[match] for match, _ in found] == sorted(order[match] for match, _ in found)
    best = patterns.best(uri)
    by_kind = {match: [pattern for m, pattern in there if m == match] for match in order}
    if by_kind["exact"]:
        assert best == ("exact", uri)
    elif by_kind["prefix"]:
        assert best == ("prefix", max(by_kind["prefix"], key=len))
    elif by_kind["wildcard"]:
        assert best == ("wildcard", max(by_kind["wildcard"], key=portions))
    else:
        assert best is None


@given(st.lists(st.tuples(entries, uris), max_size=20), st.integers(1, 3))
def test_what_is_remembered_is_true_whatever_came_and_went_since(
    steps: list[tuple[tuple[str, str], str]], remembered: int
) -> None:
    patterns: Patterns[tuple[str, str]] = Patterns()
    there: set[tuple[str, str]] = set()
    with patch("limen.core.wamp.patterns.REMEMBERED", remembered):
        for entry, uri in steps:
            if entry in there:
                patterns.drop(*entry)
            else:
                patterns.put(*entry, entry)
            there ^= {entry}
            for asked in (uri, "a.b", uri):
                assert sorted(patterns.all(asked)) == sorted(one for one in there if matches(*one, asked))
            assert len(patterns._found) <= remembered


def test_nothing_is_left_when_all_is_dropped() -> None:
    patterns: Patterns[int] = Patterns()
    for match, pattern in (("prefix", "a.b"), ("prefix", "a.c"), ("wildcard", "a..b"), ("wildcard", "a..c")):
        patterns.put(match, pattern, 1)
    for match, pattern in (("prefix", "a.b"), ("prefix", "a.c"), ("wildcard", "a..b"), ("wildcard", "a..c")):
        patterns.drop(match, pattern)
    assert (patterns._lengths, patterns._wild, patterns.all("a.b.c")) == ([], {}, [])
