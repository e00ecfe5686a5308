"""Who has which session, since when they are away, and how many there may be: bookkeeping without clock and chance.

    open ── here ──left──> away ──back──> here …
                            └── its time is up (`due`) ──> to be closed

>>> stays = Stays(grace=60.0, most=1000)
>>> stay = stays.open("x7", b"the token's digest", "ada", client=4711, now=0.0)
>>> stays.left(4711, now=10.0), stays.due(69.0), stays.due(70.0)
(['x7'], [], ['x7'])
>>> stays.back("x7", b"the token's digest", b"the next one's", "ada", client=815, now=69.5), stays.due(70.0)
(4711, [])

Who comes back gets a new token; the one before holds until it is known that the new one has arrived (`confirm`): a page
that is reloaded twice has its session, one that was duplicated has it only in the copy that came last.
"""

from __future__ import annotations

import hmac

from limen import exc


class Stay:
    """One session: *user* who has it (None: nobody has logged in), the WAMP session *client* of the page. *payer*: by
    whom it counts."""

    __slots__ = ("before", "client", "digest", "name", "payer", "until", "user")

    def __init__(self, name: str, digest: bytes, user: str | None, client: int, payer: str) -> None:
        self.name, self.digest, self.user, self.client, self.payer = name, digest, user, client, payer
        self.before: bytes | None = None
        """The digest of the last token, while it may be that the new one never arrived."""
        self.until: float | None = None
        """When its time is up; None while the page is here."""


class Stays:
    """*grace*: seconds that a session waits for a page that has gone. *most*: sessions in all. Times are seconds by any
    clock that does not go back."""

    def __init__(self, grace: float, most: int) -> None:
        self.grace, self.most = grace, most
        self._all: dict[str, Stay] = {}
        self._here: dict[int, set[str]] = {}
        self._away: dict[str, Stay] = {}
        """In the order in which they left, which is that of their ends."""
        self._count: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def room(self, payer: str, most: int) -> str | None:
        """Whether *payer*, who may have *most*, may have one more: None, or the session away that must make room for
        it, the one that left first: of their own, or, where there is room for nobody, of whoever has most, if that is
        more than they have. Raises `exc.MaxActiveSessions`, `exc.Busy`."""
        if self._count.get(payer, 0) >= most:
            for stay in self._away.values():
                if stay.payer == payer:
                    return stay.name
            raise exc.MaxActiveSessions(
                f"There are {most} sessions of this user, or from this address, as many as may be: close a window, and "
                "try again.",
                most=most,
            )
        if len(self._all) >= self.most:
            away = max(self._away.values(), key=lambda stay: self._count[stay.payer], default=None)
            if away is not None and (away.payer == payer or self._count[away.payer] > self._count.get(payer, 0)):
                return away.name
            raise exc.Busy(f"There are {self.most} sessions, as many as may be: try again later.", most=self.most)
        return None

    def open(
        self, name: str, digest: bytes, user: str | None, client: int, now: float, payer: str | None = None
    ) -> Stay:
        """A session begins; `room` was asked before. *digest*: of the token that proves it."""
        stay = self._all[name] = Stay(name, digest, user, client, payer or user or f"#{client}")
        self._count[stay.payer] = self._count.get(stay.payer, 0) + 1
        self._here.setdefault(client, set()).add(name)
        return stay

    def back(self, name: str, digest: bytes, fresh: bytes, user: str | None, client: int, now: float) -> int:
        """The page of a session has come back, as the WAMP session *client*, and proves itself from now on by the token
        whose digest is *fresh*; gives the WAMP session that it was before. Raises `exc.UnknownSession` alike for one
        that is not there, for a wrong token, and for another user."""
        stay = self._all.get(name)
        known = (stay.digest, stay.before or stay.digest) if stay is not None else (b"", b"")
        same = hmac.compare_digest(known[0], digest) | hmac.compare_digest(known[1], digest)
        if stay is None or not same or stay.user != user or (stay.until is not None and stay.until <= now):
            raise exc.UnknownSession("This session is over, or was never here; begin a new one.")
        stay.before, stay.digest = digest, fresh
        before = stay.client
        self._part(stay)
        self._away.pop(name, None)
        stay.client, stay.until = client, None
        self._here.setdefault(client, set()).add(name)
        return before

    def confirm(self, name: str) -> None:
        """The newest token has arrived: those before it are worth nothing."""
        stay = self._all.get(name)
        if stay is not None:
            stay.before = None

    def client(self, name: str) -> int | None:
        """The WAMP session of the page; None where there is no such session, or the page is away."""
        stay = self._all.get(name)
        return stay.client if stay is not None and stay.until is None else None

    def left(self, client: int, now: float) -> list[str]:
        """A WAMP session is gone; gives the sessions that wait for it from now on."""
        names = sorted(self._here.pop(client, ()))
        for name in names:
            stay = self._away[name] = self._all[name]
            stay.until = now + self.grace
        return names

    def clients(self) -> frozenset[int]:
        """The WAMP sessions of all pages that are here."""
        return frozenset(self._here)

    def is_here(self, name: str) -> bool:
        """Whether its page is."""
        stay = self._all.get(name)
        return stay is not None and stay.until is None

    def due(self, now: float) -> list[str]:
        """Those whose time is up; `close` them."""
        names: list[str] = []
        for name, stay in self._away.items():
            if stay.until is not None and stay.until > now:
                break
            names.append(name)
        return names

    def next(self) -> float | None:
        """When the next time is up; None: nobody is away."""
        for stay in self._away.values():
            return stay.until
        return None

    def close(self, name: str) -> None:
        """A session is over; one that is not there does no harm."""
        stay = self._all.pop(name, None)
        if stay is None:
            return
        self._part(stay)
        self._away.pop(name, None)
        left = self._count[stay.payer] - 1
        if left:
            self._count[stay.payer] = left
        else:
            del self._count[stay.payer]

    def _part(self, stay: Stay) -> None:
        here = self._here.get(stay.client)
        if here is not None:
            here.discard(stay.name)
            if not here:
                del self._here[stay.client]
