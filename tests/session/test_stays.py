"""The bookkeeping of sessions: who is here, who is away, whose time is up, and how many there may be."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from limen import exc
from limen.session.stays import Stays

D = b"digest-of-a-token"
FRESH = b"that-of-the-next"


def stays(most: int = 100) -> Stays:
    return Stays(60.0, most)


def test_a_page_that_returns_in_time_has_its_session() -> None:
    book = stays()
    book.open("a", D, "ada", 1, 0.0)
    assert book.left(1, 10.0) == ["a"]
    assert (book.is_here("a"), book.next()) == (False, 70.0)
    assert book.back("a", D, FRESH, "ada", 2, 69.9) == 1
    assert (book.is_here("a"), book.next(), book.due(1e9)) == (True, None, [])


def test_one_that_comes_when_the_time_is_up_has_none() -> None:
    book = stays()
    book.open("a", D, "ada", 1, 0.0)
    book.left(1, 10.0)
    with pytest.raises(exc.UnknownSession):
        book.back("a", D, FRESH, "ada", 2, 70.0)
    assert book.due(70.0) == ["a"]


@pytest.mark.parametrize(
    ("name", "digest", "user"),
    [("b", D, "ada"), ("a", D[::-1], "ada"), ("a", b"", "ada"), ("a", D, "bob"), ("a", D, None)],
)
def test_another_name_token_or_user_is_refused_alike_and_changes_nothing(
    name: str, digest: bytes, user: str | None
) -> None:
    book = stays()
    book.open("a", D, "ada", 1, 0.0)
    with pytest.raises(exc.UnknownSession) as told:
        book.back(name, digest, FRESH, user, 2, 1.0)
    assert str(told.value) == "This session is over, or was never here; begin a new one."
    assert (book.left(2, 2.0), book.left(1, 2.0)) == ([], ["a"])


def test_the_old_page_that_leaves_late_does_not_send_the_new_one_away() -> None:
    book = stays()
    book.open("a", D, "ada", 1, 0.0)
    assert book.back("a", D, FRESH, "ada", 2, 1.0) == 1
    assert (book.left(1, 2.0), book.is_here("a")) == ([], True)


def test_a_user_has_so_many_and_those_away_make_room_first() -> None:
    book = stays()
    for number, name in enumerate("abc"):
        assert book.room("ada", 3) is None
        book.open(name, D, "ada", number, 0.0)
    with pytest.raises(exc.MaxActiveSessions, match="There are 3 sessions of this user"):
        book.room("ada", 3)
    assert book.room("bob", 3) is None
    book.left(1, 5.0)
    assert book.room("ada", 3) == "b"
    book.close("b")
    assert book.room("ada", 3) is None


def test_there_are_so_many_in_all() -> None:
    book = stays(most=2)
    book.open("a", D, "ada", 1, 0.0)
    book.open("b", D, "bob", 2, 0.0)
    with pytest.raises(exc.Busy, match="There are 2 sessions, as many as may be"):
        book.room("eve", 3)
    book.left(2, 1.0)
    assert book.room("eve", 3) == "b"


def test_who_fills_the_house_turns_out_nobody_who_has_less() -> None:
    book = stays(most=5)
    book.open("a", D, "ada", 1, 0.0)
    for name in "wxyz":
        book.open(name, D, "eve", 2, 0.0)
    book.left(1, 1.0)
    with pytest.raises(exc.Busy):
        book.room("eve", 20)
    assert book.room("bob", 20) == "a"
    book.left(2, 2.0)
    assert book.room("bob", 20) == "w", "of whoever has most, though it left later"
    assert book.room("eve", 20) == "w"


def test_the_last_token_holds_until_the_new_one_has_arrived() -> None:
    book = stays()
    book.open("a", D, "ada", 1, 0.0)
    book.back("a", D, FRESH, "ada", 2, 1.0)
    assert book.back("a", D, b"third", "ada", 3, 2.0) == 2, "reloaded before it had the answer"
    book.confirm("a")
    for stale in (D, FRESH):
        with pytest.raises(exc.UnknownSession):
            book.back("a", stale, b"fourth", "ada", 4, 3.0)
    assert book.back("a", b"third", b"fourth", "ada", 4, 3.0) == 3


def test_who_is_here_is_known_by_their_wamp_sessions() -> None:
    book = stays()
    book.open("a", D, "ada", 1, 0.0)
    book.open("b", D, "bob", 2, 0.0)
    book.open("c", D, "bob", 2, 0.0)
    assert book.clients() == {1, 2}
    assert book.left(2, 1.0) == ["b", "c"]
    assert (book.clients(), book.client("a"), book.client("b")) == ({1}, 1, None)


class Machine(RuleBasedStateMachine):
    """Nothing that is done in any order leaves a session that nobody has and that is never due."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.book, self.now, self.open_ = stays(), 0.0, dict[str, int]()
        self.number = 0

    @rule(target=names, client=st.integers(1, 4), user=st.sampled_from(["ada", "bob", None]))
    def begin(self, client: int, user: str | None) -> str:
        self.number += 1
        name = f"s{self.number}"
        if self.book.room(user or "-", 1000) is None:
            self.book.open(name, D, user, client, self.now)
            self.open_[name] = client
        return name

    @rule(client=st.integers(1, 4))
    def leave(self, client: int) -> None:
        self.book.left(client, self.now)

    @rule(name=names, client=st.integers(1, 4), user=st.sampled_from(["ada", "bob", None]))
    def come_back(self, name: str, client: int, user: str | None) -> None:
        try:
            self.book.back(name, D, D, user, client, self.now)
        except exc.UnknownSession:
            return
        self.open_[name] = client

    @rule(name=names)
    def close(self, name: str) -> None:
        self.book.close(name)
        self.open_.pop(name, None)

    @rule(seconds=st.floats(0.1, 40.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for name in self.book.due(self.now):
            self.book.close(name)
            self.open_.pop(name)

    @invariant()
    def all_agree(self) -> None:
        assert len(self.book) == len(self.open_)
        for client in range(1, 5):
            here = {name for name in self.open_ if self.book.is_here(name) and self.open_[name] == client}
            assert here == self.book._here.get(client, set())
        assert set(self.book._away) == {name for name in self.open_ if not self.book.is_here(name)}


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
