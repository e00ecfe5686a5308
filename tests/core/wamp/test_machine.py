"""Any sessions, any messages, cut anywhere: against a model that knows only who waits for whom.

Held after every step: each call gets one final answer and no second, at once when its callee answers, leaves or is out
of time; events reach exactly their subscribers; what one caller or publisher sent arrives in its order; and the realm
keeps exactly what is open, nothing of those who left.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from limen.core.wamp.messages import (
    Abort,
    Call,
    Cancel,
    Error,
    Event,
    Goodbye,
    Interrupt,
    Invocation,
    Publish,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Unregister,
    Unregistered,
    Unsubscribe,
    Unsubscribed,
    Yield,
)

sys.path.insert(0, str(Path(__file__).parent))
from edge import CAN, Edge, Peer

PROCEDURES = ("x.a", "x.b", "x.c")
TOPICS = ("x.t", "x.u")
LOCAL = "x.local"

index = st.integers(0, 30)


@dataclass(eq=False)
class Waiting:
    """A call that has no final answer yet."""

    caller: Peer
    request: int
    callee: Peer | None
    progress: bool
    timeout: int | None
    deadline: float | None
    invocation: int = 0
    values: int = 0
    """Progressive results that were sent."""
    seen: int = 0


@dataclass(eq=False)
class Known:
    """What the model knows of a live peer."""

    able: bool
    registrations: dict[str, int] = field(default_factory=dict)
    subscriptions: dict[str, int] = field(default_factory=dict)
    invocations: dict[int, Waiting] = field(default_factory=dict)
    """All that it was ever given, answered or not."""
    heard: dict[Any, int] = field(default_factory=dict)
    """The last number that each publisher and each caller was heard with."""


class Realm(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.edge = Edge(LOCAL)
        self.peers: dict[Peer, Known] = {}
        self.waiting: list[Waiting] = []
        self.number = 0

    # -- what the model expects -----------------------------------------------------------------------------------
    def peer(self, i: int) -> Peer:
        return list(self.peers)[i % len(self.peers)]

    def step(self, do: Any, *, answered: list[Waiting] | None = None, events: dict[Peer, int] | None = None) -> None:
        """Does something; *answered* calls, no others, must be over then, and *events* have come."""
        do()
        over: list[Waiting] = []
        events = dict(events or {})
        for peer, known in self.peers.items():
            kept = []
            for message in peer.take():
                match message:
                    case Result(request, details):
                        self.result(peer, request, details, message, over)
                    case Error(48, request):
                        over.append(self.call_of(peer, request))
                    case Invocation(request, _, _, args):
                        self.invoked(peer, known, request, args)
                    case Interrupt(request, options):
                        assert known.able
                        assert request in known.invocations
                        assert options["mode"] in ("kill", "killnowait")
                    case Event(_, _, _, args):
                        assert args is not None
                        who, number = args
                        assert number > known.heard.get(who, 0)
                        known.heard[who] = number
                        assert events.pop(peer) == number
                    case _:
                        kept.append(message)
            peer.inbox = kept
        assert events == {}
        expected = [call for call in answered or [] if call.caller in self.peers]
        assert sorted(map(id, over)) == sorted(map(id, expected))
        self.waiting = [call for call in self.waiting if call not in (answered or [])]

    def call_of(self, peer: Peer, request: int) -> Waiting:
        (call,) = (call for call in self.waiting if call.caller is peer and call.request == request)
        return call

    def result(self, peer: Peer, request: int, details: Any, message: Result, over: list[Waiting]) -> None:
        call = self.call_of(peer, request)
        if details.get("progress"):
            assert call.progress
            call.seen += 1
            assert message.args == [call.seen]
        else:
            assert call.seen == (call.values if call.progress else 0)
            over.append(call)

    def invoked(self, peer: Peer, known: Known, invocation: int, args: Any) -> None:
        assert invocation == len(known.invocations) + 1
        who, request = args
        assert request > known.heard.get(("call", who), 0)
        known.heard["call", who] = request
        (call,) = (c for c in self.waiting if c.caller.session.id == who and c.request == request)
        assert call.callee is peer
        call.invocation = invocation
        known.invocations[invocation] = call

    def leave(self, peer: Peer) -> list[Waiting]:
        """Forgets *peer*; the calls that must be answered because it left."""
        del self.peers[peer]
        answered = [call for call in self.waiting if call.callee is peer]
        self.waiting = [call for call in self.waiting if call.caller is not peer]
        return [call for call in answered if call.caller is not peer]

    # -- comings and goings -----------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.peers) < 5)
    @rule(able=st.booleans())
    def join(self, able: bool) -> None:
        self.peers[self.edge.join(CAN if able else {})] = Known(able)

    @precondition(lambda self: self.peers)
    @rule(i=index, how=st.sampled_from(["drop", "goodbye", "abort", "violation", "repeat"]))
    def end(self, i: int, how: str) -> None:
        peer = self.peer(i)
        answered = self.leave(peer)
        if how == "drop":
            self.step(peer.drop, answered=answered)
            return
        message: Any = {
            "goodbye": Goodbye({}, "wamp.close.close_realm"),
            "abort": Abort({}, "x.reason"),
            "violation": Event(1, 1, {}),
            "repeat": Subscribe(peer.session.next_request + 1, {}, "x.t"),
        }[how]
        self.step(lambda: self.edge.act(self.edge.realm.receive(peer.session, message)), answered=answered)
        assert peer.closed

    # -- registrations and subscriptions ----------------------------------------------------------------------------
    @precondition(lambda self: self.peers)
    @rule(i=index, uri=st.sampled_from([*PROCEDURES, LOCAL]))
    def register(self, i: int, uri: str) -> None:
        peer = self.peer(i)
        taken = uri == LOCAL or any(uri in known.registrations for known in self.peers.values())
        (answer,) = peer.send(Register(peer.id(), {}, uri))
        if taken:
            assert isinstance(answer, Error)
        else:
            assert isinstance(answer, Registered)
            self.peers[peer].registrations[uri] = answer.registration

    @precondition(lambda self: self.peers)
    @rule(i=index, j=index, uri=st.sampled_from(PROCEDURES))
    def unregister(self, i: int, j: int, uri: str) -> None:
        peer, owner = self.peer(i), self.peer(j)
        registration = self.peers[owner].registrations.get(uri)
        (answer,) = peer.send(Unregister(peer.id(), registration or 999_999))
        if registration is not None and peer is owner:
            assert isinstance(answer, Unregistered)
            del self.peers[owner].registrations[uri]
        else:
            assert isinstance(answer, Error)

    @precondition(lambda self: self.peers)
    @rule(i=index, topic=st.sampled_from(TOPICS))
    def subscribe(self, i: int, topic: str) -> None:
        peer = self.peer(i)
        (answer,) = peer.send(Subscribe(peer.id(), {}, topic))
        assert isinstance(answer, Subscribed)
        others = {known.subscriptions[topic] for known in self.peers.values() if topic in known.subscriptions}
        assert others <= {answer.subscription}
        self.peers[peer].subscriptions[topic] = answer.subscription

    @precondition(lambda self: self.peers)
    @rule(i=index, topic=st.sampled_from(TOPICS))
    def unsubscribe(self, i: int, topic: str) -> None:
        peer = self.peer(i)
        subscription = self.peers[peer].subscriptions.pop(topic, None)
        (answer,) = peer.send(Unsubscribe(peer.id(), subscription or 999_999))
        assert isinstance(answer, Unsubscribed if subscription else Error)

    @precondition(lambda self: self.peers)
    @rule(i=index, topic=st.sampled_from(TOPICS), own=st.booleans(), listed=st.none() | st.lists(index, max_size=3))
    def publish(self, i: int, topic: str, own: bool, listed: list[int] | None) -> None:
        peer = self.peer(i)
        self.number += 1
        options: dict[str, Any] = {"exclude_me": not own}
        receivers = {p for p, known in self.peers.items() if topic in known.subscriptions and (own or p is not peer)}
        if listed is not None:
            chosen = {self.peer(j) for j in listed}
            options["eligible"] = [p.session.id for p in chosen]
            receivers &= chosen
        message = Publish(peer.id(), options, topic, [peer.session.id, self.number])
        self.step(
            lambda: self.edge.act(self.edge.realm.receive(peer.session, message)),
            events=dict.fromkeys(receivers, self.number),
        )

    # -- calls ------------------------------------------------------------------------------------------------------
    @precondition(lambda self: self.peers)
    @rule(
        i=index,
        uri=st.sampled_from([*PROCEDURES, LOCAL]),
        progress=st.booleans(),
        timeout=st.sampled_from([None, 0, 1000, 3000]),
    )
    def call(self, i: int, uri: str, progress: bool, timeout: int | None) -> None:
        peer = self.peer(i)
        callee = next((p for p, known in self.peers.items() if uri in known.registrations), None)
        options = {"receive_progress": progress, "timeout": timeout}
        request = peer.id()
        deadline = self.edge.now + timeout / 1000 if timeout else None
        call = Waiting(peer, request, callee, progress, timeout, deadline)
        self.waiting.append(call)
        message = Call(request, options, uri, [peer.session.id, request])
        nobody = callee is None and uri != LOCAL
        self.step(
            lambda: self.edge.act(self.edge.realm.receive(peer.session, message)), answered=[call] if nobody else []
        )

    @precondition(lambda self: any(known.invocations for known in self.peers.values()))
    @rule(i=index, j=index, kind=st.sampled_from(["progress", "final", "error"]))
    def answer(self, i: int, j: int, kind: str) -> None:
        """A callee answers any invocation that it ever got: again, too late, or for the first time."""
        callees = [peer for peer, known in self.peers.items() if known.invocations]
        peer = callees[i % len(callees)]
        invocations = self.peers[peer].invocations
        invocation = list(invocations)[j % len(invocations)]
        call = invocations[invocation]
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

    @precondition(lambda self: self.edge.invoked)
    @rule(i=index)
    def local_service_ends(self, i: int) -> None:
        invoke = self.edge.invoked[i % len(self.edge.invoked)]
        calls = [c for c in self.waiting if c.caller.session is invoke.session and c.request == invoke.request]
        settled = self.edge.realm.settle(invoke.session, invoke.request)
        assert settled is bool(calls)
        if settled:
            result = Result(invoke.request, {}, ["local"])
            self.step(lambda: invoke.session.peer.inbox.append(result), answered=calls)

    @precondition(lambda self: self.waiting)
    @rule(i=index, mode=st.sampled_from(["skip", "kill", "killnowait", None]))
    def cancel(self, i: int, mode: str | None) -> None:
        call = self.waiting[i % len(self.waiting)]
        waits = mode == "kill" and (call.callee is None or self.peers[call.callee].able)
        message = Cancel(call.request, {"mode": mode})
        self.step(
            lambda: self.edge.act(self.edge.realm.receive(call.caller.session, message)),
            answered=[] if waits else [call],
        )

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        late = [c for c in self.waiting if c.deadline is not None and c.deadline <= self.edge.now + seconds]
        self.step(lambda: self.edge.wait(seconds), answered=late)

    # -- what the realm keeps ---------------------------------------------------------------------------------------
    @invariant()
    def it_keeps_what_is_open_and_nothing_else(self) -> None:
        realm = self.edge.realm
        assert set(realm.sessions.values()) == {peer.session for peer in self.peers}
        for peer, known in self.peers.items():
            session = peer.session
            assert set(session.calls) == {call.request for call in self.waiting if call.caller is peer}
            assert set(session.invocations) == {call.invocation for call in self.waiting if call.callee is peer}
            assert {r.uri: id for id, r in session.registrations.items()} == known.registrations
            assert {s.uri: id for id, s in session.subscriptions.items()} == known.subscriptions
        assert set(realm._registrar.table.exact) == {
            uri for known in self.peers.values() for uri in known.registrations
        }
        assert set(realm._broker._by_uri) == {uri for known in self.peers.values() for uri in known.subscriptions}
        deadlines = [call.deadline for call in self.waiting if call.deadline is not None]
        assert realm.next_deadline() == min(deadlines, default=None)
        assert realm._dealer._timed == len(deadlines)


TestRealm = Realm.TestCase
TestRealm.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
