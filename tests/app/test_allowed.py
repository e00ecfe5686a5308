"""What sessions may do in a realm of `limen serve`, seen by one who wants more: a pattern opens nothing that is closed
by itself, neither now nor later."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from limen import App
from limen.base.principal import Principal
from limen.service.rule import Rule

WAYS_IN = [
    ("", "prefix"),
    ("ward", "prefix"),
    ("ward.", "prefix"),
    ("ward.c", "prefix"),
    ("ward.changed", "prefix"),
    (".changed", "wildcard"),
    ("ward.", "wildcard"),
    (".", "wildcard"),
    ("ward.changed", "wildcard"),
]
"""Patterns that stand for ward.changed."""


def session(app: App, user: str | None = None, **more: Any) -> Any:
    return SimpleNamespace(principal=app.local(user, **more))


def may(app: App, who: Any, pattern: str, match: str, action: str = "subscribe") -> bool:
    return app.authorize(who, action, pattern, {"match": match}).allow


@pytest.fixture
def app() -> App:
    """ward.changed is for nurses in sealed sessions; anybody may do whatever no topic stands for."""
    app = App()
    app.topic("ward.changed", roles=["nurse"])
    app.topic("news", safe=False)
    app.open_realms = True
    return app


@pytest.mark.parametrize(("pattern", "match"), WAYS_IN)
def test_a_topic_that_is_closed_to_somebody_is_not_heard_by_a_pattern(app: App, pattern: str, match: str) -> None:
    assert not may(app, session(app), pattern, match)
    assert not may(app, session(app, "bob"), pattern, match)
    assert may(app, session(app, "ada", roles=("nurse",)), pattern, match)


@pytest.mark.parametrize(
    ("pattern", "match"),
    [("wards", "prefix"), ("ward.x", "prefix"), ("news", "prefix"), ("ward..x", "wildcard"), (".change", "wildcard")],
)
def test_one_that_does_not_stand_for_it_is_open(app: App, pattern: str, match: str) -> None:
    assert may(app, session(app), pattern, match)


@pytest.mark.parametrize(("pattern", "match"), [*WAYS_IN, ("news", "prefix"), ("news", "wildcard")])
def test_where_nothing_is_open_no_pattern_is(app: App, pattern: str, match: str) -> None:
    app.open_realms = False
    for who in (session(app), session(app, "ada", roles=("nurse",))):
        for action in ("subscribe", "register"):
            assert not may(app, who, pattern, match, action)


# -- rules ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("pattern", "match", "allowed"),
    [
        ("sensor.", "prefix", True),
        ("sensor.1", "prefix", True),
        ("sensor..read", "wildcard", True),
        ("sensor.", "wildcard", True),
        ("sensor", "prefix", False),
        ("sens", "prefix", False),
        ("", "prefix", False),
        (".1", "wildcard", False),
        (".", "wildcard", False),
        ("alarm", "prefix", False),
        ("alarm", "wildcard", False),
        ("alar", "prefix", False),
    ],
)
def test_a_rule_allows_the_patterns_that_stay_within_it(pattern: str, match: str, allowed: bool) -> None:
    app = App()
    app.realm_rule(["subscribe", "register"], "sensor.", match="prefix", safe=False)
    app.realm_rule(["subscribe", "register"], "alarm", safe=False)
    for action in ("subscribe", "register"):
        assert may(app, session(app), pattern, match, action) is allowed


def test_a_rule_is_for_whom_it_names_with_patterns_too() -> None:
    app = App()
    app.realm_rule("subscribe", "sensor.", match="prefix", roles=["nurse"])
    assert not may(app, session(app), "sensor.", "prefix")
    assert not may(app, session(app, "bob"), "sensor.", "prefix")
    assert may(app, session(app, "ada", roles=("nurse",)), "sensor.", "prefix")
    assert not may(app, session(app, "ada", roles=("nurse",)), "sensor.", "prefix", "register")
    assert not may(app, session(app, "ada", roles=("nurse",), domain="b.example"), "", "prefix")


@pytest.mark.parametrize("match", ["exact", "prefix"])
def test_only_a_rule_that_names_the_routers_own_opens_it(match: str) -> None:
    anybody = Principal("localhost")
    everything = Rule(["call", "subscribe"], "", match="prefix", safe=False)
    meta = Rule(["call", "subscribe"], "wamp.session.", match="prefix", safe=False)
    for action, uri in (("call", "wamp.session.kill"), ("subscribe", "wamp.session.on_join")):
        assert not everything.allows(anybody, action, uri)
        assert meta.allows(anybody, action, uri)
    assert not meta.allows(anybody, "call", "wamp.subscription.get")
    assert not everything.allows(anybody, "subscribe", "wamp.", "prefix")
    assert not everything.allows(anybody, "subscribe", "wamp..on_join", "wildcard")
    assert meta.allows(anybody, "subscribe", "wamp.session.", "prefix")
    assert everything.allows(anybody, "subscribe", "", "prefix")


def test_the_meta_api_is_closed_by_default_and_open_where_realms_are() -> None:
    app = App()
    who = session(app, "ada", roles=("admin",))
    for uri in ("wamp.session.list", "wamp.session.kill_all", "wamp.subscription.get_events"):
        assert not app.authorize(who, "call", uri, {}).allow
    assert not app.authorize(who, "subscribe", "wamp.session.on_join", {}).allow
    app.open_realms = True
    assert app.authorize(who, "call", "wamp.session.list", {}).allow


# -- permissions that were given at run time --------------------------------------------------------------------
@pytest.mark.parametrize(("pattern", "match"), [*WAYS_IN, ("ward.changed.", "prefix"), ("..x", "wildcard")])
def test_what_is_given_to_a_role_is_not_heard_by_others_with_a_pattern(pattern: str, match: str) -> None:
    app = App()
    app.open_realms = True
    with app.in_memory():
        app.open_realms = True
        assert may(app, session(app), pattern, match)
        app.auth.grant("chief", "ward.")
        assert not may(app, session(app, "bob"), pattern, match)
        assert may(app, session(app, "cleo", roles=("chief",)), pattern, match)


def test_of_several_permissions_all_that_may_decide_must_give_it() -> None:
    app = App()
    with app.in_memory():
        app.open_realms = True
        app.auth.grant("nurse", "ward.")
        app.auth.grant("chief", "ward.keys.")
        nurse, chief = session(app, "ada", roles=("nurse",)), session(app, "cleo", roles=("chief",))
        for pattern, match, who in (
            ("ward.", "prefix", ""),
            ("ward.keys", "prefix", ""),
            ("ward.keys.", "prefix", "chief"),
            ("ward.keys.", "wildcard", "chief"),
            ("ward.list", "prefix", "nurse"),
            ("ward.list.", "wildcard", "nurse"),
            ("ward.", "wildcard", ""),
            ("..1", "wildcard", ""),
            ("shop.", "prefix", "nurse chief"),
        ):
            assert may(app, nurse, pattern, match) is ("nurse" in who), pattern
            assert may(app, chief, pattern, match) is ("chief" in who), pattern


def test_the_match_of_a_publication_or_a_call_says_nothing(app: App) -> None:
    for action in ("publish", "call"):
        assert app.authorize(session(app), action, "ward.changed", {"match": "prefix"}) == app.authorize(
            session(app), action, "ward.changed", {}
        )
    assert not app.authorize(session(app), "publish", "ward.changed", {"match": "prefix"}).allow
