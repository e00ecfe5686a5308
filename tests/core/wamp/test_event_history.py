"""Section "Event History": what is kept of which topics, who may read it, and `wamp.subscription.get_events`."""

from __future__ import annotations

from typing import Any

import pytest
from hall import Hall, Member, Refused

from limen.core.wamp.events.history import MOST_ANSWERED, History
from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.messages import Call, Result
from limen.core.wamp.verdict import ALLOWED, DENIED

GET = "wamp.subscription.get_events"
LOG = Keeping(history=(History("log.", "prefix", 100),))


def numbers(member: Member, subscription: int, **wanted: Any) -> list[Any]:
    return [event["args"][0] for event in member.result(GET, subscription, **wanted).args or []]


def test_the_sections_example() -> None:
    hall = Hall(keeping=Keeping(history=(History("com.mycompany.log", "prefix"),)))
    pub, sub = hall.come(), hall.come()
    auth, basket = sub.listen("com.mycompany.log.auth"), sub.listen("com.mycompany.log.basket")
    all_of_it = sub.listen("com.mycompany.log", "prefix")
    for n, topic in enumerate(("auth", "basket", "basket", "basket", "checkout"), 1):
        pub.publish(f"com.mycompany.log.{topic}", n)
    assert numbers(sub, auth) == [1]
    assert numbers(sub, basket) == [2, 3, 4]
    assert numbers(sub, all_of_it) == [1, 2, 3, 4, 5]


def test_an_event_as_it_is_told() -> None:
    hall = Hall(keeping=LOG)
    pub, sub = hall.come("ann"), hall.come()
    exact, prefix = sub.listen("log.a"), sub.listen("log.", "prefix")
    hall.wall = 1_795_296_000.123
    first = pub.publish("log.a", 1, disclose_me=True)
    pub.say("log.a")
    about = {"publisher": pub.session.id, "publisher_authid": "ann", "publisher_authrole": "anonymous"}
    told, bare = sub.result(GET, exact).args or []
    assert told == {
        "timestamp": "2026-11-21T21:20:00.123Z",
        "subscription": exact,
        "publication": first,
        "details": about,
        "args": [1],
    }
    assert bare["args"] == []
    told = (sub.result(GET, prefix).args or [])[0]
    assert (told["subscription"], told["details"]) == (prefix, {**about, "topic": "log.a"})


def test_the_events_are_the_arguments_and_none_are_none() -> None:
    hall = Hall(keeping=LOG)
    sub = hall.come()
    id = sub.listen("log.a")
    assert sub.result(GET, id) == Result(2, {}, [], None)
    other = sub.listen("todo.a")
    sub.publish("todo.a", 1)
    assert sub.result(GET, other).args == []


def recorded(hall: Hall) -> tuple[Member, int, list[int]]:
    """Events 0 to 4, a second apart, at two topics."""
    pub, sub = hall.come(), hall.come()
    id = sub.listen("log.", "prefix")
    hall.wall = 0.0
    publications = []
    for n in range(5):
        publications.append(pub.publish(f"log.{n % 2}", n))
        hall.wall += 1
    sub.take()
    return sub, id, publications


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"reverse": True}, [4, 3, 2, 1, 0]),
        ({"reverse": False, "limit": 2}, [0, 1]),
        ({"reverse": True, "limit": 2}, [4, 3]),
        ({"limit": 99}, [0, 1, 2, 3, 4]),
        ({"limit": None}, [0, 1, 2, 3, 4]),
        ({"from_time": "1970-01-01T00:00:02Z"}, [2, 3, 4]),
        ({"after_time": "1970-01-01T00:00:02Z"}, [3, 4]),
        ({"before_time": "1970-01-01T01:00:02+01:00"}, [0, 1]),
        ({"until_time": "1970-01-01t00:00:02.000z"}, [0, 1, 2]),
        ({"after_time": "1970-01-01T00:00:00.999Z", "before_time": "1970-01-01T00:00:02.001Z"}, [1, 2]),
        ({"topic": "log.1"}, [1, 3]),
        ({"topic": "log.1", "reverse": True, "limit": 1}, [3]),
        ({"topic": "log.9"}, []),
        ({"from_publication": 3}, [3, 4]),
        ({"after_publication": 3}, [4]),
        ({"before_publication": 1}, [0]),
        ({"until_publication": 1}, [0, 1]),
        ({"from_publication": 1, "until_publication": 3}, [1, 2, 3]),
        ({"after_publication": 1, "before_publication": 3, "reverse": True}, [2]),
        ({"after_publication": 4}, []),
        ({"from_publication": 3, "until_publication": 1}, []),
    ],
)
def test_what_can_be_asked_for(wanted: dict[str, Any], expected: list[int]) -> None:
    sub, id, publications = recorded(Hall(keeping=LOG))
    named = {k: publications[v] if k.endswith("publication") else v for k, v in wanted.items()}
    assert numbers(sub, id, **named) == expected


