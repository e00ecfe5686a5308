"""Who has subscribed what in one realm."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from limen.core.wamp.effects import Effect, Effects, Happened
from limen.core.wamp.events.history import Events
from limen.core.wamp.patterns import Patterns
from limen.core.wamp.session import Session
from limen.core.wamp.times import iso
from limen.core.wamp.uris import EXACT, is_reserved

NO_SUBSCRIPTION = "wamp.error.no_such_subscription"


class Subscription:
    """All subscribers of one topic, or of one pattern of topics, in the order in which they came.

    *created*: Unix time. *reserved*: it stands for the router's own topics too. *stays*: also when
    nobody has subscribed it, for its history.
    """

    __slots__ = ("created", "id", "match", "reserved", "stays", "subscribers", "uri")

    def __init__(self, id: int, uri: str, match: str, created: float, stays: bool = False) -> None:
        self.id = id
        self.uri = uri
        self.match = match
        self.created = created
        self.reserved = match == EXACT or is_reserved(uri)
        self.stays = stays
        self.subscribers: dict[Session, None] = {}

    def details(self) -> dict[str, Any]:
        """SubscriptionDetails (section "Subscriptions Meta API")."""
        return {"id": self.id, "created": iso(self.created), "uri": self.uri, "match": self.match}

    def __repr__(self) -> str:
        return f"<Subscription {self.id} {self.match} {self.uri!r}>"


class Subscriptions:
    """*wall*: Unix time in seconds. *events*: the realm's history; its patterns have subscriptions from the start, so
    that they can be looked up before anyone subscribes. *id_of*: gives the ids; None: they are counted."""

    def __init__(
        self,
        wall: Callable[[], float],
        events: Events,
        happened: Happened,
        id_of: Callable[[str, str, Container[int]], int] | None = None,
    ) -> None:
        self._wall, self._happened, self._id_of = wall, happened, id_of
        self.by_pattern: Patterns[Subscription] = Patterns()
        self.by_uri = self.by_pattern.exact
        self.by_id: dict[int, Subscription] = {}
        self.patterns = 0
        """How many are prefixes or wildcards and have subscribers."""
        self._last = 0
        for rule in events.rules:
            self._make(rule.uri, rule.match, stays=True)

    def add(self, session: Session, uri: str, match: str) -> tuple[Subscription, Effects]:
        """*session* subscribes what it has not yet."""
        subscription = self.by_pattern.get(match, uri) or self._make(uri, match)
        is_new = not subscription.subscribers
        subscription.subscribers[session] = None
        session.subscriptions[subscription.id] = subscription
        effects: Effects = ()
        if is_new:
            self.patterns += match != EXACT
            effects = self._happened("wamp.subscription.on_create", [session.id, subscription.details()], about=session)
        ids = [session.id, subscription.id]
        return subscription, [*effects, *self._happened("wamp.subscription.on_subscribe", ids, about=session)]

    def remove(self, session: Session, subscription: Subscription) -> Effects:
        """*session*, which has given it up or is gone, is no subscriber any more."""
        del subscription.subscribers[session]
        over = not subscription.subscribers
        if over:
            self.patterns -= subscription.match != EXACT
            if not subscription.stays:
                self.by_pattern.drop(subscription.match, subscription.uri)
                del self.by_id[subscription.id]
        ids = [session.id, subscription.id]
        effects = self._happened("wamp.subscription.on_unsubscribe", ids, about=session)
        return [*effects, *self._happened("wamp.subscription.on_delete", ids, about=session)] if over else effects

    def leave(self, session: Session) -> list[Effect]:
        mine = list(session.subscriptions.values())
        session.subscriptions.clear()
        return [effect for subscription in mine for effect in self.remove(session, subscription)]

    def matching(self, uri: str) -> list[Subscription]:
        """All that stand for *uri*."""
        found = self.by_pattern.all(uri)
        return [subscription for subscription in found if subscription.reserved] if is_reserved(uri) else found

    def _make(self, uri: str, match: str, stays: bool = False) -> Subscription:
        self._last += 1
        id = self._last if self._id_of is None else self._id_of(match, uri, self.by_id)
        subscription = Subscription(id, uri, match, self._wall(), stays)
        self.by_pattern.put(match, uri, subscription)
        self.by_id[subscription.id] = subscription
        return subscription
