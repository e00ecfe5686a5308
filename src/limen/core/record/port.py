"""What a store of records must do: rows, a few questions and one commit.

A store knows nothing of hooks, types or values: fields come as JSON text. It has two duties. The **line of versions**:
the first version of a record is 1, each further one is the newest plus 1. And the **line of transactions** of each
domain: 1, 2, 3 … in the order in which they were committed, so that whoever sees number N sees all of what 1 to N
wrote, and no tenant learns from a number that another one wrote. A commit is whole or not at all.

Everything else stands on these: a snapshot is a number, the past is an older number, the change log is what came after
a number, and a unit of work is serializable because `commit` refuses it where something that it has read was changed
after the number at which it was read.

`limen.testing.stores.RecordStoreSuite` holds every store to this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from .expression import Expression
    from .query import Query

Keep: TypeAlias = int | timedelta | None
"""How much of a model's history is kept besides the newest version. None: all of it, for ever. 0: none. A number: at
least so many versions. A timedelta: at least what was the newest within that time. See `RecordStore.commit`."""

PUT, DELETE, REVIVE, ERASE = range(4)
"""Kinds of a change. PUT: a first version (base 0), or one after a version that is not deleted. DELETE: the record is
gone from now on. REVIVE: a version after one that is deleted. ERASE: the record is gone, and so are the contents of all
its versions, for ever."""

OWN: Final = "limen."
"""The names of models that the product itself keeps (accounts, sessions, …) begin with this; no program's do."""


class Transaction(NamedTuple):
    """Who wrote, when, through which service and why.

    *time*: seconds since 1970 (UTC); as committed it is never less than that of the transaction before, whatever the
    clock does. *number*: given by the store at commit; 0 before.
    """

    domain: str
    user: str | None
    impersonator: str | None
    service: str
    origin: str
    reason: str
    time: float
    number: int = 0


def renamed(transaction: Transaction, user: str, pseudonym: str) -> Transaction:
    """*transaction* with *pseudonym* where it named *user*."""
    by, for_whom = (pseudonym if name == user else name for name in (transaction.user, transaction.impersonator))
    return transaction._replace(user=by, impersonator=for_whom)


class Version(NamedTuple):
    """One version of one record.

    *uuid*: its 16 bytes. *fields*: the whole record as tagged JSON (`limen.base.values`), exactly the text that was
    committed; of a deletion the last fields before it. *erased*: its contents were taken away (ERASE); then it counts
    as deleted, and its fields are '{}'.
    """

    uuid: bytes
    vsn: int
    txn: int
    fields: str
    deleted: bool
    erased: bool = False


See: TypeAlias = Callable[[bytes, Mapping[str, Any]], Mapping[str, Any]]
"""Gives of a record's uuid and fields what conditions and orders look at: the fields, and what is computed of them."""


@dataclass(frozen=True, slots=True)
class Index:
    """What of a model's records is to be searched by: name and kind of each column, in a fixed order.

    Kind: bool int float decimal text bytes uuid date time datetime timedelta; None: not known yet. *computed*: names,
    most of them of columns, under which stands what `compute` makes of a record's uuid and fields, and not a field.
    *version*: another one says that something else is computed.

    `compute` is the program's own code: it may raise, and is never called under a lock. It does not count for equality:
    indexes of equal columns are equal; one that differs from what the store knows is built anew from the records.
    """

    columns: tuple[tuple[str, str | None], ...]
    computed: frozenset[str] = frozenset()
    version: int = 1
    compute: Callable[[bytes, Mapping[str, Any]], Mapping[str, Any]] | None = field(
        default=None, compare=False, repr=False
    )

    def see(self, names: Iterable[str]) -> See | None:
        """What a condition or an order that asks for *names* looks at; None: the fields alone."""
        compute, computed = self.compute, self.computed
        if not computed or compute is None or computed.isdisjoint(names):
            return None
        return lambda uuid, fields: {**fields, **compute(uuid, fields)}


