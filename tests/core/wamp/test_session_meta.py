"""Section "Session Meta API": who is here, and ending them."""

from __future__ import annotations

from typing import Any

import pytest
from hall import Hall, Member, Refused

from limen.core.wamp.messages import Call, Error, Event, Goodbye, Result
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED, DENIED

DETAILS = {"authmethod": "ticket", "authprovider": "static", "transport": {"encoding": "cbor"}}
KILLS = {
    "wamp.session.kill": lambda member: [member.session.id],
    "wamp.session.kill_by_authid": lambda member: [member.session.authid],
    "wamp.session.kill_by_authrole": lambda member: [member.session.authrole],
    "wamp.session.kill_all": lambda member: [],
}


# -- events -----------------------------------------------------------------------------------------------------
def test_who_listens_hears_who_comes_and_who_goes() -> None:
    hall = Hall()
    watcher = hall.come()
    watcher.listen("wamp.session.on_join")
    watcher.listen("wamp.session.on_leave")
    ann = hall.come("ann", ["admin", "staff"], details=DETAILS)
    about = {"session": ann.session.id, "authid": "ann", "authrole": "admin", **DETAILS}
    (event,) = watcher.events()
    assert (event.args, event.kwargs) == ([about], None)
    ann.drop()
    (event,) = watcher.events()
    assert event.args == [ann.session.id, "ann", "admin"]


@pytest.mark.parametrize("how", ["drop", "goodbye", "abort", "violation"])
def test_however_it_goes(how: str) -> None:
    from limen.core.wamp.messages import Abort

    hall = Hall()
    watcher, ann = hall.come(), hall.come("ann")
    watcher.listen("wamp.session.on_leave")
    ways: dict[str, Any] = {
        "goodbye": Goodbye({}, "wamp.close.close_realm"),
        "abort": Abort({}, "x"),
        "violation": Event(1, 1, {}),
    }
    ann.drop() if how == "drop" else ann.send(ways[how])
    ann.drop()
    assert [event.args for event in watcher.events()] == [[ann.session.id, "ann", "anonymous"]]


def test_nobody_hears_of_its_own_coming_and_going() -> None:
    hall = Hall()
    ann = hall.come()
    ann.listen("wamp.session.", "prefix")
    ann.send(Goodbye({}, "wamp.close.close_realm"))
    assert ann.take() == []


# -- who is here ------------------------------------------------------------------------------------------------
def test_counting_and_listing() -> None:
    hall = Hall()
    ann, bob, cee = hall.come("ann", ["admin", "staff"]), hall.come("bob", ["staff"]), hall.come()
    ids = [member.session.id for member in (ann, bob, cee)]
    assert (ann.call("wamp.session.count"), ann.call("wamp.session.list")) == (3, ids)
    for roles, expected in ((["staff"], ids[:2]), (["admin", "nobody"], ids[:1]), (["anonymous"], ids[2:]), ([], [])):
        assert cee.call("wamp.session.list", roles) == expected
        assert cee.call("wamp.session.count", roles) == len(expected)
        assert cee.call("wamp.session.count", filter_authroles=roles) == len(expected)
    bob.drop()
    assert cee.call("wamp.session.list", None) == [ids[0], ids[2]]


def test_one_of_them() -> None:
    hall = Hall()
    ann, bob = hall.come("ann", ["admin"], details=DETAILS), hall.come("bob")
    assert bob.call("wamp.session.get", ann.session.id) == {
        "session": ann.session.id,
        "authid": "ann",
        "authrole": "admin",
        **DETAILS,
    }
    assert bob.call("wamp.session.get", float(ann.session.id))["authid"] == "ann"
    with pytest.raises(Refused, match=r"^wamp\.error\.no_such_session$"):
        bob.call("wamp.session.get", 999)


@pytest.mark.parametrize(
    ("uri", "args"),
    [
        ("count", ["staff"]),
        ("list", [{"a": 1}]),
        ("get", []),
        ("get", ["1"]),
        ("get", [None]),
        ("kill", []),
        ("kill", [1.5]),
        ("kill_by_authid", []),
        ("kill_by_authrole", [7]),
    ],
)
def test_what_is_no_argument_is_refused(uri: str, args: list[Any]) -> None:
    hall = Hall()
    hall.come()
    with pytest.raises(Refused, match=r"^wamp\.error\.invalid_argument$"):
        hall.come().call(f"wamp.session.{uri}", *args)


