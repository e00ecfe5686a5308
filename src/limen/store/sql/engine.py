"""What a database must do for the records of an SQL store: run statements, and works, each whole or not at all.

One implementation of `RecordStore` (records.py) stands on this port; an engine is a class that fills it (sqlite/,
postgres/). The statements come from `statements.py` in the engine's own dialect; parameters go by position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Final, Literal, Protocol, TypeVar

from .statements import Statements

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Sequence[Any]
Question = tuple[str, Parameters]
"""A statement and its parameters."""
Undo = Callable[[], None]
EVER: Final = 2**62
"""Greater than any number of a transaction or of a version."""


class Duplicate(Exception):
    """A row of that key is there already. SQLite raises it from `tell` and `many` at once; the transaction goes on."""


class Hand(Protocol):
    """An open transaction that writes.

    What is told may be sent late: an error of it can show at the next `ask`, or only when the work has returned.

    *erased*: set by a work that takes contents away for ever; an engine with files of its own then sees to those, too.
    """

    erased: bool

    def ask(self, *questions: Question) -> list[list[Row]]:
        """Runs all *questions*, in one round-trip; gives the rows of each (of UPDATE … RETURNING, too)."""
        ...

    def tell(self, statement: str, parameters: Parameters = ()) -> None:
        """Runs a statement whose answer nobody needs."""
        ...

    def many(self, statement: str, rows: Iterable[Parameters]) -> None:
        """Runs a statement whose answer nobody needs once for each of *rows*."""
        ...


class Engine(Protocol):
    """Every method may be called from any thread. Raises `StoreError` in words; nothing of a driver.

    *domain*: the name of the tenant that it is about, None for what is about the store as a whole. Where the database
    can, it sees to it that nothing of another tenant is touched.
    """

    @property
    def name(self) -> str:
        """The URL as people may see it: without a password."""
        ...

    @property
    def shared(self) -> bool:
        """See `limen.store.port.Store.shared`."""
        ...

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]: ...

    @property
    def sql(self) -> Statements:
        """The statements in the engine's dialect."""
        ...

    def rows(self, statement: str, parameters: Parameters = (), domain: str | None = None) -> list[Row]:
        """All rows of one statement, as they are at one moment. Never held up by a writer."""
        ...

    def write(
        self,
        work: Callable[[Hand], T],
        domain: str | None = None,
        happened: Callable[[Hand], bool | None] | None = None,
    ) -> T:
        """Runs *work* as one transaction; returns what it gives, once it is safe. What *work* raises undoes it.

        *work* may be run again after it was undone (a deadlock, a cut connection, a group of which one failed): it
        must do nothing but work with its Hand. *happened*: called in a fresh transaction where the answer to COMMIT
        was lost, says whether the work is there; None where that can't be told. Raises `OutcomeUnknown` then.
        """
        ...

    def submit(
        self,
        work: Callable[[Hand], T],
        domain: str | None = None,
        happened: Callable[[Hand], bool | None] | None = None,
    ) -> Future[T]:
        """The same for callers that must not wait. The Future's callbacks run on a thread of the store; it can't be
        cancelled."""
        ...

    def wakes(self, callback: Callable[[], None]) -> Undo:
        """See `RecordStore.wakes`."""
        ...

    def claim(self) -> AbstractContextManager[None]:
        """See `limen.store.port.Store.claim`."""
        ...

    def close(self) -> None: ...
