"""The broker: subscriptions and publications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from limen.core.wamp.effects import Ask, Broadcast, Effects, Send, Spread, refuse
from limen.core.wamp.messages import (
    Args,
    Event,
    Kwargs,
    Publish,
    Published,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from limen.core.wamp.session import Session
from limen.core.wamp.trace import PARENT, carried
from limen.core.wamp.uris import is_reserved, is_uri
from limen.core.wamp.verdict import Authorize, Verdict

PUBLISH: Final = 16
SUBSCRIBE: Final = 32
UNSUBSCRIBE: Final = 34


class Subscription:
    """All subscribers of one topic, in the order in which they came."""

    __slots__ = ("id", "subscribers", "uri")

    def __init__(self, id: int, uri: str) -> None:
        self.id = id
        self.uri = uri
        self.subscribers: dict[Session, None] = {}


class Broker:
    """Subscriptions of one realm. See `Realm` for the arguments."""

    def __init__(
        self,
        rng: Callable[[], int],
        authorize: Authorize,
        max_subscriptions: int,
        shared: bool = False,
    ) -> None:
        self._rng = rng
        self._shared = shared
        self._authorize = authorize
        self._max_subscriptions = max_subscriptions
        self._by_uri: dict[str, Subscription] = {}
        self._last_subscription = 0
        self.published = self.delivered = 0
        """Events that were published, ever; and how often one went to a subscriber here."""

    def subscribe(self, session: Session, message: Subscribe, verdict: Verdict | None = None) -> Effects:
        uri, options = message.topic, message.options
        if not is_uri(uri):
            return refuse(session, SUBSCRIBE, message.request, "wamp.error.invalid_uri")
        if options.get("match") not in (None, "exact"):
            return refuse(session, SUBSCRIBE, message.request, "wamp.error.option_not_allowed")
        if verdict is None and (verdict := self._authorize(session, "subscribe", uri, options)) is None:
            return (Ask(session, "subscribe", uri, options),)
        if not verdict.allow:
            return refuse(session, SUBSCRIBE, message.request, verdict.error)
        subscription = self._by_uri.get(uri)
        if subscription is None or session not in subscription.subscribers:
            if len(session.subscriptions) >= self._max_subscriptions:
                return refuse(session, SUBSCRIBE, message.request, "wamp.error.unavailable")
            if subscription is None:
                self._last_subscription += 1
                subscription = self._by_uri[uri] = Subscription(self._last_subscription, uri)
            subscription.subscribers[session] = None
            session.subscriptions[subscription.id] = subscription
        return (Send(session, Subscribed(message.request, subscription.id)),)

    def unsubscribe(self, session: Session, message: Unsubscribe) -> Effects:
        subscription = session.subscriptions.pop(message.subscription, None)
        if subscription is None:
            return refuse(session, UNSUBSCRIBE, message.request, "wamp.error.no_such_subscription")
        self._forget(subscription, session)
        return (Send(session, Unsubscribed(message.request)),)

    def leave(self, session: Session) -> None:
        for subscription in session.subscriptions.values():
            self._forget(subscription, session)
        session.subscriptions.clear()

    def _forget(self, subscription: Subscription, session: Session) -> None:
        del subscription.subscribers[session]
        if not subscription.subscribers:
            del self._by_uri[subscription.uri]

    def publish(self, session: Session, message: Publish, verdict: Verdict | None = None) -> Effects:
        uri, options = message.topic, message.options
        acknowledge = options.get("acknowledge") is True
        reason = None
        if not is_uri(uri) or is_reserved(uri):
            reason = "wamp.error.invalid_uri"
        elif not _is_listing(options):
            reason = "wamp.error.invalid_argument"
        elif verdict is None and (verdict := self._authorize(session, "publish", uri, options)) is None:
            return (Ask(session, "publish", uri, options),)
        elif not verdict.allow:
            reason = verdict.error
        if reason is not None:
            return refuse(session, PUBLISH, message.request, reason) if acknowledge else ()
        publication = self._rng()
        excluded = session if options.get("exclude_me") is not False else None
        effects = self.say(uri, message.args, message.kwargs, publication, options, excluded)
        if acknowledge:
            return (*effects, Send(session, Published(message.request, publication)))
        return effects

    def say(
        self,
        uri: str,
        args: Args,
        kwargs: Kwargs,
        publication: int,
        options: Mapping[str, Any],
        excluded: Session | None,
    ) -> Effects:
        """What is published in this process: for all here, and for the other processes."""
        self.published += 1
        here = self.dispatch(uri, args, kwargs, publication, options, excluded)
        return (*here, Spread(uri, args, kwargs, publication, options)) if self._shared else here

    def dispatch(
        self,
        uri: str,
        args: Args,
        kwargs: Kwargs,
        publication: int,
        options: Mapping[str, Any],
        excluded: Session | None,
    ) -> Effects:
        """The EVENT for all who are to get it. *options*: black- and whitelists; *excluded*: the publisher itself."""
        subscription = self._by_uri.get(uri)
        if subscription is None:
            return ()
        receivers = list(subscription.subscribers)
        if excluded in subscription.subscribers:
            receivers.remove(excluded)
        if options and not _LISTS.keys().isdisjoint(options):
            receivers = _eligible(receivers, options)
        if not receivers:
            return ()
        self.delivered += len(receivers)
        details = carried(options) if PARENT in options else {}
        return (Broadcast(receivers, Event(subscription.id, publication, details, args, kwargs)),)


# -- black- and whitelists --------------------------------------------------------------------------------------
_LISTS: Final[Mapping[str, tuple[bool, Callable[[Session, frozenset[Any]], bool]]]] = {
    "eligible": (True, lambda session, ids: session.id in ids),
    "eligible_authid": (True, lambda session, ids: session.authid in ids),
    "eligible_authrole": (True, lambda session, roles: not roles.isdisjoint(session.authroles)),
    "exclude": (False, lambda session, ids: session.id in ids),
    "exclude_authid": (False, lambda session, ids: session.authid in ids),
    "exclude_authrole": (False, lambda session, roles: not roles.isdisjoint(session.authroles)),
}
"""Option to whether its list names those who get the event, and whether a session is in it."""


def _is_listing(options: Mapping[str, Any]) -> bool:
    """Whether each list in *options* is one: what can't be read must not let an event out to everyone."""
    for name in _LISTS.keys() & options.keys():
        value = options[name]
        if value is not None and not (type(value) is list and all(type(item) in (int, str) for item in value)):
            return False
    return True


def _eligible(receivers: list[Session], options: Mapping[str, Any]) -> list[Session]:
    for name, (wanted, holds) in _LISTS.items():
        value = options.get(name)
        if value is not None:
            named = frozenset(value)
            receivers = [session for session in receivers if holds(session, named) is wanted]
    return receivers
