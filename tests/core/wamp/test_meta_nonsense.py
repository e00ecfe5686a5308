"""Whatever is asked of the router's own procedures, and whatever a PUBLISH or SUBSCRIBE says, is answered, and nobody
else suffers."""

from __future__ import annotations

from typing import Any

from hall import Hall, Member
from hypothesis import given, settings
from hypothesis import strategies as st

from limen.core.wamp.events.history import History
from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.messages import Call, Error, Event, Publish, Published, Result, Subscribe, Subscribed

TEXTS = st.sampled_from(
    ["a.b", "", "a..b", "wamp.session.on_join", "exact", "prefix", "destroyed", "1970-01-01T00:00:00Z"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-1, 5) | st.floats() | TEXTS | st.text(max_size=5) | st.binary(max_size=3)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "reason",
        "message",
        "filter_authroles",
        "options",
        "args",
        "kwargs",
        "publish_options",
        "scope",
        "limit",
        "reverse",
        "topic",
        "from_time",
        "until_time",
        "from_publication",
        "before_publication",
        "match",
    ]
)
OPTIONS = st.sampled_from(
    [
        "acknowledge",
        "exclude_me",
        "disclose_me",
        "retain",
        "get_retained",
        "match",
        "eligible",
        "exclude",
        "eligible_authid",
        "exclude_authrole",
        "ppt_scheme",
        "ppt_keyid",
        "_traceparent",
        "_tracestate",
    ]
)
KEPT = Keeping(history=(History("a.", "prefix"),))


def hall() -> tuple[Hall, Member, Member]:
    made = Hall(keeping=KEPT)
    asker, other = made.come("ann", ["staff"]), made.come("bob", id=5)
    other.listen("a.b")
    other.publish("a.b", 1, retain=True, exclude_me=False)
    other.take()
    return made, asker, other


URIS = sorted(hall()[0].realm._meta.methods)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(URIS), st.lists(VALUES, max_size=4), st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_call_has_one_answer(uri: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    made, asker, _ = hall()
    (answer,) = asker.send(Call(asker.id(), {}, uri, args, kwargs))
    assert isinstance(answer, (Result, Error))
    assert made.realm.sessions[asker.session.id] is asker.session
    asker.call("wamp.session.flush_testaments")
    asker.drop()


@settings(max_examples=600, deadline=None)
@given(st.dictionaries(OPTIONS, VALUES, max_size=4), TEXTS)
def test_any_options_have_one_answer(options: dict[str, Any], uri: str) -> None:
    _, asker, other = hall()
    came = asker.send(Subscribe(asker.id(), options, uri))
    answers = [message for message in came if not isinstance(message, Event)]
    assert [type(answer) for answer in answers] in ([Subscribed], [Error])
    came = asker.send(Publish(asker.id(), {**options, "acknowledge": True}, uri, [1]))
    answers = [message for message in came if not isinstance(message, Event)]
    assert [type(answer) for answer in answers] in ([Published], [Error])
    assert all(isinstance(message, Event) for message in other.take())
