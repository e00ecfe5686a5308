"""Grounds: what lies below an application's address is for the parties of its sessions, and no rule opens it.

    shop                         a ground: closed to everybody, whatever the rules of the realm say, but for
    shop.start_session           … what begins a session, for whoever may have one; shop.on_begin says that one may
    shop.x7c…                    a place: it and all below it is for its party alone, and whom the policy names
    shop.x7c….client             … and below this its party may register: its views stand there

A *party* is a login in one tab where somebody has logged in, else one WAMP session. All processes of a server know the
grounds and who has which place: who asks is let in, or not, where they are; only a policy is asked where the program
runs. `limen.session` declares grounds; this is its `Doorkeeper`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from limen.base.uris import EXACT, PREFIX, head_of

if TYPE_CHECKING:
    from limen.core.wamp.effects import Ask
    from limen.core.wamp.realm import Realm
    from limen.core.wamp.session import Session
    from limen.door.hub.hub import Hub
    from limen.session.port import Known, Policy

    from .verdicts import Verdicts

OPEN: Final = frozenset({("call", "start_session"), ("subscribe", "on_begin")})
"""What may be done on the ground itself."""
THEIRS: Final = "client"
"""What a party may register of its place: what lies below that."""


class Ground(Struct, frozen=True, array_like=True):
    """*owner*: the process whose program it is. *safe*: only who has logged in, in a sealed session, may begin there;
    *roles*: only they (all, if there are none). *asks*: a policy may let others in than the party."""

    owner: int
    domain: str
    uri: str
    safe: bool = True
    roles: tuple[str, ...] = ()
    asks: bool = False

    @property
    def head(self) -> str:
        return self.uri + "."

    def meets(self, pattern: str, match: str) -> bool:
        """Whether *pattern* stands for anything here.

        >>> shop = Ground(0, "localhost", "the.shop")
        >>> [shop.meets(*one) for one in (("the.shop.x", "exact"), ("the.sho", "prefix"), (".shop.", "wildcard"))]
        [True, True, True]
        >>> [shop.meets(*one) for one in (("the.shops", "exact"), ("the.shops", "prefix"), (".shop", "prefix"))]
        [False, False, False]
        """
        if match == EXACT:
            return pattern == self.uri or pattern.startswith(self.head)
        if match == PREFIX:
            return pattern.startswith(self.head) or self.head.startswith(pattern)
        wanted, own = pattern.split("."), self.uri.split(".")
        return len(wanted) >= len(own) and all(w in ("", o) for w, o in zip(wanted, own, strict=False))

    def place(self, pattern: str, match: str) -> tuple[str, str]:
        """The place that all lies in which *pattern* stands for, and what is below it; "" where there is none.

        >>> shop = Ground(0, "localhost", "shop")
        >>> shop.place("shop.x7.desk.", "prefix"), shop.place("shop..desk", "wildcard")
        (('shop.x7', 'desk.'), ('', ''))
        """
        head = head_of(pattern, match)
        if not head.startswith(self.head):
            return "", ""
        name, dot, below = head[len(self.head) :].partition(".")
        if not name or (match == PREFIX and not dot):
            return "", ""
        return self.head + name, below


class Parties:
    """The grounds of one program, and who has which place. Lives on the loop of the server."""

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self.grounds: dict[tuple[str, str], Ground] = {}
        self._policies: dict[tuple[str, str], Policy] = {}
        """Of the grounds whose program runs here."""
        self._places: dict[tuple[str, str], str] = {}
        """By domain and place: who its party is."""
        self._hub: Hub | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def begin(self, hub: Hub) -> None:
        """A server starts: learns what the other processes have. To be awaited before this one serves."""
        self._hub, bus = hub, hub.bus
        self.grounds, self._policies, self._places = {}, {}, {}
        hub.ask = self._ask
        bus.hear("ground", self._heard_ground)
        bus.hear("ground.gone", self._heard_gone)
        bus.hear("party", self._heard_party)
        bus.answer("grounds", self._listed)
        bus.answer("party.who", self._who_asked)
        bus.answer("party.may", self._may_asked)
        bus.left(self._left)
        for grounds, places in await bus.gather("grounds", None):
            for body in grounds:
                self._heard_ground(body)
            for domain, place, party in places:
                self._places.setdefault((domain, place), party)  # what was told meanwhile is newer

    def of(self, domain: str) -> Keeper:
        """The `Doorkeeper` of the applications of *domain*."""
        return Keeper(self, domain)

    # -- what the program says ----------------------------------------------------------------------------------
    async def declare(
        self, domain: str, uri: str, *, safe: bool = True, roles: Iterable[str] = (), policy: Policy | None = None
    ) -> None:
        """*uri* is a ground from now on, in all processes; sessions that hear of it by a pattern begin anew. Raises
        ValueError for one that lies in another."""
        for known in self.grounds.values():
            if known.domain == domain and (
                known.meets(uri, EXACT) or uri == known.uri or known.head.startswith(uri + ".")
            ):
                raise ValueError(f"{uri} can be no ground: {known.uri} is one already.")
        hub = self._hub
        owner = hub.bus.me if hub is not None else 0
        ground = Ground(owner, domain, uri, safe, tuple(roles), policy is not None)
        if policy is not None:
            self._policies[domain, uri] = policy
        self._learn(ground)
        if hub is not None:
            hub.bus.tell("ground", [ground.owner, domain, uri, safe, list(ground.roles), ground.asks])
            await self._all_know()

    def withdraw(self, domain: str, uri: str) -> None:
        """It is none any more, and its places are nobody's."""
        self._forget(domain, uri)
        if self._hub is not None:
            self._hub.bus.tell("ground.gone", [domain, uri])

    async def who(self, domain: str, id: int) -> Known | None:
        """Who the WAMP session *id* is; None: it has gone."""
        found = self._who(domain, id)
        if found is None and self._hub is not None:
            found = await self._hub.bus.ask("party.who", [domain, id])
        return found

    async def admit(self, domain: str, place: str, party: str) -> None:
        """*place* is *party*'s from now on, and nobody else's; comes back when all processes know."""
        self._take(domain, place, party)
        if self._hub is not None:
            self._hub.bus.tell("party", [domain, place, party])
            await self._all_know()

    def dismiss(self, domain: str, place: str) -> None:
        """*place* is nobody's."""
        self._take(domain, place, None)
        if self._hub is not None:
            self._hub.bus.tell("party", [domain, place, None])

    async def _all_know(self) -> None:
        if self._hub is not None and self._hub.across is not None:
            await self._hub.across.all_know()

    # -- who may ------------------------------------------------------------------------------------------------
    def ground(self, domain: str, pattern: str, match: str) -> Ground | None:
        """The ground that *pattern* stands for anything on; if there are several, one of them."""
        for ground in self.grounds.values():
            if ground.domain == domain and ground.meets(pattern, match):
                return ground
        return None

    def verdict(self, ground: Ground, session: Session, action: str, pattern: str, match: str) -> bool | None:
        """Whether *session* may do *action* there; None: the process whose program it is must be asked."""
        if match == EXACT and (action, pattern.removeprefix(ground.head)) in OPEN:
            return _enters(ground, session)
        place, below = ground.place(pattern, match)
        party = self._places.get((ground.domain, place)) if place else None
        if party is None:
            return False
        if party == party_of(session):
            return action != "register" or _is_theirs(below)
        if not ground.asks or action == "register":
            return False
        policy = self._policies.get((ground.domain, ground.uri))
        return None if policy is None else _admits(policy, session, place)

    def _ask(self, realm: Realm, ask: Ask) -> None:
        """Finds out at the process whose program it is, and tells the realm."""
        assert self._hub is not None
        task = self._hub.loop.create_task(self._find_out(realm, ask))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _find_out(self, realm: Realm, ask: Ask) -> None:
        hub, session, match = self._hub, ask.session, ask.options.get("match") or EXACT
        assert hub is not None
        allowed = False
        try:
            ground = self.ground(realm.name, ask.uri, match)
            if ground is not None:
                place, _ = ground.place(ask.uri, match)
                about = [realm.name, ground.uri, place, session.id, user_of(session), session.authrole]
                allowed = await hub.bus.ask("party.may", about) is True
        finally:
            if not allowed:
                hub.denied(session, ask.action, ask.uri)
            hub.act(realm, realm.decide(session, self._verdicts.of(allowed, ask.action)))
            if (hold := getattr(session.peer, "hold", None)) is not None:
                hold()

    async def _may_asked(self, body: list[Any]) -> bool | None:
        domain, uri, place, id, user, role = body
        policy = self._policies.get((domain, uri))
        if policy is None:
            return None
        return (domain, place) in self._places and policy(id, user, role, place) is True

    # -- what this process knows --------------------------------------------------------------------------------
    def _who(self, domain: str, id: int) -> Known | None:
        realm = self._hub.known_realm(domain) if self._hub is not None else None
        session = realm.sessions.get(id) if realm is not None else None
        if session is None or session.principal is None:
            return None
        who = session.principal
        return {
            "party": party_of(session),
            "domain": who.domain,
            "user": user_of(session),
            "roles": list(who.roles),
            "profile": dict(who.profile),
            "origin": who.origin,
            "sealed": who.sealed,
            "tls": who.tls,
        }

    async def _who_asked(self, body: list[Any]) -> Known | None:
        return self._who(*body)

    async def _listed(self, _: None) -> list[Any] | None:
        assert self._hub is not None
        own = [ground for ground in self.grounds.values() if ground.owner == self._hub.bus.me]
        rows = [[g.owner, g.domain, g.uri, g.safe, list(g.roles), g.asks] for g in own]
        places = [
            [domain, place, party]
            for (domain, place), party in self._places.items()
            if any(ground.domain == domain and place.startswith(ground.head) for ground in own)
        ]
        return [rows, places] if rows else None

    def _heard_ground(self, body: list[Any]) -> None:
        owner, domain, uri, safe, roles, asks = body
        self._learn(Ground(owner, domain, uri, safe, tuple(roles), asks))

    def _heard_gone(self, body: list[Any]) -> None:
        self._forget(*body)

    def _learn(self, ground: Ground) -> None:
        self.grounds[ground.domain, ground.uri] = ground
        if self._hub is not None:
            self._hub.review(ground.domain)

    def _forget(self, domain: str, uri: str) -> list[str]:
        """… and gives the places that were there."""
        self._policies.pop((domain, uri), None)
        ground = self.grounds.pop((domain, uri), None)
        gone = [key for key in self._places if key[0] == domain and key[1].startswith(uri + ".")] if ground else []
        for key in gone:
            del self._places[key]
        return [place for _, place in gone]

    def _heard_party(self, body: list[Any]) -> None:
        self._take(*body)

    def _take(self, domain: str, place: str, party: str | None) -> None:
        before = self._places.pop((domain, place), None)
        if party is not None:
            self._places[domain, place] = party
            if before is not None and before != party:
                self._turn_out(domain, before)

    def _turn_out(self, domain: str, party: str) -> None:
        """Who had a place, and has it no longer, must not listen there: their sessions begin anew."""
        realm = self._hub.known_realm(domain) if self._hub is not None else None
        if self._hub is None or realm is None:
            return
        if party.isdecimal():
            session = realm.sessions.get(int(party))
            those = [session] if session is not None else []
        else:
            those = [session for session in realm.sessions.values() if party_of(session) == party]
        self._hub.review_these(those)

    def _left(self, number: int) -> None:
        """A process is gone, and the program that ran there: its sessions are over."""
        for ground in [ground for ground in self.grounds.values() if ground.owner == number]:
            for place in self._forget(ground.domain, ground.uri):
                assert self._hub is not None
                self._hub.tell_here(ground.domain, f"{place}.on_end", ["gone"])