class Change(NamedTuple):
    """A version to be written.

    *base*: the version it was made from, 0 for a new record; it must be the newest. *fields*: tagged JSON of the whole
    record; of DELETE and ERASE it is not looked at. *kind*: PUT, DELETE, REVIVE or ERASE. *index*: the model's index,
    None where it has none; *values*: the values of its columns by name, computed ones too (Python values as
    `limen.core.record.expression` compares them), None for DELETE and ERASE. *keep*: of the model. Index, values and
    keep may be left alone by a store that looks at all records for each question and keeps all versions (but for
    keep=0, which it must honour).
    """

    model: str
    uuid: bytes
    base: int
    fields: str
    kind: int = PUT
    index: Index | None = None  # type: ignore[assignment]  # over tuple.index, which nobody asks a change for
    values: Mapping[str, Any] | None = None
    keep: Keep = None

    @property
    def deleted(self) -> bool:
        return self.kind == DELETE or self.kind == ERASE


class Reads(NamedTuple):
    """What a unit of work has read, for `commit` to look whether it is still so.

    *at*: the number of the domain's last transaction when it was read. *keys*: (model, uuid) of single records, found
    or not. *models*: for each model the expressions by which its records were searched; None stands for "all of them".
    *found*: (model, uuid) of the records of models with keep=0 that were found, by key or search: since a deletion
    leaves no trace there, each of them must still be there.
    """

    at: int
    keys: set[tuple[str, bytes]]
    models: dict[str, list[Expression | None]]
    found: frozenset[tuple[str, bytes]] = frozenset()


class Answer(NamedTuple):
    """What a store has found for a Query as of transaction *at*; never a deleted record.

    *complete* True: all records of the model, ordered by uuid; the Unit then filters, sorts and cuts. False: those for
    which the query's expression is true (a few more may be among them, none may be missing), in the order asked for,
    those after its cursor only, at most `limit` of them; fewer than `limit` means that there are no more.
    *how*: says for `explain` how they were found.
    """

    at: int
    versions: list[Version]
    complete: bool
    how: str


class Committed(NamedTuple):
    """One line of the change log.

    *kind*: PUT (also for what was REVIVE), DELETE or ERASE. *fields*: names of the fields that are different from the
    version before, sorted; empty for version 1, for DELETE and for ERASE.
    """

    txn: int
    model: str
    uuid: bytes
    vsn: int
    kind: int
    fields: tuple[str, ...]


class Stale(Exception):
    """A change's base is not the newest version. *newest*: None where there is no such record; *by*: who wrote it, None
    where that is not kept (keep=0)."""

    def __init__(self, change: Change, newest: Version | None, by: Transaction | None) -> None:
        super().__init__(change, newest, by)
        self.change, self.newest, self.by = change, newest, by


class Conflict(Exception):
    """Something that was read has changed meanwhile: *uuid* of *model* by the transaction *by*. None for what is not
    known."""

    def __init__(self, model: str | None, uuid: bytes | None, by: Transaction | None) -> None:
        super().__init__(model, uuid, by)
        self.model, self.uuid, self.by = model, uuid, by

    @property
    def id(self) -> UUID | None:
        return None if self.uuid is None else UUID(bytes=self.uuid)


