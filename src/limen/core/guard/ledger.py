"""The abuse ledger: how much an origin has misbehaved of late, and how long an account must wait. Pure; `now` is an
argument.

Invariants:

- What an entry adds to its origin's level is `weight × (1 - age / watch period)`, nothing after the period
  (`decay.py`).
- `take_back(entry)` removes what that entry adds and nothing else; once; also when it was flushed meanwhile.
- A login (`issue`) counts for its *account* from the moment KE2 is issued, because KE2 alone tells a wrong password;
  for its *origin* only when it lapses (a wrong KE3, a closed connection, 30 s), so that ten colleagues who log in at
  once are no attack. A valid KE3 (`succeed`) takes both back.
- An account is never locked, only slowed (`attempts.py`), and that only for pairs (account, origin) without a
  success in the last 30 days; a known pair has its own counter, so that an outsider can't shut the owner out.
- Memory is bounded: an origin keeps at most 32 sums, each table MAX_ROWS rows; where one is full the least loaded go.

Not thread-safe: it lives on the event loop. `dirty()` gives what a store should keep, `load()` takes it back after a
restart. Times are seconds since 1970, so that they mean the same after a restart; a clock that is set back makes
nothing last longer than it would from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from heapq import heappop, heappush, nsmallest
from math import isfinite
from typing import Any

from limen import exc
from limen.base.config import Config

from .accounts import LedgerRow
from .attempts import Attempts
from .decay import PARTS, Bucket, Decay

MAX_ROWS = 16384
"""Most origins, accounts and pairs kept, each."""
RESUMES = 4
"""So many times more resumes than logins may one origin have under way: after a restart a whole office comes back at
once."""


class Kind(Enum):
    """What was done."""

    KE2 = "ke2"
    """A login was tried: KE2 was issued."""
    KK1 = "kk1"
    """A resume was tried."""
    UNSEALED = "unsealed"
    """A sealed service was called without a sealed session."""
    DENIED = "denied"
    """A service was called that this user may not call."""
    BAD_FRAME = "bad_frame"
    """A sealed frame did not open."""
    REPLAY = "replay"
    """A call came again that must not."""
    MALFORMED = "malformed"
    """Bytes that are no message at all."""


WEIGHTS: dict[Kind, float] = {
    Kind.KE2: 1.0,
    Kind.KK1: 1.0,
    Kind.UNSEALED: 1.0,
    Kind.DENIED: 3.0,
    Kind.BAD_FRAME: 3.0,
    Kind.REPLAY: 3.0,
    Kind.MALFORMED: 5.0,
}


def account_key(secret: bytes, domain: str, user: str) -> str:
    """The name under which logins are counted: HMAC of the user's name, alike for known and unknown users.

    >>> len(account_key(b"k", "localhost", "ada"))
    32
    """
    name = f"{len(domain)}:{domain}{user}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, name, hashlib.sha256).hexdigest()[:32]


class Entry:
    """One thing that was counted, or will be when it lapses; for `take_back`, `succeed`, `lapse`. Opaque."""

    __slots__ = (
        "account", "attempts", "before", "bucket", "counted", "domain", "kind", "open", "origin", "pending", "time",
        "user",
    )  # fmt: skip

    def __init__(self, domain: str, origin: str, kind: Kind, time: float) -> None:
        self.domain, self.origin, self.kind, self.time = domain, origin, kind, time
        self.open = True  # nobody has taken it back yet
        self.pending = False
        self.bucket: Bucket | None = None
        self.counted = time  # when it went into that bucket
        self.account: str | None = None
        self.attempts: Attempts | None = None
        self.before = 0.0
        self.user: str | None = None
        """Whose login it is, where that is known and a user of ours; for the log only."""


class _Origin:
    __slots__ = ("level", "pending")

    def __init__(self) -> None:
        self.level = Decay()
        self.pending: set[Entry] = set()


_Key = tuple[str, str, str]
"""(domain, scope, key) as in LedgerRow."""


class Ledger:
    """See the module. *config*: ABUSE_WATCH_PERIOD, SOFT_ and MAX_ORIGIN_ABUSE_LEVEL, LOGIN_TIMEOUT,
    MAX_PENDING_LOGINS, each by domain.

    >>> ledger = Ledger(Config())
    >>> for _ in range(4):
    ...     _ = ledger.charge("localhost", "192.0.2.1", Kind.DENIED, now=1000.0)
    >>> ledger.level("localhost", "192.0.2.1", 1000.0), ledger.refused("localhost", "192.0.2.1", 1000.0)
    (12.0, True)
    >>> round(ledger.retry_after("localhost", "192.0.2.1", 1000.0))
    100
    >>> ledger.level("localhost", "192.0.2.1", 1600.0)
    0.0
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._origins: dict[tuple[str, str], _Origin] = {}
        self._accounts: dict[tuple[str, str], Attempts] = {}
        self._pairs: dict[tuple[str, str, str], Attempts] = {}
        self._due: list[tuple[float, int, Entry]] = []
        self._issued = 0
        self._dirty: set[_Key] = set()
        self.tell: Callable[[list[Any]], None] | None = None
        """Where several processes judge together: called with what is counted here, for `take` of the others."""
        self.noted: Callable[[str, Entry], None] | None = None
        """Told, for the log, of a login or resume: "passed", "failed", "refused" (unheard); else "charged"."""

    # -- origins -----------------------------------------------------------------------------------
    def charge(self, domain: str, origin: str, kind: Kind, now: float) -> Entry:
        """Counts *kind* against *origin* at once."""
        entry = Entry(domain, origin, kind, now)
        self._count(entry, now)
        self._note("charged", entry)
        return entry

    def level(self, domain: str, origin: str, now: float) -> float:
        row = self._origins.get((domain, origin))
        return row.level.sum(now, self._period(domain)) if row is not None else 0.0

    def knows(self, domain: str, origin: str) -> bool:
        """Whether there is anything to ask about that origin: of most there is not."""
        return (domain, origin) in self._origins

    def refused(self, domain: str, origin: str, now: float) -> bool:
        """True past the hard limit: logins and anonymous calls of that origin are to be refused (and not charged
        again)."""
        row = self._origins.get((domain, origin))
        if row is None or not row.level.buckets:
            return False
        config = self._config.domain(domain)
        return row.level.sum(now, config.ABUSE_WATCH_PERIOD) >= config.MAX_ORIGIN_ABUSE_LEVEL

    def retry_after(self, domain: str, origin: str, now: float) -> float:
        """Seconds until the origin is below the hard limit again if nothing more comes; 0.0 if it is."""
        row = self._origins.get((domain, origin))
        if row is None:
            return 0.0
        config = self._config.domain(domain)
        return row.level.below(config.MAX_ORIGIN_ABUSE_LEVEL, now, config.ABUSE_WATCH_PERIOD)

    def delay(self, domain: str, origin: str, now: float) -> float:
        """Seconds by which an answer is to be slowed: 0.0 below the soft limit, then 0.1 s a level, at most 1 s.

        >>> ledger = Ledger(Config())
        >>> for _ in range(3):
        ...     _ = ledger.charge("localhost", "192.0.2.1", Kind.DENIED, now=0.0)
        >>> round(ledger.delay("localhost", "192.0.2.1", 0.0), 3)
        0.4
        """
        row = self._origins.get((domain, origin))
        if row is None or not row.level.buckets:
            return 0.0
        config = self._config.domain(domain)
        above = row.level.sum(now, config.ABUSE_WATCH_PERIOD) - config.SOFT_ORIGIN_ABUSE_LEVEL
        return min(1.0, 0.1 * above) if above > 0 else 0.0

    # -- logins and resumes under way --------------------------------------------------------------
    def issue(self, domain: str, origin: str, kind: Kind, now: float, account: str | None = None) -> Entry:
        """A login (KE2, with *account* = `account_key(…)`) or a resume (KK1) begins: call this before anything is
        computed.

        Raises `exc.Abusive` with `retry_after` (seconds) when the origin has too many under way (MAX_PENDING_LOGINS;
        four times as many resumes); a login also when the origin is refused or the account must wait.
        """
        try:
            self._refuse(domain, origin, kind, now, account)
        except exc.Abusive:
            self._note("refused", Entry(domain, origin, kind, now))
            raise
        config, row = self._config.domain(domain), self._origin(domain, origin, now)
        entry = Entry(domain, origin, kind, now)
        entry.pending = True
        if account is not None:
            entry.account = account
            entry.attempts = self._attempts(domain, account, origin, now)
            entry.before = entry.attempts.add(now)
            self._tell("try", domain, account, origin)
        row.pending.add(entry)
        self._issued += 1
        heappush(self._due, (now + config.LOGIN_TIMEOUT, self._issued, entry))
        self._dirty.add((domain, "origin", origin))
        return entry

    def _refuse(self, domain: str, origin: str, kind: Kind, now: float, account: str | None) -> None:
        """Raises `exc.Abusive`, as `issue` has it."""
        config = self._config.domain(domain)
        row = self._origin(domain, origin, now)
        if kind is Kind.KK1:
            if sum(e.kind is kind for e in row.pending) >= config.MAX_PENDING_LOGINS * RESUMES:
                raise exc.Abusive("Too many sessions come back from your address at once.", retry_after=1.0)
        else:
            if self.refused(domain, origin, now):
                raise exc.Abusive(retry_after=self.retry_after(domain, origin, now))
            if sum(e.kind is not Kind.KK1 for e in row.pending) >= config.MAX_PENDING_LOGINS:
                raise exc.Abusive("Too many logins are under way from your address.", retry_after=1.0)
            if account is not None and (wait := self.account_wait(domain, account, origin, now)) > 0:
                raise exc.Abusive("That login was tried too often; wait a little.", retry_after=wait)

    def succeed(self, entry: Entry, now: float) -> None:
        """A valid KE3 (or first sealed frame) came: takes *entry* back; its pair (account, origin) is known from now
        on."""
        self.take_back(entry)
        self._note("passed", entry)
        if entry.account is not None:
            self.account_succeeded(entry.domain, entry.account, entry.origin, now)

    def lapse(self, entry: Entry, now: float) -> None:
        """The login came to nothing: now it counts. A second time, or after `take_back`, nothing happens."""
        if entry.pending:
            self._settle(entry)
            self._count(entry, now)
            self._note("failed", entry)

    def take_back(self, entry: Entry) -> None:
        """Removes what *entry* added, pending or not. A second time nothing happens."""
        if not entry.open:
            return
        entry.open = False
        self._settle(entry)
        if entry.bucket is not None:
            entry.bucket.remove(WEIGHTS[entry.kind], entry.counted, self._period(entry.domain) / PARTS)
        if entry.attempts is not None and entry.account is not None:
            entry.attempts.remove(entry.time, entry.before)
            self._tell("untry", entry.domain, entry.account, entry.origin)
            self._dirty.add((entry.domain, "account", entry.account))
            self._dirty.add((entry.domain, "pair", f"{entry.account}@{entry.origin}"))
        self._dirty.add((entry.domain, "origin", entry.origin))

    def tick(self, now: float) -> None:
        """Lapses what has been pending longer than LOGIN_TIMEOUT. Call it every second or so."""
        while self._due and (self._due[0][0] <= now or not self._due[0][2].pending):
            self.lapse(heappop(self._due)[2], now)

    # -- accounts ----------------------------------------------------------------------------------
    def account_wait(self, domain: str, account: str, origin: str, now: float) -> float:
        """Seconds that a login of *account* (an `account_key`) from *origin* must still wait; 0.0: it may go on."""
        pair = self._pairs.get((domain, account, origin))
        if pair is not None and pair.known(now):
            return pair.wait(now)
        shared = self._accounts.get((domain, account))
        return shared.wait(now) if shared is not None else 0.0

    def account_failed(self, domain: str, account: str, origin: str, now: float) -> None:
        """Counts a try that did not go through `issue` (which counts by itself)."""
        self._attempts(domain, account, origin, now).add(now)
        self._tell("try", domain, account, origin)

    def account_succeeded(self, domain: str, account: str, origin: str, now: float) -> None:
        """The pair is known from now on, for 30 days."""
        self._tell("known", domain, account, origin)
        self._pair(domain, account, origin).success = now
        self._dirty.add((domain, "pair", f"{account}@{origin}"))

    # -- for the operator, and between two starts --------------------------------------------------
    def levels(self, now: float) -> list[tuple[str, str, float]]:
        """(domain, origin, level) of every origin above zero, the highest first."""
        found = [(domain, origin, self.level(domain, origin, now)) for domain, origin in self._origins]
        return sorted((x for x in found if x[2] > 0), key=lambda x: (-x[2], x))

    def clear(self, domain: str | None = None, origin: str | None = None) -> int:
        """Forgets origins (all, those of a domain, one) and, where no *origin* is given, accounts too; gives how
        many rows.

        Logins under way go on, and count as if they began now.
        """
        gone = 0
        for key in [k for k in self._origins if domain in (None, k[0]) and origin in (None, k[1])]:
            self._origins[key].level = Decay()
            self._dirty.add((key[0], "origin", key[1]))
            gone += 1
        if origin is None:
            for account in [k for k in self._accounts if domain in (None, k[0])]:
                del self._accounts[account]
                self._dirty.add((account[0], "account", account[1]))
                gone += 1
            for pair, attempts in self._pairs.items():
                if domain in (None, pair[0]) and attempts.count:
                    attempts.count = 0
                    self._dirty.add((pair[0], "pair", f"{pair[1]}@{pair[2]}"))
                    gone += 1
        return gone

    def forget(self, domain: str, account: str) -> None:
        """Forgets the tries of an account, and that it ever had any. To be done in the store besides."""
        self._accounts.pop((domain, account), None)
        for pair in [pair for pair in self._pairs if pair[:2] == (domain, account)]:
            del self._pairs[pair]
        self._dirty -= {
            (of, scope, key)
            for of, scope, key in self._dirty
            if of == domain and account == {"account": key, "pair": key.rpartition("@")[0]}.get(scope)
        }

    def dirty(self) -> list[LedgerRow]:
        """What changed since the last call, for `LedgerStore.flush`; logins under way as if they had lapsed.

        Should the flush fail, hand the rows to `again`.
        """
        rows = [self._row(*key) for key in self._dirty]
        self._dirty.clear()
        return rows

    def again(self, rows: Iterable[LedgerRow]) -> None:
        """These rows were not kept: they are dirty still."""
        self._dirty.update((row.domain, row.scope, row.key) for row in rows)

    def load(self, rows: Iterable[LedgerRow]) -> None:
        """Takes what `LedgerStore.load` gave. A row that can't be read is as good as none."""
        for row in rows:
            try:
                data = json.loads(row.data or "null")
                if row.scope == "origin":
                    level = self._origins.setdefault((row.domain, row.key), _Origin()).level
                    level.buckets = _buckets(data)
                elif row.scope == "account":
                    self._accounts[row.domain, row.key] = Attempts(int(data[0]), float(data[1]))
                elif row.scope == "pair":
                    account, origin = row.key.rsplit("@", 1)
                    attempts = Attempts(int(data[0]), float(data[1]), float(data[2]))
                    self._pairs[row.domain, account, origin] = attempts
            except (ValueError, TypeError, IndexError):
                continue

    def hear(self, rows: Iterable[LedgerRow], now: float) -> None:
        """Takes up how other servers of the same store judge origins, where that is worse than what is known here. What
        was under way there, and the tries of accounts, are theirs to count.

        >>> here, there = Ledger(Config()), Ledger(Config())
        >>> _ = there.charge("localhost", "192.0.2.1", Kind.MALFORMED, now=0.0)
        >>> here.hear(there.dirty(), now=0.0)
        >>> here.level("localhost", "192.0.2.1", now=0.0)
        5.0
        """
        for row in rows:
            if row.scope != "origin" or row.data is None:
                continue
            told = Decay()
            try:
                told.buckets = _buckets(part for part in json.loads(row.data) if len(part) == 3)
            except (ValueError, TypeError):
                continue
            if told.sum(now, self._period(row.domain)) > self.level(row.domain, row.key, now):
                self._origin(row.domain, row.key, now).level = told

    def take(self, told: list[Any], now: float) -> None:
        """Counts what another process of this server has counted, and told.

        >>> here, there = Ledger(Config()), Ledger(Config())
        >>> there.tell = lambda told: here.take(told, now=0.0)
        >>> _ = there.charge("localhost", "192.0.2.1", Kind.MALFORMED, now=0.0)
        >>> here.level("localhost", "192.0.2.1", now=0.0)
        5.0
        """
        tell, self.tell = self.tell, None
        try:
            match told:
                case ["count", domain, origin, kind]:
                    self._count(Entry(domain, origin, Kind[kind], now), now)
                case ["try", domain, account, origin]:
                    self.account_failed(domain, account, origin, now)
                case ["untry", domain, account, origin]:
                    self._attempts(domain, account, origin, now).remove()
                case ["known", domain, account, origin]:
                    self.account_succeeded(domain, account, origin, now)
        finally:
            self.tell = tell

    # -- inside ------------------------------------------------------------------------------------
    def _note(self, what: str, entry: Entry) -> None:
        if self.noted is not None:
            self.noted(what, entry)

    def _tell(self, *about: str) -> None:
        if self.tell is not None:
            self.tell(list(about))

    def _period(self, domain: str) -> float:
        return self._config.domain(domain).ABUSE_WATCH_PERIOD

    def _origin(self, domain: str, origin: str, now: float) -> _Origin:
        row = self._origins.get((domain, origin))
        if row is None:
            if len(self._origins) >= MAX_ROWS:
                period = {d: self._period(d) for d in {d for d, _ in self._origins}}
                loads = {k: r.level.sum(now, period[k[0]]) + len(r.pending) for k, r in self._origins.items()}
                for key in nsmallest(MAX_ROWS // 16, loads, key=loads.__getitem__):
                    del self._origins[key]
                    self._dirty.add((key[0], "origin", key[1]))
            row = self._origins[domain, origin] = _Origin()
        return row

    def _shared(self, domain: str, account: str, now: float) -> Attempts:
        row = self._accounts.get((domain, account))
        if row is None:
            if len(self._accounts) >= MAX_ROWS:
                loads = {k: (a.at(now), a.last) for k, a in self._accounts.items()}
                for key in nsmallest(MAX_ROWS // 16, loads, key=loads.__getitem__):
                    del self._accounts[key]
                    self._dirty.add((key[0], "account", key[1]))
            row = self._accounts[domain, account] = Attempts()
        return row

    def _pair(self, domain: str, account: str, origin: str) -> Attempts:
        row = self._pairs.get((domain, account, origin))
        if row is None:
            if len(self._pairs) >= MAX_ROWS:
                for key in nsmallest(MAX_ROWS // 16, self._pairs, key=lambda k: self._pairs[k].success):
                    del self._pairs[key]
                    self._dirty.add((key[0], "pair", f"{key[1]}@{key[2]}"))
            row = self._pairs[domain, account, origin] = Attempts()
        return row

    def _attempts(self, domain: str, account: str, origin: str, now: float) -> Attempts:
        """The counter that a try of this pair goes to."""
        pair = self._pairs.get((domain, account, origin))
        if pair is not None and pair.known(now):
            self._dirty.add((domain, "pair", f"{account}@{origin}"))
            return pair
        self._dirty.add((domain, "account", account))
        return self._shared(domain, account, now)

    def _count(self, entry: Entry, now: float) -> None:
        row = self._origin(entry.domain, entry.origin, now)
        entry.counted = now  # what lapses counts from then on, not from when it began
        entry.bucket = row.level.add(WEIGHTS[entry.kind], now, self._period(entry.domain))
        self._dirty.add((entry.domain, "origin", entry.origin))
        self._tell("count", entry.domain, entry.origin, entry.kind.name)

    def _settle(self, entry: Entry) -> None:
        entry.pending = False
        row = self._origins.get((entry.domain, entry.origin))
        if row is not None:
            row.pending.discard(entry)

    def _row(self, domain: str, scope: str, key: str) -> LedgerRow:
        until, data = 0.0, None
        if scope == "origin":
            origin = self._origins.get((domain, key))
            if origin is not None:
                sums: list[tuple[float, ...]] = [
                    (b.start, b.weight, b.moment) for b in origin.level.buckets if b.weight
                ]
                for entry in sorted(origin.pending, key=lambda e: e.time):
                    weight = WEIGHTS[entry.kind]
                    sums.append((entry.time, weight, weight * entry.time, 1))  # 1: under way, see `hear`
                until = max((part[2] / part[1] for part in sums), default=0.0) + self._period(domain)
                data = json.dumps(sums) if sums else None
        elif scope == "account":
            shared = self._accounts.get((domain, key))
            if shared is not None and shared.count:
                until, data = shared.over(), json.dumps((shared.count, shared.last))
        else:
            account, origin_name = key.rsplit("@", 1)
            pair = self._pairs.get((domain, account, origin_name))
            if pair is not None:
                until, data = pair.over(), json.dumps((pair.count, pair.last, pair.success))
        return LedgerRow(domain, scope, key, until, data)


def _buckets(data: Iterable[Sequence[float]]) -> list[Bucket]:
    return [Bucket(float(s), float(w), float(m)) for s, w, m, *_ in data if isfinite(s + w + m)]
