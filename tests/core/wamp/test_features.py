"""What a realm announces is what it does: each feature is tried (sections "Feature Announcement")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from edge import CAN
from hall import Hall, Member, Refused

from limen.core.wamp.events.history import History
from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.messages import (
    Call,
    Cancel,
    Event,
    Interrupt,
    Invocation,
    Register,
    Registered,
    Result,
    Yield,
)
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import Verdict

ALL = {
    **CAN,
    "payload_passthru_mode": True,
    "progressive_call_invocations": True,
    "registration_revocation": True,
}
PPT = {"ppt_scheme": "x_mine", "ppt_keyid": "7"}


def pair(hall: Hall, uri: str = "add", **options: Any) -> tuple[Member, Member]:
    """A caller, and who answers it."""
    caller, callee = able(hall), able(hall)
    assert isinstance(callee.send(Register(callee.id(), options, uri))[-1], Registered)
    return caller, callee


def able(hall: Hall) -> Member:
    """Somebody who can all."""
    roles = {role: {"features": ALL} for role in ("caller", "callee", "publisher", "subscriber")}
    session = Session(next(hall._numbers), None, roles, authid="ann")
    session.peer = member = Member(hall, session)
    hall.act(hall.realm.attach(session))
    return member


def invoked(hall: Hall, uri: str = "add", called: str = "", **options: Any) -> Invocation:
    caller, callee = pair(hall, uri)
    caller.send(Call(caller.id(), options, called or uri, [1]))
    (invocation,) = callee.take()
    assert isinstance(invocation, Invocation)
    return invocation


# -- calls ------------------------------------------------------------------------------------------------------
def call_canceling(hall: Hall) -> bool:
    caller, callee = pair(hall)
    caller.send(Call(1, {}, "add"))
    callee.take()
    caller.send(Cancel(1, {"mode": "kill"}))
    return isinstance(callee.one(), Interrupt)


def call_timeout(hall: Hall) -> bool:
    caller, _ = pair(hall)
    caller.send(Call(1, {"timeout": 1000}, "add"))
    hall.wait(1)
    return bool(caller.one().error == "wamp.error.timeout")


def call_trustlevels(hall: Hall) -> bool:
    return invoked(hall).details.get("trustlevel") == 3


def caller_identification(hall: Hall) -> bool:
    return "caller" in invoked(hall, disclose_me=True).details


def pattern_based_registration(hall: Hall) -> bool:
    caller, callee = pair(hall, "todo.", match="prefix")
    caller.send(Call(1, {}, "todo.add"))
    return callee.one().details.get("procedure") == "todo.add"


def passes_calls(hall: Hall) -> bool:
    return invoked(hall, **PPT).details.items() >= PPT.items()


def progressive_call_invocations(hall: Hall) -> bool:
    caller, callee = pair(hall)
    caller.send(Call(1, {"progress": True}, "add"))
    caller.send(Call(1, {}, "add"))
    return [message.details.get("progress") for message in callee.take()] == [True, None]


def progressive_call_results(hall: Hall) -> bool:
    caller, callee = pair(hall)
    caller.send(Call(1, {"receive_progress": True}, "add"))
    callee.send(Yield(callee.one().request, {"progress": True}, [1]))
    return caller.one() == Result(1, {"progress": True}, [1])


def registration_meta_api(hall: Hall) -> bool:
    caller, callee = pair(hall)
    id = caller.call("wamp.registration.lookup", "add")
    return caller.call("wamp.registration.list_callees", id) == [callee.session.id]


def registration_revocation(hall: Hall) -> bool:
    caller, callee = pair(hall)
    caller.call("wamp.registration.remove_callee", caller.call("wamp.registration.lookup", "add"), callee.session.id)
    return bool(callee.one().request == 0)


def shared_registration(hall: Hall) -> bool:
    callees = [able(hall), able(hall)]
    answers = [callee.send(Register(callee.id(), {"invoke": "roundrobin"}, "add"))[0] for callee in callees]
    caller = able(hall)
    for _ in range(2):
        caller.send(Call(caller.id(), {}, "add"))
    return len({getattr(a, "registration", None) for a in answers}) == 1 and all(len(c.take()) == 1 for c in callees)


# -- events -----------------------------------------------------------------------------------------------------
def heard(hall: Hall, topic: str = "a.b", match: str | None = None, **options: Any) -> list[Event]:
    pub, sub = able(hall), able(hall)
    sub.listen(topic, match)
    pub.publish("a.b", 1, **options)
    return sub.events()


def event_history(hall: Hall) -> bool:
    pub, sub = able(hall), able(hall)
    id = sub.listen("a.b")
    pub.publish("a.b", 1)
    sub.take()
    return [event["args"] for event in sub.result("wamp.subscription.get_events", id).args or []] == [[1]]


def event_retention(hall: Hall) -> bool:
    able(hall).publish("a.b", 1, retain=True)
    sub = able(hall)
    sub.listen("a.b", get_retained=True)
    return [event.details for event in sub.events()] == [{"trustlevel": 3, "retained": True}]


def pattern_based_subscription(hall: Hall) -> bool:
    return all(heard(hall, topic, match) for topic, match in (("a", "prefix"), (".b", "wildcard")))


def passes_events(hall: Hall) -> bool:
    return heard(hall, **PPT)[0].details.items() >= PPT.items()


def publication_trustlevels(hall: Hall) -> bool:
    return heard(hall)[0].details.get("trustlevel") == 3


def publisher_exclusion(hall: Hall) -> bool:
    pub = able(hall)
    pub.listen("a.b")
    pub.publish("a.b", 1)
    pub.publish("a.b", 2, exclude_me=False)
    return pub.heard() == [2]


def publisher_identification(hall: Hall) -> bool:
    return "publisher" in heard(hall, disclose_me=True)[0].details


def subscriber_blackwhite_listing(hall: Hall) -> bool:
    return not heard(hall, exclude_authid=["ann"]) and bool(heard(hall, eligible_authid=["ann"]))


# -- the meta API -----------------------------------------------------------------------------------------------
def session_meta_api(hall: Hall) -> bool:
    ann = able(hall)
    ann.listen("wamp.session.on_join")
    bob = able(hall)
    return len(ann.events()) == 1 and ann.call("wamp.session.list") == [ann.session.id, bob.session.id]


def subscription_meta_api(hall: Hall) -> bool:
    ann = able(hall)
    id = ann.listen("a.b")
    return bool(ann.call("wamp.subscription.lookup", "a.b") == id)


def reads_testaments(hall: Hall) -> bool:
    ann, bob = able(hall), able(hall)
    bob.listen("a.b")
    ann.call("wamp.session.add_testament", "a.b", ["bye"], {})
    ann.drop()
    return bob.heard() == ["bye"]


Probe = Callable[[Hall], bool]
DEALER: dict[str, Probe] = {
    probe.__name__: probe
    for probe in (
        call_canceling,
        call_timeout,
        call_trustlevels,
        caller_identification,
        pattern_based_registration,
        progressive_call_invocations,
        progressive_call_results,
        registration_meta_api,
        registration_revocation,
        session_meta_api,
        shared_registration,
    )
} | {"payload_passthru_mode": passes_calls, "testament_meta_api": reads_testaments}
BROKER: dict[str, Probe] = {
    probe.__name__: probe
    for probe in (
        event_history,
        event_retention,
        pattern_based_subscription,
        publication_trustlevels,
        publisher_exclusion,
        publisher_identification,
        session_meta_api,
        subscriber_blackwhite_listing,
        subscription_meta_api,
    )
} | {"payload_passthru_mode": passes_events}
PROBES = [*(("dealer", *probe) for probe in DEALER.items()), *(("broker", *probe) for probe in BROKER.items())]


def announced(hall: Hall) -> set[tuple[str, str]]:
    return {(role, name) for role, one in hall.realm.roles.items() for name, value in one["features"].items() if value}


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize(("role", "name", "probe"), PROBES, ids=[f"{role}.{name}" for role, name, _ in PROBES])
def test_it_is_announced_where_it_is_done(role: str, name: str, probe: Probe, history: bool) -> None:
    keeping = Keeping(history=(History("a.b"),) if history else ())
    hall = Hall(lambda *asked: Verdict(True, trust=3), keeping=keeping)
    try:
        done = probe(hall)
    except (Refused, AssertionError):
        done = False
    assert done is ((role, name) in announced(hall))


def test_nothing_else_is_announced() -> None:
    known = {(role, name) for role, name, _ in PROBES}
    assert announced(Hall(keeping=Keeping(history=(History("a.b"),)))) == known
    assert announced(Hall()) == known - {("broker", "event_history")}


def test_it_does_not_matter_how_many_processes_there_are() -> None:
    assert announced(Hall(shared=True)) == announced(Hall())
