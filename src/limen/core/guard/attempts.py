"""How often a password was tried, and how long the next try must wait.

Five tries are free; after *n* of them the next waits 2^(n-5) seconds, at most 15 minutes. One try is forgiven for
each full hour without any: waiting for that gains less than trying at the slow pace would.

Pairs (account, origin) that logged in within the last 30 days count by themselves; all other origins share one
counter per account.
"""

from __future__ import annotations

from math import inf

FREE = 5
LONGEST = 900.0
FORGIVE = 3600.0
KNOWN = 30 * 86400.0


class Attempts:
    """A counter of tries. *success*: when a pair last logged in; -inf for a counter that is shared.

    >>> tries = Attempts()
    >>> for second in range(7):
    ...     _ = tries.add(float(second))
    >>> tries.wait(6.0), tries.wait(8.0), tries.wait(10.0)
    (4.0, 2.0, 0.0)
    """

    __slots__ = ("count", "last", "success")

    def __init__(self, count: int = 0, last: float = 0.0, success: float = -inf) -> None:
        self.count, self.last, self.success = count, last, success

    def at(self, now: float) -> int:
        """Tries that still count."""
        if self.last > now:  # the clock was set back
            self.last = now
        return max(0, self.count - int((now - self.last) / FORGIVE))

    def wait(self, now: float) -> float:
        """Seconds that the next try must wait."""
        count = self.at(now)
        if count < FREE:
            return 0.0
        return max(0.0, min(2.0 ** min(count - FREE, 16), LONGEST) - (now - self.last))

    def add(self, now: float) -> float:
        """One more try; gives when the one before was, for `remove`."""
        before = self.last
        self.count, self.last = min(self.at(now) + 1, 64), now
        return before

    def remove(self, time: float | None = None, before: float = 0.0) -> None:
        """Takes back the try of *time*; None: one of another process, of which it is not known here whether it was the
        last."""
        self.count = max(0, self.count - 1)
        if self.last == time:
            self.last = before

    def known(self, now: float) -> bool:
        return now - self.success < KNOWN

    def over(self) -> float:
        """When this counter will mean nothing any more."""
        return max(self.last + self.count * FORGIVE, self.success + KNOWN)
