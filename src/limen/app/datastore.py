"""`DataStore` says which store keeps what; `Storage` finds for each model its DataStore; both begin units of work.

    from limen import DataStore, add_storage, dbm, storage

    add_storage(DataStore(dbm.SQLStore("sqlite:///todo.db")), Todo)

    with storage("why this is done") as db:         # or: async with storage("why") as db: … await db.fetch(…)
        todo = db.fetch(Todo, uuid, vsn)
        todo.done = True

What the methods of *db* do is said by `limen.core.record.unit.Unit`; the page is docs/storage.md.

    storage.run(function, *arguments, retry=5)      # function(db, *arguments) in a unit of work, again after a conflict
    storage.changes(after=position)                 # the change log, from any position: limen.app.feed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from limen import exc
from limen.base.principal import get_state
from limen.core.record.model import Model
from limen.core.record.port import RecordStore
from limen.store.port import Store
from limen.store.relational import Relational

from .feed import Feed
from .unitofwork import UnitOfWork, run, tenant

ROLES = ("storage", "relational", "permission", "state", "abuse", "profile", "settings")
_PARTS = ("url", "shared", "records", "claim", "close")


class _Units:
    """What a DataStore and a Storage have in common: they begin units of work. The `ModelRegistry` of Units, too."""

    def find(self, cls: type) -> tuple[Model, RecordStore]:
        raise NotImplementedError

    def named(self, name: str) -> tuple[Model, RecordStore]:
        raise NotImplementedError

    def main(self) -> RecordStore:
        raise NotImplementedError

    def __call__(self, reason: str = "", *, domain: str | None = None) -> UnitOfWork:
        """`with storage("why") as db:` or `async with`: all that is done to *db* happens at the end, or not at all.

        *reason* is kept with the transaction. Inside another unit of this storage it joins that one.

        *domain*: whose records, for what runs outside of calls (a worker, a command); without it those of the call, or
        of the unit around, else of 'localhost'. Inside a call naming another than the call's raises `Forbidden`.
        """
        return UnitOfWork(self, reason, domain)

    def run(self, function: Callable[..., Any], /, *args: Any, reason: str = "", retry: int = 0, **kwargs: Any) -> Any:
        """Calls `function(db, *args, **kwargs)` in a unit of work and gives what it gives. Of an `async def` function
        it gives a coroutine, to be awaited.

        Where the unit can't be written because of what others wrote meanwhile (TransactionConflict, or
        RecordVersionMismatch at its end), the function is called again, in a new unit: up to *retry* times. So it must
        do nothing but work on *db*. Inside another unit it joins that one, and is called once.
        """
        return run(self, function, args, kwargs, reason, retry)

    def changes(self, after: int = 0, model: type | None = None, *, domain: str | None = None) -> Feed:
        """What is committed in the domain of the call after transaction *after*: all of it, in order, none twice.

        *model*: any model of the store that is meant, where a program keeps records in several; else the main one.
        *domain*: outside of calls, whose commits; inside a call naming another than the call's raises `Forbidden`.
        """
        domain = get_state().domain if domain is None else tenant(domain)
        return Feed(self.main() if model is None else self.find(model)[1], domain, after)


class DataStore(_Units):
    """Which store keeps what. A role that is not named is kept by *storage*.

    *storage*: records. *relational*: a copy of the records, in which they are searched; the records' own store decides,
    and the copy follows it. *permission*: accounts with their roles. *profile*: the same accounts' profiles. *state*:
    the sessions that may come back. *abuse*: the ledger of misbehaviour. *settings*: what the database knows of itself.

    >>> from limen import dbm
    >>> db = dbm.MemDictStore()
    >>> storage = DataStore(db, permission=db, state=db, abuse=db, profile=db, settings=db)
    >>> storage.permission is db
    True
    >>> DataStore(db, cache=db)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TypeError: a DataStore has no role 'cache'; there are: storage, relational, permission, ...
    """

    def __init__(
        self,
        storage: Store,
        relational: Store | None = None,
        permission: Store | None = None,
        state: Store | None = None,
        abuse: Store | None = None,
        profile: Store | None = None,
        settings: Store | None = None,
        **unknown: Any,
    ) -> None:
        for role in unknown:
            raise TypeError(f"a DataStore has no role {role!r}; there are: {', '.join(ROLES)}")
        self.storage = storage
        self.relational = relational or storage
        self.permission = permission or storage
        self.state = state or storage
        self.abuse = abuse or storage
        self.profile = profile or self.permission
        self.settings = settings or storage
        for role in ROLES:
            store = getattr(self, role)
            if isinstance(store, type) or not all(hasattr(store, part) for part in _PARTS):
                raise TypeError(f"{role}: this takes a store such as dbm.MemDictStore(), not {store!r:.80}")
        self._records: RecordStore = self.storage.records
        if self.relational is not self.storage:
            self._records = Relational(self.storage.records, self.relational.records)
        self._models: dict[type, Model] = {}

    def find(self, cls: type) -> tuple[Model, RecordStore]:
        """Any class is a model."""
        model = self._models.get(cls)
        if model is None:
            model = self._models[cls] = Model(cls)
        return model, self._records

    def named(self, name: str) -> tuple[Model, RecordStore]:
        return _named(name, self._models.values()), self._records

    def main(self) -> RecordStore:
        return self._records


class Storage(_Units):
    """The units of work of a program: each model's records are in the DataStore that was said for it.

    *default*: gives the DataStore of models for which none was said; asked when it is first needed.
    """

    def __init__(self, default: Callable[[], DataStore]) -> None:
        self._default = default
        self._models: dict[type, tuple[Model, DataStore | None]] = {}
        self.instead: DataStore | None = None
        """Where all models are kept in place of what was said for them: for tests, `App.in_memory`."""

    def add_models(self, storage: DataStore | None, *models: type) -> None:
        """Keeps records of *models* in *storage*; None: in the default. Saying it again changes it.

        Raises `StoreError` where two models have one name (`__model__ = "…"` of a class gives it another).
        """
        if storage is not None and not isinstance(storage, DataStore):
            raise TypeError(f"add_storage takes a DataStore first, not {storage!r:.80}")
        for cls in models:
            model = Model(cls)
            for other in [known for known, (about, _) in self._models.items() if about.name == model.name]:
                if _path(other) != _path(cls):
                    raise exc.StoreError(
                        f"{_path(cls)} and {_path(other)} would both be kept as {model.name!r}; "
                        f'give one of them a name of its own: __model__ = "…"'
                    )
                del self._models[other]  # the same class, loaded anew
            self._models[cls] = model, storage

    def find(self, cls: type) -> tuple[Model, RecordStore]:
        known = self._models.get(cls)
        if known is None:
            known = self._loaded_anew(cls)
        model, storage = known
        return model, self._store(storage).main()

    def models(self) -> list[tuple[Model, RecordStore]]:
        """All models that were added, each with the store of its records."""
        return [(model, self._store(storage).main()) for model, storage in [*self._models.values()]]

    def storages(self) -> list[DataStore]:
        """Each DataStore in which models are kept."""
        return [self._store(None), *(self._store(storage) for _, storage in [*self._models.values()] if storage)]

    def named(self, name: str) -> tuple[Model, RecordStore]:
        model = _named(name, [model for model, _ in self._models.values()])
        return self.find(model.cls)

    def main(self) -> RecordStore:
        return self._store(None).main()

    def _store(self, storage: DataStore | None) -> DataStore:
        return self.instead or storage or self._default()

    def _loaded_anew(self, cls: type) -> tuple[Model, DataStore | None]:
        for other, known in self._models.items():
            if isinstance(cls, type) and _path(other) == _path(cls):
                return known
        name = getattr(cls, "__name__", repr(cls))
        raise exc.StoreError(f"{name} is not known as a model; say add_model({name}) or add_storage(storage, {name}).")


def _named(name: str, models: Iterable[Model]) -> Model:
    for model in models:
        if model.name == name:
            return model
    raise exc.StoreError(f"No class of this program is known for the model {name!r}; say add_model of it first.")


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
