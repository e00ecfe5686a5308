"""Section "Progressive Call Invocations": a call whose arguments come in parts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.core.wamp.messages import (
    Abort,
    Call,
    Cancel,
    Error,
    Interrupt,
    Invocation,
    Publish,
    Register,
    Result,
    Subscribe,
    Unregister,
    Yield,
)
from limen.core.wamp.verdict import ALLOWED
from limen.exc import InvalidValue

sys.path.insert(0, str(Path(__file__).parent))
from edge import PARTS, Edge, Peer, failed

NOT_SUPPORTED = "wamp.error.feature_not_supported"
VIOLATION = "wamp.error.protocol_violation"
CANCELED = "wamp.error.canceled"
FLAW = InvalidValue("No.", path="$[0]")


def begun(edge: Edge | None = None, **options: Any) -> tuple[Edge, Peer, Peer]:
    """A call of which one part has come; the callee has seen its INVOCATION 1."""
    edge = edge or Edge()
    caller, callee = edge.join(caller=PARTS), edge.join(PARTS)
    callee.register("x.put")
    assert caller.send(Call(caller.id(), {"progress": True, **options}, "x.put", [1])) == []
    invocation = callee.one()
    assert invocation.details["progress"] is True
    assert (invocation.request, invocation.args) == (1, [1])
    return edge, caller, callee


def part(caller: Peer, number: Any, last: bool = False, request: int = 1, uri: str = "x.put") -> list[Any]:
    return caller.send(Call(request, {} if last else {"progress": True}, uri, [number]))


def nothing_is_left(edge: Edge) -> bool:
    return not any(s.calls or s.invocations for s in edge.realm.sessions.values())


def test_all_parts_are_one_invocation_and_one_answer() -> None:
    edge, caller, callee = begun()
    assert part(caller, 2) == part(caller, 3, last=True) == []
    assert callee.take() == [Invocation(1, 1, {"progress": True}, [2]), Invocation(1, 1, {}, [3])]
    callee.send(Yield(1, {}, ["all"]))
    assert caller.take() == [Result(1, {}, ["all"])]
    assert nothing_is_left(edge)


def test_other_requests_come_between_the_parts() -> None:
    _, caller, callee = begun()
    assert caller.call("x.put", "other") is None
    caller.subscribe("x.t")
    caller.send(Publish(caller.id(), {}, "x.u"))
    part(caller, 2, last=True)
    assert [(m.request, m.args) for m in callee.take()] == [(2, ["other"]), (1, [2])]  # type: ignore[union-attr]
    assert caller.session.next_request == 5
    callee.send(Yield(2, {}, ["o"]))
    callee.send(Yield(1, {}, ["p"]))
    assert [(m.request, m.args) for m in caller.take()] == [(2, ["o"]), (1, ["p"])]  # type: ignore[union-attr]


def test_the_options_are_those_of_the_first_part() -> None:
    _, caller, callee = begun(receive_progress=True, disclose_me=True)
    caller.send(Call(1, {"progress": True, "disclose_me": False, "timeout": 5, "receive_progress": False}, "x.put"))
    details = callee.one().details
    who = {"caller": caller.session.id, "caller_authid": "", "caller_authrole": "anonymous"}
    assert details == {"progress": True, "receive_progress": True, **who}
    part(caller, 3, last=True)
    assert callee.one().details == {"receive_progress": True, **who}


def test_both_ways_at_once() -> None:
    edge, caller, callee = begun(receive_progress=True)
    callee.send(Yield(1, {"progress": True}, ["got 1"]))
    assert caller.one() == Result(1, {"progress": True}, ["got 1"])
    part(caller, 2)
    callee.take()
    callee.send(Yield(1, {"progress": True}, ["got 2"]))
    callee.send(Yield(1, {}, ["enough"]))
    assert [m.args for m in caller.take()] == [["got 2"], ["enough"]]  # type: ignore[union-attr]
    assert nothing_is_left(edge)


@pytest.mark.parametrize("how", ["result", "error", "left", "canceled"])
def test_a_part_that_crosses_the_end_is_dropped(how: str) -> None:
    edge, caller, callee = begun()
    if how == "result":
        callee.send(Yield(1, {}))
    elif how == "error":
        callee.send(Error(68, 1, {}, "x.e"))
    elif how == "left":
        callee.drop()
    else:
        edge.act(edge.realm.receive(caller.session, Cancel(1, {"mode": "killnowait"})))
    assert len(caller.take()) == 1
    callee.take()
    assert part(caller, 2) == part(caller, 3, last=True) == []
    assert callee.take() == []
    assert not caller.closed
    assert nothing_is_left(edge)


@pytest.mark.parametrize("gone", ["progressive_call_invocations", "call_canceling"])
def test_a_callee_that_cannot_is_not_asked(gone: str) -> None:
    edge = Edge()
    caller, callee = edge.join(caller=PARTS), edge.join({k: v for k, v in PARTS.items() if k != gone})
    callee.register("x.put")
    assert failed(*part(caller, 1, request=caller.id()), NOT_SUPPORTED)
    assert part(caller, 2) == []  # it did not know yet
    assert callee.take() == []
    assert nothing_is_left(edge)


def test_local_services_and_the_meta_api_take_whole_calls_only() -> None:
    edge = Edge("x.local")
    caller = edge.join(caller=PARTS)
    for uri in ("x.local", "wamp.registration.list"):
        request = caller.id()
        assert failed(*part(caller, 1, request=request, uri=uri), NOT_SUPPORTED)
        assert part(caller, 2, request=request, uri=uri) == []
    assert edge.invoked == []


@pytest.mark.parametrize("uri", ["x.put", "x.local", "x.nobody", "wamp.registration.list"])
def test_a_caller_that_has_not_announced_it_breaks_the_protocol(uri: str) -> None:
    edge = Edge("x.local")
    caller, callee = edge.join(), edge.join(PARTS)
    callee.register("x.put")
    (abort,) = part(caller, 1, uri=uri)
    assert isinstance(abort, Abort)
    assert abort.reason == VIOLATION
    assert caller.closed
    assert callee.take() == []


@pytest.mark.parametrize("why", ["whole", "over", "other procedure", "not announced", "no call", "gap"])
def test_what_is_no_further_part_breaks_the_protocol(why: str) -> None:
    edge, caller, _ = begun()
    if why == "whole":
        caller.call("x.put")
        sent = Call(2, {}, "x.put")
    elif why == "over":
        part(caller, 2, last=True)
        sent = Call(1, {}, "x.put")
    elif why == "other procedure":
        sent = Call(1, {}, "x.other")
    elif why == "not announced":
        caller.drop()
        caller = edge.join()
        caller.call("x.put")
        sent = Call(1, {}, "x.put")
    elif why == "no call":
        (abort,) = caller.send(Register(1, {}, "x.z"))
        assert isinstance(abort, Abort)
        return
    else:
        sent = Call(3, {}, "x.put")
    (abort,) = caller.send(sent)
    assert isinstance(abort, Abort)
    assert abort.reason == VIOLATION
    assert caller.closed
    assert nothing_is_left(edge)


def test_a_caller_that_leaves_interrupts() -> None:
    edge, caller, callee = begun()
    caller.drop()
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": CANCELED})]
    assert nothing_is_left(edge)


def test_a_callee_that_leaves_ends_it() -> None:
    edge, caller, callee = begun()
    callee.drop()
    assert failed(caller.one(), CANCELED)
    assert nothing_is_left(edge)


def test_all_parts_go_to_the_callee_of_the_first() -> None:
    edge = Edge()
    caller, a, b = edge.join(caller=PARTS), edge.join(PARTS), edge.join(PARTS)
    for callee in (a, b):
        callee.register("x.put", invoke="roundrobin")
    first, second = caller.id(), caller.id()
    part(caller, 1, request=first)
    part(caller, 10, request=second)
    for number in (2, 3):
        part(caller, number, request=first)
        part(caller, number * 10, request=second)
    assert [m.args for m in a.take()] == [[1], [2], [3]]  # type: ignore[union-attr]
    assert [m.args for m in b.take()] == [[10], [20], [30]]  # type: ignore[union-attr]


def test_it_goes_on_after_its_registration_has_ended() -> None:
    _, caller, callee = begun()
    callee.send(Unregister(callee.id(), 1))
    part(caller, 2, last=True)
    assert callee.one().args == [2]
    callee.send(Yield(1, {}))
    assert isinstance(caller.one(), Result)


def test_the_time_runs_from_the_first_part() -> None:
    edge, caller, callee = begun(timeout=1000)
    edge.wait(0.9)
    part(caller, 2)
    callee.take()
    edge.wait(0.2)
    assert failed(caller.one(), "wamp.error.timeout")
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": "wamp.error.timeout"})]
    assert part(caller, 3) == []
    assert edge.realm.next_deadline() is None


def test_a_pattern_is_called_by_its_name_in_all_parts() -> None:
    edge = Edge()
    caller, callee = edge.join(caller=PARTS), edge.join(PARTS)
    callee.register("x", match="prefix")
    part(caller, 1, request=caller.id())
    part(caller, 2, last=True)
    assert [m.details.get("procedure") for m in callee.take()] == ["x.put", "x.put"]  # type: ignore[union-attr]


# -- payloads that do not pass ----------------------------------------------------------------------------------
def test_a_flawed_part_ends_the_call() -> None:
    edge, caller, callee = begun()
    edge.act(edge.realm.refuse(caller.session, Call(1, {"progress": True}, "x.put"), FLAW))
    assert failed(caller.one(), FLAW.uri)
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": FLAW.uri})]
    edge.act(edge.realm.refuse(caller.session, Call(1, {}, "x.put"), FLAW))
    assert caller.take() == []
    assert nothing_is_left(edge)


def test_a_flawed_repetition_is_a_violation_all_the_same() -> None:
    edge = Edge("x.local")
    caller = edge.join()
    caller.call("x.local")
    edge.act(edge.realm.refuse(caller.session, Call(1, {}, "x.local"), FLAW))
    assert caller.one().reason == VIOLATION


@pytest.mark.parametrize("at", [1, 2])
def test_a_part_that_cannot_be_said_ends_the_call(at: int) -> None:
    edge = Edge()
    caller, callee = edge.join(caller=PARTS), edge.join(PARTS)
    callee.register("x.put")
    request = caller.id()
    for number in range(1, at + 1):
        part(caller, number, request=request)
    unsaid = callee.take()[-1]
    edge.act(edge.realm.undeliverable(callee.session, unsaid, FLAW))
    assert failed(caller.one(), FLAW.uri)
    knows = at > 1  # of the first the callee has never heard: there is nothing to interrupt, and its number is free
    assert len(callee.take()) == knows
    assert callee.session.last_invocation == knows
    assert nothing_is_left(edge)


# -- while it is asked ------------------------------------------------------------------------------------------
def test_parts_wait_for_the_verdict_on_the_first() -> None:
    edge = Edge(authorize=lambda session, action, uri: None if action == "call" else True)
    caller, callee = edge.join(caller=PARTS), edge.join(PARTS)
    callee.register("x.put")
    part(caller, 1, request=caller.id())
    part(caller, 2)
    caller.send(Subscribe(caller.id(), {}, "x.t"))
    part(caller, 3, last=True)
    assert callee.take() == caller.take() == []
    edge.act(edge.realm.decide(caller.session, ALLOWED))
    assert [m.args for m in callee.take()] == [[1], [2], [3]]  # type: ignore[union-attr]
    assert len(caller.take()) == 1


def test_a_violation_that_was_held_ends_the_session_when_its_turn_comes() -> None:
    edge = Edge(authorize=lambda session, action, uri: None if action == "call" else True)
    caller, callee = edge.join(caller=PARTS), edge.join(PARTS)
    callee.register("x.put")
    part(caller, 1, request=caller.id())
    part(caller, 2, uri="x.other")
    edge.act(edge.realm.decide(caller.session, ALLOWED))
    assert caller.one().reason == VIOLATION
    invocation, interrupt = callee.take()
    assert isinstance(invocation, Invocation)
    assert isinstance(interrupt, Interrupt)


# -- back pressure ----------------------------------------------------------------------------------------------
def test_a_callee_that_does_not_keep_up_ends_the_call() -> None:
    edge, caller, callee = begun()
    callee.session.busy = True
    (error,) = part(caller, 2)
    assert failed(error, "wamp.error.unavailable")
    assert error.args
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": "wamp.error.unavailable"})]
    assert nothing_is_left(edge)
