"""Section "Subscriptions Meta API": what is subscribed, by whom, and who is told when that changes."""

from __future__ import annotations

from typing import Any

import pytest
from hall import Hall, Refused

from limen.core.wamp.messages import Event, Subscribe, Subscribed
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED, DENIED

CREATED = "1970-01-12T13:46:40.000Z"
"""What the hall's clock says."""
ON = {f"wamp.subscription.on_{what}": what for what in ("create", "subscribe", "unsubscribe", "delete")}


def watched(hall: Hall, **who: Any) -> tuple[Any, Any]:
    """Somebody who watches, and what reads what that one has heard: (what, args)."""
    watcher = hall.come(**who)
    watcher.listen("wamp.subscription.", "prefix")
    watcher.take()

    def heard() -> list[Any]:
        return [(ON[event.details["topic"]], event.args) for event in watcher.events()]

    return watcher, heard


# -- events -----------------------------------------------------------------------------------------------------
def test_the_life_of_a_subscription() -> None:
    hall = Hall()
    _, heard = watched(hall)
    ann, bob = hall.come("ann"), hall.come("bob")
    a, b = ann.session.id, bob.session.id
    id = ann.listen("x.y", "prefix")
    about = {"id": id, "created": CREATED, "uri": "x.y", "match": "prefix"}
    assert heard() == [("create", [a, about]), ("subscribe", [a, id])]
    bob.listen("x.y", "prefix")
    ann.listen("x.y", "prefix")
    assert heard() == [("subscribe", [b, id])]
    ann.leave(id)
    assert heard() == [("unsubscribe", [a, id])]
    bob.leave(id)
    assert heard() == [("unsubscribe", [b, id]), ("delete", [b, id])]


def test_who_is_cut_has_unsubscribed_too() -> None:
    hall = Hall()
    _, heard = watched(hall)
    ann = hall.come("ann")
    ids = [ann.listen("x.y"), ann.listen("x.z")]
    heard()
    ann.drop()
    a = ann.session.id
    assert heard() == [(what, [a, id]) for id in ids for what in ("unsubscribe", "delete")]


def test_the_answer_comes_before_what_is_told_of_it() -> None:
    hall = Hall()
    ann = hall.come()
    ann.listen("wamp.subscription.on_subscribe")
    ann.take()
    first, second = ann.send(Subscribe(ann.id(), {}, "x.y"))
    assert isinstance(first, Subscribed)
    assert isinstance(second, Event)
    assert second.args == [ann.session.id, first.subscription]


def test_it_costs_nothing_where_nobody_listens() -> None:
    hall = Hall()
    ann = hall.come()
    effects = hall.realm.receive(ann.session, Subscribe(1, {}, "x.y"))
    assert len(effects) == 1


# -- procedures -------------------------------------------------------------------------------------------------
def test_what_there_is() -> None:
    hall = Hall()
    ann, bob = hall.come(), hall.come()
    exact, prefix, wild = ann.listen("x.y"), ann.listen("x.", "prefix"), bob.listen(".y", "wildcard")
    bob.listen("x.y")
    assert bob.call("wamp.subscription.list") == {"exact": [exact], "prefix": [prefix], "wildcard": [wild]}
    assert bob.call("wamp.subscription.lookup", "x.y") == exact
    assert bob.call("wamp.subscription.lookup", "x.y", {"match": "exact"}) == exact
    assert bob.call("wamp.subscription.lookup", "x.y", {"match": None}) == exact
    assert bob.call("wamp.subscription.lookup", "x.", {"match": "prefix"}) == prefix
    assert bob.call("wamp.subscription.lookup", ".y", {"match": "wildcard"}) == wild
    assert bob.call("wamp.subscription.lookup", "x.y", {"match": "prefix"}) is None
    assert sorted(bob.call("wamp.subscription.match", "x.y")) == sorted([exact, prefix, wild])
    assert bob.call("wamp.subscription.match", "x.z") == [prefix]
    assert bob.call("wamp.subscription.match", "q.z.z") is None
    assert bob.call("wamp.subscription.get", wild) == {"id": wild, "created": CREATED, "uri": ".y", "match": "wildcard"}
    assert bob.call("wamp.subscription.list_subscribers", exact) == [ann.session.id, bob.session.id]
    assert bob.call("wamp.subscription.count_subscribers", exact) == 2


