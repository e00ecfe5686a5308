"""Rules, against a reference that tries every rule on every URI there is in a small world."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limen.core.wamp.uris import is_pattern, is_reserved
from limen.core.wamp.verdict import ALLOWED
from limen.door.router.config import Authorizer, Role, Rule
from limen.door.router.rules import FORCE, KEPT, LONG, Rules, covers, meets

PARTS = ("a", "ab", "b", "wamp", "wampum")
URIS = [".".join(parts) for size in (1, 2, 3) for parts in product(PARTS, repeat=size)]
"""The world. Prefixes and wildcards of it have shorter components than it holds, so that more is matched than named."""


def matches(match: str, text: str, uri: str) -> bool:
    if match == "exact":
        return uri == text
    if match == "prefix":
        return uri.startswith(text)
    parts, pattern = uri.split("."), text.split(".")
    return len(parts) == len(pattern) and all(p in ("", part) for p, part in zip(pattern, parts, strict=True))


def reaches(match: str, text: str, uri: str) -> bool:
    """As subscriptions and rules do: the protocol's own is reached by name only."""
    return matches(match, text, uri) and (is_reserved(text) or not is_reserved(uri))


def better(rule: Rule, uri: str) -> Any:
    order = {"exact": 3, "prefix": 2, "wildcard": 1}[rule.match]
    return order, len(rule.uri) if rule.match == "prefix" else [part != "" for part in rule.uri.split(".")]


def allowed(rules: tuple[Rule, ...], action: str, uri: str) -> bool | None:
    """None: no rule says anything."""
    fitting = [
        rule for rule in rules if matches(rule.match, rule.uri, uri) and is_reserved(rule.uri) == is_reserved(uri)
    ]
    return action in max(fitting, key=lambda rule: better(rule, uri)).allow if fitting else None


components = st.sampled_from(("", *PARTS))
texts = st.one_of(st.lists(components, max_size=4).map(".".join), st.sampled_from(URIS))
patterns = st.tuples(st.sampled_from(("exact", "prefix", "wildcard")), texts).filter(lambda p: is_pattern(p[1], p[0]))
allow = st.sampled_from(((), ("subscribe",), ("call", "subscribe")))
rule_sets = st.dictionaries(patterns, allow, max_size=6).map(
    lambda rules: tuple(Rule(uri=text, match=match, allow=actions) for (match, text), actions in rules.items())
)


@given(rules=rule_sets, uri=st.sampled_from(URIS), action=st.sampled_from(("call", "subscribe")))
def test_the_rule_that_matches_best_decides(rules: tuple[Rule, ...], uri: str, action: str) -> None:
    verdict = Rules([Role(name="guest", rules=rules)]).verdict(action, uri)
    assert verdict is not None
    assert verdict.allow is (allowed(rules, action, uri) is True)


@given(rules=rule_sets, pattern=patterns)
@example(rules=(Rule(uri="wamp", match="prefix", allow=("subscribe",)),), pattern=("prefix", "wamp"))
@example(
    rules=(Rule(uri="a.", match="prefix", allow=("subscribe",)), Rule(uri="a..b", match="wildcard")),
    pattern=("prefix", "a."),
)
def test_a_pattern_is_allowed_only_where_all_that_it_reaches_is(
    rules: tuple[Rule, ...], pattern: tuple[str, str]
) -> None:
    verdict = Rules([Role(name="guest", rules=rules)]).over("subscribe", *pattern)
    assert verdict is not None
    if verdict.allow:
        assert not [u for u in URIS if reaches(*pattern, u) and allowed(rules, "subscribe", u) is not True]


@given(rules=rule_sets, pattern=patterns)
def test_an_authorizer_is_not_asked_of_what_a_rule_denies(rules: tuple[Rule, ...], pattern: tuple[str, str]) -> None:
    role = Role(name="guest", rules=rules, authorizer=Authorizer(procedure="ask"))
    verdict = Rules([role]).over("subscribe", *pattern)
    said = {allowed(rules, "subscribe", uri) for uri in URIS if reaches(*pattern, uri)}
    if verdict is None:
        # A denial that another rule hides everywhere does no harm, but none that is in force may be asked away.
        assert False not in said
    elif verdict.allow:
        assert said <= {True}


