"""Section "Session Testament": last words, said when a session is gone."""

from __future__ import annotations

from typing import Any

import pytest
from hall import Hall, Refused

from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.messages import Call, Event, Goodbye
from limen.core.wamp.verdict import ALLOWED, DENIED, Verdict

ADD, FLUSH = "wamp.session.add_testament", "wamp.session.flush_testaments"


@pytest.mark.parametrize("how", ["drop", "goodbye", "violation", "kill"])
def test_it_is_published_however_the_session_ends(how: str) -> None:
    hall = Hall()
    ann, sub = hall.come("ann"), hall.come()
    sub.listen("last.words")
    assert ann.result(ADD, "last.words", ["bye", 1], {"k": b"2"}).args == []
    assert sub.events() == []
    if how == "drop":
        ann.drop()
    elif how == "kill":
        hall.come().call("wamp.session.kill", ann.session.id)
    else:
        ann.send(Goodbye({}, "wamp.close.close_realm") if how == "goodbye" else Event(1, 1, {}))
    (event,) = sub.events()
    assert (event.details, event.args, event.kwargs) == ({}, ["bye", 1], {"k": b"2"})
    ann.drop()
    assert sub.events() == []


def test_those_of_the_detached_come_first_each_in_its_order() -> None:
    hall = Hall()
    ann, sub = hall.come(), hall.come()
    sub.listen("t")
    for n, scope in enumerate(["destroyed", "detached", "destroyed", "detached"]):
        ann.call(ADD, "t", [n], {}, scope=scope)
    ann.call(ADD, "t", [4], {})
    ann.drop()
    assert sub.heard() == [1, 3, 0, 2, 4]


@pytest.mark.parametrize(("scope", "left"), [(None, "detached"), ("destroyed", "detached"), ("detached", "destroyed")])
def test_flushing_is_for_one_scope(scope: str | None, left: str) -> None:
    hall = Hall()
    ann, sub = hall.come(), hall.come()
    sub.listen("t")
    for each in ("detached", "destroyed"):
        ann.call(ADD, "t", [each], {}, scope=each)
    assert ann.result(FLUSH, **({} if scope is None else {"scope": scope})).args == []
    ann.drop()
    assert sub.heard() == [left]


def test_what_was_flushed_or_said_leaves_nothing() -> None:
    hall = Hall()
    ann = hall.come()
    ann.call(FLUSH)
    ann.call(ADD, "t")
    ann.call(FLUSH)
    assert len(hall.realm._testaments) == 0
    assert hall.realm._testaments._of == {}
    ann.call(ADD, "t")
    ann.drop()
    assert hall.empty


def test_the_options_of_its_publication_hold() -> None:
    hall = Hall()
    ann = hall.come("ann", ["staff"])
    bob, cee = hall.come("bob"), hall.come("cee")
    for member in (ann, bob, cee):
        member.listen("t")
    options = {"eligible_authid": ["bob", "ann"], "disclose_me": True, "retain": True, "acknowledge": True}
    ann.call(ADD, "t", [1], {}, publish_options={**options, "exclude_me": False})
    ann.drop()
    about = {"publisher": ann.session.id, "publisher_authid": "ann", "publisher_authrole": "staff"}
    assert [event.details for event in bob.events()] == [about]
    assert ann.take() == cee.events() == []
    late = hall.come("bob")
    late.listen("t", get_retained=True)
    assert [event.details for event in late.events()] == [{**about, "retained": True}]


# -- authority --------------------------------------------------------------------------------------------------
def test_it_needs_the_right_to_publish_that() -> None:
    hall = Hall(lambda s, action, uri, options: DENIED if (action, uri) == ("publish", "secret") else ALLOWED)
    ann, sub = hall.come(), hall.come()
    sub.listen("", "prefix")
    with pytest.raises(Refused, match=r"^wamp\.error\.not_authorized$"):
        ann.call(ADD, "secret", [1])
    ann.drop()
    assert sub.events() == []


@pytest.mark.parametrize("verdict", [ALLOWED, DENIED])
def test_that_right_may_come_later_and_is_that_of_this_moment(verdict: Verdict) -> None:
    hall = Hall(lambda s, action, uri, options: None if action == "publish" else ALLOWED)
    ann, sub = hall.come("ann"), hall.come()
    sub.listen("t")
    assert ann.send(Call(ann.id(), {}, ADD, ["t", [1], {}])) == []
    assert [(ask.action, ask.uri) for ask in hall.asked] == [("publish", "t")]
    named = Verdict(verdict.allow, disclose=True, trust=5)
    hall.act(hall.realm.decide(ann.session, named))
    ann.take()
    ann.drop()
    about = {"publisher": ann.session.id, "publisher_authid": "ann", "publisher_authrole": "anonymous", "trustlevel": 5}
    assert [event.details for event in sub.events()] == ([about] if verdict.allow else [])
    assert len(hall.asked) == 1


