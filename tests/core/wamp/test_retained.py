"""Section "Event Retention": what newcomers get, who gets none, and how much is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hall import Hall, Member

from limen.core.wamp.events.keeping import Keeping

PPT = {"ppt_scheme": "x_mine"}


def newcomer(hall: Hall, topic: str = "a.b", match: str | None = None, **who: Any) -> list[Any]:
    """What somebody who comes now gets first."""
    member = hall.come(**who)
    member.listen(topic, match, get_retained=True)
    return member.heard()


def test_a_newcomer_gets_the_last_retained_event_as_it_was() -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    pub.publish("a.b", 1, retain=True)
    publication = pub.publish("a.b", 2, {"k": b"\x00"}, retain=True)
    pub.publish("a.b", 3)
    id = sub.listen("a.b", get_retained=True)
    (event,) = sub.events()
    assert (event.subscription, event.publication, event.details) == (id, publication, {"retained": True})
    assert event.args == [2, {"k": b"\x00"}]


@pytest.mark.parametrize("asked", [None, False, 1, "yes"])
def test_who_does_not_ask_gets_none_and_what_is_not_marked_is_not_kept(asked: Any) -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    pub.publish("a.b", 1, retain=True)
    sub.listen("a.b", get_retained=asked)
    assert sub.events() == []
    pub.publish("a.c", 1, retain=asked)
    assert newcomer(hall, "a.c") == []


def test_those_who_listen_already_get_it_as_any_other_event() -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    sub.listen("a.b")
    pub.publish("a.b", 1, retain=True)
    assert [event.details for event in sub.events()] == [{}]


def test_a_pattern_gets_those_of_all_its_topics_in_the_order_of_their_publication() -> None:
    hall = Hall()
    pub, sub = hall.come("ann"), hall.come()
    for topic in ("a.1", "b.1", "a.2", "a.3.x"):
        pub.publish(topic, topic, retain=True)
    pub.publish("a.1", "again", retain=True, disclose_me=True)
    sub.listen("a.", "prefix", get_retained=True)
    events = sub.events()
    assert [(event.args, event.details["topic"]) for event in events] == [
        (["a.2"], "a.2"),
        (["a.3.x"], "a.3.x"),
        (["again"], "a.1"),
    ]
    assert all(event.details["retained"] is True for event in events)
    assert events[-1].details["publisher_authid"] == "ann"
    assert newcomer(hall, "a.", "wildcard") == ["a.2", "again"]


def test_what_the_server_retains_at_a_reserved_topic_a_pattern_of_all_does_not_get() -> None:
    hall = Hall()
    hall.act(hall.realm.publish("limen.notice", ["hush"], None, {"retain": True}))
    assert newcomer(hall, "", "prefix") == []
    assert newcomer(hall, "limen.notice") == newcomer(hall, "limen.", "prefix") == ["hush"]


# -- not for everyone -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "gets"),
    [
        ({"eligible_authrole": ["staff"]}, "ann"),
        ({"exclude_authrole": ["staff"]}, "bob"),
        ({"eligible_authid": ["bob"]}, "bob"),
        ({"exclude_authid": ["ann", "bob"]}, ""),
        ({"eligible": [500]}, "ann"),
        ({"exclude": [500]}, "bob"),
        ({"eligible_authrole": ["staff"], "exclude_authid": ["ann"]}, ""),
    ],
)
def test_its_lists_are_remembered(options: dict[str, Any], gets: str) -> None:
    hall = Hall()
    hall.come().publish("a.b", 1, retain=True, **options)
    assert newcomer(hall, authid="ann", authroles=["staff"], id=500) == ([1] if gets == "ann" else [])
    assert newcomer(hall, authid="bob", id=501) == ([1] if gets == "bob" else [])


def test_who_could_not_have_had_the_newest_gets_the_newest_that_it_could() -> None:
    hall = Hall()
    pub = hall.come()
    for n in range(3):
        pub.publish("a.b", n, retain=True)
    pub.publish("a.b", "for ann", retain=True, eligible_authid=["ann"])
    assert newcomer(hall, authid="ann") == ["for ann"]
    assert newcomer(hall, authid="bob") == [2]
    pub.publish("a.b", "for all", retain=True)
    assert newcomer(hall, authid="ann") == ["for all"]


def test_its_publisher_gets_what_others_retained_before() -> None:
    hall = Hall()
    ann, bob = hall.come("ann"), hall.come("bob")
    ann.publish("a.b", "of ann", retain=True)
    bob.publish("a.b", "of bob", retain=True)
    bob.publish("a.b", "of bob again", retain=True)
    bob.listen("a.b", get_retained=True)
    assert bob.heard() == ["of ann"]
    bob.publish("a.c", "mine too", retain=True, exclude_me=False)
    bob.listen("a.c", get_retained=True)
    assert bob.heard() == ["mine too"]


def test_one_that_its_subscriber_could_not_read_is_not_for_it() -> None:
    hall = Hall()
    pub = hall.come()
    pub.publish("a.b", "plain", retain=True)
    pub.publish("a.b", "ppt", retain=True, **PPT)
    assert newcomer(hall) == ["ppt"]
    assert newcomer(hall, can={}) == ["plain"]


def test_what_may_not_be_published_is_not_retained() -> None:
    from limen.core.wamp.verdict import ALLOWED, DENIED

    hall = Hall(lambda session, action, uri, options: DENIED if action == "publish" else ALLOWED)
    hall.come().say("a.b", 1, retain=True)
    assert len(hall.realm._broker.retained.all()) == 0


# -- how much ---------------------------------------------------------------------------------------------------
def kept(hall: Hall) -> list[Any]:
    return [one.payload()[0][0] for one in hall.realm._broker.retained.all()]


def test_their_number_is_bounded_and_what_was_published_longest_ago_goes() -> None:
    hall = Hall(keeping=Keeping(retained=3))
    pub = hall.come()
    for n in range(5):
        pub.publish(f"a.{n}", n, retain=True)
    assert kept(hall) == [2, 3, 4]
    pub.publish("a.2", "again", retain=True)
    pub.publish("a.5", 5, retain=True)
    assert kept(hall) == [4, "again", 5]


def test_their_bytes_are_bounded_too() -> None:
    hall = Hall(keeping=Keeping(retained_bytes=10_000))
    retained = hall.realm._broker.retained
    pub = hall.come()
    for n in range(20):
        pub.publish(f"a.{n}", "x" * 2000, retain=True)
    assert 0 < retained.bytes <= 10_000
    assert retained.bytes == sum(one.size for one in retained.all())
    assert retained.count == len(retained.all()) == 4


def test_one_that_is_too_large_is_not_kept_and_what_it_would_replace_is_old() -> None:
    hall = Hall(keeping=Keeping(retained_bytes=1000))
    pub = hall.come()
    pub.publish("a.b", 1, retain=True)
    pub.publish("a.b", "x" * 1000, retain=True)
    assert newcomer(hall) == []
    assert (hall.realm._broker.retained.count, hall.realm._broker.retained.bytes) == (0, 0)


def test_many_for_few_at_one_topic_are_bounded_by_themselves() -> None:
    hall = Hall()
    pub = hall.come()
    for n in range(100):
        pub.publish("a.b", n, retain=True, eligible_authid=[f"user{n}"])
    assert kept(hall) == list(range(92, 100))


def test_nobody_changes_what_is_kept() -> None:
    hall = Hall()
    said = [{"k": 1}]
    hall.act(hall.realm.publish("a.b", said, None, {"retain": True}))
    said[0]["k"] = 2
    assert newcomer(hall) == [{"k": 1}]


def test_what_can_not_be_kept_is_an_event_like_any_other() -> None:
    hall = Hall()
    sub = hall.come()
    sub.listen("a.b")
    odd = object()
    hall.act(hall.realm.publish("a.b", [odd], None, {"retain": True}))
    assert sub.heard() == [odd]
    assert newcomer(hall) == []


def test_the_other_processes_keep_it_too() -> None:
    here, there = Hall(shared=True), Hall(shared=True)
    publisher: Member = here.come(id=77)
    publisher.publish("a.b", 1, retain=True, exclude_authid=["bob"])
    there.act(there.realm.hear(here.spread[0]))
    assert newcomer(there, authid="ann") == [1]
    assert newcomer(there, authid="bob") == []
    assert newcomer(there, id=77) == []  # the publisher itself, as it comes to another process
