"""Sessions come, break the rules and go; nothing of them stays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.base.principal import Principal
from limen.core.wamp.messages import (
    Abort,
    Authenticate,
    Call,
    Challenge,
    Error,
    Event,
    Goodbye,
    Hello,
    Invocation,
    Publish,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Welcome,
    Yield,
)
from limen.core.wamp.session import Greeting, Session, handshake

sys.path.insert(0, str(Path(__file__).parent))
from edge import CAN, Edge, failed

ROLES = {"caller": {}}


# -- the first message ------------------------------------------------------------------------------------------
def greet(message: Any, *methods: str) -> Any:
    return handshake(message, {"a.example": methods or ("anonymous",)}.get)


@pytest.mark.parametrize("methods", [None, [], ["anonymous"], ["opaque", "anonymous"]])
def test_a_hello_may_go_on(methods: Any) -> None:
    assert greet(Hello("a.example", {"roles": ROLES, "authmethods": methods, "authid": ""})) == Greeting(
        "a.example", "anonymous", "", {}, ROLES
    )


def test_the_first_method_of_the_client_that_the_door_takes_wins() -> None:
    hello = Hello("a.example", {"roles": ROLES, "authmethods": ["x", "resume", "opaque"], "authid": "ann"})
    assert greet(hello, "opaque", "resume").method == "resume"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Call(1, {}, "x"), "wamp.error.protocol_violation"),
        (Welcome(1, {}), "wamp.error.protocol_violation"),
        (Goodbye({}, "wamp.close.close_realm"), "wamp.error.protocol_violation"),
        (Hello("a.example", {}), "wamp.error.protocol_violation"),
        (Hello("a.example", {"roles": {}}), "wamp.error.protocol_violation"),
        (Hello("a.example", {"roles": []}), "wamp.error.protocol_violation"),
        (Hello("a.example", {"roles": {"king": {}}}), "wamp.error.protocol_violation"),
        (Hello("a.example", {"roles": ROLES, "authmethods": "opaque"}), "wamp.error.protocol_violation"),
        (Hello("a.example", {"roles": ROLES, "authid": 5}), "wamp.error.protocol_violation"),
        (Hello("a.example", {"roles": ROLES, "authextra": [1]}), "wamp.error.protocol_violation"),
        (Hello("b.example", {"roles": ROLES}), "wamp.error.no_such_realm"),
        (Hello("", {"roles": ROLES}), "wamp.error.no_such_realm"),
        (Hello("a.example", {"roles": ROLES, "authmethods": ["nonsense", 1]}), "wamp.error.no_matching_auth_method"),
    ],
)
def test_anything_else_is_aborted(message: Any, reason: str) -> None:
    abort = greet(message)
    assert isinstance(abort, Abort)
    assert abort.reason == reason


@pytest.mark.parametrize(
    "roles", [None, [], {"callee": None}, {"callee": {"features": [1]}}, {"callee": {"features": None}}]
)
def test_roles_that_are_not_well_formed_announce_nothing(roles: Any) -> None:
    session = Session(1, roles=roles)
    assert not session.can_be_interrupted
    assert not session.can_progress


def test_a_session_has_the_roles_of_its_principal() -> None:
    assert Session(1, Principal("a.example", roles=("admin", "staff"))).authroles == {"admin", "staff"}


# -- request ids ------------------------------------------------------------------------------------------------
def test_all_kinds_of_request_share_one_count_from_one() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    assert isinstance(peer.send(Subscribe(1, {}, "x.t"))[0], Subscribed)
    assert isinstance(peer.send(Register(2, {}, "x.a"))[0], Registered)
    peer.send(Publish(3, {}, "x.t"))
    peer.send(Call(4, {}, "x.local"))
    assert failed(*peer.send(Call(5, {}, "x.none")), "wamp.error.no_such_procedure")
    assert not peer.closed


@pytest.mark.parametrize("number", [1, 3, 17, 2**53])
def test_a_request_id_out_of_order_ends_the_session(number: int) -> None:
    peer = Edge().join()
    peer.subscribe("x.t")
    (abort,) = peer.send(Subscribe(number, {}, "x.u"))
    assert isinstance(abort, Abort)
    assert abort.reason == "wamp.error.protocol_violation"
    assert peer.closed


# -- violations -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "message",
    [
        Hello("a.example", {"roles": ROLES}),
        Welcome(5, {}),
        Challenge("ticket", {}),
        Authenticate("x", {}),
        Subscribed(1, 2),
        Registered(1, 2),
        Event(1, 2, {}),
        Invocation(1, 1, {}),
        Result(1, {}),
        Error(5, 1, {}, "x.e"),
        Error(48, 1, {}, "x.e"),
        Error(68, 4711, {}, "x.e"),
        Yield(4711, {}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_an_offender_is_aborted_and_everything_of_it_disposed(message: Any) -> None:
    edge = Edge()
    offender, other = edge.join(CAN), edge.join(CAN)
    offender.register("x.a")
    offender.subscribe("x.t")
    other.register("x.b")
    other.send(Call(other.id(), {}, "x.a"))
    offender.take()
    offender.send(Call(offender.id(), {}, "x.b"))
    other.take()
    (abort,) = offender.send(message)
    assert isinstance(abort, Abort)
    assert abort.reason == "wamp.error.protocol_violation"
    assert offender.closed
    error, interrupt = other.take()
    assert failed(error, "wamp.error.canceled")
    assert interrupt.options == {"mode": "killnowait", "reason": "wamp.error.canceled"}  # type: ignore[union-attr]
    assert other.register("x.a") > 0
    assert list(edge.realm.sessions) == [other.session.id]
    assert edge.realm._broker._by_uri == {}
    assert offender.send(Call(99, {}, "x.b")) == []


# -- the end ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "reason", ["wamp.close.close_realm", "wamp.close.normal", "wamp.close.system_shutdown", "anything"]
)
def test_goodbye_is_answered_and_the_session_is_over(reason: str) -> None:
    edge = Edge()
    peer = edge.join()
    peer.register("x.a")
    assert peer.send(Goodbye({}, reason)) == [Goodbye({}, "wamp.close.goodbye_and_out")]
    assert peer.closed
    assert edge.realm.sessions == {}
    assert edge.join().register("x.a") == 2


def test_the_answer_to_a_goodbye_is_not_answered() -> None:
    peer = Edge().join()
    assert peer.send(Goodbye({}, "wamp.close.goodbye_and_out")) == []
    assert peer.closed


def test_abort_is_not_answered() -> None:
    edge = Edge()
    peer = edge.join()
    assert peer.send(Abort({}, "wamp.close.system_shutdown")) == []
    assert peer.closed
    assert edge.realm.sessions == {}


def test_leaving_twice_does_no_harm() -> None:
    edge = Edge()
    peer = edge.join()
    peer.drop()
    peer.drop()
    assert edge.realm.sessions == {}


def test_a_session_id_is_taken_once() -> None:
    edge = Edge()
    peer = edge.join()
    with pytest.raises(ValueError, match="already"):
        edge.realm.attach(Session(peer.session.id))
