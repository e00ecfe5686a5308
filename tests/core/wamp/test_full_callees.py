"""Everything is bounded, and whoever meets a bound is told which."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.core.wamp.messages import Cancel, Error, Register, Yield

sys.path.insert(0, str(Path(__file__).parent))
from edge import CAN, Edge, Peer, failed

UNAVAILABLE = "wamp.error.unavailable"


def told(answer: Any) -> str:
    assert isinstance(answer, Error)
    assert answer.error == UNAVAILABLE
    assert answer.args is not None
    (sentence,) = answer.args
    assert type(sentence) is str
    return sentence


def test_calls_that_wait_for_a_callee_are_bounded_over_all_callers_and_procedures() -> None:
    edge = Edge(max_invocations=2)
    a, b, callee = edge.join(), edge.join(), edge.join()
    callee.register("x.a")
    callee.register("x.b")
    assert a.call("x.a") is None
    assert b.call("x.b") is None
    assert "2 calls to answer already" in told(b.call("x.a"))
    callee.inbox.clear()
    callee.send(Yield(1, {}))
    assert b.call("x.a") is None
    assert [m.request for m in callee.take()] == [3]  # type: ignore[union-attr]


def test_a_callee_that_does_not_read_gets_no_calls_until_it_does() -> None:
    edge = Edge()
    caller, callee = edge.join(), edge.join()
    callee.register("x.a")
    callee.session.busy = True
    assert told(caller.call("x.a")).startswith("x.a: The callee does not read")
    assert caller.session.calls == callee.session.invocations == {}
    callee.session.busy = False
    assert caller.call("x.a") is None
    assert callee.one().request == 1


def limited(invoke: str = "single", count: int = 1, concurrency: int = 1) -> tuple[Peer, list[Peer]]:
    edge = Edge()
    caller, callees = edge.join(), [edge.join(CAN) for _ in range(count)]
    for callee in callees:
        callee.register("x.a", invoke=invoke, concurrency=concurrency)
    return caller, callees


@pytest.mark.parametrize("how", ["result", "error", "canceled", "killed"])
def test_a_callee_says_how_many_calls_it_answers_at_a_time(how: str) -> None:
    caller, (callee,) = limited(concurrency=2)
    assert caller.call("x.a") is None
    assert caller.call("x.a") is None
    assert "2 calls at a time" in told(caller.call("x.a"))
    if how == "result":
        callee.send(Yield(1, {"progress": True}))
        assert "2 calls at a time" in told(caller.call("x.a"))
        callee.send(Yield(1, {}))
    elif how == "error":
        callee.send(Error(68, 1, {}, "x.e"))
    elif how == "canceled":
        caller.send(Cancel(1, {}))
    else:
        caller.send(Cancel(1, {"mode": "kill"}))
        assert "2 calls at a time" in told(caller.call("x.a"))
        callee.send(Error(68, 1, {}, "x.e"))
    caller.take()
    assert caller.call("x.a") is None
    assert "2 calls at a time" in told(caller.call("x.a"))


def test_the_bound_is_the_registrations_not_the_sessions() -> None:
    caller, (callee,) = limited()
    callee.register("x.b")
    assert caller.call("x.a") is None
    assert caller.call("x.b") is None
    assert told(caller.call("x.a"))


@pytest.mark.parametrize("invoke", ["roundrobin", "random"])
def test_full_callees_are_passed_over_where_calls_are_spread(invoke: str) -> None:
    caller, callees = limited(invoke, count=3)
    for _ in range(3):
        assert caller.call("x.a") is None
    assert [len(callee.take()) for callee in callees] == [1, 1, 1]
    assert "at a time" in told(caller.call("x.a"))
    callees[1].send(Yield(1, {}))
    caller.take()
    assert caller.call("x.a") is None
    assert callees[1].one().request == 2


@pytest.mark.parametrize(("invoke", "called"), [("first", 0), ("last", 1)])
def test_a_stand_by_takes_no_calls_while_the_one_before_it_is_there(invoke: str, called: int) -> None:
    """Section "Hot Stand-By": the first, or the last, is called."""
    caller, callees = limited(invoke, count=2)
    assert caller.call("x.a") is None
    assert told(caller.call("x.a"))
    assert len(callees[called].take()) == 1
    assert callees[1 - called].take() == []


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, "2", True, [1]])
def test_a_bound_that_is_none_is_refused(concurrency: Any) -> None:
    peer = Edge().join()
    assert failed(*peer.send(Register(1, {"concurrency": concurrency}, "x.a")), "wamp.error.invalid_argument")


def test_a_caller_and_a_callee_with_too_much_are_told_what_it_is() -> None:
    edge = Edge("x.local", max_pending=1, max_registrations=1)
    peer = edge.join()
    peer.register("x.a")
    (answer,) = peer.send(Register(peer.id(), {}, "x.b"))
    assert "at most 1 procedures" in told(answer)
    assert peer.call("x.local") is None
    assert "at most 1 calls" in told(peer.call("x.local"))
    assert "at most 1 calls" in told(peer.call("x.a"))
