"""Group commit: who comes while a commit is under way is taken along by the next one, and many share one sync.

    writer 1    runs, commits ─┐
    writer 2         waits ────┴─ leads: runs and commits 2, 3, 4 ─┐
    writer 3         waits ──────────────────────────────── done   │
    writer 4           waits ────────────────────────────── done   │
    writer 5                              waits ───────────────────┴─ leads …

There is one leader at a time. It is one of the writers themselves: it takes along all who wait, commits them as one
group, and hands over to the first who came meanwhile; nobody leads twice, so that nobody works for others for long.
While there is one writer it leads at once, and there is no other thread. Those who `submit` have no thread to lead:
where only they wait, a thread of the queue leads, which is made with the first of them.

Invariants:

- A job is settled once: after the commit of its group, or with what undid it; nobody is told before.
- The leadership is handed over or given up, whatever happens to a leader, KeyboardInterrupt included; what of its group
  is not settled then waits again, in its order.
- Who leads is one assignment (`_leader`), so that an interrupted hand-over can be done again from its beginning.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import Any, Generic, TypeVar

from .engine import Hand

T = TypeVar("T")
Happened = Callable[[Hand], bool | None]
CROWD = 4
"""Writers at once from which on a leader waits for those that are missing."""
MOMENT = 0.0005
"""Seconds that it waits at most."""
MOST = 256
"""Jobs in one group."""


class Job(Generic[T]):
    """One transaction that is to be committed: *work*, *domain* and *happened* as for `Engine.write`."""

    __slots__ = ("domain", "error", "future", "happened", "left", "settled", "turn", "value", "work")

    def __init__(self, work: Callable[[Hand], T], domain: str | None = None, happened: Happened | None = None) -> None:
        self.work, self.domain, self.happened = work, domain, happened
        self.future: Future[T] | None = None
        self.turn: threading.Lock | None = None  # its thread waits for this one to be released
        self.left = False  # its thread was interrupted: nobody waits for it
        self.settled = False
        self.value: Any = None
        self.error: BaseException | None = None

    def done(self, value: T) -> None:
        """It is safe; *value* is what the work gave."""
        self.value = value
        self.settled = True

    def failed(self, error: BaseException) -> None:
        """It was undone because of *error*."""
        self.error = error
        self.settled = True

    def tell(self) -> None:
        """Wakes who waits for it. May be called again."""
        if self.future is not None and not self.future.done():
            if self.error is not None:
                self.future.set_exception(self.error)
            else:
                self.future.set_result(self.value)
        self.wake()

    def wake(self) -> None:
        if self.turn is not None:
            with suppress(RuntimeError):  # it is awake already
                self.turn.release()


class Queue:
    """*run*: commits the jobs it is given, in as few transactions as it likes, and settles each (`done`, `failed`) once
    it knows; called by one thread at a time. An Exception that it raises fails the jobs that it has not settled;
    anything else (KeyboardInterrupt) is the leader's own, and the others wait again.

    *closed*: makes the error for those who come after `close`.
    """

    def __init__(self, run: Callable[[list[Job[Any]]], None], closed: Callable[[], Exception]) -> None:
        self._run, self._closed = run, closed
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting: deque[Job[Any]] = deque()
        self._leader: Job[Any] | None = None
        self._open = True
        self._crowd = 1  # how many wrote at once when the last group was committed
        self._lacking = 0  # so many more does the leader wait for
        self._full = threading.Lock()  # released when they are there
        self._helper: Job[Any] = Job(lambda hand: None)  # stands for the queue's thread where that leads
        self._thread: threading.Thread | None = None

    def write(self, work: Callable[[Hand], T], domain: str | None = None, happened: Happened | None = None) -> T:
        """See `Engine.write`."""
        job = Job(work, domain, happened)
        try:
            with self._lock:
                if not self._open:
                    raise self._closed()
                if self._leader is None:
                    self._leader = job
                else:
                    job.turn = threading.Lock()
                    job.turn.acquire()
                    self._join(job)
            if job.turn is not None:
                job.turn.acquire()  # until it is settled, or to lead
            if self._leader is job:
                self._lead(job)
        except BaseException:
            self._leave(job)
            raise
        if job.error is not None:
            raise job.error
        value: T = job.value
        return value

    def submit(
        self, work: Callable[[Hand], T], domain: str | None = None, happened: Happened | None = None
    ) -> Future[T]:
        """See `Engine.submit`."""
        job = Job(work, domain, happened)
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        job.future = future
        with self._lock:
            if not self._open:
                raise self._closed()
            if self._thread is None:
                self._helper.turn = threading.Lock()
                self._helper.turn.acquire()
                self._thread = threading.Thread(target=self._help, name="limen commits", daemon=True)
                self._thread.start()
            self._join(job)
            if self._leader is None:
                self._leader = self._helper
                self._helper.wake()
        return future

    def close(self) -> None:
        """Takes no more; returns once all who waited are served. May be called again."""
        with self._lock:
            self._open = False
            while self._leader is not None:
                self._idle.wait()
            thread, self._thread = self._thread, None
        if thread is not None:
            self._helper.wake()
            if thread is not threading.current_thread():  # a Future's callback may close the store
                thread.join()

    # -- inside
    def _help(self) -> None:
        turn = self._helper.turn
        while turn is not None:
            turn.acquire()
            if self._leader is self._helper:
                self._lead(self._helper)
            elif not self._open:
                break

    def _lead(self, leader: Job[Any]) -> None:
        """Commits the leader's job and those who wait as one group. Then someone else leads, or nobody."""
        group: list[Job[Any]] = []
        interrupt: BaseException | None = None
        try:
            if self._crowd >= CROWD:
                self._gather(alone=leader is not self._helper)
            if leader is self._helper:
                self._take(group)
            else:
                group.append(leader)
                if self._waiting:
                    self._take(group)
            self._run(group)
        except BaseException as error:
            if isinstance(error, Exception) or leader is self._helper:  # no signal reaches that thread
                for job in group:
                    if not job.settled:
                        job.failed(error)
            else:
                interrupt = error
        while True:
            try:
                self._hand_over(leader, group)
                break
            except BaseException as error:  # a signal; the next leader has to be told all the same
                interrupt = interrupt or error
        if interrupt is not None:
            raise interrupt

    def _join(self, job: Job[Any]) -> None:
        """Under the lock."""
        self._waiting.append(job)
        if self._lacking:
            self._lacking -= 1
            if not self._lacking:
                with suppress(RuntimeError):  # the leader gave up waiting
                    self._full.release()

    def _gather(self, alone: bool) -> None:
        """Where many wrote at once, they are about to write again: the leader waits a moment for them, so that one sync
        of the disk is for all and not for the first of them. *alone*: the leader has a job besides those who wait."""
        with self._lock:
            self._full.acquire(blocking=False)
            self._lacking = max(0, self._crowd - alone - len(self._waiting)) if self._open else 0
            lacking = self._lacking
        if lacking:
            self._full.acquire(timeout=MOMENT)
            self._lacking = 0

    def _take(self, group: list[Job[Any]]) -> None:
        """Moves those who wait to *group*; the leader's own may still be among them."""
        with self._lock:
            waiting = self._waiting
            if group and group[0] in waiting:
                waiting.remove(group[0])
            taken = list(islice(waiting, MOST))
            group += taken
            for _ in taken:
                waiting.popleft()

    def _hand_over(self, leader: Job[Any], group: list[Job[Any]]) -> None:
        with self._lock:
            waiting = self._waiting
            self._crowd = len(group) + len(waiting)
            for job in reversed(group):
                if not (job.settled or job is leader or job.left or job in waiting):
                    waiting.appendleft(job)
            if self._leader is leader:
                if waiting:
                    self._leader = next((job for job in waiting if job.future is None), self._helper)
                else:
                    self._leader = None
                    if not self._open:
                        self._idle.notify_all()
            following = self._leader
        if following is not None:
            following.wake()  # first, so that the disk has something to do while the others are told
        for job in group:
            if job.settled and job is not leader:
                job.tell()

    def _leave(self, job: Job[Any]) -> None:
        """Nobody waits for *job* any more: its thread was interrupted, or it was not taken."""
        while True:
            try:
                with self._lock:
                    job.left = True
                    if job in self._waiting:
                        self._waiting.remove(job)
                    leads = self._leader is job
                if leads:
                    self._hand_over(job, [])
                return
            except BaseException:  # noqa: S112 a further signal; the first one is told
                continue