def test_what_was_closed_since_is_not_published() -> None:
    closed: list[str] = []
    hall = Hall(lambda s, action, uri, options: DENIED if action == "publish" and uri in closed else ALLOWED)
    ann, sub = hall.come(), hall.come()
    sub.listen("", "prefix")
    ann.call(ADD, "t", ["forged"])
    ann.call(ADD, "u", ["mine"])
    closed.append("t")
    ann.drop()
    assert sub.heard() == ["mine"]


def test_who_must_not_be_named_is_not_named_by_its_testament() -> None:
    hall = Hall(lambda s, action, uri, options: Verdict(True, may_disclose=False) if action == "publish" else ALLOWED)
    ann = hall.come()
    with pytest.raises(Refused, match="option_disallowed"):
        ann.call(ADD, "t", [], {}, publish_options={"disclose_me": True})


@pytest.mark.parametrize("topic", ["wamp.session.on_join", "limen.notice", "a..b", "", "a b"])
def test_nobody_speaks_as_the_router_from_the_grave(topic: str) -> None:
    hall = Hall()
    ann, sub = hall.come(), hall.come()
    sub.listen("wamp.session.", "prefix")
    with pytest.raises(Refused, match=r"^wamp\.error\.invalid_uri$"):
        ann.call(ADD, topic, [1])
    ann.drop()
    assert [event.details["topic"] for event in sub.events()] == ["wamp.session.on_leave"]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([], {}),
        ([5], {}),
        (["t", "text"], {}),
        (["t", [], []], {}),
        (["t"], {"scope": "later"}),
        (["t"], {"scope": 5}),
        (["t"], {"publish_options": [1]}),
        (["t"], {"publish_options": {"eligible": 5}}),
    ],
)
def test_what_can_not_be_published_is_refused_at_once(args: list[Any], kwargs: dict[str, Any]) -> None:
    hall = Hall()
    with pytest.raises(Refused, match=r"^wamp\.error\.invalid_argument$"):
        hall.come().call(ADD, *args, **kwargs)
    assert len(hall.realm._testaments) == 0


def test_flushing_another_scope_is_refused() -> None:
    with pytest.raises(Refused, match="invalid_argument"):
        Hall().come().call(FLUSH, scope="all")


def test_a_payload_as_it_is_needs_to_have_been_announced() -> None:
    hall = Hall()
    ann, able, sub = hall.come(can={}), hall.come(), hall.come()
    sub.listen("t")
    with pytest.raises(Refused, match="invalid_argument"):
        ann.call(ADD, "t", [b"x"], {}, publish_options={"ppt_scheme": "x_mine"})
    able.call(ADD, "t", [b"x"], {}, publish_options={"ppt_scheme": "x_mine"})
    able.drop()
    assert [(event.details, event.args) for event in sub.events()] == [({"ppt_scheme": "x_mine"}, [b"x"])]


# -- how much ---------------------------------------------------------------------------------------------------
def test_their_number_is_bounded() -> None:
    hall = Hall(keeping=Keeping(testaments=3))
    ann, bob = hall.come(), hall.come()
    for scope in ("detached", "destroyed", "destroyed"):
        ann.call(ADD, "t", scope=scope)
    with pytest.raises(Refused, match=r"^wamp\.error\.unavailable$"):
        ann.call(ADD, "t")
    bob.call(ADD, "t")
    ann.call(FLUSH, scope="detached")
    ann.call(ADD, "t")


def test_their_bytes_are_bounded_too() -> None:
    hall = Hall(keeping=Keeping(testament_bytes=5000))
    ann = hall.come()
    ann.call(ADD, "t", ["x" * 2000])
    ann.call(ADD, "t", ["x" * 2000])
    with pytest.raises(Refused, match="unavailable"):
        ann.call(ADD, "t", ["x" * 2000])


def test_the_other_processes_hear_it() -> None:
    hall = Hall(shared=True)
    ann = hall.come("ann", id=9)
    ann.call(ADD, "t", [1], {}, publish_options={"disclose_me": True})
    ann.drop()
    (said,) = hall.spread
    assert (said.uri, said.args, said.details["publisher_authid"], said.excluded) == ("t", [1], "ann", 9)