def test_a_publication_that_is_not_there_has_nothing_after_it() -> None:
    sub, id, _ = recorded(Hall(keeping=LOG))
    assert numbers(sub, id, after_publication=12345) == numbers(sub, id, before_publication=12345) == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": "5"},
        {"limit": True},
        {"from_time": "yesterday"},
        {"from_time": 7},
        {"until_time": "2026-11-21T00:00:00"},
        {"after_time": "2026-11-21"},
        {"from_publication": "x"},
        {"until_publication": 0},
        {"topic": 5},
    ],
)
def test_what_can_not_be_read_is_refused(wanted: dict[str, Any]) -> None:
    sub, id, _ = recorded(Hall(keeping=LOG))
    with pytest.raises(Refused, match="invalid_argument"):
        sub.result(GET, id, **wanted)


# -- what is kept -----------------------------------------------------------------------------------------------
def test_only_what_the_realm_is_set_to_keep() -> None:
    hall = Hall(keeping=Keeping(history=(History("a.b"), History("x..z", "wildcard"))))
    pub, sub = hall.come(), hall.come()
    everything = sub.listen("", "prefix")
    for n, topic in enumerate(["a.b", "a.b.c", "x.y.z", "x.z", "x.y.z.z"]):
        pub.publish(topic, n)
    assert numbers(sub, everything) == [0, 2]


def test_each_pattern_keeps_its_last_and_the_order_is_that_of_all() -> None:
    hall = Hall(keeping=Keeping(history=(History("log.", "prefix", 3), History("log.x", "exact", 2))))
    pub, sub = hall.come(), hall.come()
    id = sub.listen("log.", "prefix")
    for n in range(12):
        pub.publish("log.x" if n % 3 == 0 else "log.y", n)
    assert numbers(sub, id) == [6, 8, 9, 10, 11]


def test_all_of_them_are_bounded_in_bytes() -> None:
    hall = Hall(keeping=Keeping(history=LOG.history, history_bytes=10_000))
    events = hall.realm._broker.events
    pub = hall.come()
    for n in range(50):
        pub.publish("log.a", n, "x" * 1000)
        assert events.bytes <= 10_000
    pub.publish("log.a", "x" * 20_000)
    assert len(events) == 7


