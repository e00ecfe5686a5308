"""Section "Registration Meta API": what the realm answers about its registrations, and what it says happens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.core.wamp.calls.registrations import Endpoint
from limen.core.wamp.messages import MAX_ID, Call, Error, Event, Register, Registered, Result, Unregister, Unregistered
from limen.core.wamp.session import Session

sys.path.insert(0, str(Path(__file__).parent))
from edge import Edge, Peer

API = "wamp.registration."
NO_REGISTRATION = "wamp.error.no_such_registration"
INVALID = "wamp.error.invalid_argument"


def ask(peer: Peer, name: str, *args: Any, **options: Any) -> Any:
    """The value of the RESULT; of an ERROR its reason in a list."""
    answer = peer.call(API + name, *args, **options)
    if isinstance(answer, Error):
        assert answer.args, "it says what is wrong"
        return [answer.error]
    assert isinstance(answer, Result)
    assert answer.args is not None
    (value,) = answer.args
    assert not peer.session.calls
    return value


def made() -> tuple[Edge, Peer, list[Peer]]:
    """A realm with three registrations: 1 exact and shared by two, 2 a prefix, 3 a wildcard."""
    edge = Edge("x.local", wall=lambda: 1234567890.5)
    asker, a, b = edge.join(), edge.join(), edge.join({"registration_revocation": True})
    for callee in (a, b):
        callee.register("x.a", invoke="first")
    a.register("x", match="prefix")
    b.register("x..z", match="wildcard")
    return edge, asker, [a, b]


def test_registrations_are_listed_by_how_they_match() -> None:
    assert ask(made()[1], "list") == {"exact": [1], "prefix": [2], "wildcard": [3]}
    assert ask(Edge().join(), "list") == {"exact": [], "prefix": [], "wildcard": []}


def test_look_up_finds_what_was_registered_and_match_what_is_called() -> None:
    _, asker, _ = made()
    assert ask(asker, "lookup", "x.a") == ask(asker, "lookup", "x.a", {"match": "exact"}) == 1
    assert ask(asker, "lookup", "x", {"match": "prefix"}) == 2
    assert ask(asker, "lookup", "x..z", {"match": "wildcard"}) == 3
    assert ask(asker, "lookup", "x") is ask(asker, "lookup", "x.a", {"match": "prefix"}) is None
    assert [ask(asker, "match", uri) for uri in ("x.a", "x.b.z", "y.b", "wamp.x", "x.")] == [1, 2, None, None, None]


def test_a_registration_is_told_of() -> None:
    _, asker, _ = made()
    created = "2009-02-13T23:31:30.500Z"
    exact = {"id": 1, "created": created, "uri": "x.a", "match": "exact", "invoke": "first"}
    assert ask(asker, "get", 1) == ask(asker, "get", 1.0) == exact
    assert ask(asker, "get", 3)["match"] == "wildcard"


def test_the_callees_of_a_registration() -> None:
    _, asker, (a, b) = made()
    assert ask(asker, "list_callees", 1) == [a.session.id, b.session.id]
    assert ask(asker, "count_callees", 1) == 2
    b.drop()
    assert ask(asker, "list_callees", 1) == [a.session.id]
    a.drop()
    assert ask(asker, "count_callees", 1) == [NO_REGISTRATION]


def test_of_sealed_callees_only_sealed_sessions_hear() -> None:
    _, asker, (a, b) = made()
    a.session.sealed = True
    assert ask(asker, "list_callees", 1) == [b.session.id]
    asker.session.sealed = True
    assert ask(asker, "list_callees", 1) == [a.session.id, b.session.id]


@pytest.mark.parametrize("name", ["get", "list_callees", "count_callees", "remove_callee"])
def test_a_registration_that_is_not_there(name: str) -> None:
    assert ask(made()[1], name, 99, 1) == [NO_REGISTRATION]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("get", []),
        ("get", ["1"]),
        ("get", [True]),
        ("get", [None]),
        ("lookup", []),
        ("lookup", [5]),
        ("lookup", ["x.a", "prefix"]),
        ("lookup", ["x.a", {"match": "regex"}]),
        ("lookup", ["x.a", {"match": ["exact"]}]),
        ("match", [1]),
        ("remove_callee", [1]),
        ("remove_callee", [1, "2"]),
    ],
)
def test_arguments_that_do_not_fit(name: str, args: list[Any]) -> None:
    assert ask(made()[1], name, *args) == [INVALID]


def test_a_callee_can_be_removed() -> None:
    _, asker, (a, b) = made()
    answers = asker.send(call(asker, "remove_callee", [1, b.session.id], {"reason": "moving"}))
    assert answers == [Result(1, {}, [None])]
    assert b.take() == [Unregistered(0, {"registration": 1, "reason": "moving"})]
    assert ask(asker, "remove_callee", 1, b.session.id) == ["wamp.error.no_such_session"]
    assert ask(asker, "remove_callee", 1, a.session.id) is None
    assert a.take() == []  # it has not announced that it would understand
    assert ask(asker, "lookup", "x.a") is None
    assert ask(asker, "match", "x.a") == 2


def call(peer: Peer, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return Call(peer.id(), {}, API + name, args, kwargs)


def test_asking_needs_a_rule() -> None:
    asked: list[tuple[str, str]] = []
    edge = Edge(authorize=lambda session, action, uri: bool(asked.append((action, uri))))  # type: ignore[func-returns-value]
    peer = edge.join()
    assert peer.call(API + "list").error == "wamp.error.not_authorized"
    assert asked == [("call", API + "list")]


def test_what_is_not_in_the_table_is_not_there() -> None:
    assert Edge().join().call(API + "nonsense").error == "wamp.error.no_such_procedure"


# -- what happens -----------------------------------------------------------------------------------------------
def heard() -> tuple[Edge, list[tuple[str, list[Any]]]]:
    edge = Edge()
    said: list[tuple[str, list[Any]]] = []

    def happened(uri: str, args: list[Any], *, about: Any = None) -> Any:
        assert about is not None
        assert about.id == args[0]
        said.append((uri.removeprefix(API), args))
        return ()

    edge.realm._registrar.happened = happened
    return edge, said


def test_a_registration_is_created_joined_left_and_deleted() -> None:
    edge, said = heard()
    a, b = edge.join(), edge.join()
    a.register("x", match="prefix", invoke="last")
    ((create, (session, details)), register) = said
    assert (create, session) == ("on_create", 1)
    assert {**details, "created": ""} == {"id": 1, "created": "", "uri": "x", "match": "prefix", "invoke": "last"}
    assert register == ("on_register", [1, 1])
    said.clear()
    b.register("x", match="prefix", invoke="last")
    assert said == [("on_register", [2, 1])]
    said.clear()
    a.send(Unregister(a.id(), 1))
    assert said == [("on_unregister", [1, 1])]
    said.clear()
    b.drop()
    assert said == [("on_unregister", [2, 1]), ("on_delete", [2, 1])]


def test_who_listens_hears_it_after_the_answer_and_in_order() -> None:
    edge = Edge()
    listener, callee = edge.join(), edge.join()
    topics = {
        listener.subscribe(API + name): name for name in ("on_create", "on_register", "on_unregister", "on_delete")
    }
    own = callee.subscribe(API + "on_register")
    registered, event = callee.send(Register(callee.id(), {"match": "wildcard"}, "x..z"))
    assert isinstance(registered, Registered)
    assert event == Event(own, event.publication, {}, [callee.session.id, registered.registration])  # type: ignore[union-attr]
    assert [topics[e.subscription] for e in listener.take()] == ["on_create", "on_register"]  # type: ignore[union-attr]
    callee.drop()
    assert [topics[e.subscription] for e in listener.take()] == ["on_unregister", "on_delete"]  # type: ignore[union-attr]


def test_a_revocation_is_told_as_well() -> None:
    edge, said = heard()
    a, b = edge.join(), edge.join()
    a.register("x.a")
    said.clear()
    b.register("x.a", force_reregister=True)
    assert [what for what, _ in said] == ["on_unregister", "on_delete", "on_create", "on_register"]
    assert [args[0] for _, args in said] == [1, 1, 2, 2]


def test_of_stand_ins_for_other_processes_nothing_is_told() -> None:
    edge, said = heard()
    stand_in = Session(MAX_ID + 1)
    edge.realm.attach(stand_in)
    edge.realm.host("x.a", "exact", "single", 5.0, Endpoint(stand_in, number=7, callee=8))
    assert ask(edge.join(), "list_callees", 1) == [8]
    edge.realm.unhost("exact", "x.a", 7)
    assert said == []
