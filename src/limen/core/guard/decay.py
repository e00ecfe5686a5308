"""A sum of weights, each of which fades linearly to nothing over a period: the level of one origin.

Weights that come within one thirtieth of the period share a bucket (its start, Σ weight, Σ weight·time), so that an
origin costs at most 32 buckets however much it does. While all of a bucket's weights live the sum is exact; at the
end of its life it is off by no more than a thirtieth of its weight.
"""

from __future__ import annotations

PARTS = 30
_NOTHING = 1e-9


class Bucket:
    """Weights that came close together. Kept by whoever may want to take one back."""

    __slots__ = ("moment", "start", "weight")

    def __init__(self, start: float, weight: float, moment: float) -> None:
        self.start, self.weight, self.moment = start, weight, moment

    def remove(self, weight: float, time: float, width: float) -> None:
        time = min(max(time, self.start), self.start + width)
        self.weight -= weight
        self.moment -= weight * time
        if self.weight <= _NOTHING:
            self.weight = self.moment = 0.0


class Decay:
    """The fading sum.

    >>> level = Decay()
    >>> _ = level.add(5.0, now=0.0, period=600.0); _ = level.add(1.0, now=300.0, period=600.0)
    >>> level.sum(300.0, 600.0), level.sum(600.0, 600.0), level.sum(900.0, 600.0)
    (3.5, 0.5, 0.0)
    """

    __slots__ = ("buckets",)

    def __init__(self) -> None:
        self.buckets: list[Bucket] = []

    def add(self, weight: float, now: float, period: float) -> Bucket:
        """Adds *weight*; gives the bucket, for `Bucket.remove`."""
        self._settle(now, period)
        last = self.buckets[-1] if self.buckets else None
        if last is None or now - last.start >= period / PARTS:
            last = Bucket(now, 0.0, 0.0)
            self.buckets.append(last)
        last.weight += weight
        last.moment += weight * now
        return last

    def sum(self, now: float, period: float) -> float:
        self._settle(now, period)
        total = 0.0
        for bucket in self.buckets:
            total += max(0.0, bucket.weight - (now * bucket.weight - bucket.moment) / period)
        return total if total > _NOTHING else 0.0

    def below(self, limit: float, now: float, period: float) -> float:
        """Seconds until the sum is below *limit*, if nothing is added."""
        if limit <= 0.0:
            return period
        low, high = 0.0, period * (1 + 1 / PARTS)
        if self.sum(now, period) < limit:
            return 0.0
        later = Decay()  # the future is looked at in a copy: looking drops what will be over by then
        for _ in range(24):
            middle = (low + high) / 2
            later.buckets = list(self.buckets)
            if later.sum(now + middle, period) < limit:
                high = middle
            else:
                low = middle
        return high

    def _settle(self, now: float, period: float) -> None:
        """Drops what is over, and lets weights of the future (the clock was set back) fade from now on."""
        stale = False
        for bucket in self.buckets:
            if bucket.weight * (now - period) >= bucket.moment:
                stale = True
            elif bucket.moment > bucket.weight * (now + period / PARTS):
                bucket.start, bucket.moment = now, bucket.weight * now
        if stale:
            self.buckets = [b for b in self.buckets if b.weight * (now - period) < b.moment]
