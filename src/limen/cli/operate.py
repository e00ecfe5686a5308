"""How `limen user` and `limen abuse` reach the data: over the running server's socket, or by opening the file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from limen import exc
from limen.app.app import App
from limen.app.control import ask
from limen.app.operations import operations
from limen.app.vault import database_path, own_path, socket_path
from limen.store import keyfile
from limen.store.settings import Settings


@contextlib.contextmanager
def operator(db: str, keys: str | None, *, make: bool = False, running: bool = False) -> Iterator[Callable[..., Any]]:
    """A function `operate(name, **arguments)` for the store *db*; open for the length of the block.

    Raises `StoreError` where there is no such database, unless *make* says that one may be made; `ConnectionLost` where
    *running* asks for a server and none runs.
    """
    if not make and is_missing(db):
        raise exc.StoreError(f"There is no database at {db}; `limen serve` and `limen user add` make one.")
    path = socket_path(db, keys or "")
    if path is not None and path.exists():
        try:
            ask(path, "user.list")
        except exc.ConnectionLost:
            pass  # the socket of a server that died
        else:
            yield lambda operation, /, **arguments: ask(path, operation, **arguments)
            return
    if running:
        raise exc.ConnectionLost(f"No server runs on {db}.")
    app = App()
    app.config.DB = db
    app.config.KEYS = keys or ""
    with app.vault.claimed():
        table = operations(app)
        app.vault.load_ledger()
        yield lambda operation, /, **arguments: table[operation](**arguments)


@contextlib.contextmanager
def program(target: str, db: str | None, keys: str | None) -> Iterator[Callable[..., Any]]:
    """A function `operate` for the program *target* on its store, or on *db*, which no server may have."""
    import limen

    from .target import apply, load

    apply(limen.default, (), db, keys, False)
    app = load(target)
    if app is not limen.default:
        apply(app, (), db, keys, False)
    with app.vault.claimed():
        app.permissions.load()
        app.vault.load_ledger()
        table = operations(app)
        yield lambda operation, /, **arguments: table[operation](**arguments)


def is_missing(db: str) -> bool:
    """The URL *db* names a file, and it is not there."""
    path = database_path(db)
    return path is not None and not path.exists()


def new_keys(db: str, keys: str | None) -> Path:
    """Makes a new key file for the store *db*; gives its path. Raises `StoreError` where one lies there."""
    from limen.dbm import SQLStore

    store, path = SQLStore(db), own_path(db)
    with store.claim():
        keyfile.new_keys(Settings(store.records), path, keys or "")
    made = keyfile.keys_path(path, keys or "")
    assert made is not None  # new_keys() has refused a store in memory
    return made
