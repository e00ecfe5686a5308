"""Writers in this process that go on while the database comes and goes, and hold it to what they were told."""

from __future__ import annotations

import threading
import time
from typing import Any

from ledger import look_at, number_of, steps_of, storage_on, take_step

from limen import dbm, exc

PATIENCE = 30.0
"""Seconds that a writer waits for the database to be back."""


def fresh_database(server: Any, role: str = "limen_test", name: str = "limen") -> str:
    """The URL of a database on *server* (tests/postgres.py) for an ordinary role that owns it."""
    import psycopg

    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"CREATE DATABASE {name} OWNER {role}")
    url: str = server.url(name, role)
    return url


class Load:
    """*lanes* threads on one store at *url*; see ledger.py. `refused`: what was said of commits that were not done;
    `unknown`: how many were left open."""

    def __init__(self, url: str, lanes: int = 3) -> None:
        self.url, self.store = url, dbm.SQLStore(url)
        self.storage = storage_on(self.store)
        self.acknowledged: set[int] = set()
        self.refused: list[str] = []
        self.unknown = 0
        self._failed: list[BaseException] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._lane, args=(lane,)) for lane in range(lanes)]
        for thread in self._threads:
            thread.start()

    def go_on(self, seconds: float) -> None:
        """Lets them write; returns once something was acknowledged meanwhile, too."""
        before, end = len(self.acknowledged), time.monotonic() + PATIENCE
        time.sleep(seconds)
        while len(self.acknowledged) == before and not self._failed and time.monotonic() < end:
            time.sleep(0.01)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads), "a writer hangs"
        if self._failed:
            raise self._failed[0]

    def check(self) -> None:
        """All that was acknowledged is there, whole; closes the store."""
        self.store.close()
        found = look_at(self.url)
        assert self.acknowledged <= found, f"acknowledged and gone: {sorted(self.acknowledged - found)[:5]}"

    def _lane(self, lane: int) -> None:
        try:
            step = self._there(lane)
            while not self._over.is_set():
                step = self._step(lane, step + 1)
        except BaseException as error:
            self._failed.append(error)

    def _step(self, lane: int, step: int) -> int:
        """The steps that are there afterwards."""
        try:
            take_step(self.storage, lane, step)
        except exc.OutcomeUnknown:
            self.unknown += 1
            there = self._there(lane)
            assert there in (step - 1, step)
        except exc.StoreError as error:
            said = str(error)
            self.refused.append(said)
            there = self._there(lane)
            assert there == step - 1, f"it was done, and its writer was told: {said}"
        else:
            self.acknowledged.add(number_of(lane, step))
            there = step
        return there

    def _there(self, lane: int) -> int:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return steps_of(self.storage, lane)
            except exc.StoreError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