@given(one=patterns, other=patterns)
def test_what_meets_and_covers_is_what_matches_the_same(one: tuple[str, str], other: tuple[str, str]) -> None:
    ours, theirs = ({uri for uri in URIS if matches(*pattern, uri)} for pattern in (one, other))
    if ours & theirs:
        assert meets(*one, *other)
    if covers(*one, *other):
        assert theirs <= ours
    assert meets(*one, *other) is meets(*other, *one)
    assert covers(*one, *one)


@pytest.mark.parametrize(
    ("match", "text", "expected"),
    [
        ("prefix", "shop.", False),  # shop.till.open is denied by name
        ("prefix", "shop.b", True),
        ("prefix", "", False),
        ("wildcard", "shop..open", False),
        ("wildcard", "shop..close", True),
        ("wildcard", "shop.till.close", True),
        ("wildcard", "..", False),
        ("exact", "shop.till.open", False),
    ],
)
def test_one_denial_by_name_closes_the_patterns_that_reach_it(match: str, text: str, expected: bool) -> None:
    rules = (Rule(uri="shop.", match="prefix", allow=("register",)), Rule(uri="shop.till.open"))
    verdict = Rules([Role(name="guest", rules=rules)]).over("register", match, text)
    assert verdict is not None
    assert verdict.allow is expected


def test_a_rule_for_everything_opens_no_meta_api() -> None:
    rules = Rules([Role(name="guest", rules=(Rule(uri="", match="prefix", allow=("call", "subscribe")),))])
    for uri in ("wamp.session.kill", "wamp.session.on_join", "limen.anything"):
        verdict = rules.verdict("call", uri)
        assert verdict is not None
        assert not verdict.allow
    verdict = rules.over("subscribe", "prefix", "")
    assert verdict is not None
    assert verdict.allow, "which reaches nothing of it either"


def test_what_one_of_several_roles_allows_is_allowed_in_the_way_of_the_first_that_does() -> None:
    roles = (
        Role(name="none"),
        Role(name="user", rules=(Rule(uri="a", allow=("call",), trust=1, disclose=("caller",)),)),
        Role(name="admin", rules=(Rule(uri="a", allow=("call",), trust=9),)),
    )
    verdict = Rules(roles).verdict("call", "a")
    assert verdict is not None
    assert (verdict.allow, verdict.trust, verdict.disclose) == (True, 1, True)


def test_disclosure_goes_with_the_action_that_it_is_for() -> None:
    rule = Rule(uri="a", allow=("call", "publish"), disclose=("publisher",), disclose_me=False)
    rules = Rules([Role(name="user", rules=(rule,))])
    call, publish = rules.verdict("call", "a"), rules.verdict("publish", "a")
    assert call is not None
    assert publish is not None
    assert (call.disclose, call.may_disclose, publish.disclose) == (False, False, True)


def test_taking_a_registration_away_is_allowed_by_itself() -> None:
    rules = (
        Rule(uri="a.", match="prefix", allow=("register",), force_reregister=True),
        Rule(uri="a.b", allow=("register",)),
    )
    compiled = Rules([Role(name="user", rules=rules)])
    asked = {uri: compiled.over(FORCE, "exact", uri) for uri in ("a.a", "a.b", "b")}
    assert {uri: verdict is not None and verdict.allow for uri, verdict in asked.items()} == {
        "a.a": True,
        "a.b": False,
        "b": False,
    }
    verdict = compiled.over(FORCE, "prefix", "a.")
    assert verdict is not None
    assert not verdict.allow


def test_made_up_uris_do_not_make_it_grow() -> None:
    rules = Rules([Role(name="guest")])
    for number in range(KEPT + 10):
        rules.verdict("call", f"a.{number}")
        rules.over("subscribe", "prefix", f"a.{number}")
    assert len(rules._verdicts["call"]) <= KEPT
    assert len(rules._patterns["subscribe", "prefix"]) <= KEPT
    long = Rules([Role(name="guest", rules=(Rule(uri="a", match="prefix", allow=("call", "subscribe")),))])
    uri = "a" * (LONG + 1)
    assert long.verdict("call", uri) is long.over("subscribe", "prefix", uri) is ALLOWED
    assert not long._verdicts["call"]
    assert not long._patterns["subscribe", "prefix"]
