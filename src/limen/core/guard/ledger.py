"""The abuse ledger: how much an origin has misbehaved of late, and how long an account must wait. Pure; `now` is an argument.

Invariants:

- What an entry adds to its origin's level is `weight × (1 - age / watch period)`, nothing after the period.
- `take_back(entry)` removes what that entry adds and nothing else; once; also when it was flushed meanwhile.
- A login (`issue`) counts for its *account* from the moment KE2 is issued, because KE2 alone tells a wrong password; for its
  *origin* only when it lapses (a wrong KE3, a closed connection, 30 s), so that ten colleagues who log in at once are no
  attack. A valid KE3 (`succeed`) takes both back.
- An account is never locked, only slowed, and that only for pairs (account, origin) without a success in the last 30 days;
  a known pair has its own counter, so that an outsider can't shut the owner out.
- Memory is bounded: an origin keeps at most 31 sums over time, each table a fixed number of rows; the least loaded go first.

Not thread-safe: it lives on the event loop. `dirty()` gives what a store should keep, `load()` takes it back after a restart.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from enum import Enum

from limen.base.config import Config

from .accounts import LedgerRow


class Kind(Enum):
    """What was done, with its weight."""

    KE2 = ("ke2", 1.0)
    """A login was tried: KE2 was issued."""
    KK1 = ("kk1", 1.0)
    """A resume was tried."""
    UNSEALED = ("unsealed", 1.0)
    """A sealed service was called without a sealed session."""
    DENIED = ("denied", 3.0)
    """A service was called that this user may not call."""
    BAD_FRAME = ("bad_frame", 3.0)
    """A sealed frame did not open."""
    REPLAY = ("replay", 3.0)
    """A call came again that must not."""
    MALFORMED = ("malformed", 5.0)
    """Bytes that are no message at all."""

    @property
    def weight(self) -> float:
        return self.value[1]


def account_key(secret: bytes, domain: str, user: str) -> str:
    """The name under which a login is counted: HMAC of the user's name, alike for known and unknown users.

    >>> len(account_key(b"k", "localhost", "ada"))
    32
    """
    name = f"{len(domain)}:{domain}{user}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, name, hashlib.sha256).hexdigest()[:32]


class Entry:
    """One thing that was counted, or that will be when it lapses; hand it back to `take_back`, `succeed` or `lapse`."""


class Ledger:
    """See the module. *config*: ABUSE_WATCH_PERIOD, SOFT_ and MAX_ORIGIN_ABUSE_LEVEL, LOGIN_TIMEOUT, MAX_PENDING_LOGINS,
    each by domain."""

    def __init__(self, config: Config) -> None: ...

    # -- origins
    def charge(self, domain: str, origin: str, kind: Kind, now: float) -> Entry:
        """Counts *kind* against *origin* at once."""

    def level(self, domain: str, origin: str, now: float) -> float: ...

    def refused(self, domain: str, origin: str, now: float) -> bool:
        """True past the hard limit: logins and anonymous calls of that origin are to be refused (and not charged again)."""

    def retry_after(self, domain: str, origin: str, now: float) -> float:
        """Seconds until the origin is below the hard limit again if nothing more comes; 0.0 if it is."""

    def delay(self, domain: str, origin: str, now: float) -> float:
        """Seconds by which an answer is to be slowed: 0.0 below the soft limit, then 0.1 s a level, at most 1 s."""

    # -- logins and resumes under way
    def issue(self, domain: str, origin: str, kind: Kind, now: float, account: str | None = None) -> Entry:
        """A login (KE2, with *account* = `account_key(…)`) or resume (KK1) begins: call it before KE2 is made.

        Raises `exc.Abusive` with `retry_after` (seconds) when the origin has MAX_PENDING_LOGINS under way; KE2: also when it is refused or the account must wait.
        """

    def succeed(self, entry: Entry, now: float) -> None:
        """A valid KE3 (or first sealed frame) came: takes *entry* back, and the pair (account, origin) is known from now on."""

    def lapse(self, entry: Entry, now: float) -> None:
        """The login came to nothing: now it counts. A second time does nothing."""

    def take_back(self, entry: Entry) -> None:
        """Removes what *entry* added, pending or not. A second time does nothing."""

    def tick(self, now: float) -> None:
        """Lapses what has been pending longer than LOGIN_TIMEOUT. Call it every second or so."""

    # -- accounts
    def account_wait(self, domain: str, account: str, origin: str, now: float) -> float:
        """Seconds that a login of *account* from *origin* must still wait; 0.0: it may go on."""

    def account_failed(self, domain: str, account: str, origin: str, now: float) -> None: ...

    def account_succeeded(self, domain: str, account: str, origin: str, now: float) -> None: ...

    # -- for the operator, and between two starts
    def levels(self, now: float) -> list[tuple[str, str, float]]:
        """(domain, origin, level) of every origin above zero, the highest first."""

    def clear(self, domain: str | None = None, origin: str | None = None) -> int:
        """Forgets origins (all, of a domain, one), and with no *origin* the accounts as well; gives how many rows."""

    def dirty(self) -> list[LedgerRow]:
        """What changed since the last call, for `LedgerStore.flush`; pending logins as if they had lapsed."""

    def load(self, rows: Iterable[LedgerRow]) -> None:
        """Takes what `LedgerStore.load` gave."""
