"""A realm that is one of several of its domain, in several processes: what it asks of the edge, what it makes of the
answers. How it works together: tests/workers."""

from __future__ import annotations

from typing import Any

import pytest

from limen.core.wamp.calls.registrations import Endpoint
from limen.core.wamp.effects import Claim, Effects, Gather, Listen, MetaError, Send, Spread, Told, Unclaim
from limen.core.wamp.ids import common_id
from limen.core.wamp.messages import (
    Call,
    Error,
    Invocation,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Unregister,
    Unregistered,
    Unsubscribe,
)
from limen.core.wamp.meta.merging import MERGES, merged
from limen.core.wamp.realm import Realm
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED

REVOKED = {"callee": {"features": {"registration_revocation": True}}}
STRANGE = 2**53 + 1


class House:
    """A realm of several, and sessions in it."""

    def __init__(self) -> None:
        self.realm = Realm(
            "a.example", rng=lambda: 7, procedures=lambda uri: None, authorize=lambda *who: ALLOWED, shared=True
        )

    def session(self, id: int, roles: Any = None) -> Session:
        made = Session(id, roles=roles)
        self.realm.attach(made)
        return made

    def say(self, session: Session, message: type[Any], *rest: Any) -> Effects:
        return self.realm.receive(session, message(session.next_request, *rest))

    def register(self, session: Session, uri: str, number: int, **options: Any) -> list[Any]:
        [claim] = self.say(session, Register, options, uri)
        assert isinstance(claim, Claim)
        return [*self.realm.claimed(session, claim.message, number)]

    def host(self, uri: str, number: int, invoke: str = "single", evicts: str = "") -> Effects:
        stand_in = self.session(STRANGE + number)
        return self.realm.host(uri, "exact", invoke, 5.0, Endpoint(stand_in, number=number, callee=number), evicts)

    def callees(self, uri: str) -> list[int]:
        known = self.realm.registration("exact", uri)
        return [] if known is None else [endpoint.number for endpoint in known.endpoints]


@pytest.fixture
def house() -> House:
    return House()


def test_a_registration_waits_for_the_other_processes_and_is_refused_where_they_have_it(house: House) -> None:
    callee = house.session(1)
    [claim] = house.say(callee, Register, {"match": "prefix", "invoke": "first", "force_reregister": True}, "todo")
    assert (claim.match, claim.invoke, claim.forced) == ("prefix", "first", True)
    [refusal] = house.realm.claimed(callee, claim.message, 0)
    assert refusal.message.error == "wamp.error.procedure_already_exists"
    assert house.register(callee, "add", 3)[0].message == Registered(2, common_id("exact", "add"))


def test_a_callee_that_is_gone_meanwhile_gives_its_number_back(house: House) -> None:
    callee = house.session(1)
    [claim] = house.say(callee, Register, {}, "add")
    house.realm.detach(callee)
    assert house.realm.claimed(callee, claim.message, 3) == (Unclaim("exact", "add", 3),)


def test_callees_stand_by_their_numbers_whoever_was_heard_of_first(house: House) -> None:
    house.host("add", 4, "first")
    house.register(house.session(1), "add", 2, invoke="first")
    house.host("add", 3, "first")
    assert house.callees("add") == [2, 3, 4]


def test_it_is_free_for_the_others_before_the_callee_hears_that_it_unregistered(house: House) -> None:
    callee = house.session(1)
    house.register(callee, "add", 3)
    free, answer = house.say(callee, Unregister, common_id("exact", "add"))
    assert free == Unclaim("exact", "add", 3)
    assert isinstance(answer, Send)
    assert answer.message == Unregistered(2)


def test_who_insists_elsewhere_ends_those_before_and_not_those_behind(house: House) -> None:
    before, behind = house.session(1, REVOKED), house.session(2)
    house.register(before, "add", 3, invoke="first")
    house.register(behind, "add", 6, invoke="first")
    effects = house.host("add", 5, "first", evicts="somebody has")
    assert effects[0].message.details["reason"] == "somebody has"  # type: ignore[union-attr]
    assert house.callees("add") == [5, 6]


def test_a_callee_elsewhere_that_cannot_be_beside_a_new_one_is_over(house: House) -> None:
    house.host("add", 3)
    house.register(house.session(1), "add", 4)
    assert house.callees("add") == [4]


