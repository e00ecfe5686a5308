"""Grounds: below an application's address only the party of a session reaches it, whatever the rules say."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from limen import App
from limen.base.principal import Principal
from limen.core.wamp.session import Session

PLACE = "shop.x7c2"
OURS = [
    ("call", f"{PLACE}.desk.controller.save", None),
    ("publish", f"{PLACE}.desk.controller.on_saved", None),
    ("subscribe", f"{PLACE}.on_open", None),
    ("subscribe", f"{PLACE}.", "prefix"),
    ("subscribe", f"{PLACE}.desk.controller.", "wildcard"),
    ("register", f"{PLACE}.client.desk.logout", None),
    ("register", f"{PLACE}.client.", "prefix"),
]
NOBODYS = [
    ("call", f"{PLACE}x.desk", None),
    ("call", "shop", None),
    ("call", "shop.end", None),
    ("call", "shop.on_begin", None),
    ("publish", "shop.on_begin", None),
    ("subscribe", "shop.on_begin", "prefix"),
    ("subscribe", "shop.on_begin", "wildcard"),
    ("call", "shop.", None),
    ("subscribe", "shop.", "prefix"),
    ("subscribe", "shop", "prefix"),
    ("subscribe", "", "prefix"),
    ("subscribe", PLACE, "prefix"),
    ("subscribe", "shop..on_open", "wildcard"),
    ("subscribe", "..desk", "wildcard"),
    ("register", "shop.start_session", None),
    ("register", "shop.", "prefix"),
    ("register", "s", "prefix"),
    ("register", ".start_session", "wildcard"),
    ("register", PLACE, None),
    ("register", f"{PLACE}.", "prefix"),
    ("register", f"{PLACE}.desk.controller.save", None),
    ("register", f"{PLACE}.client", "prefix"),
    ("register", f"{PLACE}.client", None),
    ("register", f"{PLACE}.clients.x", None),
    ("register", f"{PLACE}..desk.logout", "wildcard"),
    ("register", f"{PLACE}.desk.", "prefix"),
]


def one(app: App, id: int, user: str | None = None, tab: str = "", **more: Any) -> Session:
    peer = SimpleNamespace(tab=SimpleNamespace(id=tab) if tab else None)
    return Session(id, principal=app.local(user, **more), peer=peer)


def may(app: App, who: Session, action: str, uri: str, match: str | None) -> bool:
    return app.authorize(who, action, uri, {} if match is None else {"match": match}).allow


def begun(policy: Any = None, **more: Any) -> App:
    """The App of a shop, whose place is that of ada's tab; the rules allow anybody anything."""
    app = App()
    app.open_realms = True

    async def begin() -> None:
        await app.parties.declare("localhost", "shop", policy=policy, **more)
        await app.parties.admit("localhost", PLACE, "tab1 ada")

    asyncio.run(begin())
    return app


@pytest.mark.parametrize(("action", "uri", "match"), OURS)
def test_the_party_reaches_what_is_its_own_and_nobody_else_does(action: str, uri: str, match: str | None) -> None:
    app = begun()
    assert may(app, one(app, 1, "ada", "tab1"), action, uri, match)
    assert may(app, one(app, 2, "ada", "tab1"), action, uri, match), "the same tab, with a new connection"
    for other in (one(app, 1), one(app, 1, "ada"), one(app, 1, "ada", "tab2"), one(app, 1, "bob", "tab1")):
        assert not may(app, other, action, uri, match)


@pytest.mark.parametrize(("action", "uri", "match"), NOBODYS)
def test_what_is_more_than_one_place_is_nobodys(action: str, uri: str, match: str | None) -> None:
    app = begun()
    for who in (one(app, 1, "ada", "tab1"), one(app, 1, "bob", "tab2"), one(app, 1)):
        assert not may(app, who, action, uri, match)


def test_beside_the_ground_rules_count_as_ever() -> None:
    app = begun()
    for who in (one(app, 1), one(app, 1, "bob", "tab2")):
        assert may(app, who, "subscribe", "shops.", "prefix")
        assert may(app, who, "publish", "shopping.list", None)
    assert app.authorize(one(app, 1), "publish", "news", {}).disclose is False


def test_who_has_not_logged_in_begins_only_where_that_is_said() -> None:
    start = ("call", "shop.start_session", None)
    app = begun()
    assert may(app, one(app, 1, "bob", "tab9"), *start)
    assert not may(app, one(app, 1), *start)
    signed = Principal("localhost", user="bob")
    assert not may(app, Session(1, principal=signed), *start), "by a key, unsealed"
    assert may(begun(safe=False), one(app, 1), *start)
    assert not may(begun(roles=["clerk"]), one(app, 1, "bob", "tab9"), *start)
    assert may(begun(roles=["clerk"]), one(app, 1, "eve", "tab8", roles=("clerk",)), *start)


def test_without_a_login_the_place_is_one_wamp_sessions() -> None:
    app = begun(safe=False)
    asyncio.run(app.parties.admit("localhost", "shop.y", "4711"))
    assert may(app, one(app, 4711), "call", "shop.y.end", None)
    assert not may(app, one(app, 4712), "call", "shop.y.end", None)


def test_a_policy_names_others_and_they_register_nothing() -> None:
    asked = []

    def policy(id: int | None, user: str | None, role: str, place: str) -> bool:
        asked.append((id, user, role, place))
        return user == "bob"

    app = begun(policy)
    bob, eve = one(app, 5, "bob", "tab2"), one(app, 6, "eve", "tab3")
    assert may(app, bob, "call", f"{PLACE}.desk.controller.save", None)
    assert may(app, bob, "subscribe", f"{PLACE}.", "prefix")
    assert not may(app, bob, "register", f"{PLACE}.client.", "prefix")
    assert not may(app, eve, "call", f"{PLACE}.desk.controller.save", None)
    assert set(asked) == {(5, "bob", "user", PLACE), (6, "eve", "user", PLACE)}
    asked.clear()
    assert not may(app, bob, "call", "shop.other.save", None)
    assert asked == [], "what is not there, no policy is asked for"


def test_a_place_that_has_another_party_or_none_is_not_the_first_ones() -> None:
    app = begun()
    ada, call = one(app, 1, "ada", "tab1"), ("call", f"{PLACE}.end", None)
    asyncio.run(app.parties.admit("localhost", PLACE, "tab5 ada"))
    assert not may(app, ada, *call)
    assert may(app, one(app, 2, "ada", "tab5"), *call)
    app.parties.dismiss("localhost", PLACE)
    assert not may(app, one(app, 2, "ada", "tab5"), *call)


def test_a_ground_is_one_domains_and_ends() -> None:
    app = begun()
    there = one(app, 1, domain="other.example")
    assert may(app, there, "call", f"{PLACE}.end", None)
    app.parties.withdraw("localhost", "shop")
    assert may(app, one(app, 3), "subscribe", "shop.", "prefix")


def test_grounds_do_not_lie_in_each_other() -> None:
    app = begun()
    for uri in ("shop", "shop.inner"):
        with pytest.raises(ValueError, match="shop is one already"):
            asyncio.run(app.parties.declare("localhost", uri))


def test_who_may_not_does_not_learn_whether_anything_is_there() -> None:
    app = begun()
    eve = one(app, 6, "eve", "tab3")
    assert app.authorize(eve, "call", f"{PLACE}.end", {}) == app.authorize(eve, "call", "shop.nothing", {})
    assert app.authorize(eve, "call", f"{PLACE}.end", {}).error == "wamp.error.no_such_procedure"
