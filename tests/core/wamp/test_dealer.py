"""Calls: to local services and to callees, on the way, cancelled, timed out, and after someone left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.core.wamp.effects import Interrupt as StopService
from limen.core.wamp.messages import (
    Call,
    Cancel,
    Error,
    Interrupt,
    Invocation,
    Register,
    Registered,
    Result,
    Unregister,
    Unregistered,
    Yield,
)

sys.path.insert(0, str(Path(__file__).parent))
from edge import CAN, Edge, Peer, failed

CANCELED = "wamp.error.canceled"


def routed(callee: dict[str, bool] | None = None, **options: Any) -> tuple[Edge, Peer, Peer, Invocation]:
    """A caller, a callee and a call between them that has no answer yet."""
    edge = Edge()
    caller, answerer = edge.join(), edge.join(callee)
    answerer.register("x.add")
    assert caller.send(Call(caller.id(), options, "x.add", [2, 3], {"n": 1})) == []
    return edge, caller, answerer, answerer.one()


def nothing_is_left(edge: Edge) -> bool:
    return not any(s.calls or s.invocations for s in edge.realm.sessions.values())


# -- registrations ----------------------------------------------------------------------------------------------
def test_registration_ids_are_small_and_new() -> None:
    edge = Edge()
    a, b = edge.join(), edge.join()
    first, second = a.register("x.a"), b.register("x.b")
    assert (first, second) == (1, 2)
    assert a.send(Unregister(a.id(), first)) == [Unregistered(2)]
    assert a.register("x.a") == 3


def test_a_procedure_is_registered_once() -> None:
    edge = Edge("x.local")
    a, b = edge.join(), edge.join()
    a.register("x.a")
    for peer, uri in ((b, "x.a"), (a, "x.a"), (b, "x.local")):
        (answer,) = peer.send(Register(peer.id(), {}, uri))
        assert failed(answer, "wamp.error.procedure_already_exists")


@pytest.mark.parametrize(
    "uri", ["", "x..a", ".x", "x.", "x.a b", "x.a#b", "x.a\nb", "x.\N{NO-BREAK SPACE}", "x" * 1025]
)
def test_what_is_no_uri_is_refused(uri: str) -> None:
    peer = Edge().join()
    assert failed(*peer.send(Register(1, {}, uri)), "wamp.error.invalid_uri")
    assert failed(*peer.send(Call(2, {}, uri)), "wamp.error.invalid_uri")


@pytest.mark.parametrize("uri", ["wamp.session.list", "limen.slot.open", "wamp", "limen"])
def test_reserved_addresses_belong_to_nobody(uri: str) -> None:
    peer = Edge().join()
    assert failed(*peer.send(Register(1, {}, uri)), "wamp.error.invalid_uri")


def test_registering_needs_a_rule() -> None:
    peer = Edge(authorize=lambda session, action, uri: action != "register").join()
    assert failed(*peer.send(Register(1, {}, "x.a")), "wamp.error.not_authorized")


@pytest.mark.parametrize(
    "options", [{"match": "regex"}, {"match": ["prefix"]}, {"invoke": "all"}, {"invoke": 1}, {"match": ""}]
)
def test_options_that_are_not_done_are_not_ignored(options: dict[str, Any]) -> None:
    peer = Edge().join()
    assert failed(*peer.send(Register(1, options, "x.a")), "wamp.error.option_not_allowed")
    assert isinstance(peer.send(Register(2, {"match": "exact", "invoke": "single"}, "x.a"))[0], Registered)
    assert isinstance(peer.send(Register(3, {"match": None, "invoke": None}, "x.b"))[0], Registered)


def test_only_the_callee_unregisters_and_only_once() -> None:
    edge = Edge()
    a, b = edge.join(), edge.join()
    registration = a.register("x.a")
    assert failed(*b.send(Unregister(b.id(), registration)), "wamp.error.no_such_registration")
    a.send(Unregister(a.id(), registration))
    assert failed(*a.send(Unregister(a.id(), registration)), "wamp.error.no_such_registration")


def test_registrations_are_bounded() -> None:
    peer = Edge(max_registrations=1).join()
    peer.register("x.a")
    assert failed(*peer.send(Register(2, {}, "x.b")), "wamp.error.unavailable")


# -- routed calls -----------------------------------------------------------------------------------------------
def test_a_call_goes_to_the_callee_and_its_result_back() -> None:
    edge, caller, callee, invocation = routed()
    assert invocation == Invocation(1, 1, {}, [2, 3], {"n": 1})
    assert callee.send(Yield(1, {}, [5], {"k": 2})) == []
    assert caller.take() == [Result(1, {}, [5], {"k": 2})]
    assert nothing_is_left(edge)


def test_an_error_goes_back_as_it_came() -> None:
    edge, caller, callee, _ = routed()
    callee.send(Error(68, 1, {"secret": 1}, "x.error", ["no"], {"k": 1}))
    assert caller.take() == [Error(48, 1, {}, "x.error", ["no"], {"k": 1})]
    assert nothing_is_left(edge)


def test_invocations_are_numbered_from_one_for_each_callee() -> None:
    edge = Edge()
    caller, a, b = edge.join(), edge.join(), edge.join()
    a.register("x.a")
    b.register("x.b")
    for uri in ("x.a", "x.b", "x.a"):
        caller.send(Call(caller.id(), {}, uri))
    assert [m.request for m in a.take()] == [1, 2]  # type: ignore[union-attr]
    assert [m.request for m in b.take()] == [1]  # type: ignore[union-attr]


def test_a_procedure_that_is_not_there() -> None:
    peer = Edge().join()
    assert failed(*peer.send(Call(1, {}, "x.none")), "wamp.error.no_such_procedure")


def test_calling_another_session_needs_a_rule_and_a_local_service_guards_itself() -> None:
    edge = Edge("x.local", authorize=lambda session, action, uri: action == "register")
    a, b = edge.join(), edge.join()
    a.register("x.a")
    assert failed(*b.send(Call(1, {}, "x.a")), "wamp.error.not_authorized")
    b.send(Call(2, {}, "x.local"))
    assert len(edge.invoked) == 1


def test_a_second_yield_is_dropped() -> None:
    _, caller, callee, _ = routed()
    callee.send(Yield(1, {}, [1]))
    assert callee.send(Yield(1, {}, [2])) == []
    assert callee.send(Error(68, 1, {}, "x.error")) == []
    assert caller.take() == [Result(1, {}, [1])]
    assert not callee.closed


def test_a_session_cannot_answer_for_another() -> None:
    edge, caller, _, _ = routed()
    thief = edge.join()
    (abort,) = thief.send(Yield(1, {}, ["stolen"]))
    assert abort.reason == "wamp.error.protocol_violation"  # type: ignore[union-attr]
    thief = edge.join()
    thief.register("x.b")
    caller.send(Call(caller.id(), {}, "x.b"))
    thief.take()
    caller.take()
    thief.send(Yield(1, {}, ["its own"]))
    assert caller.take() == [Result(2, {}, ["its own"])]


def test_an_unregistered_callee_may_still_answer() -> None:
    _, caller, callee, _ = routed()
    callee.send(Unregister(callee.id(), 1))
    callee.send(Yield(1, {}, ["late"]))
    assert caller.take() == [Result(1, {}, ["late"])]


def test_calls_under_way_are_bounded_and_an_answer_makes_room() -> None:
    edge = Edge("x.local", max_pending=2)
    peer = edge.join()
    peer.send(Call(1, {}, "x.local"))
    peer.send(Call(2, {}, "x.local"))
    assert failed(*peer.send(Call(3, {}, "x.local")), "wamp.error.unavailable")
    assert edge.realm.settle(peer.session, 1)
    assert peer.send(Call(4, {}, "x.local")) == []
    assert [invoke.request for invoke in edge.invoked] == [1, 2, 4]


def test_a_session_can_call_itself_and_leave() -> None:
    edge = Edge()
    peer = edge.join(CAN)
    peer.register("x.a")
    peer.send(Call(peer.id(), {}, "x.a"))
    peer.take()
    peer.drop()
    assert peer.take() == []
    assert edge.realm.sessions == {}


# -- local services ---------------------------------------------------------------------------------------------
def test_a_local_service_is_invoked_and_settled_once() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    assert peer.send(Call(1, {"x_id": b"1"}, "x.local", None, {"a": 1})) == []
    (invoke,) = edge.invoked
    assert (invoke.uri, invoke.procedure, invoke.args, invoke.kwargs) == ("x.local", "x.local", [], {"a": 1})
    assert invoke.options == {"x_id": b"1"}
    assert edge.realm.progressed(peer.session, 1)
    assert edge.realm.settle(peer.session, 1)
    assert not edge.realm.settle(peer.session, 1)
    assert not edge.realm.progressed(peer.session, 1)


def test_nobody_settles_a_routed_call() -> None:
    edge, caller, _, _ = routed()
    assert not edge.realm.settle(caller.session, 1)


# -- progressive results ----------------------------------------------------------------------------------------
def test_progress_goes_through_until_the_final_result() -> None:
    edge, caller, callee, invocation = routed(CAN, receive_progress=True)
    assert invocation.details == {"receive_progress": True}
    callee.send(Yield(1, {"progress": True}, [1]))
    assert caller.take() == [Result(1, {"progress": True}, [1])]
    callee.send(Yield(1, {"progress": True}))
    assert caller.take() == [Result(1, {"progress": True})]
    callee.send(Yield(1, {}, ["end"]))
    assert caller.take() == [Result(1, {}, ["end"])]
    assert nothing_is_left(edge)


@pytest.mark.parametrize("gone", ["call_canceling", "progressive_call_results"])
def test_a_callee_that_cannot_stream_is_not_asked_to(gone: str) -> None:
    _, caller, callee, invocation = routed({k: v for k, v in CAN.items() if k != gone}, receive_progress=True)
    assert invocation.details == {}
    # Some clients stream without having announced it: the caller asked for it.
    callee.send(Yield(1, {"progress": True}, [1]))
    assert caller.take() == [Result(1, {"progress": True}, [1])]


def test_progress_that_nobody_asked_for_is_dropped() -> None:
    _, caller, callee, _ = routed(CAN)
    callee.send(Yield(1, {"progress": True}, [1]))
    assert caller.take() == []
    callee.send(Yield(1, {}, [2]))
    assert caller.take() == [Result(1, {}, [2])]


# -- cancelling -------------------------------------------------------------------------------------------------
def test_skip_answers_at_once_and_leaves_the_callee_alone() -> None:
    edge, caller, callee, _ = routed(CAN)
    assert failed(*caller.send(Cancel(1, {"mode": "skip"})), CANCELED)
    assert callee.send(Yield(1, {}, ["late"])) == []
    assert caller.take() == []
    assert nothing_is_left(edge)


@pytest.mark.parametrize(
    "options", [{"mode": "killnowait"}, {}, {"mode": None}, {"mode": "nonsense"}, {"mode": ["kill"]}]
)
def test_killnowait_answers_at_once_and_interrupts(options: dict[str, Any]) -> None:
    _, caller, callee, _ = routed(CAN, receive_progress=True)
    assert failed(*caller.send(Cancel(1, options)), CANCELED)
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": CANCELED})]
    callee.send(Yield(1, {"progress": True}, [1]))
    callee.send(Error(68, 1, {}, CANCELED))
    assert caller.take() == []


@pytest.mark.parametrize("answer", [Error(68, 1, {}, CANCELED), Yield(1, {}, ["just done"])])
def test_kill_waits_for_the_callee(answer: Any) -> None:
    edge, caller, callee, _ = routed(CAN)
    assert caller.send(Cancel(1, {"mode": "kill"})) == []
    assert callee.take() == [Interrupt(1, {"mode": "kill", "reason": CANCELED})]
    callee.send(answer)
    assert len(caller.take()) == 1
    assert nothing_is_left(edge)


@pytest.mark.parametrize("mode", ["skip", "kill", "killnowait"])
def test_a_callee_that_cannot_be_interrupted_is_skipped(mode: str) -> None:
    _, caller, callee, _ = routed({})
    assert failed(*caller.send(Cancel(1, {"mode": mode})), CANCELED)
    assert callee.take() == []


def test_a_cancel_that_crosses_the_result_does_no_harm() -> None:
    _, caller, callee, _ = routed(CAN)
    callee.send(Yield(1, {}, [1]))
    caller.take()
    assert caller.send(Cancel(1, {"mode": "kill"})) == []
    assert caller.send(Cancel(999, {})) == []
    assert callee.take() == []


def test_a_second_cancel_brings_no_second_answer() -> None:
    _, caller, _, _ = routed(CAN)
    assert len(caller.send(Cancel(1, {"mode": "skip"}))) == 1
    assert caller.send(Cancel(1, {"mode": "skip"})) == []


def test_killing_a_local_service_waits_for_it() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    peer.send(Call(1, {}, "x.local"))
    assert peer.send(Cancel(1, {"mode": "kill"})) == []
    assert edge.interrupted == [StopService(peer.session, 1, "kill")]
    assert edge.realm.settle(peer.session, 1)


@pytest.mark.parametrize(("mode", "stopped"), [("killnowait", 1), ("skip", 0)])
def test_a_local_service_that_was_cancelled_has_nobody_to_answer(mode: str, stopped: int) -> None:
    edge = Edge("x.local")
    peer = edge.join()
    peer.send(Call(1, {}, "x.local"))
    assert failed(*peer.send(Cancel(1, {"mode": mode})), CANCELED)
    assert len(edge.interrupted) == stopped
    assert not edge.realm.settle(peer.session, 1)


# -- time-outs --------------------------------------------------------------------------------------------------
def test_a_call_ends_when_its_time_is_up() -> None:
    edge, caller, callee, _ = routed(CAN, timeout=1500)
    assert edge.realm.next_deadline() == 1.5
    edge.wait(1.4)
    assert caller.take() == []
    edge.wait(0.1)
    assert failed(caller.one(), "wamp.error.timeout")
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": "wamp.error.timeout"})]
    assert edge.realm.next_deadline() is None
    assert nothing_is_left(edge)


def test_a_callee_that_cannot_be_interrupted_times_out_without_a_word() -> None:
    edge, caller, callee, _ = routed({}, timeout=1)
    edge.wait(1)
    assert failed(caller.one(), "wamp.error.timeout")
    assert callee.take() == []


def test_a_local_service_is_stopped_when_its_time_is_up() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    peer.send(Call(1, {"timeout": 10}, "x.local"))
    edge.wait(0.01)
    assert failed(peer.one(), "wamp.error.timeout")
    assert edge.interrupted == [StopService(peer.session, 1, "killnowait")]
    assert not edge.realm.settle(peer.session, 1)


def test_time_outs_come_in_their_order_after_others_were_answered() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    left = []
    for n in range(500):
        request, milliseconds = peer.id(), (n * 7919) % 1000 + 1
        peer.send(Call(request, {"timeout": milliseconds}, "x.local"))
        if n % 3:
            edge.realm.settle(peer.session, request)
        else:
            left.append(milliseconds / 1000)
    for deadline in sorted(left):
        assert edge.realm.next_deadline() == deadline
        edge.act(edge.realm.tick(deadline))
        assert failed(peer.one(), "wamp.error.timeout")
    assert edge.realm.next_deadline() is None


def test_the_time_runs_to_the_first_result_and_from_each_to_the_next() -> None:
    """Section "Progressive Call Results", "Timeouts"."""
    edge, caller, callee, _ = routed(CAN, timeout=1000, receive_progress=True)
    for _ in range(5):
        edge.wait(0.9)
        callee.send(Yield(1, {"progress": True}))
        assert isinstance(caller.one(), Result)
    assert edge.realm.next_deadline() == pytest.approx(5.5)
    edge.wait(1.1)
    assert failed(caller.one(), "wamp.error.timeout")
    assert nothing_is_left(edge)


def test_a_result_that_nobody_asked_for_brings_no_time() -> None:
    edge, caller, callee, _ = routed(CAN, timeout=1000)
    edge.wait(0.9)
    callee.send(Yield(1, {"progress": True}))
    edge.wait(0.2)
    assert failed(caller.one(), "wamp.error.timeout")


def test_the_time_of_a_local_service_runs_anew_from_each_result() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    peer.send(Call(1, {"timeout": 1000, "receive_progress": True}, "x.local"))
    for _ in range(3):
        edge.wait(0.9)
        assert edge.realm.progressed(peer.session, 1)
    assert peer.take() == []
    edge.wait(1.1)
    assert failed(peer.one(), "wamp.error.timeout")
    assert not edge.realm.progressed(peer.session, 1)


@pytest.mark.parametrize("timeout", [0, None])
def test_no_time_out_is_none(timeout: Any) -> None:
    edge, _, _, _ = routed(CAN, timeout=timeout)
    assert edge.realm.next_deadline() is None


@pytest.mark.parametrize("timeout", [-1, "1", 1.5, True, [1]])
def test_a_time_out_that_is_none_is_refused(timeout: Any) -> None:
    edge = Edge("x.local")
    peer = edge.join()
    assert failed(*peer.send(Call(1, {"timeout": timeout}, "x.local")), "wamp.error.invalid_argument")
    assert edge.invoked == []


def test_a_huge_time_out_is_one() -> None:
    edge, _, _, _ = routed(CAN, timeout=2**53)
    assert edge.realm.next_deadline() == pytest.approx(2**40 / 1000)


def test_answered_calls_do_not_pile_up_until_their_time() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    for _ in range(10_000):
        request = peer.id()
        peer.send(Call(request, {"timeout": 3_600_000}, "x.local"))
        edge.realm.settle(peer.session, request)
    assert len(edge.realm._dealer.deadlines) < 200
    peer.send(Call(peer.id(), {"timeout": 1}, "x.local"))
    assert edge.realm.next_deadline() == 0.001


def test_the_time_out_goes_to_the_callee_that_asked_for_it() -> None:
    edge = Edge()
    caller, callee, plain = edge.join(), edge.join(CAN), edge.join()
    callee.register("x.a", forward_timeout=True)
    callee.register("x.b")
    plain.register("x.c", forward_timeout=True)
    for uri in ("x.a", "x.b", "x.c"):
        caller.send(Call(caller.id(), {"timeout": 3000}, uri))
    assert [m.details for m in callee.take()] == [{"timeout": 3000}, {}]  # type: ignore[union-attr]
    assert plain.one().details == {}
    edge.wait(3)  # and where the callee does not keep it, the dealer does
    assert [m.error for m in caller.take()] == ["wamp.error.timeout"] * 3  # type: ignore[union-attr]


# -- leaving ----------------------------------------------------------------------------------------------------
def test_a_callee_that_leaves_ends_its_calls_and_registrations() -> None:
    edge, caller, callee, _ = routed(CAN)
    callee.drop()
    assert failed(caller.one(), CANCELED)
    assert failed(*caller.send(Call(caller.id(), {}, "x.add")), "wamp.error.no_such_procedure")
    assert nothing_is_left(edge)


def test_a_caller_that_leaves_interrupts_its_callees() -> None:
    edge, caller, callee, _ = routed(CAN, timeout=5)
    caller.drop()
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": CANCELED})]
    assert callee.send(Yield(1, {}, ["late"])) == []
    assert nothing_is_left(edge)
    assert edge.realm.next_deadline() is None


def test_a_caller_that_leaves_says_nothing_to_a_basic_callee() -> None:
    _, caller, callee, _ = routed({})
    caller.drop()
    assert callee.take() == []
    assert callee.send(Yield(1, {}, ["late"])) == []


def test_local_services_of_a_session_that_left_are_the_edges() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    peer.send(Call(1, {}, "x.local"))
    peer.drop()
    assert edge.interrupted == []
    assert not edge.realm.settle(peer.session, 1)


def test_who_may_not_call_does_not_learn_what_there_is() -> None:
    edge = Edge(authorize=lambda session, action, uri: action != "call" or session.authid == "ada")
    edge.join(CAN).register("x.add")
    stranger, ada = edge.join(), edge.join(authid="ada")
    there, nothing = (stranger.send(Call(stranger.id(), {}, uri))[0] for uri in ("x.add", "x.nothing"))
    assert there.error == nothing.error == "wamp.error.not_authorized"
    assert there.args == nothing.args
    assert failed(*ada.send(Call(ada.id(), {}, "x.nothing")), "wamp.error.no_such_procedure")
