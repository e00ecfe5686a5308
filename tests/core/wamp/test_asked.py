"""What a realm does while it waits to hear whether a session may."""

from __future__ import annotations

from edge import Edge, failed

from limen.core.wamp.effects import Ask, Effects, Violation
from limen.core.wamp.messages import Call, Event, Goodbye, Publish, Published, Register, Registered, Subscribe, Yield
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED, DENIED, Verdict
from limen.exc import InvalidValue


def asking() -> Edge:
    """A realm whose "slow" addresses are asked about."""
    return Edge("local", authorize=lambda session, action, uri: None if uri.startswith("slow") else True)


def test_what_is_asked_waits_and_then_happens() -> None:
    edge = asking()
    peer = edge.join()
    assert peer.send(Register(1, {}, "slow.add")) == []
    assert [(ask.action, ask.uri) for ask in edge.asked] == [("register", "slow.add")]
    edge.act(edge.realm.decide(peer.session, ALLOWED))
    assert isinstance(peer.one(), Registered)


def test_what_is_denied_says_so() -> None:
    edge = asking()
    peer = edge.join()
    peer.send(Publish(1, {"acknowledge": True}, "slow.said"))
    edge.act(edge.realm.decide(peer.session, DENIED))
    assert failed(peer.one(), "wamp.error.not_authorized")


def test_what_is_said_meanwhile_keeps_its_order() -> None:
    edge = asking()
    listener, peer = edge.join(), edge.join()
    subscription = listener.subscribe("other")
    peer.send(Publish(1, {"acknowledge": True}, "slow.said"))
    assert peer.send(Publish(2, {"acknowledge": True}, "other", [2])) == []
    edge.act(edge.realm.refuse(peer.session, Publish(3, {"acknowledge": True}, "other"), InvalidValue("no")))
    peer.send(Subscribe(4, {}, "slow.topic"))
    peer.send(Publish(5, {"acknowledge": True}, "other", [5]))
    assert listener.take() == peer.take() == []
    edge.act(edge.realm.decide(peer.session, ALLOWED))
    published, second, third = peer.take()
    assert isinstance(published, Published)
    assert (second.request, third.request) == (2, 3)
    assert [event.args for event in listener.take() if isinstance(event, Event)] == [[2]]
    assert [ask.uri for ask in edge.asked] == ["slow.said", "slow.topic"]
    edge.act(edge.realm.decide(peer.session, ALLOWED))
    assert [type(message).__name__ for message in peer.take()] == ["Subscribed", "Published"]
    assert [(e.subscription, e.args) for e in listener.take() if isinstance(e, Event)] == [(subscription, [5])]


def test_its_answers_to_others_are_not_held() -> None:
    edge = asking()
    caller, callee = edge.join(), edge.join()
    callee.register("add")
    caller.send(Call(1, {}, "add"))
    (invocation,) = callee.take()
    callee.send(Publish(2, {}, "slow.said"))
    callee.send(Yield(invocation.request, {}, [3]))
    assert caller.one().args == [3]


def test_a_goodbye_waits_its_turn_and_a_cut_does_not() -> None:
    edge = asking()
    peer = edge.join()
    peer.send(Publish(1, {"acknowledge": True}, "slow.said"))
    assert peer.send(Goodbye({}, "wamp.close.close_realm")) == []
    edge.act(edge.realm.decide(peer.session, ALLOWED))
    assert [type(message).__name__ for message in peer.take()] == ["Published", "Goodbye"]
    gone = edge.join()
    gone.send(Publish(1, {"acknowledge": True}, "slow.said"))
    gone.drop()
    edge.act(edge.realm.decide(gone.session, ALLOWED))
    assert gone.take() == []


def test_a_request_out_of_order_is_a_violation_also_when_it_was_held() -> None:
    edge = asking()
    peer = edge.join()
    peer.send(Publish(1, {}, "slow.said"))
    peer.send(Publish(3, {}, "other"))
    assert not peer.closed
    edge.act(edge.realm.decide(peer.session, ALLOWED))
    assert peer.closed


def test_a_violation_that_shows_only_after_the_verdict_ends_the_session() -> None:
    edge = asking()
    peer = edge.join()

    def call(session: Session, message: Call, verdict: Verdict | None = None) -> Effects:
        if verdict is None:
            return (Ask(session, "call", message.procedure, {}),)
        raise Violation("not like this")

    edge.realm._requests[Call] = call
    peer.send(Call(1, {}, "slow.add"))
    assert not peer.closed
    edge.act(edge.realm.decide(peer.session, ALLOWED))
    assert peer.one().details == {"message": "not like this"}
    assert peer.closed
    assert edge.realm.sessions == {}
