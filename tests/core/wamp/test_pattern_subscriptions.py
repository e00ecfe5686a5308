"""Section "Pattern-based Subscription": who gets an event by prefix and wildcard, and who never does."""

from __future__ import annotations

import pytest
from hall import Hall, Refused

from limen.core.wamp.messages import Event

PREFIXED = {
    "com.myapp.topic.emergency.11": True,
    "com.myapp.topic.emergency-low": True,
    "com.myapp.topic.emergency.category.severe": True,
    "com.myapp.topic.emergency": True,
    "com.myapp.topic.emerge": False,
}
WILD = {
    "com.myapp.foo.userevent": True,
    "com.myapp.bar.userevent": True,
    "com.myapp.foo.userevent.bar": False,
    "com.myapp.foo.user": False,
    "com.myapp2.foo.userevent": False,
}


@pytest.mark.parametrize(("topic", "comes"), PREFIXED.items())
def test_a_prefix_is_one_of_characters(topic: str, comes: bool) -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    sub.listen("com.myapp.topic.emergency", "prefix")
    pub.publish(topic, 1)
    assert [event.details for event in sub.events()] == ([{"topic": topic}] if comes else [])


@pytest.mark.parametrize(("topic", "comes"), WILD.items())
def test_a_wildcard_stands_for_one_whole_component(topic: str, comes: bool) -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    sub.listen("com.myapp..userevent", "wildcard")
    pub.publish(topic, 1)
    assert [event.details for event in sub.events()] == ([{"topic": topic}] if comes else [])


def test_one_event_for_each_subscription_that_stands_for_the_topic() -> None:
    hall = Hall()
    pub, sub, other = hall.come(), hall.come(), hall.come()
    ids = [sub.listen("a.b"), sub.listen("a.", "prefix"), sub.listen("a", "prefix"), sub.listen(".b", "wildcard")]
    assert other.listen("a.", "prefix") == ids[1]
    publication = pub.publish("a.b", 1, {"k": 2})
    events = sub.events()
    assert sorted(event.subscription for event in events) == sorted(ids)
    assert {event.publication for event in events} == {publication}
    assert {event.subscription: event.details for event in events} == {
        ids[0]: {},
        ids[1]: {"topic": "a.b"},
        ids[2]: {"topic": "a.b"},
        ids[3]: {"topic": "a.b"},
    }
    assert other.events() == [Event(ids[1], publication, {"topic": "a.b"}, [1, {"k": 2}])]


def test_the_same_text_meant_otherwise_is_another_subscription() -> None:
    hall = Hall()
    sub = hall.come()
    assert len({sub.listen("a.b"), sub.listen("a.b", "prefix"), sub.listen("a.b", "wildcard")}) == 3
    assert sub.listen("a.b", "prefix") == sub.listen("a.b", "prefix")


def test_a_subscription_that_is_given_up_hears_no_more_and_the_others_do() -> None:
    hall = Hall()
    pub, sub = hall.come(), hall.come()
    exact, prefix = sub.listen("a.b"), sub.listen("a.", "prefix")
    sub.leave(prefix)
    pub.publish("a.b", 1)
    assert [event.subscription for event in sub.events()] == [exact]
    sub.listen("a.", "prefix")
    sub.leave(exact)
    pub.publish("a.b", 2)
    assert [event.details for event in sub.events()] == [{"topic": "a.b"}]


def test_exclusion_and_lists_hold_for_each_subscription() -> None:
    hall = Hall()
    pub, ann, bob = hall.come("pub"), hall.come("ann", ["staff"]), hall.come("bob")
    for member in (pub, ann, bob):
        member.listen("a.b")
        member.listen("a.", "prefix")
        member.listen(".b", "wildcard")
    pub.publish("a.b", 1, eligible_authrole=["staff"])
    assert (len(pub.events()), len(ann.events()), len(bob.events())) == (0, 3, 0)
    pub.publish("a.b", 1, exclude_authid=["ann"], exclude_me=False)
    assert (len(pub.events()), len(ann.events()), len(bob.events())) == (3, 0, 3)


@pytest.mark.parametrize(
    ("text", "match"),
    [("a..b", "exact"), ("a..b", "prefix"), ("a b", "prefix"), ("a#", "wildcard"), (" ", "wildcard"), ("..", "prefix")],
)
def test_what_is_no_pattern_is_refused(text: str, match: str) -> None:
    sub = Hall().come()
    with pytest.raises(Refused, match="invalid_uri"):
        sub.listen(text, match)


# -- the router's own topics ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "match", "hears"),
    [
        ("", "prefix", False),
        ("w", "prefix", False),
        ("wamp", "prefix", True),
        ("wamp.session.", "prefix", True),
        ("..", "wildcard", False),
        (".session.on_join", "wildcard", False),
        ("wamp..on_join", "wildcard", True),
        ("wamp.session.on_join", "exact", True),
    ],
)
def test_only_who_names_the_routers_topics_hears_them(text: str, match: str, hears: bool) -> None:
    hall = Hall()
    sub = hall.come()
    sub.listen(text, match)
    hall.come()
    assert bool(sub.events()) is hears


def test_what_the_server_says_at_a_reserved_topic_is_not_for_all_who_listen_to_everything() -> None:
    hall = Hall()
    all_ears, own = hall.come(), hall.come()
    all_ears.listen("", "prefix")
    own.listen("limen.", "prefix")
    hall.act(hall.realm.publish("limen.notice", ["hush"], None))
    hall.act(hall.realm.publish("todo.changed", ["hear"], None))
    assert (all_ears.heard(), own.heard()) == (["hear"], ["hush"])


def test_a_pattern_is_authorized_as_what_it_is() -> None:
    asked = []

    def rule(session: object, action: str, uri: str, options: object) -> object:
        from limen.core.wamp.verdict import ALLOWED, DENIED

        asked.append((action, uri, options))
        return ALLOWED if options == {} else DENIED

    sub = Hall(rule).come()  # type: ignore[arg-type]
    sub.listen("a.b")
    with pytest.raises(Refused, match="not_authorized"):
        sub.listen("a.", "prefix")
    assert asked == [("subscribe", "a.b", {}), ("subscribe", "a.", {"match": "prefix"})]


def test_patterns_count_as_subscriptions_and_nothing_of_them_stays() -> None:
    hall = Hall(max_subscriptions=2)
    sub = hall.come()
    sub.listen("a.", "prefix")
    sub.listen(".a", "wildcard")
    with pytest.raises(Refused, match="unavailable"):
        sub.listen("c")
    sub.drop()
    assert hall.empty
    assert hall.realm._broker.table.by_pattern.values("prefix") == []
