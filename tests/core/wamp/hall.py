"""A realm whose sessions publish, subscribe and ask: `Hall`. Its clock stands until it is moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from edge import Edge, Peer

from limen.core.wamp.effects import Effect, Spread
from limen.core.wamp.events.keeping import USUAL, Keeping
from limen.core.wamp.messages import (
    Call,
    Error,
    Event,
    Publish,
    Published,
    Result,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from limen.core.wamp.realm import Realm
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED, Verdict

PASSES = {"payload_passthru_mode": True}
Rule = Callable[[Session, str, str, Mapping[str, Any]], Verdict | None]


class Refused(Exception):
    """An ERROR came; its reason is the text."""


class Member(Peer):
    """One of the hall's: what it asks for is answered at once, or raises Refused."""

    def ask(self, message: Any, *kinds: type) -> Any:
        """The answer; what else came stays in the inbox."""
        came = self.send(message)
        (answer,) = [m for m in came if isinstance(m, (Error, *kinds))]
        self.inbox = [m for m in came if m is not answer]
        if isinstance(answer, Error):
            raise Refused(answer.error)
        return answer

    def listen(self, topic: str, match: str | None = None, **options: Any) -> int:
        wanted = options if match is None else {"match": match, **options}
        return int(self.ask(Subscribe(self.id(), wanted, topic), Subscribed).subscription)

    def leave(self, subscription: int) -> None:
        self.ask(Unsubscribe(self.id(), subscription), Unsubscribed)

    def publish(self, topic: str, *args: Any, **options: Any) -> int:
        message = Publish(self.id(), {"acknowledge": True, **options}, topic, list(args))
        return int(self.ask(message, Published).publication)

    def say(self, topic: str, *args: Any, **options: Any) -> None:
        """Publishes, and does not ask what became of it."""
        self.edge.act(self.edge.realm.receive(self.session, Publish(self.id(), options, topic, list(args))))

    def call(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        """The value of a RESULT, None where it has none."""
        values = self.result(uri, *args, **kwargs).args
        return values[0] if values else None

    def result(self, uri: str, *args: Any, **kwargs: Any) -> Result:
        found = self.ask(Call(self.id(), {}, uri, list(args), kwargs), Result)
        assert isinstance(found, Result)
        return found

    def events(self) -> list[Event]:
        """All that came; it must be events."""
        taken = self.take()
        assert all(isinstance(message, Event) for message in taken), taken
        return taken  # type: ignore[return-value]

    def heard(self) -> list[Any]:
        """The first arguments of the events that came."""
        return [event.args[0] if event.args else None for event in self.events()]


class Hall(Edge):
    """*rule*: the realm's, all is allowed without one. *spread*: what the other processes were told."""

    def __init__(
        self,
        rule: Rule = lambda *_: ALLOWED,
        *,
        keeping: Keeping = USUAL,
        shared: bool = False,
        **bounds: int,
    ) -> None:
        super().__init__()
        self.wall = 1_000_000.0
        self.spread: list[Spread] = []
        self.realm = Realm(
            "a.example",
            rng=lambda: next(self._publications),
            procedures={}.get,
            authorize=rule,
            now=lambda: self.now,
            wall=lambda: self.wall,
            keeping=keeping,
            shared=shared,
            **bounds,
        )
        self._numbers = count(1)

    def come(
        self,
        authid: str = "",
        authroles: Iterable[str] = (),
        *,
        can: Mapping[str, bool] = PASSES,
        sealed: bool = False,
        id: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Member:
        """Somebody joins. *can*: features, as publisher and subscriber."""
        roles = {role: {"features": dict(can)} for role in ("publisher", "subscriber", "caller")}
        number = next(self._numbers) if id is None else id
        session = Session(number, None, roles, authid=authid, authroles=tuple(authroles), details=details)
        session.sealed = sealed
        session.peer = member = Member(self, session)
        self.act(self.realm.attach(session))
        return member

    def act(self, effects: Iterable[Effect]) -> None:
        effects = list(effects)
        spread = [effect for effect in effects if isinstance(effect, Spread)]
        self.spread += spread
        super().act(effects)
        for told in spread:  # all the others have heard it
            super().act(told.then)

    @property
    def empty(self) -> bool:
        """Nothing of those who were here is left."""
        broker, realm = self.realm._broker, self.realm
        everyone = broker.table
        left = [s for s in everyone.by_id.values() if s.subscribers or not s.stays]
        return not (left or realm.sessions or everyone.patterns or len(realm._testaments) or realm._meta._let_in)
