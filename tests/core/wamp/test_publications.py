"""What an EVENT says beside its payload: sections "Publisher Identification", "Publication Trust Levels", "Payload
Passthru Mode"; and that all of it crosses to the other processes of a server."""

from __future__ import annotations

from typing import Any

import pytest
from hall import Hall, Refused, Rule

from limen.core.wamp.messages import Abort, Publish
from limen.core.wamp.verdict import ALLOWED, Verdict

PPT = {"ppt_scheme": "x_mine", "ppt_serializer": "cbor", "ppt_cipher": "aes256gcm", "ppt_keyid": "7"}


def saying(verdict: Verdict) -> Rule:
    return lambda session, action, uri, options: verdict if action == "publish" else ALLOWED


# -- identification ---------------------------------------------------------------------------------------------
def test_a_publisher_is_named_where_it_asks_for_that() -> None:
    hall = Hall()
    pub, sub = hall.come("ann", ["admin", "staff"]), hall.come()
    sub.listen("a.b")
    pub.publish("a.b", 1, disclose_me=True)
    (event,) = sub.events()
    assert event.details == {"publisher": pub.session.id, "publisher_authid": "ann", "publisher_authrole": "admin"}


@pytest.mark.parametrize("asked", [None, False, 1, "yes"])
def test_else_nobody_learns_who_it_is(asked: Any) -> None:
    hall = Hall()
    pub, sub = hall.come("ann"), hall.come()
    sub.listen("a.b")
    pub.publish("a.b", 1, disclose_me=asked)
    assert [event.details for event in sub.events()] == [{}]


def test_the_realm_may_name_it_without_being_asked() -> None:
    hall = Hall(saying(Verdict(True, disclose=True)))
    pub, sub = hall.come("ann"), hall.come()
    sub.listen("a.", "prefix")
    pub.say("a.b", 1)
    (event,) = sub.events()
    assert event.details == {
        "publisher": pub.session.id,
        "publisher_authid": "ann",
        "publisher_authrole": "anonymous",
        "topic": "a.b",
    }


def test_where_it_must_not_ask_nothing_is_published_and_it_hears_why() -> None:
    hall = Hall(saying(Verdict(True, may_disclose=False)))
    pub, sub = hall.come(), hall.come()
    sub.listen("a.b")
    with pytest.raises(Refused, match=r"^wamp\.error\.option_disallowed\.disclose_me$"):
        pub.publish("a.b", 1, disclose_me=True)
    pub.say("a.b", 2, disclose_me=True)
    assert sub.events() == []
    pub.publish("a.b", 3)
    assert sub.heard() == [3]


# -- trust ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("level", [0, 7])
def test_subscribers_are_told_how_far_a_publication_is_trusted(level: int) -> None:
    hall = Hall(saying(Verdict(True, trust=level)))
    pub, sub = hall.come(), hall.come()
    sub.listen("a.b")
    pub.publish("a.b", 1, trustlevel=99)
    assert [event.details for event in sub.events()] == [{"trustlevel": level}]


# -- payload passthru -------------------------------------------------------------------------------------------
def test_a_payload_and_what_it_says_of_itself_go_through_untouched() -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    sub.listen("a.b")
    pub.publish("a.b", b"\x00secret", **PPT)
    (event,) = sub.events()
    assert (event.details, event.args) == (PPT, [b"\x00secret"])


def test_who_did_not_announce_it_gets_no_such_event_and_others_do() -> None:
    hall = Hall()
    pub, able, not_able = hall.come(), hall.come(), hall.come(can={})
    able.listen("a.", "prefix")
    not_able.listen("a.b")
    not_able.listen("a.", "prefix")
    pub.publish("a.b", 1, **PPT)
    pub.publish("a.b", 2)
    assert (able.heard(), not_able.heard()) == ([1, 2], [2, 2])


@pytest.mark.parametrize("acknowledge", [True, False])
def test_who_sends_one_without_having_announced_it_breaks_the_protocol(acknowledge: bool) -> None:
    hall = Hall()
    pub, sub = hall.come(can={}), hall.come()
    sub.listen("a.b")
    (answer,) = pub.send(Publish(pub.id(), {"acknowledge": acknowledge, **PPT}, "a.b", [1]))
    assert isinstance(answer, Abort)
    assert answer.reason == "wamp.error.protocol_violation"
    assert pub.closed
    assert sub.events() == []


def test_without_a_scheme_it_is_no_such_payload() -> None:
    hall = Hall()
    pub, sub = hall.come(can={}), hall.come(can={})
    sub.listen("a.b")
    pub.publish("a.b", 1, ppt_keyid="7", ppt_scheme=None)
    assert [event.details for event in sub.events()] == [{}]


# -- several processes ------------------------------------------------------------------------------------------
def test_the_other_processes_say_the_same_of_it() -> None:
    here, there = Hall(saying(Verdict(True, trust=3)), shared=True), Hall(shared=True)
    pub = here.come("ann", ["staff"], id=100)
    able, not_able = there.come("bob", ["staff"]), there.come("cee", ["staff"], can={})
    for member in (able, not_able):
        member.listen("a.", "prefix")
    publication = pub.publish("a.b", 1, disclose_me=True, eligible_authrole=["staff"], **PPT)
    (said,) = here.spread
    there.act(there.realm.hear(said))
    (event,) = able.events()
    assert event.publication == publication
    assert event.details == {
        "publisher": 100,
        "publisher_authid": "ann",
        "publisher_authrole": "staff",
        "trustlevel": 3,
        "topic": "a.b",
        **PPT,
    }
    assert not_able.events() == []
    pub.publish("a.b", 2, exclude_authid=["bob"])
    there.act(there.realm.hear(here.spread[1]))
    assert (able.heard(), not_able.heard()) == ([], [2])


def test_what_only_its_publisher_may_know_does_not_cross() -> None:
    here = Hall(shared=True)
    here.come().publish("a.b", 1, secret="x", disclose_me=False)
    assert dict(here.spread[0].options) == {}
    assert dict(here.spread[0].details) == {}


# -- lists ------------------------------------------------------------------------------------------------------
def test_the_role_of_those_without_one_can_be_listed() -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    sub.listen("a.b")
    pub.publish("a.b", 1, exclude_authrole=["anonymous"])
    pub.publish("a.b", 2, eligible_authrole=["anonymous"])
    assert sub.heard() == [2]


def test_ids_that_a_client_writes_as_floats_are_ids() -> None:
    hall = Hall()
    pub, a, b = hall.come(), hall.come(), hall.come()
    for member in (a, b):
        member.listen("a.b")
    pub.publish("a.b", 1, exclude=[float(a.session.id)])
    assert (a.heard(), b.heard()) == ([], [1])
    with pytest.raises(Refused, match="invalid_argument"):
        pub.publish("a.b", 1, exclude=[1.5])
