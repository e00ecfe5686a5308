"""PostgreSQL behind the port of engines: reads on any connection of a pool, writes in groups, each one transaction.

Isolation is READ COMMITTED and the lock of the domain's row, which every commit takes first (records.py); whoever has
it sees all that was committed before. A group of jobs is one transaction on one connection: what the jobs tell is sent
along with what they ask, so that a unit of work costs two round trips, COMMIT included.

Where the connection is cut:

    before COMMIT was sent      nothing was written; the group is run again on another connection
    after it                    the old connection's process is ended first, so that nothing can come after; then
                                `happened` says in a transaction of its own whether it is there. Where the server does
                                not answer in time: OutcomeUnknown
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from threading import Event, Lock
from time import monotonic
from typing import Any, Final, Literal, TypeVar
from weakref import WeakSet

from limen import exc
from limen.store.sql import schema, statements
from limen.store.sql.engine import Hand, Parameters, Question, Row, Undo
from limen.store.sql.queue import Happened, Job, Queue

from . import claim as pg_claim
from .connection import Connection, Failed, Lost
from .pool import Pool
from .url import Address, address
from .watch import Watch

T = TypeVar("T")
TRIES = 5
"""Times that a group is run: deadlocks, cut connections."""
PATIENCE = 15.0
"""Seconds for finding out what became of a COMMIT without an answer."""
GROUP = 50
"""Jobs in one transaction: savepoints beyond 64 cost PostgreSQL more."""
CHANNEL = "limen"
MAKING = pg_claim.LOCK + 1
"""The advisory lock of whoever makes tables in an empty database."""
AGAIN = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: nothing was written, and it may work the next time."""
END_BACKEND = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE pid = $1 AND extract(epoch FROM backend_start)::text = $2"
)
REMEDIES = {
    "22021": "",
    "25006": "This server takes no writes: it is a standby. ?target_session_attrs=read-write finds the primary.",
    "42501": "The role must own Limen's tables, or be granted what it does.",
    "42P01": "Say: limen db check.",
    "53100": "The server's disk is full; nothing was written.",
    "53300": "The server has no connection left: lower pool_size, or raise max_connections.",
    "55P03": "Another transaction held the lock for 10 s; nothing was written. Does a migration run?",
    "57014": "It took longer than statement_timeout, or someone cancelled it; nothing was written.",
}
_log = logging.getLogger("limen.store")


_engines: Final[WeakSet[Postgres]] = WeakSet()
_parents: Final[list[Any]] = []


def _forked() -> None:
    for engine in [*_engines]:
        engine.begin_anew()


os.register_at_fork(after_in_child=_forked)


class Unanswered(Exception):
    """The connection was cut after COMMIT was sent. *backend*: the server's process that may be at it yet;
    *outcomes*: what the works gave, if it was committed."""

    def __init__(self, backend: tuple[int, str], outcomes: list[Outcome]) -> None:
        super().__init__(backend)
        self.backend, self.outcomes = backend, outcomes


class Outcome:
    """What a work gave, or raised."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self.value, self.error = value, error


class _Hand:
    """See `engine.Hand`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.failed: Failed | None = None
        self.erased = False

    def ask(self, *questions: Question) -> list[list[Row]]:
        for statement, parameters in questions:
            self._connection.send(statement, parameters)
        try:
            return self._connection.wait()
        except Failed as failed:
            self.failed = failed  # also where the work goes on after it: the transaction can't
            raise

    def tell(self, statement: str, parameters: Parameters = ()) -> None:
        self._connection.send(statement, parameters, asked=False)

    def many(self, statement: str, rows: Iterable[Parameters]) -> None:
        for parameters in rows:
            self._connection.send(statement, parameters, asked=False)


