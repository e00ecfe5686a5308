"""`DataStore` says which store keeps what; `Storage` finds for each model its DataStore; both begin units of work.

    from limen import DataStore, add_storage, dbm, storage

    add_storage(DataStore(dbm.SQLStore("sqlite:///todo.db")), Todo)

    with storage("why this is done") as db:         # or: async with storage("why") as db: … await db.fetch(…)
        todo = db.fetch(Todo, uuid, vsn)
        todo.done = True

What the methods of *db* do is said by `limen.core.record.unit.Unit`; the page is docs/storage.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limen import exc
from limen.core.record.model import Model
from limen.core.record.port import RecordStore
from limen.store.port import Store

from .unitofwork import UnitOfWork

ROLES = ("storage", "permission", "state", "abuse", "profile", "settings")


class DataStore:
    """Which store keeps what. A role that is not named is kept by *storage*.

    *storage*: records. *permission*: accounts with their roles. *profile*: the same accounts' profiles, so that it must
    be the store of *permission*. *state*: the sessions that may come back. *abuse*: the ledger of misbehaviour.
    *settings*: what the database knows of itself.

    >>> from limen import dbm
    >>> db = dbm.MemDictStore()
    >>> storage = DataStore(db, permission=db, state=db, abuse=db, profile=db, settings=db)
    >>> storage.permission is db
    True
    >>> DataStore(db, relational=db)
    Traceback (most recent call last):
    TypeError: a DataStore has no role 'relational'; there are: storage, permission, state, abuse, profile, settings
    """

    def __init__(
        self,
        storage: Store,
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
        self.permission = permission or storage
        self.state = state or storage
        self.abuse = abuse or storage
        self.profile = profile or self.permission
        self.settings = settings or storage
        for role in ROLES:
            store = getattr(self, role)
            if isinstance(store, type) or not all(hasattr(store, part) for part in ("records", "accounts", "meta")):
                raise TypeError(f"{role}: this takes a store such as dbm.MemDictStore(), not {store!r:.80}")
        if self.profile is not self.permission:
            raise TypeError("profile and permission must be one store: an account has both")
        self._models: dict[type, Model] = {}

    def __call__(self, reason: str = "") -> UnitOfWork:
        """A unit of work on this DataStore; any class is a model."""
        return UnitOfWork(self, self._find, reason)

    unit = __call__

    def _find(self, cls: type) -> tuple[Model, RecordStore]:
        model = self._models.get(cls)
        if model is None:
            model = self._models[cls] = Model(cls)
        return model, self.storage.records


class Storage:
    """The units of work of a program: each model's records are in the DataStore that was said for it.

    *default*: gives the DataStore of models for which none was said; asked when it is first needed.
    """

    def __init__(self, default: Callable[[], DataStore]) -> None:
        self._default = default
        self._models: dict[type, tuple[Model, DataStore | None]] = {}

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

    def __call__(self, reason: str = "") -> UnitOfWork:
        """`with storage("why") as db:` or `async with`: all that is done to *db* happens at the end, or not at all.

        *reason* is kept with the transaction. Inside another unit of this storage it joins that one.
        """
        return UnitOfWork(self, self._find, reason)

    unit = __call__

    def _find(self, cls: type) -> tuple[Model, RecordStore]:
        known = self._models.get(cls)
        if known is None:
            known = self._loaded_anew(cls)
        model, storage = known
        return model, (storage or self._default()).storage.records

    def _loaded_anew(self, cls: type) -> tuple[Model, DataStore | None]:
        for other, known in self._models.items():
            if isinstance(cls, type) and _path(other) == _path(cls):
                return known
        name = getattr(cls, "__name__", repr(cls))
        raise exc.StoreError(f"{name} is not known as a model; say add_model({name}) or add_storage(storage, {name}).")


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
