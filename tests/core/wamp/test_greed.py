"""What one session can make the realm keep, or do: no more than in proportion to what it says."""

from __future__ import annotations

from itertools import product

import pytest
from hall import Hall, Refused

from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.patterns import MOST_FOUND, Patterns
from limen.core.wamp.uris import MAX_WILD, is_pattern

LONG = "x" * 100_000


def test_a_wildcard_has_few_components_and_a_session_that_has_some_can_leave() -> None:
    assert is_pattern("." * (MAX_WILD - 1), "wildcard")
    assert not is_pattern("." * MAX_WILD, "wildcard")
    hall = Hall()
    ann, bob = hall.come(), hall.come()
    ann.listen("." * (MAX_WILD - 1), "wildcard")
    for ask in (ann.listen, lambda text, match: ann.register(text, match=match)):
        with pytest.raises((Refused, AssertionError)):
            ask("." * 1020, "wildcard")
    ann.take()
    ann.drop()
    assert list(hall.realm.sessions) == [bob.session.id]


@pytest.mark.parametrize(
    "options",
    [
        {"exclude_authid": [LONG]},
        {"eligible_authrole": [LONG]},
        {"exclude": list(range(1, 20_000))},
        {"ppt_scheme": "x_own", "ppt_keyid": LONG},
    ],
    ids=lambda options: " ".join(options),
)
def test_lists_and_details_count_for_what_is_kept(options: dict[str, object]) -> None:
    hall = Hall(keeping=Keeping(retained_bytes=250_000))
    ann = hall.come()
    for number in range(10):
        ann.publish(f"todo.{number}", number, retain=True, **options)
    assert hall.realm.counted()["retained"] <= 2


def test_what_ppt_says_that_is_no_text_goes_no_further() -> None:
    hall = Hall()
    ann, bob = hall.come(), hall.come()
    bob.listen("todo")
    ann.publish("todo", 1, ppt_scheme="x_own", ppt_keyid={"a": [[[]]]}, ppt_cipher="c")
    ann.publish("todo", 2, ppt_scheme=["x_own"])
    assert [event.details for event in bob.events()] == [{"ppt_scheme": "x_own", "ppt_cipher": "c"}, {}]


def test_what_is_no_uri_is_looked_for_nowhere_and_remembered_nowhere() -> None:
    hall = Hall()
    ann = hall.come()
    ann.listen("", "prefix")
    for number in range(3):
        assert ann.call("wamp.subscription.match", f"{LONG}{number}") is None
    assert max(map(len, hall.realm._broker.table.by_pattern._found)) < 100
    assert ann.call("wamp.subscription.match", "todo") is not None


def test_what_was_found_is_remembered_only_as_far_as_it_is_little() -> None:
    patterns: Patterns[int] = Patterns()
    for number, parts in enumerate(product(("", "a"), repeat=12)):
        patterns.put("wildcard", ".".join(("", *parts)), number)
    for number in range(100):
        assert len(patterns.all(f"x{number}" + ".a" * 12)) == 4096
    assert sum(map(len, patterns._found.values())) <= MOST_FOUND
    assert patterns._found_size == sum(map(len, patterns._found.values()))
    patterns.put("exact", "x99" + ".a" * 12, -1)
    assert patterns._found_size == sum(map(len, patterns._found.values()))
    assert patterns.all("x99" + ".a" * 12)[0] == -1
    patterns.put("prefix", "y", -2)
    assert patterns._found_size == 0


def test_long_lists_are_read_once_and_not_for_each_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    ann, bob = hall.come(), hall.come()
    for parts in product(("", "a"), repeat=6):
        bob.listen(".".join(parts) or "a", "wildcard")
    read = 0

    class Ids(list[int]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            nonlocal read
            read += 1
            return super().__iter__()

    hall.act(hall.realm._broker.dispatch("a.a.a.a.a.a", [1], None, 7, {"exclude": Ids([1, 99])}, {}, None))
    assert len(bob.take()) == 64
    assert read == 1
    ann.publish("a.a.a.a.a.a", 1, exclude=[bob.session.id])
    assert bob.take() == []
