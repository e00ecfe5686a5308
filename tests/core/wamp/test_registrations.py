"""Sections "Pattern-based Registrations", "Shared Registration" and "Registration Revocation"."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.base.principal import Principal
from limen.core.wamp.messages import Call, Error, Invocation, Register, Registered, Result, Unregister, Unregistered
from limen.core.wamp.messages import Yield as YieldMessage
from limen.core.wamp.verdict import ALLOWED, NOT_THERE

sys.path.insert(0, str(Path(__file__).parent))
from edge import CAN, Edge, Peer, failed

EXISTS = "wamp.error.procedure_already_exists"
NOBODY = "wamp.error.no_such_procedure"


def reached(caller: Peer, callees: list[Peer], uri: str) -> Any:
    """Who gets a call, and the INVOCATION; it is answered. Else the reason why not."""
    answer = caller.call(uri)
    if answer is not None:
        return answer.error
    (found,) = [(callee, message) for callee in callees for message in callee.take()]
    callee, invocation = found
    callee.send(YieldMessage(invocation.request, {}))
    assert isinstance(caller.one(), Result)
    return callee, invocation


# -- patterns ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("a1.b2.c3.d4.e55", 1),
        ("a1.b2.c3.d98.e74", 2),
        ("a1.b2.c3.d4.e325", 3),
        ("a1.b2.c55.d4.e5", 4),
        # The section says 5, and that no prefix matches; but by its own rule "a1.b2.c3" is a prefix of "a1.b2.c33".
        ("a1.b2.c33.d4.e5", 2),
        ("a1.b2.c88.d4.e5.f6.g7", 6),
        ("a2.b2.c2.d2.e2", NOBODY),
    ],
)
def test_the_examples_of_the_section(uri: str, expected: Any) -> None:
    edge = Edge()
    caller, callee = edge.join(), edge.join()
    callee.register("a1.b2.c3.d4.e55")
    callee.register("a1.b2.c3", match="prefix")
    callee.register("a1.b2.c3.d4", match="prefix")
    for pattern in ("a1.b2..d4.e5", "a1.b2.c33..e5", "a1.b2..d4.e5..g7", "a1.b2..d4..f6.g7"):
        callee.register(pattern, match="wildcard")
    found = reached(caller, [callee], uri)
    assert (found if type(found) is str else found[1].registration) == expected


def test_a_callee_of_a_pattern_is_told_what_was_called_and_of_an_exact_one_not() -> None:
    edge = Edge()
    caller, callee = edge.join(), edge.join()
    callee.register("todo", match="prefix")
    callee.register("shop..buy", match="wildcard")
    callee.register("plain")
    details = [reached(caller, [callee], uri)[1].details for uri in ("todo.add", "todo", "shop.tea.buy", "plain")]
    assert details == [{"procedure": "todo.add"}, {"procedure": "todo"}, {"procedure": "shop.tea.buy"}, {}]


def test_the_same_uri_by_unlike_matches_is_three_registrations() -> None:
    edge = Edge()
    peer = edge.join()
    ids = [peer.register("x.y", match=match) for match in ("exact", "prefix", "wildcard")]
    assert len(set(ids)) == 3
    assert failed(*peer.send(Register(peer.id(), {"match": "wildcard"}, "x.y")), EXISTS)
    for id in ids:
        assert isinstance(peer.send(Unregister(peer.id(), id))[0], Unregistered)
    assert peer.call("x.y").error == NOBODY


@pytest.mark.parametrize(
    ("uri", "match", "ok"),
    [
        ("", "prefix", True),
        ("x.", "prefix", True),
        ("x..y", "prefix", False),
        ("x y", "prefix", False),
        ("x..y", "wildcard", True),
        (".", "wildcard", True),
        ("x.#", "wildcard", False),
        ("x..y", "exact", False),
        ("wamp.", "prefix", False),
        ("limen..open", "wildcard", False),
    ],
)
def test_what_can_be_a_pattern(uri: str, match: str, ok: bool) -> None:
    peer = Edge().join()
    (answer,) = peer.send(Register(1, {"match": match}, uri))
    assert isinstance(answer, Registered) if ok else failed(answer, "wamp.error.invalid_uri")


@pytest.mark.parametrize(
    ("pattern", "match"), [("", "prefix"), ("w", "prefix"), ("..", "wildcard"), (".more.list", "wildcard")]
)
@pytest.mark.parametrize("uri", ["wamp.more.list", "limen.more.list"])
def test_no_pattern_captures_what_is_reserved(pattern: str, match: str, uri: str) -> None:
    edge = Edge()
    caller, callee = edge.join(), edge.join()
    callee.register(pattern, match=match)
    assert caller.call(uri).error == NOBODY
    assert callee.take() == []


@pytest.mark.parametrize("uri", ["", "x..y", "x.", "x y"])
def test_no_pattern_captures_what_is_no_uri(uri: str) -> None:
    edge = Edge()
    caller, callee = edge.join(), edge.join()
    callee.register("", match="prefix")
    callee.register("..", match="wildcard")
    assert caller.call(uri).error == "wamp.error.invalid_uri"


def test_a_local_service_wins_over_patterns() -> None:
    edge = Edge("todo.add")
    caller, callee = edge.join(), edge.join()
    callee.register("todo", match="prefix")
    assert caller.call("todo.add") is None
    assert [invoke.uri for invoke in edge.invoked] == ["todo.add"]
    assert reached(caller, [callee], "todo.remove")[0] is callee


def test_a_call_by_pattern_asks_for_what_is_called() -> None:
    asked: list[tuple[str, str]] = []
    edge = Edge(authorize=lambda session, action, uri: asked.append((action, uri)) or uri != "todo.drop")  # type: ignore[func-returns-value]
    caller, callee = edge.join(), edge.join()
    callee.register("todo", match="prefix")
    assert caller.call("todo.drop").error == "wamp.error.not_authorized"
    assert reached(caller, [callee], "todo.add")[0] is callee
    assert asked == [("register", "todo"), ("call", "todo.drop"), ("call", "todo.add")]


def test_when_the_best_pattern_goes_the_next_is_called() -> None:
    edge = Edge()
    caller, a, b = edge.join(), edge.join(), edge.join()
    a.register("todo.list", match="prefix")
    b.register("todo", match="prefix")
    assert reached(caller, [a, b], "todo.list.add")[0] is a
    a.drop()
    assert reached(caller, [b], "todo.list.add")[0] is b
    b.drop()
    assert caller.call("todo.list.add").error == NOBODY
    assert not edge.realm._registrar.table.by_id


# -- shared registrations ---------------------------------------------------------------------------------------
def shared(invoke: str, count: int = 3) -> tuple[Edge, Peer, list[Peer]]:
    edge = Edge()
    caller, callees = edge.join(), [edge.join(CAN) for _ in range(count)]
    assert len({callee.register("x.a", invoke=invoke) for callee in callees}) == 1
    return edge, caller, callees


def order(caller: Peer, callees: list[Peer], count: int) -> list[int]:
    return [callees.index(reached(caller, callees, "x.a")[0]) for _ in range(count)]


def test_first_and_last_are_stand_bys() -> None:
    _, caller, callees = shared("first")
    assert order(caller, callees, 3) == [0, 0, 0]
    callees[0].drop()
    assert order(caller, callees[1:], 2) == [0, 0]
    _, caller, callees = shared("last")
    assert order(caller, callees, 3) == [2, 2, 2]
    callees[2].drop()
    assert order(caller, callees[:2], 2) == [1, 1]


def test_round_robin_goes_on_behind_whoever_leaves_or_comes() -> None:
    edge, caller, callees = shared("roundrobin")
    assert order(caller, callees, 4) == [0, 1, 2, 0]
    callees[0].drop()
    assert order(caller, callees[1:], 3) == [0, 1, 0]
    new = edge.join()
    new.register("x.a", invoke="roundrobin")
    assert order(caller, [callees[1], callees[2], new], 4) == [1, 2, 0, 1]


def test_random_goes_by_the_realms_chance() -> None:
    edge = Edge()
    edge._publications = iter([4, 3, 2, 2, 0])  # type: ignore[assignment]  # modulo three
    caller, callees = edge.join(), [edge.join() for _ in range(3)]
    for callee in callees:
        callee.register("x.a", invoke="random")
    assert order(caller, callees, 5) == [1, 0, 2, 2, 0]


@pytest.mark.parametrize("first", ["single", "first", "last", "roundrobin", "random"])
@pytest.mark.parametrize("second", ["single", "first", None])
def test_callees_agree_on_the_policy(first: str, second: str | None) -> None:
    edge = Edge()
    a, b = edge.join(), edge.join()
    a.register("x.a", invoke=first)
    (answer,) = b.send(Register(1, {"invoke": second}, "x.a"))
    if first == second != "single":
        assert isinstance(answer, Registered)
    else:
        assert failed(answer, EXISTS)
        assert answer.args  # it says why


def test_a_session_is_in_a_shared_registration_once() -> None:
    _, _, callees = shared("roundrobin")
    assert failed(*callees[0].send(Register(callees[0].id(), {"invoke": "roundrobin"}, "x.a")), EXISTS)


def test_one_callee_unregisters_and_the_others_go_on() -> None:
    edge, caller, callees = shared("roundrobin", 2)
    assert callees[0].send(Unregister(callees[0].id(), 1)) == [Unregistered(2)]
    assert failed(*callees[0].send(Unregister(callees[0].id(), 1)), "wamp.error.no_such_registration")
    assert order(caller, callees, 2) == [1, 1]
    callees[1].send(Unregister(callees[1].id(), 1))
    assert caller.call("x.a").error == NOBODY
    assert not edge.realm._registrar.table.by_id


def test_patterns_are_shared_as_well() -> None:
    edge = Edge()
    caller, a, b = edge.join(), edge.join(), edge.join()
    assert a.register("x", match="prefix", invoke="roundrobin") == b.register("x", match="prefix", invoke="roundrobin")
    assert [reached(caller, [a, b], "x.y")[0] for _ in range(3)] == [a, b, a]


@pytest.mark.parametrize("invoke", ["first", "last", "roundrobin", "random"])
def test_what_a_sealed_session_says_goes_to_sealed_callees_only(invoke: str) -> None:
    _, caller, callees = shared(invoke)
    for peer in (caller, callees[1]):
        peer.session.principal = Principal("a.example", user="ada", sealed=True)
        peer.session.sealed = True
    assert order(caller, callees, 4) == [1] * 4
    callees[1].drop()
    assert caller.call("x.a").error == NOBODY


# -- forced re-registration, revocation -------------------------------------------------------------------------
REVOCABLE = {"registration_revocation": True}


def test_a_forced_registration_takes_the_place_of_all_callees() -> None:
    edge = Edge()
    caller, old, mute, new = edge.join(), edge.join(REVOCABLE), edge.join(), edge.join()
    registration = old.register("x.a", invoke="first")
    mute.register("x.a", invoke="first")
    later = new.register("x.a", force_reregister=True)
    assert later != registration
    revoked = old.one()
    assert revoked == Unregistered(0, {"registration": registration, "reason": revoked.details["reason"]})
    assert mute.take() == []  # section "Registration Revocation": it would not understand
    assert reached(caller, [old, mute, new], "x.a")[0] is new
    assert failed(*old.send(Unregister(old.id(), registration)), "wamp.error.no_such_registration")


def test_calls_of_a_revoked_registration_are_answered() -> None:
    edge = Edge()
    caller, old, new = edge.join(), edge.join(REVOCABLE), edge.join()
    old.register("x.a")
    caller.call("x.a")
    invocation = old.one()
    new.register("x.a", force_reregister=True)
    old.send(YieldMessage(invocation.request, {}, ["late"]))
    assert caller.one().args == ["late"]


def test_a_session_can_force_itself_out() -> None:
    peer = Edge().join(REVOCABLE)
    peer.register("x.a")
    revoked, registered = peer.send(Register(2, {"force_reregister": True}, "x.a"))
    assert isinstance(revoked, Unregistered)
    assert revoked.details is not None
    assert (revoked.request, revoked.details["registration"]) == (0, 1)
    assert registered == Registered(2, 2)


def test_forcing_needs_the_rule_and_a_local_service_stays() -> None:
    edge = Edge("x.local", authorize=lambda session, action, uri: session.authid != "mallory")
    old, mallory = edge.join(), edge.join(authid="mallory")
    old.register("x.a")
    assert failed(*mallory.send(Register(1, {"force_reregister": True}, "x.a")), "wamp.error.not_authorized")
    assert failed(*old.send(Register(2, {"force_reregister": True}, "x.local")), EXISTS)
    assert edge.join().call("x.a") is None
    assert isinstance(old.one(), Invocation)


def test_unregistered_is_three_long_only_where_it_revokes() -> None:
    assert Unregistered(5).parts() == ((67, 5), None, None)
    assert Unregistered(0, {"registration": 3}).parts() == ((67, 0, {"registration": 3}), None, None)


def test_who_has_left_meanwhile_is_not_called() -> None:
    edge = Edge()
    caller, callee = edge.join(), edge.join(CAN)
    callee.register("", match="prefix", invoke="random")
    callee.drop()
    (answer,) = caller.send(Call(1, {}, "x.a"))
    assert isinstance(answer, Error)
    assert answer.error == NOBODY


# -- what is not there ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("uri", "named"),
    [("x.none", '"x.none"'), ("wamp.nothing", '"wamp.nothing"'), ("x." + "y" * 100, f'"x.{"y" * 78}…"')],
)
def test_a_call_that_nobody_answers_is_named_in_the_error_and_alike_where_it_is_hidden(uri: str, named: str) -> None:
    hidden = Edge(authorize=lambda session, action, uri: NOT_THERE if action == "call" else ALLOWED)
    if not uri.startswith("wamp."):
        hidden.join(CAN).register(uri)
    for peer in (Edge().join(), hidden.join()):
        [answer] = peer.send(Call(1, {}, uri))
        assert failed(answer, NOBODY)
        assert answer.args == [f"Nobody has registered {named}, or it is not for you."]  # type: ignore[union-attr]