@pytest.mark.parametrize("uri", ["get", "list_subscribers", "count_subscribers", "get_events"])
def test_what_is_gone_is_none(uri: str) -> None:
    hall = Hall()
    ann, bob = hall.come(), hall.come()
    id = ann.listen("x.y")
    ann.drop()
    for gone in (id, 999, 0, -1):
        with pytest.raises(Refused, match=r"^wamp\.error\.no_such_subscription$"):
            bob.call(f"wamp.subscription.{uri}", gone)
    assert bob.call("wamp.subscription.lookup", "x.y") is None
    assert bob.call("wamp.subscription.list") == {"exact": [], "prefix": [], "wildcard": []}


@pytest.mark.parametrize(
    ("uri", "args"),
    [
        ("lookup", []),
        ("lookup", [5]),
        ("lookup", ["x", "prefix"]),
        ("match", []),
        ("get", []),
        ("get", ["x"]),
        ("list_subscribers", [None]),
        ("count_subscribers", [True]),
        ("get_events", []),
    ],
)
def test_what_is_no_argument_is_refused(uri: str, args: list[Any]) -> None:
    with pytest.raises(Refused, match=r"^wamp\.error\.invalid_argument$"):
        Hall().come().call(f"wamp.subscription.{uri}", *args)


@pytest.mark.parametrize("match", ["regex", "", 5, 0, ["exact"], {}])
def test_another_way_to_match_is_refused(match: Any) -> None:
    with pytest.raises(Refused, match="invalid_argument"):
        Hall().come().call("wamp.subscription.lookup", "x", {"match": match})


def test_each_procedure_is_called_only_where_that_is_allowed() -> None:
    hall = Hall(lambda session, action, uri, options: DENIED if action == "call" else ALLOWED)
    ann = hall.come()
    id = ann.listen("x.y")
    for uri in hall.realm._meta.methods:
        with pytest.raises(Refused, match=r"^wamp\.error\.not_authorized$"):
            ann.call(uri, id)


# -- who is not told of -----------------------------------------------------------------------------------------
def test_of_sealed_subscribers_only_sealed_sessions_hear() -> None:
    hall = Hall()
    plain, heard = watched(hall)
    ann, heard_sealed = watched(hall, sealed=True)
    heard()
    secret, shared = ann.listen("secret"), ann.listen("shared")
    assert len(heard_sealed()) == 4
    plain.listen("shared")
    assert heard() == heard_sealed() == [("subscribe", [plain.session.id, shared])]
    assert plain.call("wamp.subscription.lookup", "secret") is None
    assert plain.call("wamp.subscription.match", "secret") is None
    assert plain.call("wamp.subscription.list")["exact"] == [shared]
    assert plain.call("wamp.subscription.list_subscribers", shared) == [plain.session.id]
    assert plain.call("wamp.subscription.count_subscribers", shared) == 1
    for uri in ("get", "list_subscribers", "count_subscribers", "get_events"):
        with pytest.raises(Refused, match="no_such_subscription"):
            plain.call(f"wamp.subscription.{uri}", secret)
    assert ann.call("wamp.subscription.count_subscribers", shared) == 2
    ann.drop()
    assert heard() == []


def test_of_those_of_other_processes_nobody_hears() -> None:
    hall = Hall()
    _, heard = watched(hall)
    ghost = Session(2**53 + 1)
    hall.act(hall.realm.attach(ghost))
    hall.act(hall.realm.receive(ghost, Subscribe(1, {}, "x.y"))[1:])
    hall.act(hall.realm.detach(ghost))
    assert heard() == []
