"""Worker threads for plain functions.

An Executor like ThreadPoolExecutor, with a cheaper way in for work that brings its own way back (`start`: no future,
no condition, no semaphore). The thread that was busy last is taken first: it is still warm in the processor's caches.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Work = Callable[[], object]


class Workers(Executor):
    """At most *threads* threads, each started when all others are busy.

    >>> workers = Workers(2)
    >>> workers.submit(max, 1, 2).result()
    2
    >>> workers.shutdown()
    """

    def __init__(self, threads: int, name: str = "limen") -> None:
        self._most, self._name = threads, name
        self._threads: list[threading.Thread] = []
        self._inboxes: list[SimpleQueue[Work | None]] = []
        self._idle: list[SimpleQueue[Work | None]] = []
        self._backlog: deque[Work] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def start(self, work: Work) -> None:
        """Runs *work*, which must not raise, on a thread."""
        with self._lock:
            if self._closed:
                raise RuntimeError("these workers have been shut down")
            if self._idle:
                inbox = self._idle.pop()
            elif len(self._threads) < self._most:
                inbox = self._hire()
            else:
                self._backlog.append(work)
                return
        inbox.put(work)

    def _hire(self) -> SimpleQueue[Work | None]:
        inbox: SimpleQueue[Work | None] = SimpleQueue()
        # A daemon: a function that never ends must not keep the program from ending.
        thread = threading.Thread(
            target=self._serve, args=(inbox,), name=f"{self._name}-{len(self._threads)}", daemon=True
        )
        self._threads.append(thread)
        self._inboxes.append(inbox)
        thread.start()
        return inbox

    def _serve(self, inbox: SimpleQueue[Work | None]) -> None:
        lock, idle, backlog = self._lock, self._idle, self._backlog
        while (work := inbox.get()) is not None:
            while True:
                work()
                # Under the lock: `start` must not see a full house between a last look at the backlog and going idle.
                with lock:
                    if not backlog:
                        del work  # holds what the last call was about
                        idle.append(inbox)
                        break
                    work = backlog.popleft()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                value = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)

        self.start(work)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends each thread after the work it has; *cancel_futures*: drops what none has begun."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._backlog.clear()
        for inbox in self._inboxes:
            inbox.put(None)
        if wait:
            for thread in self._threads:
                thread.join()