class RecordStore(Protocol):
    """Every method may be called from any thread. Readers are not held up by a writer, and hold none up.

    *domain* and *model* are names; nothing that belongs to another domain than the one that is named is ever found,
    changed or counted. *at*: as of that transaction of the domain, its own writes included; None: now. Reading the past
    where it is no longer kept raises `exc.HistoryGone`; what is lost to ERASE is simply not there.
    """

    def last(self, domain: str) -> int:
        """The number of the domain's last transaction, 0 before the first."""
        ...

    def read(self, domain: str, model: str, uuid: bytes, at: int | None = None) -> tuple[int, Version | None]:
        """The record as of *at* (a deletion too; None where there never was one), and *at*. Without *at*: the newest
        version and the domain's last number, both of the same moment."""
        ...

    def select(self, domain: str, query: Query, at: int | None = None) -> Answer:
        """The records of `query.model` as of *at*. A store may always answer with all of them (`complete`)."""
        ...

    def count(self, domain: str, query: Query, at: int | None = None) -> tuple[int, int] | None:
        """As of which number, and how many records match; no more than `query.limit` are counted. None: the store
        can't count this, the Unit counts what `select` gives."""
        ...

    def history(
        self, domain: str, model: str, uuid: bytes, *, after: int = 0, limit: int | None = None
    ) -> list[tuple[Version, Transaction | None]]:
        """The versions that are kept, the oldest first, each with its transaction (None where that is not kept:
        keep=0). *after*: only later versions than this one; *limit*: at most so many."""
        ...

    def transaction(self, domain: str, number: int) -> Transaction | None:
        """None where there is none of that number, or it has only touched models that keep no history."""
        ...

    def at_time(self, domain: str, time: float) -> int:
        """The number of the last transaction that is kept and is not later than *time*; 0 before the first."""
        ...

    def changes(self, domain: str, after: int, limit: int = 1000) -> list[Committed]:
        """The change log after transaction *after*: whole transactions in their order, within each the changes in the
        order of (model, uuid). As many transactions as it takes to reach *limit* lines, at least one where there is
        one; an empty list: nothing came after.

        Versions that are no longer kept are left out; the newest version of a record, a deletion too, is always there
        (but for deletions in models with keep=0). Raises `exc.HistoryGone` where *after* is greater than `last`: this
        is another database, or one put back from a backup.
        """
        ...

    def commit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> int:
        """Writes *changes* (at least one; no record twice) as one transaction of its domain, gives its number, and
        returns once they are safe.

        Under the domain's one write lock: (1) each change's base must be the newest version, and that must be there and
        not deleted for PUT (but for base 0: there must be none) and DELETE, deleted for REVIVE, either for ERASE; else
        `Stale` for the first change for which it is not so; (2) nothing in *reads* may have been changed by a
        transaction after `reads.at`, else `Conflict` (`validate.clash` decides that). Then nothing is written. The
        transaction's time is raised to that of the one before, where it is less.

        keep=0: of such a model only the newest version is kept. DELETE and ERASE leave nothing: the record can be made
        anew, from base 0 and version 1. A transaction that touches only such models takes a number and is not kept
        itself. Of a model with another *keep* the store may drop what need not be kept, when it likes.

        Raises `exc.OutcomeUnknown` where the store can't find out whether it was written.
        """
        ...

    def submit(self, transaction: Transaction, changes: Sequence[Change], reads: Reads | None = None) -> Future[int]:
        """`commit` for callers that must not wait: the number, or what commit raises. May be called on an event loop's
        thread. Many may share one sync of the disk. The future can't be cancelled."""
        ...

    def domains(self) -> list[str]:
        """The names of all domains in which ever something was committed, sorted."""
        ...

    def progress(self) -> int:
        """The sum of all domains' numbers: rises with every commit, and is no less after the store was opened again."""
        ...

    def prune(self, domain: str, model: str, keep: Keep, now: float) -> int:
        """Drops what *keep* does not ask to be kept, as of *now* (seconds since 1970); gives the number of versions
        dropped. keep=0 leaves of each record that is not deleted the newest version, of others nothing."""
        ...

    def forget_user(self, transaction: Transaction, user: str, pseudonym: str) -> int:
        """Puts *pseudonym* in the place of *user* wherever a transaction of the domain names that user as `user` or
        `impersonator`; gives how many did. What else the transactions say stays.

        *transaction*: who asks for it, and why; where anything was replaced it is kept as one of its own, without any
        change, as the proof. May be done in several steps; done again after it was interrupted, it goes on.
        """
        ...

    def wakes(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls *callback* after every commit, of any process, once it can be read; from any thread, perhaps for
        nothing, perhaps once for several. It must be quick and must not raise. Gives the undo."""
        ...