# -- ending them ------------------------------------------------------------------------------------------------
def test_one_is_ended_with_the_reason_and_the_words() -> None:
    hall = Hall()
    ann, bob = hall.come("ann"), hall.come("bob")
    result = bob.result("wamp.session.kill", ann.session.id, reason="x.reason", message="out you go")
    assert result.args == []
    assert ann.take() == [Goodbye({"message": "out you go"}, "x.reason")]
    assert ann.closed
    assert bob.call("wamp.session.list") == [bob.session.id]
    assert hall.realm.receive(ann.session, Call(1, {}, "wamp.session.count")) == ()


def test_without_a_reason_it_was_killed() -> None:
    hall = Hall()
    ann, bob = hall.come("ann"), hall.come("bob")
    bob.call("wamp.session.kill", ann.session.id)
    assert ann.take() == [Goodbye({}, "wamp.close.killed")]


def test_the_answer_comes_before_what_others_hear_of_it() -> None:
    hall = Hall()
    ann, bob = hall.come("ann"), hall.come("bob")
    bob.listen("wamp.session.on_leave")
    first, second = bob.send(Call(bob.id(), {}, "wamp.session.kill", [ann.session.id]))
    assert isinstance(first, Result)
    assert isinstance(second, Event)
    assert second.args == [ann.session.id, "ann", "anonymous"]


def test_its_calls_and_registrations_end_with_it() -> None:
    hall = Hall()
    ann, bob = hall.come("ann"), hall.come("bob")
    ann.register("add")
    call = bob.id()
    bob.send(Call(call, {}, "add"))
    ann.take()
    hall.come().call("wamp.session.kill", ann.session.id)
    (answer,) = bob.take()
    assert isinstance(answer, Error)
    assert (answer.request, answer.error) == (call, "wamp.error.canceled")


def test_nobody_ends_itself() -> None:
    hall = Hall()
    ann = hall.come("ann", ["staff"])
    other = hall.come("ann", ["staff"])
    with pytest.raises(Refused, match="no_such_session"):
        ann.call("wamp.session.kill", ann.session.id)
    assert ann.call("wamp.session.kill_by_authid", "ann") == [other.session.id]
    assert ann.call("wamp.session.kill_by_authrole", "staff") == 0
    assert ann.call("wamp.session.kill_all") == 0
    assert not ann.closed


def test_many_at_once() -> None:
    hall = Hall()
    asker = hall.come()
    anns = [hall.come("ann", ["staff"]) for _ in range(3)]
    bob, cee = hall.come("bob", ["guest", "staff"]), hall.come("cee", ["guest"])
    assert asker.call("wamp.session.kill_by_authid", "ann", reason="x.y") == [ann.session.id for ann in anns]
    assert [ann.take() for ann in anns] == [[Goodbye({}, "x.y")]] * 3
    assert asker.call("wamp.session.kill_by_authid", "nobody") == []
    assert asker.call("wamp.session.kill_by_authrole", "staff", message="m") == 1
    assert bob.take() == [Goodbye({"message": "m"}, "wamp.close.killed")]
    assert asker.call("wamp.session.kill_all") == 1
    assert cee.closed


def test_where_all_others_go_nobody_hears_of_it() -> None:
    hall = Hall()
    asker, ann = hall.come(), hall.come("ann")
    asker.listen("wamp.session.on_leave")
    asker.listen("last.words")
    ann.call("wamp.session.add_testament", "last.words", ["bye"])
    asker.call("wamp.session.kill_all")
    assert asker.take() == []
    asker.drop()
    assert hall.empty


@pytest.mark.parametrize("uri", KILLS)
@pytest.mark.parametrize("reason", ["", "a..b", "a b", 7, ["x"], True])
def test_what_is_no_reason_ends_nobody(uri: str, reason: Any) -> None:
    hall = Hall()
    asker, ann = hall.come(), hall.come("ann", ["staff"])
    with pytest.raises(Refused, match=r"^wamp\.error\.invalid_uri$"):
        asker.call(uri, *KILLS[uri](ann), reason=reason)
    assert not ann.closed


