"""The broker: subscriptions and publications.

    PUBLISH ── may it? ── kept (retained.py, history.py) ── EVENT, for each subscription that stands for the topic

What is published to one exact topic, with no more to it, costs one look-up and one Broadcast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from limen.core.wamp.effects import Ask, Broadcast, Effect, Effects, Listen, Send, Spread, refuse
from limen.core.wamp.events.history import Events
from limen.core.wamp.events.keeping import Keeping
from limen.core.wamp.events.kept import Kept
from limen.core.wamp.events.lists import LISTS, eligible, is_listing, sets
from limen.core.wamp.events.retained import Retained
from limen.core.wamp.events.subscriptions import NO_SUBSCRIPTION, Subscription, Subscriptions
from limen.core.wamp.ids import common_id
from limen.core.wamp.messages import (
    MAX_ID,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
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
from limen.core.wamp.passthru import SCHEME, may_pass, passthru
from limen.core.wamp.session import Session
from limen.core.wamp.trace import PARENT, carried
from limen.core.wamp.uris import EXACT, MATCHES, is_pattern, is_reserved, is_uri
from limen.core.wamp.verdict import ALLOWED, Authorize, Verdict

PLAIN: Final = frozenset({"acknowledge", "exclude_me"})
"""Options of a PUBLISH that say nothing of its EVENTs."""
TOLD: Final = frozenset({*LISTS, "retain"})
"""Those that the other processes must know of."""


class Broker:
    """Subscriptions of one realm. See `Realm` for the arguments."""

    def __init__(
        self,
        rng: Callable[[], int],
        wall: Callable[[], float],
        authorize: Authorize,
        max_subscriptions: int,
        keeping: Keeping,
        shared: bool = False,
    ) -> None:
        self._rng, self._wall, self._authorize = rng, wall, authorize
        self._max_subscriptions = max_subscriptions
        self._shared = shared
        self.events = Events(keeping.history, keeping.history_bytes)
        self._keeps = bool(keeping.history)
        self.retained = Retained(keeping.retained, keeping.retained_bytes)
        self.table = Subscriptions(wall, self.events, self.happened, common_id if shared else None)
        self._listeners: set[Session] = set()
        """Who has subscribed what the router itself says, where other processes must know."""
        self._coming: dict[Session, int] = {}
        """Of these, who waits for SUBSCRIBED, and for how many."""
        self.listened = False
        """Others have such."""
        self._by_uri = self.table.by_uri
        self.published = self.delivered = 0
        """Events that were published, ever; and how often one went to a subscriber here."""

    # -- subscriptions ------------------------------------------------------------------------------------------
    def subscribe(self, session: Session, message: Subscribe, verdict: Verdict | None = None) -> Effects:
        uri, options, request = message.topic, message.options, message.request
        match = EXACT if (wanted := options.get("match")) is None else wanted
        if type(match) is not str or match not in MATCHES:
            reason = "wamp.error.option_not_allowed"
            return refuse(session, SUBSCRIBE, request, reason, "match is 'exact', 'prefix' or 'wildcard'.")
        if not is_pattern(uri, match):
            return refuse(session, SUBSCRIBE, request, "wamp.error.invalid_uri")
        if verdict is None and (verdict := self._authorize(session, "subscribe", uri, options)) is None:
            return (Ask(session, "subscribe", uri, options),)
        if not verdict.allow:
            return refuse(session, SUBSCRIBE, request, verdict.error)
        if self._shared and is_reserved(uri):  # what happens elsewhere is told to who listens: the others must know
            self._coming[session] = self._coming.get(session, 0) + 1
            self._listeners.add(session)
            return (Listen(True, session, message),)
        return self._subscribe(session, message, match)

    def listening(self, session: Session, message: Subscribe) -> Effects:
        """What follows from a `Listen`."""
        self._coming[session] -= 1
        if not self._coming[session]:
            del self._coming[session]
        if not session.attached:
            return self._listens(session)
        return self._subscribe(session, message, message.options.get("match") or EXACT)

    def _subscribe(self, session: Session, message: Subscribe, match: str) -> Effects:
        uri, request = message.topic, message.request
        subscription = self.table.by_pattern.get(match, uri)
        happened: Effects = ()
        if subscription is None or session not in subscription.subscribers:
            if len(session.subscriptions) >= self._max_subscriptions:
                sentence = f"A session has at most {self._max_subscriptions} subscriptions; a pattern may do for many."
                refusal = refuse(session, SUBSCRIBE, request, "wamp.error.unavailable", sentence)
                return [*refusal, *self._listens(session)]
            subscription, happened = self.table.add(session, uri, match)
        answer = Send(session, Subscribed(request, subscription.id))
        if message.options.get("get_retained") is True:
            return [answer, *self._retained_for(session, subscription), *happened]
        return (answer, *happened)

    def _retained_for(self, session: Session, subscription: Subscription) -> list[Effect]:
        effects: list[Effect] = []
        for kept in self.retained.of(subscription.uri, subscription.match, session):
            details = {**kept.details, "retained": True}
            if subscription.match != EXACT:
                details["topic"] = kept.uri
            event = Event(subscription.id, kept.publication, details, *kept.payload())
            effects.append(Broadcast([session], event))
        return effects

    def unsubscribe(self, session: Session, message: Unsubscribe) -> Effects:
        subscription = session.subscriptions.pop(message.subscription, None)
        if subscription is None:
            return refuse(session, UNSUBSCRIBE, message.request, NO_SUBSCRIPTION)
        happened = self.table.remove(session, subscription)
        listen = self._listens(session) if self._listeners else ()
        return (Send(session, Unsubscribed(message.request)), *happened, *listen)

    def hearers(self, uri: str) -> list[Session]:
        """All who have subscribed *uri*, or a pattern that stands for it; each once."""
        return list(dict.fromkeys(s for subscription in self.table.matching(uri) for s in subscription.subscribers))

    def leave(self, session: Session) -> Effects:
        happened = self.table.leave(session)
        return [*happened, *self._listens(session)] if self._listeners else happened

    def _listens(self, session: Session) -> Effects:
        """What follows for the other processes from what *session* listens to by now."""
        if session not in self._listeners or session in self._coming:
            return ()
        if not any(is_reserved(subscription.uri) for subscription in session.subscriptions.values()):
            self._listeners.discard(session)
            if not self._listeners:
                return (Listen(False),)
        return ()

    # -- publications -------------------------------------------------------------------------------------------
    def publish(self, session: Session, message: Publish, verdict: Verdict | None = None) -> Effects:
        uri, options = message.topic, message.options
        details: dict[str, Any] = {}
        more = options and not PLAIN.issuperset(options)
        if more:
            details = passthru(session, options, "publisher")
            reason = flaw(uri, options)
        else:
            reason = "" if is_uri(uri) and not is_reserved(uri) else "wamp.error.invalid_uri"
        if not reason:
            if verdict is None and (verdict := self._authorize(session, "publish", uri, options)) is None:
                return (Ask(session, "publish", uri, options),)
            if not verdict.allow:
                reason = verdict.error
            elif more and options.get("disclose_me") is True and not verdict.may_disclose:
                reason = "wamp.error.option_disallowed.disclose_me"
        acknowledge = options.get("acknowledge") is True
        if reason:
            return refuse(session, PUBLISH, message.request, reason) if acknowledge else ()
        if more or verdict is not ALLOWED:
            _identify(details, session, options, verdict)  # type: ignore[arg-type]  # there is one
        publication = self._rng()
        excluded = session if options.get("exclude_me") is not False else None
        then = (Send(session, Published(message.request, publication)),) if acknowledge else ()
        chosen = options if more else {}
        return self.say(uri, message.args, message.kwargs, publication, chosen, details, excluded, then)

    def will(self, session: Session, message: Publish, verdict: Verdict) -> Effects:
        """What *session*, which is gone, was allowed to publish; not where by now it is denied."""
        now = self._authorize(session, "publish", message.topic, message.options)
        if now is not None and not now.allow:
            return ()
        details = passthru(session, message.options, "publisher")
        _identify(details, session, message.options, verdict)
        return self.say(message.topic, message.args, message.kwargs, self._rng(), message.options, details, session)

    def say(
        self,
        uri: str,
        args: Args,
        kwargs: Kwargs,
        publication: int,
        options: Mapping[str, Any],
        details: Mapping[str, Any],
        excluded: Session | None,
        then: Effects = (),
    ) -> Effects:
        """What is published in this process: for all here, and for the other processes. *options*: black- and
        whitelists, `retain`; *details*: what each EVENT says; *excluded*: the publisher, where it gets none. *then*:
        what follows when it has been published everywhere."""
        self.published += 1
        if self._keeps or (options and options.get("retain") is True):
            publisher = 0 if excluded is None else excluded.id
            self._keep(uri, args, kwargs, publication, options, details, publisher)
        here = self.dispatch(uri, args, kwargs, publication, options, details, excluded)
        if not self._shared:
            return (*here, *then) if then else here
        publisher = 0 if excluded is None else excluded.id
        told = {name: value for name, value in options.items() if name in TOLD} if options else {}
        return (*here, Spread(uri, args, kwargs, publication, told, details, publisher, then=then))

    def hear(self, said: Spread) -> Effects:
        """What was published in another process."""
        if is_reserved(said.uri):
            return self._tell(said.uri, said.args or [], said.publication, said.hidden)
        if self._keeps or said.options.get("retain") is True:
            self._keep(said.uri, said.args, said.kwargs, said.publication, said.options, said.details, said.excluded)
        return self.dispatch(said.uri, said.args, said.kwargs, said.publication, said.options, said.details, None)

    def _keep(
        self,
        uri: str,
        args: Args,
        kwargs: Kwargs,
        publication: int,
        options: Mapping[str, Any],
        details: Mapping[str, Any],
        excluded: int,
    ) -> None:
        retain = options.get("retain") is True
        wanted = self.events.wants(uri, options)
        if retain or wanted:
            now = int(self._wall() * 1000)
            kept = Kept.of(uri, publication, details, options, excluded, args, kwargs, now)
            if kept is not None:
                if retain:
                    self.retained.put(kept)
                if wanted:
                    self.events.put(kept)

    def kept(self) -> tuple[list[Kept], list[Kept]]:
        """The retained events and the history, for a process that starts later."""
        return self.retained.all(), self.events.all()

    def keep(self, retained: list[Kept], events: list[Kept]) -> None:
        """What another process has `kept`."""
        for kept in retained:
            self.retained.put(kept)
        for kept in events:
            if self.events.wants(kept.uri, {}):
                self.events.put(kept)

    def dispatch(
        self,
        uri: str,
        args: Args,
        kwargs: Kwargs,
        publication: int,
        options: Mapping[str, Any],
        details: Mapping[str, Any],
        excluded: Session | None,
    ) -> Effects:
        """The EVENTs for all here who are to get one."""
        if options and not LISTS.keys().isdisjoint(options):
            options = sets(options)  # once, and not for each subscription
        if not self.table.patterns:
            subscription = self._by_uri.get(uri)
            if subscription is None:
                return ()
            receivers = self._receivers(subscription, options, details, excluded)
            if not receivers:
                return ()
            about = {**details} if details else {}
            return (Broadcast(receivers, Event(subscription.id, publication, about, args, kwargs)),)
        effects: list[Effect] = []
        for subscription in self.table.matching(uri):
            receivers = self._receivers(subscription, options, details, excluded)
            if receivers:
                about = {**details} if subscription.match == EXACT else {**details, "topic": uri}
                effects.append(Broadcast(receivers, Event(subscription.id, publication, about, args, kwargs)))
        return effects

    def _receivers(
        self,
        subscription: Subscription,
        options: Mapping[str, Any],
        details: Mapping[str, Any],
        excluded: Session | None,
    ) -> list[Session]:
        subscribers = subscription.subscribers
        receivers = list(subscribers)
        if excluded in subscribers:
            receivers.remove(excluded)
        if options and not LISTS.keys().isdisjoint(options):
            receivers = eligible(receivers, options)
        if details and SCHEME in details:
            receivers = [session for session in receivers if may_pass(session, "subscriber")]
        self.delivered += len(receivers)
        return receivers

    # -- what the router itself says ----------------------------------------------------------------------------
    def happened(self, uri: str, args: list[Any], *, about: Session | None = None) -> Effects:
        """Tells who listens to *uri*, one of the router's own topics, what concerns the session *about*: not of those
        that stand for sessions of other processes, and of sealed ones to sealed ones only."""
        if about is not None and about.id > MAX_ID:
            return ()
        heard = uri in self._by_uri or self.table.patterns
        if not heard and not self.listened:
            return ()
        hidden, publication = about is not None and about.sealed, self._rng()
        effects = self._tell(uri, args, publication, hidden) if heard else []
        if self.listened:
            effects.append(Spread(uri, args, None, publication, {}, hidden=hidden))
        return effects

    def _tell(self, uri: str, args: list[Any], publication: int, hidden: bool) -> list[Effect]:
        """… to those who are here."""
        effects: list[Effect] = []
        for subscription in self.table.matching(uri):
            receivers = [s for s in subscription.subscribers if s.sealed or not hidden]
            if receivers:
                details = {} if subscription.match == EXACT else {"topic": uri}
                effects.append(Broadcast(receivers, Event(subscription.id, publication, details, args)))
        return effects


def flaw(uri: str, options: Mapping[str, Any]) -> str:
    """Why nobody may publish that; "" if somebody may."""
    if not is_uri(uri) or is_reserved(uri):
        return "wamp.error.invalid_uri"
    return "" if is_listing(options) else "wamp.error.invalid_argument"


def _identify(details: dict[str, Any], session: Session, options: Mapping[str, Any], verdict: Verdict) -> None:
    """Puts into *details* what the EVENTs say of their publisher, of the trust in it, and of the trace they belong
    to."""
    if verdict.disclose or options.get("disclose_me") is True:
        details["publisher"] = session.id
        details["publisher_authid"] = session.authid
        details["publisher_authrole"] = session.authrole
    if verdict.trust is not None:
        details["trustlevel"] = verdict.trust
    if PARENT in options:
        details.update(carried(options))