def test_a_call_goes_to_the_callee_that_was_chosen_elsewhere_and_says_what_it_said_there(house: House) -> None:
    callee, caller = house.session(1), house.session(STRANGE)
    house.register(callee, "add", 3)
    registration = house.realm.registration("exact", "add")
    assert registration is not None
    message = Call(1, {"caller": 9, "trustlevel": 2}, "add", [1])
    [sent] = house.realm.relay(caller, message, registration, registration.endpoints[0])
    assert sent == Send(callee, Invocation(1, registration.id, {"caller": 9, "trustlevel": 2}, [1], None))


# -- the meta API -----------------------------------------------------------------------------------------------
def test_what_concerns_sessions_is_asked_of_all_processes(house: House) -> None:
    asker = house.session(1)
    [gather] = house.say(asker, Call, {}, "wamp.session.count")
    assert isinstance(gather, Gather)
    assert gather.here == Told([1])
    [answer] = house.realm.gathered(gather, [Told([2]), Told([4])])
    assert answer == Send(asker, Result(1, {}, [7]))


def test_what_is_wrong_needs_nobody_else(house: House) -> None:
    asker = house.session(1)
    [refusal] = house.say(asker, Call, {}, "wamp.session.get", ["one"])
    assert isinstance(refusal.message, Error)  # type: ignore[union-attr]
    [gather] = house.say(asker, Call, {}, "wamp.session.get", [9])
    [refusal] = house.realm.gathered(gather, [MetaError("wamp.error.no_such_session")])
    assert refusal.message.error == "wamp.error.no_such_session"  # type: ignore[union-attr]
    house.realm.detach(asker)
    assert house.realm.gathered(gather, []) == ()


def test_each_procedure_that_is_merged_is_one_of_the_realm(house: House) -> None:
    asker = house.session(1)
    for uri in MERGES:
        here, _ = house.realm.answer(asker, uri, [], {})
        assert isinstance(here, Told) or here.reason == "wamp.error.invalid_argument", uri


@pytest.mark.parametrize(
    ("uri", "values", "one"),
    [
        ("wamp.session.list", [[1, 2], [3]], [1, 2, 3]),
        ("wamp.session.kill_by_authrole", [2, 3], 5),
        ("wamp.subscription.lookup", [None, 8], 8),
        ("wamp.subscription.match", [None, [4], [4, 5]], [4, 5]),
        ("wamp.subscription.match", [None, None], None),
        ("wamp.subscription.list", [{"exact": [1]}, {"exact": [1, 2]}], {"exact": [1, 2]}),
    ],
)
def test_answers_become_one(uri: str, values: list[Any], one: Any) -> None:
    assert merged(uri, [Told([value]) for value in values]) == Told([one])


def test_others_know_whether_anybody_here_listens_before_the_listener_does(house: House) -> None:
    first, second = house.session(1), house.session(2)
    [listen] = house.say(first, Subscribe, {}, "wamp.session.on_join")
    assert isinstance(listen, Listen)
    assert listen.listens
    assert house.realm.attach(Session(3)) == ()  # no EVENT comes before SUBSCRIBED
    assert listen.message is not None
    [answer] = house.realm.listening(first, listen.message)
    assert isinstance(answer.message, Subscribed)  # type: ignore[union-attr]
    [other] = house.say(second, Subscribe, {"match": "prefix"}, "wamp.registration")
    assert isinstance(other, Listen)
    assert other.message is not None
    house.realm.listening(second, other.message)
    effects = house.say(first, Unsubscribe, common_id("exact", "wamp.session.on_join"))
    assert Listen(False) not in effects
    [listen] = house.say(first, Subscribe, {}, "wamp.session.on_leave")
    assert isinstance(listen, Listen)
    assert listen.message is not None
    house.realm.detach(second)
    house.realm.detach(first)
    assert house.realm.listening(first, listen.message) == (Listen(False),)


def test_meta_events_are_told_to_the_others_only_while_they_listen(house: House) -> None:
    assert house.realm.attach(Session(1)) == ()
    house.realm.listened(True)
    [spread] = house.realm.attach(Session(2))
    assert isinstance(spread, Spread)
    assert (spread.uri, spread.args[0]["session"]) == ("wamp.session.on_join", 2)  # type: ignore[index]
    assert house.realm.attach(Session(STRANGE)) == ()
    listener = House()
    hearer = listener.session(5)
    [listen] = listener.say(hearer, Subscribe, {}, "wamp.session.on_join")
    assert isinstance(listen, Listen)
    assert listen.message is not None
    listener.realm.listening(hearer, listen.message)
    [event] = listener.realm.hear(spread)
    assert event.message.args == spread.args  # type: ignore[union-attr]
