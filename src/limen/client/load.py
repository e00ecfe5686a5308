"""A load test of one's own services: many clients at once, and what their calls took.

    report = await load(lambda: AsyncHttpClient(url), visit, users=50, seconds=10)
    print(report.table())

Each user does *visit* again and again. Without *rate* the next begins when the last is over
(a closed loop: a slow server gets fewer calls). With *rate* visits begin at fixed moments, come what may, and a call
that had to wait for its turn has waited: its time counts from when it should have begun.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from limen import exc

Visit = Callable[[Any], Awaitable[object]]
"""What one user does once; is given a client whose `call`, `safe_call`, `apply` and `stream` are measured."""

QUANTILES: Final = (0.5, 0.95, 0.99, 1.0)


@dataclass(slots=True)
class Calls:
    """The calls of one name: *times* in seconds, *errors* by name."""

    times: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """The time within which *share* (0 … 1) of the calls were over, in seconds; 0 without calls.

        >>> Calls(array("d", [0.3, 0.1, 0.2])).quantile(0.5)
        0.2
        """
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Report:
    """*seconds*: how long it took. *by_name*: address to its calls. *busy*: the share of a core that these clients took
    themselves; near 1 they, and not the server, were what was slow. *lost*: users that could not come in, by error.
    *said*: what the first error of each name said."""

    seconds: float = 0.0
    by_name: dict[str, Calls] = field(default_factory=dict)
    busy: float = 0.0
    lost: Counter[str] = field(default_factory=Counter)
    said: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """All calls that were answered, errors included."""
        return sum(len(calls.times) for calls in self.by_name.values())

    @property
    def errors(self) -> Counter[str]:
        """Names of errors to how often they came."""
        return sum((calls.errors for calls in self.by_name.values()), Counter(self.lost))

    def to_dict(self) -> dict[str, Any]:
        """The figures, JSON-like; times in milliseconds."""
        names = {
            name: {
                "calls": len(calls.times),
                "errors": dict(calls.errors),
                **{f"p{share * 100:g}": round(calls.quantile(share) * 1e3, 3) for share in QUANTILES},
            }
            for name, calls in sorted(self.by_name.items())
        }
        return {
            "seconds": round(self.seconds, 3),
            "calls_per_second": round(self.calls / self.seconds, 1) if self.seconds else 0.0,
            "busy": round(self.busy, 2),
            "lost": dict(self.lost),
            "said": self.said,
            "calls": names,
        }

    def table(self) -> str:
        """The figures for people."""
        width = max([len("service"), *map(len, self.by_name)])
        heads = "".join(f"{'longest' if share == 1 else f'p{share * 100:g}':>11}" for share in QUANTILES)
        lines = [f"{'service':<{width}} {'calls':>9} {'per s':>9} {'errors':>7}{heads}"]
        for name, calls in sorted(self.by_name.items()):
            number, seconds = len(calls.times), self.seconds or 1.0
            times = "".join(f"{calls.quantile(share) * 1e3:>8.2f} ms" for share in QUANTILES)
            failed = calls.errors.total()
            lines.append(f"{name:<{width}} {number:>9} {number / seconds:>9.0f} {failed:>7}{times}")
        for name, failed in self.errors.most_common():
            lines.append(f"{failed} × {name}" + (f": {self.said[name]}" if name in self.said else ""))
        if self.busy > 0.9:
            lines.append("These clients took a whole core themselves: the server could do more than this shows.")
        return "\n".join(lines)


class Measured:
    """A client whose calls are measured; everything else is the client's own."""

    def __init__(self, client: Any, report: Report) -> None:
        self._client, self.report = client, report
        self.due = 0.0
        """When the next call should have begun (perf_counter); 0: when it does."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """See the client's."""
        return await self._timed(name, self._client.call(name, *args, **kwargs))

    async def safe_call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """See the client's."""
        return await self._timed(name, self._client.safe_call(name, *args, **kwargs))

    async def apply(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """See the client's."""
        return await self._timed(name, self._client.apply(name, *args, **kwargs))

    async def stream(self, name: str, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """See the client's. Its time is until the last value."""
        begun = self._begin()
        try:
            async for value in self._client.stream(name, *args, **kwargs):
                yield value
        except exc.Error as error:
            self._end(name, begun, error)
            raise
        self._end(name, begun)

    async def _timed(self, name: str, call: Awaitable[Any]) -> Any:
        begun = self._begin()
        try:
            value = await call
        except exc.Error as error:
            self._end(name, begun, error)
            raise
        self._end(name, begun)
        return value

    def _begin(self) -> float:
        begun, self.due = self.due or time.perf_counter(), 0.0
        return begun

    def _end(self, name: str, begun: float, error: exc.Error | None = None) -> None:
        calls = self.report.by_name.setdefault(name, Calls())
        calls.times.append(time.perf_counter() - begun)
        if error is not None:
            calls.errors[error.exc] += 1
            self.report.said.setdefault(error.exc, str(error))


async def load(
    open: Callable[[], AbstractAsyncContextManager[Any]],
    visit: Visit,
    *,
    users: int = 10,
    seconds: float = 10.0,
    rate: float | None = None,
    clients: int | None = None,
    watch: Callable[[Report], object] | None = None,
) -> Report:
    """Lets *users* do *visit* again and again for *seconds*. All clients are in before it begins.

    *open* makes a client, and logs it in where it should be; *clients*: so many, which the users share (default: one
    for each). *rate*: visits a second, of all users together; without it, as many as the server lets them. *watch*: is
    given what there is about once a second. Errors of the tree are counted; anything else that *visit* raises ends it
    all. Always stops by itself: visits under way when the time is over are cancelled and not counted.
    """
    report = Report()
    async with AsyncExitStack() as stack:
        inside = await _enter(stack, open, clients or users, report)
        if inside:
            await _go([Measured(inside[n % len(inside)], report) for n in range(users)], visit, seconds, rate, watch)
    return report


async def _enter(
    stack: AsyncExitStack, open: Callable[[], AbstractAsyncContextManager[Any]], count: int, report: Report
) -> list[Any]:
    """The clients that could come in; one after the other, for many logins at once are an attack, and none after one
    that is wrong, for so are many wrong ones."""
    came = []
    for _ in range(count):
        try:
            came.append(await stack.enter_async_context(open()))
        except exc.Error as error:
            report.lost[error.exc] += 1
            report.said.setdefault(error.exc, str(error))
            if isinstance(error, exc.InvalidCredential | exc.InvalidAddress):
                break
    return came


async def _go(
    users: list[Measured],
    visit: Visit,
    seconds: float,
    rate: float | None,
    watch: Callable[[Report], object] | None,
) -> None:
    report = users[0].report
    begin, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number, user in enumerate(users):
            every = None if rate is None else (len(users) / rate, number / rate)
            tasks.append(group.create_task(_visits(visit, user, every, begin)))
        try:
            while (left := begin + seconds - time.perf_counter()) > 0 and not any(task.done() for task in tasks):
                if watch is not None:
                    watch(report)
                await asyncio.wait(tasks, timeout=min(1.0, left), return_when=asyncio.FIRST_EXCEPTION)
                report.seconds = time.perf_counter() - begin
        finally:  # also where somebody does not wait for the end
            report.seconds = time.perf_counter() - begin
            report.busy = (time.process_time() - cpu) / report.seconds
            for task in tasks:
                task.cancel()
        if watch is not None:
            watch(report)


async def _visits(visit: Visit, client: Measured, every: tuple[float, float] | None, begin: float) -> None:
    """*every*: the seconds from one visit to the next, and from the beginning to the first."""
    due = begin + every[1] if every else 0.0
    while True:
        if every:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            client.due = due
            due += every[0]
        try:
            await visit(client)
        except exc.Error:
            await asyncio.sleep(0)  # counted; a refusal at once must not keep the others from their turn
