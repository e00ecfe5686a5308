"""Subscriptions and publications, and who gets which."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.core.wamp.effects import Broadcast
from limen.core.wamp.messages import Error, Event, Publish, Published, Subscribe, Subscribed, Unsubscribe, Unsubscribed
from limen.exc import InvalidValue

sys.path.insert(0, str(Path(__file__).parent))
from edge import Edge, Peer, failed


def test_all_subscribers_of_a_topic_have_one_subscription() -> None:
    edge = Edge()
    a, b = edge.join(), edge.join()
    assert a.subscribe("x.t") == b.subscribe("x.t", match="exact") == a.subscribe("x.t") == 1
    assert a.subscribe("x.u") == 2


def test_one_event_for_each_subscriber_and_one_unsubscribe_ends_it() -> None:
    edge = Edge()
    pub, sub = edge.join(), edge.join()
    sub.subscribe("x.t")
    sub.subscribe("x.t")
    assert pub.send(Publish(pub.id(), {}, "x.t", [1], {"k": 2})) == []
    event = sub.one()
    assert event == Event(1, event.publication, {}, [1], {"k": 2})
    assert sub.send(Unsubscribe(sub.id(), 1)) == [Unsubscribed(3)]
    pub.send(Publish(pub.id(), {}, "x.t"))
    assert sub.take() == []


def test_a_publication_has_one_id_for_everyone() -> None:
    edge = Edge()
    pub, a, b = edge.join(), edge.join(), edge.join()
    a.subscribe("x.t")
    b.subscribe("x.t")
    (published,) = pub.send(Publish(1, {"acknowledge": True}, "x.t"))
    assert isinstance(published, Published)
    assert {published.publication} == {a.one().publication, b.one().publication}


def test_one_body_for_many() -> None:
    edge = Edge()
    pub = edge.join()
    peers = [edge.join() for _ in range(100)]
    for peer in peers:
        peer.subscribe("x.t")
    (effect,) = edge.realm.receive(pub.session, Publish(1, {}, "x.t", [1]))
    assert isinstance(effect, Broadcast)
    assert effect.sessions == [peer.session for peer in peers]


def test_a_topic_without_subscribers_leaves_nothing_behind() -> None:
    edge = Edge()
    a, b = edge.join(), edge.join()
    a.subscribe("x.t")
    b.subscribe("x.t")
    a.drop()
    assert list(edge.realm._broker._by_uri) == ["x.t"]
    b.send(Unsubscribe(b.id(), 1))
    assert edge.realm._broker._by_uri == {}
    assert b.send(Publish(b.id(), {"exclude_me": False}, "x.t")) == []


@pytest.mark.parametrize("uri", ["", "x..t", "x.t ", "x#t", "x.t\n", "\u2003"])
def test_what_is_no_uri_is_refused(uri: str) -> None:
    peer = Edge().join()
    assert failed(*peer.send(Subscribe(1, {}, uri)), "wamp.error.invalid_uri")
    assert failed(*peer.send(Publish(2, {"acknowledge": True}, uri)), "wamp.error.invalid_uri")
    assert peer.send(Publish(3, {}, uri)) == []


@pytest.mark.parametrize("uri", ["wamp.session.on_join", "limen.x"])
def test_nobody_can_forge_an_event_of_the_router(uri: str) -> None:
    edge = Edge()
    peer, other = edge.join(), edge.join()
    other.subscribe(uri)
    assert failed(*peer.send(Publish(1, {"acknowledge": True}, uri)), "wamp.error.invalid_uri")
    assert other.take() == []


def test_publishing_and_subscribing_need_a_rule() -> None:
    edge = Edge(authorize=lambda session, action, uri: uri == f"x.{action}")
    a, b = edge.join(), edge.join()
    assert failed(*a.send(Subscribe(1, {}, "x.publish")), "wamp.error.not_authorized")
    assert isinstance(a.send(Subscribe(2, {}, "x.subscribe"))[0], Subscribed)
    assert failed(*b.send(Publish(1, {"acknowledge": True}, "x.subscribe")), "wamp.error.not_authorized")
    assert b.send(Publish(2, {}, "x.subscribe")) == []
    assert a.take() == []
    assert isinstance(b.send(Publish(3, {"acknowledge": True}, "x.publish"))[0], Published)


@pytest.mark.parametrize("match", ["Prefix", "regex", "", 1, 0, ["exact"], [], True])
def test_a_match_that_is_not_done_is_not_taken_for_exact(match: Any) -> None:
    peer = Edge().join()
    assert failed(*peer.send(Subscribe(1, {"match": match}, "x")), "wamp.error.option_not_allowed")


def test_only_a_subscriber_unsubscribes_and_only_once() -> None:
    edge = Edge()
    a, b = edge.join(), edge.join()
    subscription = a.subscribe("x.t")
    assert failed(*b.send(Unsubscribe(1, subscription)), "wamp.error.no_such_subscription")
    a.send(Unsubscribe(2, subscription))
    assert failed(*a.send(Unsubscribe(3, subscription)), "wamp.error.no_such_subscription")


def test_subscriptions_are_bounded() -> None:
    peer = Edge(max_subscriptions=1).join()
    peer.subscribe("x.a")
    assert failed(*peer.send(Subscribe(2, {}, "x.b")), "wamp.error.unavailable")
    assert isinstance(peer.send(Subscribe(3, {}, "x.a"))[0], Subscribed)


def test_the_publisher_is_left_out_unless_it_says_otherwise() -> None:
    peer = Edge().join()
    peer.subscribe("x.t")
    assert peer.send(Publish(2, {}, "x.t")) == []
    assert peer.send(Publish(3, {"exclude_me": True}, "x.t")) == []
    assert len(peer.send(Publish(4, {"exclude_me": False}, "x.t"))) == 1


# -- black- and whitelists --------------------------------------------------------------------------------------
def four() -> tuple[Edge, Peer, list[Peer]]:
    edge = Edge()
    pub = edge.join()
    peers = [
        edge.join(authid="ann", authroles=["admin", "staff"]),
        edge.join(authid="bob", authroles=["staff"]),
        edge.join(authid="bob"),
    ]
    for peer in peers:
        peer.subscribe("x.t")
    return edge, pub, peers  # sessions 1 and 2, 3, 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "012"),
        ({"exclude": [2]}, "12"),
        ({"exclude": []}, "012"),
        ({"exclude": None}, "012"),
        ({"eligible": [2, 4, 1]}, "02"),
        ({"eligible": []}, ""),
        ({"eligible": [2, 3, 4], "exclude": [3]}, "02"),
        ({"eligible_authid": ["bob"]}, "12"),
        ({"exclude_authid": ["bob", "eve"]}, "0"),
        ({"eligible_authrole": ["staff"]}, "01"),
        ({"exclude_authrole": ["admin"]}, "12"),
        ({"eligible_authrole": ["staff"], "eligible_authid": ["bob"]}, "1"),
        ({"eligible": ["2"]}, ""),
    ],
)
def test_lists_choose_who_gets_an_event(options: dict[str, Any], expected: str) -> None:
    edge, pub, peers = four()
    pub.send(Publish(1, options, "x.t"))
    assert "".join(str(i) for i, peer in enumerate(peers) if peer.take()) == expected
    edge.act(edge.realm.publish("x.t", [1], None, options))
    assert "".join(str(i) for i, peer in enumerate(peers) if peer.take()) == expected


@pytest.mark.parametrize("flawed", [2, "ann", {"a": 1}, [[2]], [{"a": 1}], [True, None]])
@pytest.mark.parametrize("name", ["eligible", "exclude_authid", "eligible_authrole"])
def test_a_list_that_is_none_lets_nothing_out(name: str, flawed: Any) -> None:
    _, pub, peers = four()
    answer = pub.send(Publish(1, {"acknowledge": True, name: flawed}, "x.t"))
    assert failed(*answer, "wamp.error.invalid_argument")
    assert pub.send(Publish(2, {name: flawed}, "x.t")) == []
    assert not any(peer.take() for peer in peers)


# -- the server -------------------------------------------------------------------------------------------------
def test_the_server_publishes_anywhere() -> None:
    edge = Edge(authorize=lambda session, action, uri: action == "subscribe")
    a = edge.join()
    a.subscribe("limen.notice")
    edge.act(edge.realm.publish("limen.notice", ["hi"], {"k": 1}))
    event = a.one()
    assert (event.args, event.kwargs) == (["hi"], {"k": 1})


# -- payloads that do not pass ----------------------------------------------------------------------------------
def test_a_publication_with_a_flawed_payload_is_answered_if_it_asked_for_that() -> None:
    edge = Edge()
    pub, sub = edge.join(), edge.join()
    sub.subscribe("x.t")
    flaw = InvalidValue("No.")
    edge.act(edge.realm.refuse(pub.session, Publish(1, {}, "x.t"), flaw))
    assert pub.take() == []
    edge.act(edge.realm.refuse(pub.session, Publish(2, {"acknowledge": True}, "x.t"), flaw))
    assert pub.take() == [Error(16, 2, {}, flaw.uri, ["No."], flaw.to_wire())]
    assert sub.take() == []
    assert edge.realm.undeliverable(sub.session, Event(1, 1, {}), flaw) == ()
