"""A realm with an edge round it that keeps what would have been sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from limen.core.wamp.effects import Ask, Broadcast, Close, Effect, Interrupt, Invoke, Send
from limen.core.wamp.messages import Call, Error, Message, Register, Registered, Subscribe, Subscribed
from limen.core.wamp.realm import Realm
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED, DENIED, Verdict

CAN = {"call_canceling": True, "progressive_call_results": True, "call_timeout": True}
"""Features of a callee that can all that Limen asks of one for its own sake."""
PARTS = {**CAN, "progressive_call_invocations": True}
"""Of one that takes calls in parts, too; and of who makes them."""
PPT = {**PARTS, "payload_passthru_mode": True}


class Peer:
    """A session and what it was sent."""

    def __init__(self, edge: Edge, session: Session) -> None:
        self.edge, self.session = edge, session
        self.inbox: list[Message] = []
        self.closed = False
        self._ids = count(1)

    def id(self) -> int:
        """The next request id."""
        return next(self._ids)

    def send(self, message: Message) -> list[Message]:
        """Sends, and takes what came for this peer."""
        self.edge.act(self.edge.realm.receive(self.session, message))
        return self.take()

    def take(self) -> list[Message]:
        taken, self.inbox = self.inbox, []
        return taken

    def one(self) -> Any:
        (message,) = self.take()
        return message

    def call(self, uri: str, *args: Any, **options: Any) -> Any:
        """Calls; what came for this peer at once, if it is anything."""
        came = self.send(Call(self.id(), options, uri, list(args)))
        assert len(came) <= 1
        return came[0] if came else None

    def register(self, uri: str, **options: Any) -> int:
        (answer,) = self.send(Register(self.id(), options, uri))
        assert isinstance(answer, Registered)
        return answer.registration

    def subscribe(self, uri: str, **options: Any) -> int:
        (answer,) = self.send(Subscribe(self.id(), options, uri))
        assert isinstance(answer, Subscribed)
        return answer.subscription

    def drop(self) -> None:
        """The connection is cut."""
        self.closed = True
        self.edge.act(self.edge.realm.detach(self.session))


def _verdict(said: bool | Verdict | None) -> Verdict | None:
    if said is True:
        return ALLOWED
    return DENIED if said is False else said


class Edge:
    """*services*: URIs that local services stand at. *authorize*: the rule of the realm; None: it is asked later."""

    def __init__(
        self,
        *services: str,
        authorize: Callable[[Session, str, str], bool | Verdict | None] = lambda *_: True,
        **bounds: int,
    ) -> None:
        self.now = 0.0
        self.invoked: list[Invoke] = []
        self.interrupted: list[Interrupt] = []
        self.asked: list[Ask] = []
        self._ids = count(1)
        self.realm = Realm(
            "a.example",
            rng=lambda: next(self._publications),
            procedures={uri: uri for uri in services}.get,
            authorize=lambda session, action, uri, options: _verdict(authorize(session, action, uri)),
            now=lambda: self.now,
            **bounds,
        )
        self._publications = count(2**40)

    def join(
        self,
        callee: dict[str, bool] | None = None,
        authid: str = "",
        authroles: Iterable[str] = (),
        caller: dict[str, bool] | None = None,
    ) -> Peer:
        roles = {"caller": {"features": caller or {}}, "callee": {"features": callee or {}}}
        session = Session(next(self._ids), None, roles, authid=authid, authroles=tuple(authroles))
        session.peer = peer = Peer(self, session)
        self.realm.attach(session)
        return peer

    def act(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(session, message):
                    session.peer.inbox.append(message)
                case Broadcast(sessions, message):
                    for session in sessions:
                        session.peer.inbox.append(message)
                case Close(session, message):
                    session.peer.closed = True
                    if message is not None:
                        session.peer.inbox.append(message)
                case Invoke():
                    self.invoked.append(effect)
                case Interrupt():
                    self.interrupted.append(effect)
                case Ask():
                    self.asked.append(effect)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.act(self.realm.tick(self.now))


def failed(message: Any, reason: str) -> bool:
    return isinstance(message, Error) and message.error == reason
