"""Who may do what in one realm: its rules first; where they say nothing, a procedure of the role that is asked.

    authorize(session, action, uri, options) -> Verdict, or None: then the realm gives an `Ask`
    ask(realm, ask) -> the authorizer is called -> Realm.decide

    authorizer(details of the session, uri, action, options) -> True, False
                                              or {"allow": True, "disclose": False, "trust": 1, "cache": True, …}

Meanwhile what else the session says waits in the realm, and its connection is not read from when that is much
(`Connection.hold`). An authorizer that fails, or takes too long, has denied.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from limen import exc
from limen.core.wamp.uris import EXACT, matches
from limen.core.wamp.verdict import ALLOWED, DENIED, Verdict

from .rules import FORCE, Rules

if TYPE_CHECKING:
    from limen.core.wamp.effects import Ask
    from limen.core.wamp.realm import Realm
    from limen.core.wamp.session import Session
    from limen.door.hub.hub import Hub

    from .config import Authorizer, Settings
    from .inside import CallInside

Done: TypeAlias = tuple[str, str, dict[str, Any]]
"""Action, URI, options: what a session has done."""

KEPT: Final = 16_384
"""Answers of authorizers that a realm keeps at most; the oldest go first."""
FAILED: Final = Verdict(False, error="wamp.error.authorization_failed")
NO_FORCE: Final = Verdict(False, error="wamp.error.option_not_allowed")


class Policy:
    """Of the realm *name* of *settings*; `take` changes them.

    Whoever registers a procedure that is asked here decides what all others may. That is allowed only by a rule for
    exactly that URI, never by a pattern, and never by an authorizer.
    """

    def __init__(self, hub: Hub, call: CallInside, settings: Settings, name: str) -> None:
        self._hub, self._call, self._name = hub, call, name
        self._asking: set[asyncio.Task[None]] = set()
        self._kept: OrderedDict[tuple[Any, ...], tuple[Verdict, float]] = OrderedDict()
        self.take(settings)

    def take(self, settings: Settings) -> None:
        """These are the rules from now on; what authorizers have said is forgotten."""
        realm = settings.realm(self._name)
        assert realm is not None  # else nobody is here
        self._roles, self._authorities = realm.roles, settings.authorities(self._name)
        self._rules: dict[frozenset[str], Rules] = {}
        self._kept.clear()

    def authorize(self, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict | None:
        """See `core/wamp/verdict.py`."""
        rules = self._rules.get(session.authroles)
        if rules is None:
            if session.principal is None:
                return ALLOWED  # the router's own (inside.py)
            rules = self._compile(session.authroles)
        if action == "call" or action == "publish":
            verdict = rules.verdict(action, uri)
        else:
            verdict = self._over(rules, action, uri, options)
        if verdict is None:
            return self._remembered(session, action, uri, options)
        if not verdict.allow:
            self._hub.denied(session, action, uri)
        return verdict

    def _compile(self, names: frozenset[str]) -> Rules:
        found = Rules(role for role in self._roles if role.name in names)
        self._rules[names] = found
        return found

    def _over(self, rules: Rules, action: str, uri: str, options: Mapping[str, Any]) -> Verdict | None:
        match = options.get("match") or EXACT
        verdict = rules.over(action, match, uri)
        if action != "register":
            return verdict
        decides = any(matches(uri, match, one) for one in self._authorities)
        if decides and (match != EXACT or not rules.names(action, uri)):
            return DENIED
        if options.get("force_reregister") is True and verdict is not None and verdict.allow:
            forced = rules.over(FORCE, match, uri)
            return verdict if forced is not None and forced.allow else NO_FORCE
        return verdict

    # -- authorizers ----------------------------------------------------------------------------------------------
    def ask(self, realm: Realm, ask: Ask) -> None:
        """Finds out, and tells the realm."""
        self._do(self._find_out(realm, ask))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._hub.loop.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _find_out(self, realm: Realm, ask: Ask) -> None:
        verdict = FAILED
        try:
            verdict = await self.asked(ask.session, ask.action, ask.uri, ask.options)
        finally:
            self._hub.act(realm, realm.decide(ask.session, verdict))
            ask.session.peer.hold()

    async def asked(self, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict:
        """What the authorizers of the session's roles say; the first that allows is believed."""
        while True:
            rules = self._rules.get(session.authroles) or self._compile(session.authroles)
            verdict = await self._all(rules, session, action, uri, options)
            if rules is self._rules.get(session.authroles):
                break
            now = self.authorize(session, action, uri, options)  # by the rules that came meanwhile
            if now is not None:
                return now
        if not verdict.allow:
            self._hub.denied(session, action, uri, by="authorizer")
        return verdict

    async def _all(self, rules: Rules, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict:
        verdict = DENIED
        for authorizer in rules.authorizers:
            verdict, kept = await self._one(authorizer, session, action, uri, options)
            if kept and authorizer.cache and rules is self._rules.get(session.authroles):  # not of rules that are past
                self._keep(_key(session, action, uri, options), verdict, authorizer.cache)
            if verdict.allow:
                break
        return verdict

    def review(self, session: Session, what: list[Done], end: Callable[[Session], None]) -> None:
        """Ends *session* unless it may do all of that: action, URI, options."""
        verdicts = [self.authorize(session, *one) for one in what]
        if not all(verdict is None or verdict.allow for verdict in verdicts):
            end(session)
        elif None in verdicts:
            open_ = [one for one, verdict in zip(what, verdicts, strict=True) if verdict is None]
            self._do(self._review(session, open_, end))

    async def _review(self, session: Session, what: list[Done], end: Callable[[Session], None]) -> None:
        for one in what:
            if session.attached and not (await self.asked(session, *one)).allow:
                end(session)
                return

    async def _one(
        self, authorizer: Authorizer, session: Session, action: str, uri: str, options: Mapping[str, Any]
    ) -> tuple[Verdict, bool]:
        """What one of them says, and whether that may be kept."""
        args = [details(session), uri, action, dict(options)]
        try:
            result = await self._call(self._name, authorizer.procedure, args, None, authorizer.timeout)
            given = result.args[0] if result.args else None
            verdict, kept = answer(given)
            if verdict.allow and action == "register" and options.get("force_reregister") is True:
                forces = type(given) is dict and given.get("force_reregister") is True
                return (verdict if forces else NO_FORCE), kept
            return verdict, kept
        except exc.Error as error:
            said = str(error)[:200]
            self._hub.gate.note("authorizer failed", procedure=authorizer.procedure, why=error.exc, said=said)
        return FAILED, False

    def _remembered(self, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict | None:
        if not self._kept:
            return None
        key = _key(session, action, uri, options)
        kept = self._kept.get(key)
        if kept is None:
            return None
        verdict, until = kept
        if self._hub.loop.time() >= until:
            del self._kept[key]
            return None
        if not verdict.allow:
            self._hub.denied(session, action, uri, by="authorizer")
        return verdict

    def _keep(self, key: tuple[Any, ...], verdict: Verdict, seconds: float) -> None:
        self._kept[key] = verdict, self._hub.loop.time() + seconds
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def close(self) -> None:
        """Nobody is asked any more."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)


def _key(session: Session, action: str, uri: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an answer is for: this session, and what of the options makes it another question."""
    if action == "call" or action == "publish":
        return session.id, action, uri
    forced = options.get("force_reregister") is True
    return session.id, action, uri, options.get("match") or EXACT, options.get("invoke"), forced


def details(session: Session) -> dict[str, Any]:
    """What an authorizer is told of who asks."""
    who = session.principal
    return {
        "session": session.id,
        "realm": who.domain if who is not None else None,
        "authid": session.authid,
        "authrole": session.authrole,
        "authroles": sorted(session.authroles),
        **session.details,
    }


def answer(said: object) -> tuple[Verdict, bool]:
    """An authorizer's answer as a verdict, and whether it may be kept. Raises `exc.InvalidValue` for what is none.

    >>> answer(True)[0].allow, answer({"allow": True, "disclose": True, "cache": True})[0].disclose
    (True, True)
    >>> answer("yes")
    Traceback (most recent call last):
    limen.exc.InvalidValue: An authorizer answers True, False, or a dict with "allow".
    """
    if type(said) is bool:
        return (ALLOWED if said else DENIED), False
    if type(said) is not dict or type(said.get("allow")) is not bool:
        raise exc.InvalidValue('An authorizer answers True, False, or a dict with "allow".')
    trust = said.get("trust")
    for name in ("disclose", "disclose_me", "force_reregister", "cache"):
        if type(said.get(name)) not in (bool, type(None)):
            raise exc.InvalidValue(f'"{name}" of an authorizer\'s answer is true or false.')
    if trust is not None and (type(trust) is not int or trust < 0):
        raise exc.InvalidValue('"trust" of an authorizer\'s answer is a whole number from 0.')
    disclose, may_disclose = said.get("disclose") is True, said.get("disclose_me") is not False
    return Verdict(said["allow"], disclose, may_disclose, trust), said.get("cache") is True