class Keeper:
    """What `limen.session` asks of *parties* for the applications of *domain* (`limen.session.port`)."""

    def __init__(self, parties: Parties, domain: str) -> None:
        self._parties, self._domain = parties, domain

    async def declare(
        self, uri: str, *, safe: bool = True, roles: Iterable[str] = (), policy: Policy | None = None
    ) -> None:
        await self._parties.declare(self._domain, uri, safe=safe, roles=roles, policy=policy)

    def withdraw(self, uri: str) -> None:
        self._parties.withdraw(self._domain, uri)

    async def who(self, id: int) -> Known | None:
        return await self._parties.who(self._domain, id)

    async def admit(self, place: str, party: str) -> None:
        await self._parties.admit(self._domain, place, party)

    def dismiss(self, place: str) -> None:
        self._parties.dismiss(self._domain, place)


def party_of(session: Session) -> str:
    """The login in one tab, and as whom; or the WAMP session."""
    tab = getattr(session.peer, "tab", None)
    if tab is None:
        return str(session.id)
    return f"{tab.id} {user_of(session) or ''}"


def user_of(session: Session) -> str | None:
    return session.principal.user if session.principal is not None else None


def _enters(ground: Ground, session: Session) -> bool:
    who = session.principal
    if who is None or (ground.safe and not (who.sealed and who.user is not None)):
        return False
    return not ground.roles or any(role in who.roles for role in ground.roles)


def _is_theirs(below: str) -> bool:
    """Whether all of what lies *below* the place is what a party may register."""
    return below.startswith(THEIRS + ".")


def _admits(policy: Policy, session: Session, place: str) -> bool:
    return policy(session.id, user_of(session), session.authrole, place) is True