class Postgres:
    """See `engine.Engine`. *url*: see `url.py`. An empty database gets its tables.

    Raises `StoreError` where it can't be reached, is of another program, or of another version of Limen.
    """

    dialect: Literal["postgresql"] = "postgresql"
    shared = True
    sql = statements.POSTGRESQL

    def __init__(self, url: str) -> None:
        self.address: Address = address(url)
        self.name = self.address.name
        self.patience = PATIENCE
        self._taken_over: str | None = None
        self._begin()
        self._prepare()
        _engines.add(self)

    def _begin(self) -> None:
        self._pool = Pool(self._connect, self.name, self.address.pool_size, self.address.pool_timeout)
        self._queue = Queue(self._run, self._closed)
        self._callbacks: list[Callable[[], None]] = []
        self._listener: Watch | None = None
        self._lock = Lock()

    def begin_anew(self) -> None:
        """In a process that was forked: the connections are the parent's, and an answer would reach either process.
        They are kept, as closing them would end the parent's; the child makes its own."""
        _parents.append((self._pool, self._queue, self._listener))
        self._begin()

    # -- reading
    def rows(self, statement: str, parameters: Parameters = (), domain: str | None = None) -> list[Row]:
        """See `engine.Engine.rows`. Asked again, once, where the connection was cut."""
        try:
            try:
                return self._rows(statement, parameters, domain)
            except Lost:
                self._pool.renew()
                return self._rows(statement, parameters, domain)
        except (Lost, Failed) as error:
            raise self._said(error) from None

    def _rows(self, statement: str, parameters: Parameters, domain: str | None) -> list[Row]:
        connection = self._pool.take()
        try:
            connection.see(domain)
            connection.send(statement, parameters)
            [rows] = connection.wait()
        except Failed:
            self._pool.give(connection)
            raise
        except BaseException:  # lost, or interrupted while the answer is under way
            self._pool.drop(connection)
            raise
        self._pool.give(connection)
        return rows

    # -- writing
    def write(self, work: Callable[[Hand], T], domain: str | None = None, happened: Happened | None = None) -> T:
        """See `engine.Engine.write`."""
        return self._queue.write(work, domain, happened)

    def submit(
        self, work: Callable[[Hand], T], domain: str | None = None, happened: Happened | None = None
    ) -> Future[T]:
        """See `engine.Engine.submit`."""
        return self._queue.submit(work, domain, happened)

    def _run(self, jobs: list[Job[Any]]) -> None:
        """Commits *jobs* in groups, in the order of their domains: two processes that lock several do not collide. What
        is about the store as a whole is done alone, as it may lock in another order."""
        for job in jobs:
            if job.domain is None:
                self._settle([job])
        jobs = sorted((job for job in jobs if job.domain is not None), key=lambda job: job.domain or "")
        for begin in range(0, len(jobs), GROUP):
            self._settle(jobs[begin : begin + GROUP])

    def _settle(self, jobs: list[Job[Any]]) -> None:
        try:
            self._commit(jobs)
        except Exception as error:
            if isinstance(error, Failed) and len(jobs) > 1:  # whose statement it was only each alone can tell
                for job in jobs:
                    self._settle([job])
                return
            said = self._said(error) if isinstance(error, (Failed, Lost)) else error
            for job in jobs:
                job.failed(said)

    def _commit(self, jobs: list[Job[Any]]) -> None:
        """Runs *jobs* as one transaction until it is known to be committed, and settles them; or raises what undid
        it."""
        if self._taken_over:
            raise exc.StoreError(self._taken_over)
        for left in reversed(range(TRIES)):
            try:
                self._transaction(jobs)
                return
            except Failed as failed:
                if failed.code not in AGAIN or not left:
                    raise
            except Lost:
                if not left:
                    raise
            except Unanswered as cut:
                if self._found_out(jobs, cut):
                    return
        raise exc.StoreError(f"{self.name}: {TRIES} attempts failed; nothing was written. Try again.")

    def _transaction(self, jobs: list[Job[Any]]) -> None:
        """One attempt. Raises `Failed` or `Lost` (nothing was written), `Unanswered`, or what the only job raised."""
        connection = self._pool.take()
        outcomes: list[Outcome] = []
        committing = False
        try:
            connection.send("BEGIN", asked=False)
            hand = _Hand(connection)
            for job in jobs:
                connection.see(job.domain)
                if len(jobs) > 1:
                    connection.send("SAVEPOINT job", asked=False)
                try:
                    outcomes.append(Outcome(job.work(hand)))
                except Exception as error:
                    if len(jobs) == 1 or isinstance(error, Lost):
                        raise
                    outcomes.append(Outcome(error=error))
                    connection.send("ROLLBACK TO SAVEPOINT job", asked=False)
                if hand.failed:
                    raise hand.failed
            connection.send(f"NOTIFY {CHANNEL}", asked=False)
            committing = True
            connection.send("COMMIT", asked=False)
            connection.wait()
            _tell(jobs, outcomes)
        except Failed:
            self._undo(connection)
            raise
        except BaseException as error:
            if committing:
                self._pool.drop(connection)
                cut = Unanswered(connection.backend, outcomes)
                if isinstance(error, Lost):
                    raise cut from None
                self._found_out(jobs, cut)  # a signal: what is committed must not be run again for those who wait
            elif isinstance(error, Exception) and not isinstance(error, Lost):
                self._undo(connection)
            else:
                self._pool.drop(connection)
            raise
        self._pool.give(connection)

    def _found_out(self, jobs: list[Job[Any]], cut: Unanswered) -> bool:
        """Settles *jobs* and gives True, or gives False where they were undone."""
        try:
            if not self._happened(jobs, cut):
                return False
        except exc.OutcomeUnknown as unknown:
            cut.outcomes = [outcome if outcome.error else Outcome(error=unknown) for outcome in cut.outcomes]
        _tell(jobs, cut.outcomes)
        return True

    def _undo(self, connection: Connection) -> None:
        try:
            if connection.waiting:
                with suppress(Failed):  # what was sent before; a ROLLBACK sent along would be skipped
                    connection.wait()
            connection.send("ROLLBACK", asked=False)
            connection.wait()
        except (Lost, Failed):
            self._pool.drop(connection)
        except BaseException:
            self._pool.drop(connection)
            raise
        connection.forget()
        self._pool.give(connection)

    def _happened(self, jobs: list[Job[Any]], cut: Unanswered) -> bool:
        """Whether the transaction of *jobs* was committed. Raises `OutcomeUnknown` where that can't be found out."""
        deadline = monotonic() + self.patience
        pause = Event()
        why = "nothing in it can be recognised"
        while True:
            try:
                answer = self._ask_happened(jobs, cut.backend)
                if answer is not None:
                    return answer
                break
            except (Lost, Failed, exc.StoreError) as error:
                why = str(error)
                if monotonic() >= deadline:
                    break
                pause.wait(0.1)  # the server may be starting again
        raise exc.OutcomeUnknown(
            f"The connection to {self.name} was cut after COMMIT was sent, and what became of it can't be found out "
            f"({why}). It was written whole or not at all: look before you try again."
        )

    def _ask_happened(self, jobs: list[Job[Any]], backend: tuple[int, str]) -> bool | None:
        if any(not ended for (ended,) in self._rows(END_BACKEND, backend, None)):
            raise Lost("the old connection's process does not end")
        connection = self._pool.take()
        try:
            for job in jobs:  # they share one fate: the first that knows it knows it for all
                if job.happened is None:
                    continue
                connection.send("BEGIN", asked=False)
                connection.see(job.domain)
                answer = job.happened(_Hand(connection))
                if answer is not None:
                    return answer
                connection.send("ROLLBACK", asked=False)
                connection.wait()
            return None
        finally:
            self._undo(connection)

    # -- between processes
    def wakes(self, callback: Callable[[], None]) -> Undo:
        """See `RecordStore.wakes`. The first one makes a connection that listens; the last `undo` closes it."""
        try:
            with self._lock:
                if self._listener is None:
                    self._listener = Watch(self._connect, _listen, self._wake, self._deaf)
                self._callbacks.append(callback)
        except (Lost, Failed) as error:
            raise self._said(error) from None

        def undo() -> None:
            listener = None
            with self._lock:
                with suppress(ValueError):  # a second time
                    self._callbacks.remove(callback)
                if not self._callbacks:
                    listener, self._listener = self._listener, None
            if listener is not None:
                listener.close()

        return undo

    def _wake(self) -> None:
        for callback in list(self._callbacks):
            try:
                callback()
            except Exception:
                _log.exception("A callback that is woken by commits failed")

    def _deaf(self, error: Exception) -> None:
        _log.error("Limen does not hear any more of what others write to %s: %s", self.name, error)

    def claim(self) -> AbstractContextManager[None]:
        """See `limen.store.port.Store.claim`: servers share a database, none runs while it is migrated or restored.
        Where the connection that holds the lock is lost, another one takes it; where a migration was quicker, this
        server writes nothing any more."""

        def begin(connection: Connection) -> None:
            if held:
                connection.rows(END_BACKEND, held.pop())  # the network forgot it; the server may not have
            pg_claim.share(connection.rows, self.name)
            held.append(connection.backend)
            if not connection.syncs:
                _log.warning("%s runs with fsync=off: a power cut can take what was acknowledged.", self.name)

        def ended(error: Exception) -> None:
            self._taken_over = f"{error} This server lost its claim meanwhile, and writes nothing more."
            _log.critical("%s", self._taken_over)

        held: list[tuple[int, str]] = []
        try:
            watch = Watch(self._connect, begin, lambda: None, ended)
        except (Lost, Failed) as error:
            raise self._said(error) from None
        return pg_claim.Claim(watch.close)

    def close(self) -> None:
        """Returns once those who wait to write are served."""
        self._queue.close()
        with self._lock:
            listener, self._listener = self._listener, None
            self._callbacks.clear()
        if listener is not None:
            listener.close()
        self._pool.close()

    def __repr__(self) -> str:
        return f"Postgres({self.name!r})"

    # -- inside
    def _connect(self) -> Connection:
        return Connection(self.address.options, self.name)

    def _closed(self) -> exc.StoreError:
        return exc.StoreError(f"The store {self.name} was closed.")

    def _prepare(self) -> None:
        try:
            connection = self._pool.take()
            try:
                connection.see(None)
                if not self._usable(connection):
                    connection.rows(f"SELECT pg_advisory_lock({MAKING})")  # two servers, one empty database
                    if not self._usable(connection):
                        connection.send("BEGIN", asked=False)
                        for statement in (*self.sql.create, *schema.STAMP[self.dialect]):
                            connection.send(statement, asked=False)
                        connection.send("COMMIT", asked=False)
                    connection.rows(f"SELECT pg_advisory_unlock({MAKING})")
            except BaseException:
                self._pool.drop(connection)
                raise
            self._pool.give(connection)
        except (Lost, Failed) as error:
            raise self._said(error) from None

    def _usable(self, connection: Connection) -> bool:
        return schema.usable(schema.found_in_postgres(connection.rows, self.name), self.name, self.name)

    def _said(self, error: Failed | Lost) -> exc.StoreError:
        if isinstance(error, Lost):
            return exc.StoreError(f"{self.name} can't be reached: {error}.")
        remedy = REMEDIES.get(error.code, "")
        return exc.StoreError(f"{self.name}: {error.said}." + (f" {remedy}" if remedy else ""))


def _tell(jobs: list[Job[Any]], outcomes: list[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if outcome.error is None:
            job.done(outcome.value)
        else:
            job.failed(outcome.error)


def _listen(connection: Connection) -> None:
    connection.rows(f"LISTEN {CHANNEL}")
