"""What a sealed session says is not handed on in clear."""

from __future__ import annotations

import pytest
from edge import Edge, failed

from limen.base.principal import Principal
from limen.core.wamp.messages import Call, Error, Invocation


@pytest.mark.parametrize(("caller", "callee", "reached"), [(1, 1, True), (1, 0, False), (0, 1, True), (0, 0, True)])
def test_a_sealed_caller_reaches_sealed_callees_only(caller: int, callee: int, reached: bool) -> None:
    edge = Edge()
    a, b = edge.join(), edge.join()
    for peer, sealed in ((a, caller), (b, callee)):
        peer.session.principal = Principal("a.example", user="ada", sealed=bool(sealed))
        peer.session.sealed = bool(sealed)
    b.register("there")
    answer = a.send(Call(a.id(), {}, "there", ["a secret"]))
    if reached:
        assert type(b.one()) is Invocation
    else:
        assert b.take() == []
        assert [type(m) is Error and m.error for m in answer] == ["wamp.error.no_such_procedure"]


def test_a_call_that_may_have_reached_a_callee_before_the_connection_was_lost_is_not_made_again() -> None:
    edge = Edge()
    caller, callee = edge.join(), edge.join()
    callee.register("x.add")
    for uri in ("x.add", "x.gone"):  # whether the callee is there still, or not
        (answer,) = caller.send(Call(caller.id(), {"x_repeat": True}, uri))
        assert failed(answer, "limen.error.outcome_unknown")
    assert callee.take() == []
    assert caller.send(Call(caller.id(), {"x_id": bytes(16)}, "x.add")) == []
    assert len(callee.take()) == 1
