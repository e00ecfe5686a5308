"""Calls of all kinds between sessions that come, break the rules and are cut anywhere: against a model that knows only
what is registered and who waits for whom.

Held after every step: each call gets one final answer and no second, at once when its callee answers, leaves or is out
of time; it went to a callee that the registration's policy allows; the parts of one caller arrive in their order, at
the callee of the first, as long as the call goes on; who is full gets none; and nothing is kept but what is open.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limen.core.wamp.messages import (
    Abort,
    Call,
    Cancel,
    Error,
    Goodbye,
    Interrupt,
    Invocation,
    Register,
    Registered,
    Result,
    Unregister,
    Unregistered,
    Yield,
)

sys.path.insert(0, str(Path(__file__).parent))
from edge import PPT, Edge, Peer

PATTERNS = [("x.a", "exact"), ("x.a", "prefix"), ("x", "prefix"), ("x..c", "wildcard"), (".b.c", "wildcard")]
CALLED = ["x.a", "x.b.c", "x.z.c", "y.b.c", "y", "wamp.b.c"]
POLICIES = ["single", "first", "last", "roundrobin", "random"]
ABLE = {**PPT, "registration_revocation": True}
MOST = 3
"""Calls that may wait for one callee."""

index = st.integers(0, 30)


@dataclass(eq=False)
class Waiting:
    """A call without its final answer."""

    caller: Peer
    request: int
    callee: Peer
    uri: str
    registered: tuple[str, str]
    progress: bool
    timeout: float | None
    deadline: float | None
    invocation: int = 0
    sent: list[int] = field(default_factory=list)
    """Its parts, by number; those that have arrived are taken out."""
    open: bool = False
    """More parts may come."""
    counted: bool = False
    """It is one of those that the callee bounds by itself."""
    values: int = 0


@dataclass(eq=False)
class Offer:
    """A registration of the model: *callees* by what they allow at a time (0: all)."""

    id: int
    invoke: str
    callees: dict[Peer, int] = field(default_factory=dict)


@dataclass(eq=False)
class Known:
    """What the model knows of a live peer. *given*: all invocations that it ever got."""

    able: bool
    given: dict[int, Waiting] = field(default_factory=dict)
    over: list[int] = field(default_factory=list)
    """Calls in parts that are over without its last part having been sent."""


class Calls(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.edge = Edge(max_invocations=MOST)
        self.peers: dict[Peer, Known] = {}
        self.offers: dict[tuple[str, str], Offer] = {}
        self.waiting: list[Waiting] = []
        self.number = 0

    # -- the model --------------------------------------------------------------------------------------------------
    def peer(self, i: int) -> Peer:
        return list(self.peers)[i % len(self.peers)]

    def found(self, uri: str) -> tuple[str, str] | None:
        """What a call goes to: the rule of the section, by brute force."""
        if (uri, "exact") in self.offers:
            return uri, "exact"
        if uri.startswith("wamp."):
            return None
        prefixes = [name for name in self.offers if name[1] == "prefix" and uri.startswith(name[0])]
        if prefixes:
            return max(prefixes, key=lambda name: len(name[0]))
        parts = uri.split(".")
        wild = [
            name
            for name in self.offers
            if name[1] == "wildcard"
            and len(name[0].split(".")) == len(parts)
            and all(a in ("", b) for a, b in zip(name[0].split("."), parts, strict=True))
        ]
        return max(wild, key=lambda name: [part != "" for part in name[0].split(".")], default=None)

    def full(self, callee: Peer, name: tuple[str, str]) -> bool:
        most = self.offers[name].callees[callee]
        mine = [call for call in self.waiting if call.callee is callee]
        counted = [call for call in mine if call.counted and call.registered == name]
        return callee.session.busy or len(mine) >= MOST or (most > 0 and len(counted) >= most)

    def eligible(self, name: tuple[str, str]) -> list[Peer]:
        """The callees one of whom gets the next call, by the policy."""
        offer = self.offers[name]
        callees = list(offer.callees)
        if offer.invoke in ("single", "first"):
            callees = callees[:1]
        elif offer.invoke == "last":
            callees = callees[-1:]
        return callees

    def step(self, do: Any, *, answered: list[Waiting] | None = None) -> list[tuple[Peer, Any]]:
        """Does something; *answered* calls, no others, must be over then. Gives what else came."""
        do()
        over: list[Waiting] = []
        rest: list[tuple[Peer, Any]] = []
        for peer, known in self.peers.items():
            for message in peer.take():
                match message:
                    case Result(request, details, args):
                        call = self.call_of(peer, request)
                        if details.get("progress"):
                            assert call.progress
                            assert args == [call.values]
                        else:
                            over.append(call)
                    case Error(48, request):
                        over.append(self.call_of(peer, request))
                    case Invocation(request):
                        self.invoked(peer, known, message)
                    case Interrupt(request, options):
                        assert known.able
                        assert request in known.given
                        assert set(options) == {"mode", "reason"}
                    case _:
                        rest.append((peer, message))
        expected = [call for call in answered or [] if call.caller in self.peers]
        assert sorted(map(id, over)) == sorted(map(id, expected))
        for call in answered or []:
            if call.open and call.caller in self.peers:
                self.peers[call.caller].over.append(call.request)
        self.waiting = [call for call in self.waiting if call not in (answered or [])]
        return rest

    def call_of(self, peer: Peer, request: int) -> Waiting:
        (call,) = (call for call in self.waiting if call.caller is peer and call.request == request)
        return call

    def invoked(self, peer: Peer, known: Known, message: Invocation) -> None:
        assert message.args is not None
        caller, request, number = message.args
        (call,) = (c for c in self.waiting if c.caller.session.id == caller and c.request == request)
        assert call.callee is peer
        assert call.sent.pop(0) == number
        if message.request not in known.given:
            assert message.request == len(known.given) + 1
            known.given[message.request] = call
            call.invocation = message.request
        assert message.request == call.invocation
        assert message.details.get("progress", False) is call.open
        assert ("procedure" in message.details) is (call.registered[1] != "exact")
        assert message.details["caller"] == caller

    def leave(self, peer: Peer) -> list[Waiting]:
        """Forgets *peer*; the calls that must be answered because it left."""
        del self.peers[peer]
        for name, offer in tuple(self.offers.items()):
            offer.callees.pop(peer, None)
            if not offer.callees:
                del self.offers[name]
        answered = [call for call in self.waiting if call.callee is peer and call.caller is not peer]
        self.waiting = [call for call in self.waiting if call.caller is not peer]
        return answered

    # -- comings and goings -----------------------------------------------------------------------------------------
    @initialize(offered=st.lists(st.tuples(index, st.sampled_from(PATTERNS), st.sampled_from(POLICIES)), max_size=6))
    def begin(self, offered: list[tuple[int, tuple[str, str], str]]) -> None:
        for able in (True, True, False):
            self.join(able)
        for i, name, invoke in offered:
            self.register(i, name, invoke, 0, False)

    @precondition(lambda self: len(self.peers) < 5)
    @rule(able=st.booleans())
    def join(self, able: bool) -> None:
        self.peers[self.edge.join(ABLE if able else {}, caller=PPT)] = Known(able)

    @precondition(lambda self: len(self.peers) > 2)
    @rule(i=index, how=st.sampled_from(["drop", "goodbye", "not its invocation", "ppt", "no part"]))
    def end(self, i: int, how: str) -> None:
        peer = self.peer(i)
        known = self.peers[peer]
        answered = self.leave(peer)
        session = peer.session
        message: Any = {
            "drop": None,
            "goodbye": Goodbye({}, "wamp.close.close_realm"),
            "not its invocation": Yield(session.last_invocation + 1, {}, ["stolen"]),
            "ppt": Yield(1, {"ppt_scheme": "mqtt"}),
            "no part": Call(session.next_request + 1, {"progress": True}, "x.a"),
        }[how]
        if how == "drop" or (how == "ppt" and known.able):
            self.step(peer.drop, answered=answered)
            return
        self.step(lambda: self.edge.act(self.edge.realm.receive(session, message)), answered=answered)
        assert peer.closed
        if how != "goodbye":
            assert isinstance(peer.inbox[-1], Abort)

    @precondition(lambda self: self.peers)
    @rule(i=index)
    def turns_busy_or_back(self, i: int) -> None:
        session = self.peer(i).session
        session.busy = not session.busy

    # -- registrations ----------------------------------------------------------------------------------------------
    @precondition(lambda self: self.peers)
    @rule(
        i=index,
        name=st.sampled_from(PATTERNS),
        invoke=st.sampled_from(POLICIES),
        concurrency=st.sampled_from([0, 0, 1, 2]),
        force=st.sampled_from([False, False, False, True]),
    )
    def register(self, i: int, name: tuple[str, str], invoke: str, concurrency: int, force: bool) -> None:
        peer = self.peer(i)
        offer = self.offers.get(name)
        options = {"match": name[1], "invoke": invoke, "concurrency": concurrency or None, "force_reregister": force}
        message = Register(peer.id(), options, name[0])
        came = self.step(lambda: self.edge.act(self.edge.realm.receive(peer.session, message)))
        answer = [m for p, m in came if p is peer][-1]
        revoked = [(p, m) for p, m in came if isinstance(m, Unregistered)]
        if offer is not None and force:
            assert {p for p, _ in revoked} == {p for p in offer.callees if self.peers[p].able}
            assert all(m.request == 0 and m.details["registration"] == offer.id for _, m in revoked)
            del self.offers[name]
            for call in self.waiting:  # they go on, but it is another registration now whose calls are counted
                call.counted = call.counted and call.registered != name
            offer = None
        else:
            assert not revoked
        if offer is not None and (invoke == "single" or offer.invoke != invoke or peer in offer.callees):
            assert isinstance(answer, Error)
            return
        assert isinstance(answer, Registered)
        if offer is None:
            offer = self.offers[name] = Offer(answer.registration, invoke)
        assert answer.registration == offer.id
        offer.callees[peer] = concurrency

    @precondition(lambda self: self.peers and self.offers)
    @rule(i=index, j=index, by_the_router=st.booleans())
    def unregister(self, i: int, j: int, by_the_router: bool) -> None:
        peer = self.peer(i)
        name = list(self.offers)[j % len(self.offers)]
        offer = self.offers[name]
        if by_the_router:
            args = [offer.id, peer.session.id]
            message: Any = Call(peer.id(), {}, "wamp.registration.remove_callee", args)
        else:
            message = Unregister(peer.id(), offer.id)
        self.edge.act(self.edge.realm.receive(peer.session, message))
        answer, *more = peer.take()
        if peer not in offer.callees:
            assert isinstance(answer, Error)
            return
        assert isinstance(answer, Result if by_the_router else Unregistered)
        assert len(more) == (by_the_router and self.peers[peer].able)
        del offer.callees[peer]
        for call in self.waiting:
            call.counted = call.counted and not (call.registered == name and call.callee is peer)
        if not offer.callees:
            del self.offers[name]

    # -- calls ------------------------------------------------------------------------------------------------------
    @precondition(lambda self: self.peers)
    @rule(
        calls=st.lists(
            st.tuples(
                index,
                st.sampled_from(CALLED),
                st.booleans(),
                st.booleans(),
                st.sampled_from([None, 0, 1000, 3000.0]),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def calls(self, calls: list[tuple[int, str, bool, bool, float | None]]) -> None:
        for call in calls:
            self.call(*call)

    def call(self, i: int, uri: str, parts: bool, progress: bool, timeout: float | None) -> None:
        peer = self.peer(i)
        request, name = peer.id(), self.found(uri)
        options = {"progress": parts, "receive_progress": progress, "timeout": timeout, "disclose_me": True}
        message = Call(request, options, uri, [peer.session.id, request, 1])
        eligible = self.eligible(name) if name is not None else []
        free = [callee for callee in eligible if name is not None and not self.full(callee, name)]
        self.edge.act(self.edge.realm.receive(peer.session, message))
        reached = [p for p in self.peers if any(isinstance(m, Invocation) for m in p.inbox)]
        if not reached:
            refused = peer.one()
            reasons = {
                "wamp.error.no_such_procedure": name is None,
                "wamp.error.unavailable": name is not None and not free,
                "wamp.error.feature_not_supported": parts and any(not self.peers[p].able for p in free or eligible),
            }
            assert reasons[refused.error]
            if parts:
                self.peers[peer].over.append(request)
            self.step(lambda: None)
            return
        (callee,) = reached
        assert name is not None
        assert callee in free
        assert self.peers[callee].able or not parts
        deadline = self.edge.now + timeout / 1000 if timeout else None
        call = Waiting(peer, request, callee, uri, name, progress, timeout, deadline)
        call.sent, call.open, call.counted = [1], parts, self.offers[name].callees[callee] > 0
        self.waiting.append(call)
        self.step(lambda: None)

    @precondition(lambda self: any(call.open for call in self.waiting))
    @rule(i=index, lasts=st.lists(st.booleans(), min_size=1, max_size=4))
    def parts(self, i: int, lasts: list[bool]) -> None:
        calls = [call for call in self.waiting if call.open]
        call = calls[i % len(calls)]
        for last in lasts:
            if call.open and call in self.waiting:
                self.part(call, last)

    def part(self, call: Waiting, last: bool) -> None:
        self.number += 1
        busy = call.callee.session.busy
        if not busy:
            call.sent.append(self.number + 1)
        payload = [call.caller.session.id, call.request, self.number + 1]
        message = Call(call.request, {"progress": not last}, call.uri, payload)
        call.open = not last
        self.step(
            lambda: self.edge.act(self.edge.realm.receive(call.caller.session, message)),
            answered=[call] if busy else [],
        )

    @precondition(lambda self: any(known.over for known in self.peers.values()))
    @rule(i=index, j=index)
    def part_too_late(self, i: int, j: int) -> None:
        """It crossed the answer: nobody hears of it."""
        peers = [peer for peer, known in self.peers.items() if known.over]
        peer = peers[i % len(peers)]
        over = self.peers[peer].over
        message = Call(over[j % len(over)], {"progress": True}, "x.a", [0, 0, 0])
        self.step(lambda: self.edge.act(self.edge.realm.receive(peer.session, message)))
        assert not peer.closed

    @precondition(lambda self: any(known.given for known in self.peers.values()))
    @rule(i=index, j=index, kind=st.sampled_from(["progress", "final", "error"]))
    def answer(self, i: int, j: int, kind: str) -> None:
        """A callee answers any invocation that it ever got: again, too late, or for the first time."""
        callees = [peer for peer, known in self.peers.items() if known.given]
        peer = callees[i % len(callees)]
        given = self.peers[peer].given
        invocation = list(given)[j % len(given)]
        call = given[invocation]
        open_ = call in self.waiting
        message: Any = Yield(invocation, {}, ["final"])
        if kind == "progress":
            call.values += open_
            if open_ and call.timeout and call.progress:
                call.deadline = self.edge.now + call.timeout / 1000
            message = Yield(invocation, {"progress": True}, [call.values])
        elif kind == "error":
            message = Error(68, invocation, {}, "x.error")
        answered = [call] if open_ and kind != "progress" else []
        self.step(lambda: self.edge.act(self.edge.realm.receive(peer.session, message)), answered=answered)

    @precondition(lambda self: self.waiting)
    @rule(i=index, mode=st.sampled_from(["skip", "kill", "killnowait", None]))
    def cancel(self, i: int, mode: str | None) -> None:
        call = self.waiting[i % len(self.waiting)]
        waits = mode == "kill" and self.peers[call.callee].able
        message = Cancel(call.request, {"mode": mode})
        self.step(
            lambda: self.edge.act(self.edge.realm.receive(call.caller.session, message)),
            answered=[] if waits else [call],
        )

    @precondition(lambda self: any(call.deadline is not None for call in self.waiting))
    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        late = [c for c in self.waiting if c.deadline is not None and c.deadline <= self.edge.now + seconds]
        self.step(lambda: self.edge.wait(seconds), answered=late)

    # -- what the realm keeps ---------------------------------------------------------------------------------------
    @invariant()
    def it_keeps_what_is_open_and_nothing_else(self) -> None:
        realm = self.edge.realm
        for peer in self.peers:
            session = peer.session
            assert set(session.calls) == {call.request for call in self.waiting if call.caller is peer}
            assert set(session.invocations) == {call.invocation for call in self.waiting if call.callee is peer}
            offered = {offer.id for offer in self.offers.values() if peer in offer.callees}
            assert set(session.registrations) == offered
        table = realm._registrar.table
        assert {(r.uri, r.match): r.id for r in table.by_id.values()} == {n: o.id for n, o in self.offers.items()}
        for name, offer in self.offers.items():
            endpoints = table.by_id[offer.id].endpoints
            assert [endpoint.session.peer for endpoint in endpoints] == list(offer.callees)
            for endpoint in endpoints:
                counted = [c for c in self.waiting if c.counted and c.registered == name]
                assert endpoint.running == len([c for c in counted if c.callee is endpoint.session.peer])
        patterns = table._patterns
        assert len(patterns.exact) + len(patterns._prefixes) + len(patterns._wildcards) == len(self.offers)
        assert bool(patterns._wild) is bool(patterns._wildcards)
        assert not sum(patterns._of_length.values()) - len(patterns._prefixes)
        deadlines = [call.deadline for call in self.waiting if call.deadline is not None]
        assert realm.next_deadline() == min(deadlines, default=None)
        assert realm._dealer._timed == len(deadlines)
        counted = realm.counted()
        assert counted["calls"] == counted["answered"] + counted["failed"] + len(self.waiting)


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
