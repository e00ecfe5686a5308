"""What the tests of copies that follow have in common: stores, records with a past, and machines that stop."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from limen.core.guard.accounts import Account
from limen.core.record.port import DELETE, ERASE, PUT, REVIVE, Change, Transaction
from limen.core.record.query import Query
from limen.store.memory import MemDictStore

ADA = Account("localhost", "ada", b"r" * 192, 1, ("nurse",), {"name": "Ada"})
MODELS = ("Todo", "Note")


class Stopped(Exception):
    """The machine stops here."""


class Stopping:
    """A store that stops for good before or after its nth call: nothing was done, or all of it and nobody heard."""

    def __init__(self, records: Any, steps: Iterator[bool]) -> None:
        self._records, self._steps = records, steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._records, name)

        def call(*args: Any, **options: Any) -> Any:
            self._step()
            answer = function(*args, **options)
            self._step()
            return answer

        return call

    def _step(self) -> None:
        if next(self._steps):
            raise Stopped


def steps(last: int) -> Iterator[bool]:
    """False for each of *last* steps, then True for good."""
    for _ in range(last):
        yield False
    while True:
        yield True


def records() -> Any:
    return MemDictStore().records


def who(time: float = 1.0, domain: str = "localhost") -> Transaction:
    return Transaction(domain, "ada", None, "", "", "", time)


def commit(
    store: Any, number: int, kind: int = PUT, text: str = "a", model: str = "Todo", clock: float = 1.0, **more: Any
) -> int:
    uuid = number.to_bytes(16)
    newest = store.read("localhost", model, uuid)[1]
    change = Change(model, uuid, newest.vsn if newest is not None else 0, f'{{"text":"{text}"}}', kind, **more)
    done: int = store.commit(who(store.last("localhost") + clock), [change])
    return done


def state(store: Any, at: int | None = None) -> dict[tuple[str, bytes], str]:
    found = ((model, version) for model in MODELS for version in store.select("localhost", Query(model), at).versions)
    return {(model, version.uuid): version.fields for model, version in found}


def history(store: Any, seed: int, length: int, *, erasing: bool = True) -> None:
    """Records that are made, changed, deleted, revived and, with *erasing*, erased: that takes them out of the past,
    too."""
    end = [ERASE] if erasing else []
    chance = random.Random(seed)
    for step in range(length):
        number, model = chance.randrange(4), chance.choice(MODELS)
        newest = store.read("localhost", model, number.to_bytes(16))[1]
        if newest is None:
            kind = PUT
        elif newest.deleted:
            kind = chance.choice([REVIVE, REVIVE, *end])
        else:
            kind = chance.choice([PUT, PUT, DELETE, *end])
        commit(store, number, kind, f"{seed}-{step}", model)