@pytest.mark.parametrize("uri", KILLS)
def test_what_are_no_words_end_nobody(uri: str) -> None:
    hall = Hall()
    asker, ann = hall.come(), hall.come("ann", ["staff"])
    with pytest.raises(Refused, match=r"^wamp\.error\.invalid_argument$"):
        asker.call(uri, *KILLS[uri](ann), message={"a": 1})
    assert not ann.closed


# -- who may ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("uri", [*KILLS, "wamp.session.count", "wamp.session.list", "wamp.session.get"])
def test_each_procedure_is_called_only_where_that_is_allowed(uri: str) -> None:
    hall = Hall(lambda session, action, address, options: DENIED if address == uri else ALLOWED)
    asker, ann = hall.come(), hall.come("ann")
    with pytest.raises(Refused, match=r"^wamp\.error\.not_authorized$"):
        asker.call(uri, ann.session.id)
    assert not ann.closed


def test_a_right_may_come_later() -> None:
    hall = Hall(lambda session, action, uri, options: None if action == "call" else ALLOWED)
    asker, ann = hall.come(), hall.come("ann")
    asker.send(Call(asker.id(), {}, "wamp.session.kill", [ann.session.id]))
    assert [(ask.action, ask.uri) for ask in hall.asked] == [("call", "wamp.session.kill")]
    assert not ann.closed
    hall.act(hall.realm.decide(asker.session, ALLOWED))
    assert isinstance(asker.one(), Result)
    assert ann.closed


def test_what_is_not_there_is_not_there() -> None:
    with pytest.raises(Refused, match=r"^wamp\.error\.no_such_procedure$"):
        Hall().come().call("wamp.session.modify_everything")


def test_nobody_answers_in_the_routers_place() -> None:
    hall = Hall()
    member = hall.come()
    from limen.core.wamp.messages import Register

    for options in ({}, {"match": "prefix"}, {"match": "wildcard"}):
        (answer,) = member.send(Register(member.id(), options, "wamp.session.count"))
        assert isinstance(answer, Error)
    member.send(Register(member.id(), {"match": "prefix"}, ""))
    assert hall.come().call("wamp.session.count") == 2


# -- who is not told of -----------------------------------------------------------------------------------------
def stand_in(hall: Hall) -> Session:
    """A session that stands for one of another process."""
    session = Session(2**53 + 5, authid="ghost", authroles=["staff"])
    session.peer = Member(hall, session)
    hall.act(hall.realm.attach(session))
    return session


def test_sessions_of_other_processes_are_not_told_of() -> None:
    hall = Hall()
    ann = hall.come("ann")
    ann.listen("wamp.session.", "prefix")
    ghost = stand_in(hall)
    assert ann.call("wamp.session.list") == [ann.session.id]
    assert ann.call("wamp.session.count", ["staff"]) == 0
    for uri in ("get", "kill"):
        with pytest.raises(Refused, match="no_such_session"):
            ann.call(f"wamp.session.{uri}", ghost.id)
    assert ann.call("wamp.session.kill_by_authid", "ghost") == []
    assert ann.call("wamp.session.kill_by_authrole", "staff") == 0
    assert ann.call("wamp.session.kill_all") == 0
    hall.act(hall.realm.detach(ghost))
    assert ann.take() == []


def test_sealed_sessions_are_told_of_to_sealed_ones_only() -> None:
    hall = Hall()
    plain, ann = hall.come(), hall.come("ann", ["staff"], sealed=True)
    for member in (plain, ann):
        member.listen("wamp.session.", "prefix")
    bob = hall.come("bob", ["staff"], sealed=True)
    assert len(ann.events()) == 1
    assert plain.call("wamp.session.list") == [plain.session.id]
    assert ann.call("wamp.session.count") == 3
    for uri in ("get", "kill"):
        with pytest.raises(Refused, match="no_such_session"):
            plain.call(f"wamp.session.{uri}", bob.session.id)
    assert plain.call("wamp.session.kill_by_authid", "bob") == []
    assert plain.call("wamp.session.kill_by_authrole", "staff") == 0
    assert plain.call("wamp.session.kill_all") == 0
    bob.drop()
    assert [event.args for event in ann.events()] == [[bob.session.id, "bob", "staff"]]
    assert plain.take() == []
    hall.come("cee")
    assert len(plain.events()) == len(ann.events()) == 1
