"""What a callee learns of a call: sections "Caller Identification", "Call Trust Levels", "Payload Passthru Mode"."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limen.core.wamp.messages import Abort, Call, Error, Invocation, Publish, Register, Result, Yield
from limen.core.wamp.trace import PARENT
from limen.core.wamp.verdict import Verdict

sys.path.insert(0, str(Path(__file__).parent))
from edge import PPT, Edge, Peer, failed

VIOLATION = "wamp.error.protocol_violation"
NOT_SUPPORTED = "wamp.error.feature_not_supported"


def told(verdict: Verdict | bool = True, register: dict[str, Any] | None = None, **options: Any) -> Any:
    """The details of an INVOCATION, or the reason why there was none."""
    edge = Edge(authorize=lambda session, action, uri: verdict if action == "call" else True)
    caller, callee = edge.join(authid="ann", authroles=["nurse", "staff"]), edge.join()
    callee.register("x.a", **register or {})
    answer = caller.call("x.a", **options)
    return callee.one().details if answer is None else answer.error


ANN = {"caller": 1, "caller_authid": "ann", "caller_authrole": "nurse"}


# -- identification ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"disclose_me": False}, {"disclose_me": None}, {"disclose_me": 1}])
def test_a_caller_is_not_named_by_itself(options: dict[str, Any]) -> None:
    assert told(**options) == {}


def test_a_caller_is_named_where_it_wants_the_callee_wants_or_the_rule_says() -> None:
    assert told(disclose_me=True) == ANN
    assert told(register={"disclose_caller": True}) == ANN
    assert told(Verdict(True, disclose=True)) == ANN


def test_the_rule_may_forbid_it() -> None:
    secret = Verdict(True, may_disclose=False)
    assert told(secret, disclose_me=True) == "wamp.error.option_disallowed.disclose_me"
    assert told(secret, register={"disclose_caller": True}) == {}
    assert told(secret) == {}


def test_each_callee_of_a_shared_registration_asks_for_itself() -> None:
    edge = Edge()
    caller, a, b = edge.join(authid="ann", authroles=["nurse"]), edge.join(), edge.join()
    a.register("x.a", invoke="roundrobin", disclose_caller=True)
    b.register("x.a", invoke="roundrobin")
    caller.call("x.a")
    caller.call("x.a")
    assert (a.one().details, b.one().details) == (ANN, {})


# -- trust ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("trust", [0, 5])
def test_a_callee_is_told_how_far_the_caller_is_trusted(trust: int) -> None:
    assert told(Verdict(True, trust=trust)) == {"trustlevel": trust}


def test_nobody_says_his_own_trust() -> None:
    assert told(trustlevel=9, caller=5, procedure="x.z") == {}


# -- payload passthru -------------------------------------------------------------------------------------------
SECRET = {"ppt_scheme": "x_mine", "ppt_serializer": "cbor", "ppt_cipher": "xsalsa20poly1305", "ppt_keyid": "7"}


def able(caller: dict[str, bool] | None = PPT, callee: dict[str, bool] | None = PPT) -> tuple[Edge, Peer, Peer]:
    edge = Edge("x.local")
    a, b = edge.join(caller=caller), edge.join(callee)
    b.register("x.a")
    return edge, a, b


def test_what_is_said_of_a_payload_goes_both_ways_untouched() -> None:
    _, caller, callee = able()
    caller.send(Call(1, {**SECRET, "timeout": 5}, "x.a", [b"\x00"]))
    assert callee.one() == Invocation(1, 1, SECRET, [b"\x00"])
    callee.send(Yield(1, {**SECRET, "other": 1}, [b"\x01"]))
    assert caller.one() == Result(1, SECRET, [b"\x01"])


def test_it_goes_with_errors_and_progress() -> None:
    _, caller, callee = able()
    caller.send(Call(1, {**SECRET, "receive_progress": True, "progress": True}, "x.a", [b"\x00"]))
    caller.send(Call(1, {}, "x.a", [b"\x02"]))
    first, second = callee.take()
    assert first.details == {**SECRET, "progress": True, "receive_progress": True}  # type: ignore[union-attr]
    assert second.details == {**SECRET, "receive_progress": True}  # type: ignore[union-attr]
    callee.send(Yield(1, {**SECRET, "progress": True}, [b"\x01"]))
    assert caller.one() == Result(1, {**SECRET, "progress": True}, [b"\x01"])
    callee.send(Error(68, 1, dict(SECRET), "x.e", [b"\x03"]))
    assert caller.one() == Error(48, 1, SECRET, "x.e", [b"\x03"])


@pytest.mark.parametrize("options", [{"ppt_scheme": ""}, {"ppt_scheme": None}, {"ppt_serializer": "cbor"}])
def test_without_a_scheme_it_is_a_plain_payload(options: dict[str, Any]) -> None:
    _, caller, callee = able(caller=None, callee=None)
    caller.send(Call(1, options, "x.a"))
    assert callee.one().details == {}


@pytest.mark.parametrize("uri", ["x.a", "x.local", "x.nobody"])
def test_a_caller_that_has_not_announced_it_breaks_the_protocol(uri: str) -> None:
    _, caller, callee = able(caller=None)
    (abort,) = caller.send(Call(1, dict(SECRET), uri, [b"\x00"]))
    assert isinstance(abort, Abort)
    assert abort.reason == VIOLATION
    assert callee.take() == []


def test_a_callee_that_does_not_know_it_is_not_called() -> None:
    _, caller, callee = able(callee=None)
    assert failed(*caller.send(Call(1, dict(SECRET), "x.a", [b"\x00"])), NOT_SUPPORTED)
    assert failed(*caller.send(Call(2, dict(SECRET), "x.local", [b"\x00"])), NOT_SUPPORTED)
    assert callee.take() == []
    assert not caller.session.calls


@pytest.mark.parametrize("message", [Yield(1, dict(SECRET)), Error(68, 1, dict(SECRET), "x.e")])
def test_a_callee_that_has_not_announced_it_breaks_the_protocol(message: Any) -> None:
    _, caller, callee = able(callee=None)
    caller.call("x.a")
    callee.take()
    (abort,) = callee.send(message)
    assert isinstance(abort, Abort)
    assert abort.reason == VIOLATION
    assert failed(caller.one(), "wamp.error.canceled")


@pytest.mark.parametrize("progress", [True, False])
def test_an_answer_that_the_caller_cannot_read_is_an_error_for_both(progress: bool) -> None:
    _, caller, callee = able(caller=None)
    caller.call("x.a", receive_progress=True)
    callee.take()
    (error,) = callee.send(Yield(1, {**SECRET, "progress": progress}, [b"\x00"]))
    assert (error.kind, error.request, error.error) == (70, 1, NOT_SUPPORTED)  # type: ignore[union-attr]
    assert failed(caller.one(), NOT_SUPPORTED)
    assert callee.send(Yield(1, {}, ["again"])) == caller.take() == []
    assert not caller.session.calls
    assert not callee.session.invocations


# -- what else goes on ------------------------------------------------------------------------------------------
def test_a_trace_needs_no_passthru() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, caller, callee = able(caller=None, callee=None)
    caller.send(Call(1, {PARENT: parent}, "x.a"))
    assert callee.one().details == {PARENT: parent}


@pytest.mark.parametrize("name", ["timeout", "receive_progress", "progress", "disclose_me", "ppt_scheme"])
def test_null_is_an_absent_option_of_a_call(name: str) -> None:
    assert told(**{name: None}) == {}


@pytest.mark.parametrize(
    "name", ["match", "invoke", "concurrency", "disclose_caller", "forward_timeout", "force_reregister"]
)
def test_null_is_an_absent_option_of_a_registration(name: str) -> None:
    assert told(register={name: None}) == {}


def test_integral_floats_are_integers_in_options() -> None:
    edge = Edge("x.local")
    peer = edge.join()
    assert peer.call("x.local", timeout=1500.0) is None
    assert edge.realm.next_deadline() == 1.5
    assert peer.register("x.a", concurrency=2.0)


def test_a_publisher_is_no_caller() -> None:
    """A feature is announced by role."""
    edge = Edge()
    callee = edge.join(PPT)
    (abort,) = callee.send(Call(1, dict(SECRET), "x.a"))
    assert isinstance(abort, Abort)
    assert edge.join().send(Publish(1, {}, "x.t")) == []
    assert len(edge.join().send(Register(1, {}, "x.a"))) == 1
