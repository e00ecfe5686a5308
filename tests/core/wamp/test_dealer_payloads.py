"""Payloads of calls that do not pass: who is told, and what it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.core.wamp.messages import (
    Call,
    Error,
    Interrupt,
    Invocation,
    Yield,
)
from limen.exc import InvalidValue

sys.path.insert(0, str(Path(__file__).parent))
from edge import CAN, Edge, Peer, failed


def routed(callee: dict[str, bool] | None = None, **options: Any) -> tuple[Edge, Peer, Peer, Invocation]:
    """A caller, a callee and a call between them that has no answer yet."""
    edge = Edge()
    caller, answerer = edge.join(), edge.join(callee)
    answerer.register("x.add")
    assert caller.send(Call(caller.id(), options, "x.add", [2, 3], {"n": 1})) == []
    return edge, caller, answerer, answerer.one()


def nothing_is_left(edge: Edge) -> bool:
    return not any(s.calls or s.invocations for s in edge.realm.sessions.values())


FLAW = InvalidValue("No.", path="$[0]")


def test_a_call_with_a_flawed_payload_is_answered_and_counted() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    edge.act(edge.realm.refuse(peer.session, Call(1, {}, "x.local"), FLAW))
    error = peer.one()
    assert (error.kind, error.request, error.error) == (48, 1, FLAW.uri)
    assert error.kwargs == {"exc": "InvalidValue", "err": ["No."], "path": "$[0]"}
    assert peer.send(Call(2, {}, "x.local")) == []
    edge.act(edge.realm.refuse(peer.session, Call(2, {}, "x.local"), FLAW))
    assert peer.one().reason == "wamp.error.protocol_violation"
    edge.act(edge.realm.refuse(peer.session, Call(3, {}, "x.local"), FLAW))
    assert peer.take() == []


def test_a_yield_with_a_flawed_payload_fails_the_call() -> None:
    edge, caller, callee, _ = routed(CAN)
    edge.act(edge.realm.refuse(callee.session, Yield(1, {}), FLAW))
    assert failed(caller.one(), FLAW.uri)
    assert callee.take() == [Interrupt(1, {"mode": "killnowait", "reason": FLAW.uri})]
    edge.act(edge.realm.refuse(callee.session, Yield(1, {}), FLAW))
    assert caller.take() == []
    assert nothing_is_left(edge)


def test_an_error_with_a_flawed_payload_is_still_that_error() -> None:
    edge, caller, callee, _ = routed(CAN)
    edge.act(edge.realm.refuse(callee.session, Error(68, 1, {}, "x.error"), FLAW))
    assert caller.take() == [Error(48, 1, {}, "x.error")]


def test_an_invocation_that_cannot_be_said_fails_the_call() -> None:
    edge, caller, callee, invocation = routed(CAN)
    edge.act(edge.realm.undeliverable(callee.session, invocation, FLAW))
    assert failed(caller.one(), FLAW.uri)
    assert callee.take() == []
    assert nothing_is_left(edge)
    caller.send(Call(caller.id(), {}, "x.add"))
    assert callee.one().request == 1


@pytest.mark.parametrize("final", [True, False])
def test_a_result_that_cannot_be_said_is_an_error(final: bool) -> None:
    edge, caller, callee, _ = routed(CAN, receive_progress=True)
    callee.send(Yield(1, {} if final else {"progress": True}, [1]))
    edge.act(edge.realm.undeliverable(caller.session, caller.one(), FLAW))
    assert failed(caller.one(), FLAW.uri)
    assert len(callee.take()) == (0 if final else 1)
    assert nothing_is_left(edge)


def test_an_error_that_cannot_be_said_goes_without_its_payload() -> None:
    edge, caller, callee, _ = routed(CAN)
    callee.send(Error(68, 1, {}, "x.error", [1]))
    edge.act(edge.realm.undeliverable(caller.session, caller.one(), FLAW))
    assert caller.take() == [Error(48, 1, {}, "x.error")]
    assert edge.realm.undeliverable(caller.session, Error(48, 1, {}, "x.error"), FLAW) == ()
