"""`@profile`: what a function costs, where it costs it, and what of it ran; told when the process ends.

    @service()
    @profile                # how often, how long: total, mean, longest
    def totals(): ...

    @profile("lines")       # CPU time of each line                   (line_profiler: pip install "limen[profile]")
    @profile("memory")      # memory that each line took and kept     (tracemalloc)
    @profile("coverage")    # which lines ran at all                  (line_profiler)

For a whole server there is `limen profile` (docs/how-to/profile.md). What is measured costs time itself: not for
production.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, Protocol, TypeVar, overload

from limen import exc

F = TypeVar("F", bound=Callable[..., Any])

DEPTH: Final = 32
"""Frames of an allocation that are looked at, to find the line of the function that led to it."""


class Meter(Protocol):
    """One way of measuring one function. `measured` stands round each call of it, `told` gives the lines of a report,
    nothing where it was never called."""

    def measured(self) -> Any: ...

    def told(self) -> Iterable[str]: ...


class Profile:
    """The decorator, and all that it has measured. *tell*: on standard error, when the process ends.

    >>> profile = Profile()
    >>> @profile
    ... def double(n):
    ...     return 2 * n
    >>> double(21)
    42
    >>> profile.report().splitlines()[0].split()[:3]
    ['double:', '1', 'call,']
    """

    def __init__(self, *, tell: bool = False) -> None:
        self._meters: list[Meter] = []
        self._tells = tell

    @overload
    def __call__(self, by: F) -> F: ...
    @overload
    def __call__(self, by: str = "time") -> Callable[[F], F]: ...
    def __call__(self, by: Any = "time") -> Any:
        """Measures a function: `@profile`, or `@profile("lines")`.

        Raises ValueError for another word, `NotFound` where line_profiler is needed and not installed.
        """
        if callable(by):
            return self._decorate(by, _Time)
        kind = METERS.get(by)
        if kind is None:
            raise ValueError(f"a function is profiled by {', '.join(METERS)}; not by {by!r}")
        return lambda function: self._decorate(function, kind)

    def report(self) -> str:
        """What was measured up to now, as a text; '' if nothing was."""
        return "\n".join(line for meter in self._meters for line in meter.told())

    def _decorate(self, function: Callable[..., Any], kind: Callable[[Callable[..., Any]], Meter]) -> Any:
        if self._tells and not self._meters:
            atexit.register(self._tell)
        meter = kind(inspect.unwrap(function))
        self._meters.append(meter)
        return _around(function, meter)

    def _tell(self) -> None:
        if text := self.report():
            print(text, file=sys.stderr, flush=True)


def _around(function: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    """*function*, with *meter* round each of its calls, whatever kind of function it is."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def streams(*args: Any, **kwargs: Any) -> Any:
            with meter.measured():
                async for value in function(*args, **kwargs):
                    yield value

        return streams
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waits(*args: Any, **kwargs: Any) -> Any:
            with meter.measured():
                return await function(*args, **kwargs)

        return waits
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def yields(*args: Any, **kwargs: Any) -> Any:
            with meter.measured():
                return (yield from function(*args, **kwargs))

        return yields

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with meter.measured():
            return function(*args, **kwargs)

    return call