def test_an_answer_is_bounded_and_says_so_and_can_be_gone_on_with() -> None:
    hall = Hall(keeping=LOG)
    pub, sub = hall.come(), hall.come()
    id = sub.listen("log.a")
    for n in range(9):
        pub.publish("log.a", n, "x" * (MOST_ANSWERED // 4))
    sub.take()
    seen: list[int] = []
    wanted: dict[str, Any] = {}
    while True:
        result = sub.result(GET, id, **wanted)
        events = result.args or []
        seen += [event["args"][0] for event in events]
        if result.kwargs is None:
            break
        assert (result.kwargs, len(events)) == ({"more": True}, 3)
        wanted = {"after_publication": events[-1]["publication"]}
    assert seen == list(range(9))


@pytest.mark.parametrize("name", ["eligible", "exclude"])
def test_what_chooses_by_session_is_not_kept(name: str) -> None:
    hall = Hall(keeping=LOG)
    pub, sub = hall.come(), hall.come()
    id = sub.listen("log.a")
    pub.publish("log.a", 1, **{name: [sub.session.id]})
    pub.publish("log.a", 2, **{name: []})
    pub.publish("log.a", 3, **{name: None})
    sub.take()
    assert numbers(sub, id) == [3]


# -- who may read it --------------------------------------------------------------------------------------------
def test_its_lists_choose_who_reads_it() -> None:
    hall = Hall(keeping=LOG)
    pub, ann, bob = hall.come("pub"), hall.come("ann", ["admin"]), hall.come("bob", ["user"])
    id = ann.listen("log.a")
    bob.listen("log.a")
    pub.publish("log.a", 1, eligible_authrole=["admin"])
    pub.publish("log.a", 2, exclude_authid=["ann"])
    pub.publish("log.a", 3)
    ann.take(), bob.take()
    assert (numbers(ann, id), numbers(bob, id)) == ([1, 3], [2, 3])
    assert numbers(ann, id, limit=1, reverse=True) == [3]
    assert numbers(bob, id, limit=1) == [2]


def test_a_payload_that_it_could_not_read_is_not_for_it() -> None:
    hall = Hall(keeping=LOG)
    pub, able, other = hall.come(), hall.come(), hall.come(can={})
    id = able.listen("log.a")
    other.listen("log.a")
    pub.publish("log.a", 1, ppt_scheme="x_mine")
    able.take()
    assert (numbers(able, id), numbers(other, id)) == ([1], [])


def test_who_has_not_subscribed_must_be_allowed_to() -> None:
    def rule(session: Any, action: str, uri: str, options: Any) -> Any:
        return DENIED if action == "subscribe" and session.authid == "eve" else ALLOWED

    hall = Hall(rule, keeping=LOG)
    ann, bob, eve = hall.come("ann"), hall.come("bob"), hall.come("eve")
    id = ann.listen("log.a")
    ann.publish("log.a", 1)
    assert numbers(bob, id) == [1]
    with pytest.raises(Refused, match=r"^wamp\.error\.not_authorized$"):
        numbers(eve, id)


def test_who_may_subscribe_the_topic_alone_does_not_read_the_pattern() -> None:
    hall = Hall(lambda s, action, uri, options: DENIED if "match" in options else ALLOWED, keeping=LOG)
    sub = hall.come()
    (pattern,) = sub.call("wamp.subscription.list")["prefix"]
    with pytest.raises(Refused, match="not_authorized"):
        numbers(sub, pattern)


def test_the_call_itself_must_be_allowed() -> None:
    hall = Hall(lambda s, action, uri, options: DENIED if action == "call" else ALLOWED, keeping=LOG)
    sub = hall.come()
    with pytest.raises(Refused, match=r"^wamp\.error\.not_authorized$"):
        numbers(sub, sub.listen("log.a"))


def test_both_rights_may_be_asked_for_and_come_later() -> None:
    hall = Hall(lambda s, action, uri, options: None if s.authid == "bob" else ALLOWED, keeping=LOG)
    ann, bob = hall.come("ann"), hall.come("bob")
    id = ann.listen("log.a")
    ann.publish("log.a", 1)
    for last, answered in ((ALLOWED, [1]), (DENIED, None)):
        assert bob.send(Call(bob.id(), {}, GET, [id])) == []
        assert [(ask.action, ask.uri) for ask in hall.asked] == [("call", GET)]
        hall.act(hall.realm.decide(bob.session, ALLOWED))
        assert [(ask.action, ask.uri) for ask in hall.asked[1:]] == [("subscribe", "log.a")]
        assert bob.take() == []
        hall.asked.clear()
        hall.act(hall.realm.decide(bob.session, last))
        answer = bob.one()
        if answered:
            assert [event["args"] for event in answer.args] == [answered]
        else:
            assert answer.error == "wamp.error.not_authorized"
    assert not hall.realm._meta._let_in


def test_a_session_that_is_cut_while_it_is_asked_about_leaves_nothing() -> None:
    hall = Hall(lambda s, action, uri, options: None if action == "subscribe" else ALLOWED, keeping=LOG)
    bob = hall.come("bob")
    (id,) = hall.come().call("wamp.subscription.list")["prefix"]
    bob.send(Call(bob.id(), {}, GET, [id]))
    assert hall.realm._meta._let_in
    bob.drop()
    assert not hall.realm._meta._let_in
    hall.act(hall.realm.decide(bob.session, ALLOWED))
    assert bob.take() == []


# -- subscriptions that are there for it ------------------------------------------------------------------------
def test_what_is_kept_can_be_looked_up_before_anyone_subscribes_and_after_all_have_left() -> None:
    hall = Hall(keeping=LOG)
    pub, sub = hall.come(), hall.come()
    pub.publish("log.a", 1)
    id = sub.call("wamp.subscription.lookup", "log.", {"match": "prefix"})
    assert numbers(sub, id) == [1]
    assert sub.listen("log.", "prefix") == id
    sub.leave(id)
    assert sub.call("wamp.subscription.lookup", "log.", {"match": "prefix"}) == id
    assert numbers(sub, id) == [1]
    with pytest.raises(Refused, match="no_such_subscription"):
        numbers(sub, 999)


def test_one_that_comes_later_reads_what_was_before() -> None:
    hall = Hall(keeping=LOG)
    hall.come().publish("log.a", 1)
    sub = hall.come()
    assert numbers(sub, sub.listen("log.a")) == [1]


@pytest.mark.parametrize(("uri", "match", "limit"), [("a..b", "exact", 1), ("a", "regex", 1), ("a", "exact", 0)])
def test_what_can_not_be_kept_can_not_be_asked_of_a_realm(uri: str, match: str, limit: int) -> None:
    with pytest.raises(ValueError, match=r"can't be matched|has a limit"):
        History(uri, match, limit)


def test_a_process_that_starts_later_takes_over_what_is_kept() -> None:
    here, there = Hall(keeping=LOG, shared=True), Hall(keeping=LOG, shared=True)
    publisher = here.come()
    for n in range(3):
        publisher.publish("log.a", n, retain=True)
    there.realm.keep(*here.realm.kept())
    assert there.realm.kept() == here.realm.kept()
    ann = there.come("ann")
    assert numbers(ann, ann.listen("log.a")) == [0, 1, 2]


def test_other_processes_keep_it_too() -> None:
    here, there = Hall(keeping=LOG, shared=True), Hall(keeping=LOG, shared=True)
    here.come().publish("log.a", 1, exclude_authid=["bob"])
    there.act(there.realm.hear(here.spread[0]))
    ann, bob = there.come("ann"), there.come("bob")
    assert (numbers(ann, ann.listen("log.a")), numbers(bob, bob.listen("log.a"))) == ([1], [])
