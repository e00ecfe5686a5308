"""What the realm answers about its subscriptions, and their history (sections "Subscriptions Meta API" and "Event
History")."""

from __future__ import annotations

from typing import Any

from limen.core.wamp.effects import MetaError
from limen.core.wamp.events.history import Events
from limen.core.wamp.events.subscriptions import NO_SUBSCRIPTION, Subscription, Subscriptions
from limen.core.wamp.meta.meta import INVALID, Args, Kwargs, Need, Needing, Table, at, the_id, the_text, visible
from limen.core.wamp.session import Session
from limen.core.wamp.uris import EXACT, MATCHES, PREFIX, WILDCARD, is_uri
from limen.core.wamp.verdict import Verdict


class SubscriptionMeta:
    """*table*: the realm's subscriptions; *events*: its history. *meta*: what answers, by URI."""

    def __init__(self, table: Subscriptions, events: Events) -> None:
        self._table, self._events = table, events
        self.meta: Table = {
            "wamp.subscription.list": self._list,
            "wamp.subscription.lookup": self._lookup,
            "wamp.subscription.match": self._match,
            "wamp.subscription.get": lambda session, args, kwargs: self._one(session, args).details(),
            "wamp.subscription.list_subscribers": self._subscribers,
            "wamp.subscription.count_subscribers": lambda *asked: len(self._subscribers(*asked)),
            "wamp.subscription.get_events": Needing(self._need, self._get_events),
        }

    def _list(self, asker: Session, args: Args, kwargs: Kwargs) -> dict[str, list[int]]:
        return {
            match: [s.id for s in self._table.by_pattern.values(match) if _seen(asker, s)]
            for match in (EXACT, PREFIX, WILDCARD)
        }

    def _lookup(self, asker: Session, args: Args, kwargs: Kwargs) -> int | None:
        options = at(args, 1, dict, kwargs, "options") or {}
        match = EXACT if (wanted := options.get("match")) is None else wanted
        if type(match) is not str or match not in MATCHES:
            raise MetaError(INVALID, "match is 'exact', 'prefix' or 'wildcard'.")
        found = self._table.by_pattern.get(match, the_text(args))
        return found.id if found is not None and _seen(asker, found) else None

    def _match(self, asker: Session, args: Args, kwargs: Kwargs) -> list[int] | None:
        uri = the_text(args)
        if not is_uri(uri):  # nothing stands for it; and what was looked for is remembered
            return None
        return [s.id for s in self._table.matching(uri) if _seen(asker, s)] or None

    def _one(self, asker: Session, args: Args) -> Subscription:
        subscription = self._table.by_id.get(the_id(args))
        if subscription is None or not _seen(asker, subscription):
            raise MetaError(NO_SUBSCRIPTION)
        return subscription

    def _subscribers(self, asker: Session, args: Args, kwargs: Kwargs) -> list[int]:
        return [session.id for session in self._one(asker, args).subscribers if visible(asker, session)]

    # -- history ------------------------------------------------------------------------------------------------
    def _need(self, session: Session, args: Args, kwargs: Kwargs) -> Need:
        """Who has not subscribed must be allowed to."""
        subscription = self._one(session, args)
        if subscription.id in session.subscriptions:
            return None
        return "subscribe", subscription.uri, {} if subscription.match == EXACT else {"match": subscription.match}

    def _get_events(self, session: Session, args: Args, kwargs: Kwargs, verdict: Verdict) -> Any:
        return self._events.answer(session, self._one(session, args), kwargs)


def _seen(asker: Session, subscription: Subscription) -> bool:
    return subscription.stays or any(visible(asker, session) for session in subscription.subscribers)