# -- the ways of measuring --------------------------------------------------------------------------------------
class _Time:
    """How often, and how long from the call to its end, waiting included."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__qualname__
        self._lock = threading.Lock()
        self._calls, self._total, self._longest = 0, 0.0, 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        begun = perf_counter()
        try:
            yield
        finally:
            took = perf_counter() - begun
            with self._lock:
                self._calls += 1
                self._total += took
                self._longest = max(self._longest, took)

    def told(self) -> Iterable[str]:
        if self._calls:
            calls = f"{self._calls} call" + ("s" if self._calls > 1 else "")
            yield (
                f"{self._name}: {calls}, {self._total * 1e3:.1f} ms in all, "
                f"{self._total / self._calls * 1e3:.3f} ms each, {self._longest * 1e3:.3f} ms the longest"
            )


class _Lines:
    """CPU time by line, of line_profiler."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            from line_profiler import LineProfiler
        except ImportError:
            raise exc.NotFound("line_profiler is not installed here; say: pip install 'limen[profile]'") from None
        self._function = function
        self._profiler = LineProfiler()
        self._profiler.add_function(function)

    @contextmanager
    def measured(self) -> Iterator[None]:
        self._profiler.enable_by_count()
        try:
            yield
        finally:
            self._profiler.disable_by_count()

    def _hits(self) -> dict[int, tuple[int, float]]:
        """Line to how often it ran, and its seconds."""
        stats = self._profiler.get_stats()
        return {line: (hits, time * stats.unit) for rows in stats.timings.values() for line, hits, time in rows}

    def told(self) -> Iterable[str]:
        hits = self._hits()
        if not hits:
            return
        total = sum(seconds for _, seconds in hits.values())
        yield f"{self._function.__qualname__}: {total * 1e3:.1f} ms by line"
        yield f"{'line':>6} {'times':>9} {'ms':>10} {'%':>6}  source"
        for number, text in _source(self._function):
            times, seconds = hits.get(number, (0, 0.0))
            share = 100 * seconds / total if total else 0.0
            figures = f"{times:>9} {seconds * 1e3:>10.3f} {share:>6.1f}" if times else " " * 27
            yield f"{number:>6} {figures}  {text}"


class _Coverage(_Lines):
    """Which lines ran."""

    def told(self) -> Iterable[str]:
        ran = self._hits().keys()
        code = self._function.__code__
        could = {line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno}
        missed = sorted(could - ran)
        percent = 100 * (1 - len(missed) / len(could)) if could else 100.0
        yield f"{self._function.__qualname__}: {percent:.0f} % of its lines ran"
        yield f"{'line':>6} !  source"
        for number, text in _source(self._function):
            if number in could:
                yield f"{number:>6} {'!' if number in missed else ' '}  {text}"


class _Memory:
    """Memory that is held at the end of a call and was not at its beginning, by the line that led to it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._lines: dict[int, int] = {}
        self._peak = self._calls = 0

    @contextmanager
    def measured(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            yield  # another call is being measured: what two take at once nobody could tell apart
            return
        try:
            ours = not tracemalloc.is_tracing()
            if ours:
                tracemalloc.start(DEPTH)
            before, held = tracemalloc.take_snapshot(), tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            try:
                yield
            finally:
                self._calls += 1
                self._peak = max(self._peak, tracemalloc.get_traced_memory()[1] - held)
                self._add(tracemalloc.take_snapshot(), before)
                if ours:
                    tracemalloc.stop()
        finally:
            self._lock.release()

    def _add(self, after: tracemalloc.Snapshot, before: tracemalloc.Snapshot) -> None:
        code = self._function.__code__
        lines = {line for _, _, line in code.co_lines() if line is not None}
        for difference in after.compare_to(before, "traceback"):
            for frame in reversed(difference.traceback):  # from the allocation outwards
                if frame.filename == code.co_filename and frame.lineno in lines:
                    self._lines[frame.lineno] = self._lines.get(frame.lineno, 0) + difference.size_diff
                    break

    def told(self) -> Iterable[str]:
        if not self._calls:
            return
        yield f"{self._function.__qualname__}: {self._peak / 1024:.1f} KiB at its peak, {self._calls} calls measured"
        yield f"{'line':>6} {'KiB kept':>10}  source"
        for number, text in _source(self._function):
            kept = self._lines.get(number, 0)
            yield f"{number:>6} " + (f"{kept / 1024:>10.1f}" if kept else " " * 10) + f"  {text}"


METERS: Final[dict[str, Callable[[Callable[..., Any]], Meter]]] = {
    "time": _Time,
    "lines": _Lines,
    "memory": _Memory,
    "coverage": _Coverage,
}
"""Word to way of measuring."""


def _source(function: Callable[..., Any]) -> Iterator[tuple[int, str]]:
    """The numbered lines of *function*; none where its source can't be had."""
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return
    yield from ((first + index, text.rstrip()) for index, text in enumerate(lines))


profile = Profile(tell=True)
"""`limen.profile`."""
