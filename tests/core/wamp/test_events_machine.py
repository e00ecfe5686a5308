"""Any sessions, any subscriptions and publications, cut anywhere: against a model that knows who listens to what.

Held after every step: each subscription that stands for a topic gets one event of each publication that is for its
session, and no second; nobody gets anything else; what one publisher sent arrives in its order; newcomers get the
retained event that they would have got; histories hold what was published; the last words of those who leave are heard,
and nothing else of them is left.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from limen.core.wamp.events import retained
from limen.core.wamp.events.history import History
from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.messages import Call, Event, Goodbye, Publish, Published, Result, Subscribe, Subscribed

sys.path.insert(0, str(Path(__file__).parent))
from hall import PASSES, Hall, Member

TOPICS = ("a.b", "a.c", "a.b.c", "ab.c", "b")
PATTERNS = (
    ("exact", "a.b"),
    ("exact", "b"),
    ("prefix", ""),
    ("prefix", "a"),
    ("prefix", "a.b"),
    ("wildcard", "a."),
    ("wildcard", ".b"),
    ("wildcard", "..c"),
    ("exact", "wamp.session.on_leave"),
    ("prefix", "wamp.s"),
    ("wildcard", "wamp..on_join"),
)
LISTS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"eligible_authid": ["ann"]},
    {"exclude_authid": ["ann"]},
    {"eligible_authrole": ["staff"]},
    {"exclude_authrole": ["staff", "anonymous"]},
    {"eligible": "some"},
    {"exclude": "some"},
)
LOG = "a.b"

index = st.integers(0, 30)


@dataclass(eq=False)
class Known:
    """What the model knows of somebody who is here."""

    authid: str
    role: str
    able: bool
    sealed: bool
    subscriptions: dict[tuple[str, str], int] = field(default_factory=dict)
    testaments: dict[str, list[Said]] = field(default_factory=lambda: {"detached": [], "destroyed": []})
    last: dict[Any, int] = field(default_factory=dict)
    """The last number that each of its subscriptions has heard of each publisher."""


@dataclass(eq=False)
class Said:
    """A publication. *excluded*: the session that it is not for, or 0."""

    topic: str
    number: int
    publisher: int
    options: dict[str, Any]
    excluded: int

    def is_for(self, id: int, known: Known) -> bool:
        o = self.options
        return not (
            id == self.excluded
            or ("ppt_scheme" in o and not known.able)
            or ("eligible" in o and id not in o["eligible"])
            or ("exclude" in o and id in o["exclude"])
            or ("eligible_authid" in o and known.authid not in o["eligible_authid"])
            or ("exclude_authid" in o and known.authid in o["exclude_authid"])
            or ("eligible_authrole" in o and known.role not in o["eligible_authrole"])
            or ("exclude_authrole" in o and known.role in o["exclude_authrole"])
        )


def stands_for(pattern: tuple[str, str], topic: str) -> bool:
    match, text = pattern
    if topic.startswith("wamp.") and not text.startswith("wamp."):
        return False
    parts = (re.escape(part) or r"[^.]+" for part in text.split("."))
    return bool(
        {
            "exact": text == topic,
            "prefix": topic[: len(text)] == text,
            "wildcard": re.fullmatch(r"\.".join(parts), topic),
        }[match]
    )


class Events(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._most, retained.MOST_OF_TOPIC = retained.MOST_OF_TOPIC, 10**6  # type: ignore[misc]
        self.hall = Hall(keeping=Keeping(history=(History(LOG, "prefix", 10**6),)))
        self.here: dict[Member, Known] = {}
        self.number = 0
        self.retained: dict[str, list[Said]] = {}
        self.log: list[Said] = []
        self.expected: dict[Member, list[Any]] = {}

    def teardown(self) -> None:
        retained.MOST_OF_TOPIC = self._most  # type: ignore[misc]

    def member(self, i: int) -> Member:
        return list(self.here)[i % len(self.here)]

    # -- what the model expects -----------------------------------------------------------------------------------
    def will_say(self, said: Said) -> None:
        """Everybody who is to get this event expects it."""
        for member, known in self.here.items():
            if said.is_for(member.session.id, known):
                for pattern, id in known.subscriptions.items():
                    if stands_for(pattern, said.topic):
                        self.expected.setdefault(member, []).append((id, said.number, said.publisher))
        if said.options.get("retain"):
            self.retained.setdefault(said.topic, []).append(said)
        if said.topic.startswith(LOG) and not said.options.keys() & {"eligible", "exclude"}:
            self.log.append(said)

    def will_happen(self, topic: str, about: Known, *args: Any) -> None:
        for member, known in self.here.items():
            if known.sealed or not about.sealed:
                for pattern, id in known.subscriptions.items():
                    if stands_for(pattern, topic):
                        self.expected.setdefault(member, []).append((id, *args))

    def will_leave(self, member: Member, quietly: bool = False) -> None:
        known = self.here.pop(member)
        self.expected.pop(member, None)
        id = member.session.id
        ids = {id for other in self.here.values() for id in other.subscriptions.values()}
        for subscription in known.subscriptions.values():
            self.will_happen("wamp.subscription.on_unsubscribe", known, id, subscription)
            if subscription not in ids:
                self.will_happen("wamp.subscription.on_delete", known, id, subscription)
        if quietly:
            return
        for scope in ("detached", "destroyed"):
            for said in known.testaments[scope]:
                self.will_say(said)
        self.will_happen("wamp.session.on_leave", known, id, known.authid, known.role)

    def settle(self) -> None:
        """What was expected has come, and nothing else; what is no event stays."""
        for member, known in self.here.items():
            came, other = [], []
            for message in member.take():
                if not isinstance(message, Event):
                    other.append(message)
                    continue
                came.append((message.subscription, *(message.args or ())))
                if "retained" not in message.details and message.subscription not in self.routers(known):
                    self.in_order(known, message)
            member.inbox = other
            assert Counter(map(repr, came)) == Counter(map(repr, self.expected.pop(member, [])))
        assert not self.expected

    def routers(self, known: Known) -> set[int]:
        return {id for (_, text), id in known.subscriptions.items() if text.startswith("wamp.")}

    def in_order(self, known: Known, event: Event) -> None:
        """Last words were said earlier, so that they are not in order."""
        assert event.args is not None
        number, publisher = event.args
        if publisher in {member.session.id for member in self.here}:
            key = event.subscription, publisher
            assert known.last.get(key, 0) < number
            known.last[key] = number

    # -- comings and goings -----------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.here) < 5)
    @rule(
        authid=st.sampled_from(["ann", "bob"]),
        role=st.sampled_from(["staff", "guest", "anonymous"]),
        able=st.booleans(),
        sealed=st.booleans(),
    )
    def join(self, authid: str, role: str, able: bool, sealed: bool) -> None:
        known = Known(authid, role, able, sealed)
        id = self.number = self.number + 1
        about = {"session": id, "authid": authid, "authrole": role, "authmethod": None, "authprovider": None}
        self.will_happen("wamp.session.on_join", known, about)
        roles = () if role == "anonymous" else (role, "more")
        self.here[self.hall.come(authid, roles, can=PASSES if able else {}, sealed=sealed, id=id)] = known
        self.settle()

    @precondition(lambda self: self.here)
    @rule(i=index, how=st.sampled_from(["drop", "goodbye", "violation", "ppt"]))
    def leave(self, i: int, how: str) -> None:
        member = self.member(i)
        if how == "ppt" and self.here[member].able:
            how = "drop"
        self.will_leave(member)
        if how == "drop":
            member.drop()
        else:
            options = {"ppt_scheme": "x", "acknowledge": True}
            message: Any = {
                "goodbye": Goodbye({}, "wamp.close.close_realm"),
                "violation": Event(1, 1, {}),
                "ppt": Publish(member.session.next_request, options, "a.b", [1]),
            }[how]
            self.hall.act(self.hall.realm.receive(member.session, message))
        assert member.closed
        self.settle()

    @precondition(lambda self: self.here)
    @rule(i=index, j=index, all_=st.booleans())
    def kill(self, i: int, j: int, all_: bool) -> None:
        asker, other = self.member(i), self.member(j)
        mine = self.here[asker]
        seen = [m for m, known in self.here.items() if m is not asker and (mine.sealed or not known.sealed)]
        if all_:
            quietly = len(seen) == len(self.here) - 1
            for member in seen:
                self.will_leave(member, quietly)
            call = Call(asker.id(), {}, "wamp.session.kill_all")
        else:
            seen = [other] if other in seen else []
            for member in seen:
                self.will_leave(member)
            call = Call(asker.id(), {}, "wamp.session.kill", [other.session.id])
        self.hall.act(self.hall.realm.receive(asker.session, call))
        assert all(member.closed for member in seen)
        assert all(not member.closed for member in self.here)
        answer = next(message for message in asker.inbox if not isinstance(message, Event))
        asker.inbox.remove(answer)
        if all_:
            assert answer.args == [len(seen)]
        else:
            assert isinstance(answer, Result) is bool(seen)
        self.settle()

    # -- subscriptions ----------------------------------------------------------------------------------------------
    @precondition(lambda self: self.here)
    @rule(i=index, pattern=st.sampled_from(PATTERNS), get=st.booleans())
    def subscribe(self, i: int, pattern: tuple[str, str], get: bool) -> None:
        member = self.member(i)
        known = self.here[member]
        match, text = pattern
        message = Subscribe(member.id(), {"match": match, "get_retained": get}, text)
        self.hall.act(self.hall.realm.receive(member.session, message))
        answer = member.inbox.pop(0)
        assert isinstance(answer, Subscribed)
        id = answer.subscription
        others = {other.subscriptions[pattern] for other in self.here.values() if pattern in other.subscriptions}
        assert others <= {id}
        if pattern not in known.subscriptions:
            known.subscriptions[pattern] = id
            if not others:
                about = {"id": id, "created": "1970-01-12T13:46:40.000Z", "uri": text, "match": match}
                self.will_happen("wamp.subscription.on_create", known, member.session.id, about)
            self.will_happen("wamp.subscription.on_subscribe", known, member.session.id, id)
        if get:
            for topic, all_ in self.retained.items():
                mine = [said for said in all_ if said.is_for(member.session.id, known)]
                if mine and stands_for(pattern, topic):
                    self.expected.setdefault(member, []).append((id, mine[-1].number, mine[-1].publisher))
        self.settle()

    @precondition(lambda self: any(known.subscriptions for known in self.here.values()))
    @rule(i=index, j=index)
    def unsubscribe(self, i: int, j: int) -> None:
        members = [member for member, known in self.here.items() if known.subscriptions]
        member = members[i % len(members)]
        known = self.here[member]
        pattern = list(known.subscriptions)[j % len(known.subscriptions)]
        id = known.subscriptions.pop(pattern)
        left = any(pattern in other.subscriptions for other in self.here.values())
        self.will_happen("wamp.subscription.on_unsubscribe", known, member.session.id, id)
        if not left:
            self.will_happen("wamp.subscription.on_delete", known, member.session.id, id)
        member.leave(id)
        self.settle()

    # -- publications -----------------------------------------------------------------------------------------------
    def said(self, member: Member, topic: str, own: bool, lists: dict[str, Any], some: list[int], more: int) -> Said:
        self.number += 1
        ids = [self.member(j).session.id for j in some] or [999_999]
        options = {name: ids if value == "some" else value for name, value in lists.items()}
        if more & 1:
            options["retain"] = True
        if more & 2 and self.here[member].able:
            options["ppt_scheme"] = "x_mine"
        return Said(topic, self.number, member.session.id, options, 0 if own else member.session.id)

    @precondition(lambda self: self.here)
    @rule(
        i=index,
        topic=st.sampled_from(TOPICS),
        own=st.booleans(),
        lists=st.sampled_from(LISTS),
        some=st.lists(index, max_size=3),
        more=st.integers(0, 3),
        acknowledge=st.booleans(),
    )
    def publish(
        self, i: int, topic: str, own: bool, lists: dict[str, Any], some: list[int], more: int, acknowledge: bool
    ) -> None:
        member = self.member(i)
        said = self.said(member, topic, own, lists, some, more)
        self.will_say(said)
        options = {**said.options, "exclude_me": not own, "acknowledge": acknowledge}
        message = Publish(member.id(), options, topic, [said.number, said.publisher])
        self.hall.act(self.hall.realm.receive(member.session, message))
        if acknowledge:
            assert isinstance(member.inbox.pop(), Published)
        self.settle()

    @precondition(lambda self: self.here)
    @rule(
        i=index,
        topic=st.sampled_from(TOPICS),
        lists=st.sampled_from(LISTS),
        some=st.lists(index, max_size=3),
        more=st.integers(0, 3),
        scope=st.sampled_from(["detached", "destroyed"]),
    )
    def add_testament(self, i: int, topic: str, lists: dict[str, Any], some: list[int], more: int, scope: str) -> None:
        member = self.member(i)
        if sum(map(len, self.here[member].testaments.values())) < 10:
            said = self.said(member, topic, False, lists, some, more)
            said_args = [said.number, said.publisher]
            member.call("wamp.session.add_testament", topic, said_args, {}, publish_options=said.options, scope=scope)
            self.here[member].testaments[scope].append(said)

    @precondition(lambda self: self.here)
    @rule(i=index, scope=st.sampled_from(["detached", "destroyed"]))
    def flush_testaments(self, i: int, scope: str) -> None:
        member = self.member(i)
        member.call("wamp.session.flush_testaments", scope=scope)
        self.here[member].testaments[scope].clear()

    # -- what is asked ----------------------------------------------------------------------------------------------
    @precondition(lambda self: any(known.subscriptions for known in self.here.values()))
    @rule(i=index, j=index, reverse=st.booleans(), limit=st.none() | st.integers(1, 3))
    def history(self, i: int, j: int, reverse: bool, limit: int | None) -> None:
        members = [member for member, known in self.here.items() if known.subscriptions]
        member = members[i % len(members)]
        known = self.here[member]
        pattern, id = list(known.subscriptions.items())[j % len(known.subscriptions)]
        told = member.result("wamp.subscription.get_events", id, reverse=reverse, limit=limit).args or []
        mine = [s for s in self.log if stands_for(pattern, s.topic) and replace(s).is_for(member.session.id, known)]
        expected = [said.number for said in (reversed(mine) if reverse else mine)]
        assert [event["args"][0] for event in told] == expected[:limit]

    @precondition(lambda self: self.here)
    @rule(i=index)
    def meta(self, i: int) -> None:
        member = self.member(i)
        mine = self.here[member]
        seen = {m.session.id: known for m, known in self.here.items() if mine.sealed or not known.sealed}
        assert set(member.call("wamp.session.list")) == set(seen)
        told = member.call("wamp.subscription.list")
        there = {(match, id) for match, ids in told.items() for id in ids}
        expected = {(p[0], id) for known in seen.values() for p, id in known.subscriptions.items()}
        stays = member.call("wamp.subscription.lookup", LOG, {"match": "prefix"})
        assert there == expected | {("prefix", stays)}
        for known in seen.values():
            for pattern, id in known.subscriptions.items():
                expected_ids = {who for who, other in seen.items() if pattern in other.subscriptions}
                assert set(member.call("wamp.subscription.list_subscribers", id)) == expected_ids

    # -- what the realm keeps ---------------------------------------------------------------------------------------
    @invariant()
    def it_keeps_what_is_open_and_nothing_else(self) -> None:
        broker, realm = self.hall.realm._broker, self.hall.realm
        assert set(realm.sessions) == {member.session.id for member in self.here}
        wanted = {(p, id) for known in self.here.values() for p, id in known.subscriptions.items()}
        there = [s for s in broker.table.by_id.values() if s.subscribers or not s.stays]
        assert {((s.match, s.uri), s.id) for s in there} == wanted
        assert broker.table.patterns == len({p for p, _ in wanted if p[0] != "exact"})
        for member, known in self.here.items():
            assert {(s.match, s.uri): id for id, s in member.session.subscriptions.items()} == known.subscriptions
        count = sum(len(said) for known in self.here.values() for said in known.testaments.values())
        assert len(realm._testaments) == count
        assert len(broker.events) == len(self.log)
        assert broker.retained.count == len(broker.retained.all())
        assert broker.retained.bytes == sum(kept.size for kept in broker.retained.all())


def replace(said: Said) -> Said:
    """As history sees it: its publisher has its own."""
    return Said(said.topic, said.number, said.publisher, said.options, 0)


TestEvents = Events.TestCase
TestEvents.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
