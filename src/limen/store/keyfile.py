"""The key file: the secrets that make a stolen database worth nothing to a guesser (docs/security.md, "Keys at rest").

It lies beside the SQLite file (`todo.db.keys`), for PostgreSQL in the working folder (`todo.keys`), or where `--keys`
says; only its owner may read it, and it may be read-only. Servers that share a database have the same. The database
keeps the keys' fingerprints, so that a missing or foreign key file is noticed at start. A new one is made for a new
database only; never in place of one that is missing.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

from limen import exc
from limen.core.guard.accounts import MetaStore
from limen.core.seal.keys import SECRET, BadKeys, KeyRing

from .files import make_private

log = logging.getLogger("limen")
FINGERPRINTS = "fingerprints"
_LOST = (
    "If it is lost for good, all passwords must be set anew: move the file away if there is one, make new keys with "
    "`limen keys new`, then `limen user passwd` for everyone."
)


def keys_path(database: Path | None, keys: str) -> Path | None:
    """Where the key file lies: *keys* if it is named, else beside *database*; None where keys stay in the process.

    >>> keys_path(Path("todo.db"), ""), keys_path(Path("todo.db"), "my.keys"), keys_path(None, "")
    (PosixPath('todo.db.keys'), PosixPath('my.keys'), None)
    """
    if keys:
        return Path(keys)
    return database.with_name(database.name + ".keys") if database is not None else None


def open_keys(
    meta: MetaStore, database: Path | None, keys: str = "", entropy: Callable[[int], bytes] = os.urandom
) -> KeyRing:
    """The keys of a database; made, with its key file, the first time.

    *meta*: of the store whose accounts these keys are for. *database*: its SQLite file, or the path that its files are
    named after. *keys*: path of the key
    file, '' for the usual place. Without either the keys live and end with this process.

    Raises `StoreError` where the key file is missing, damaged, unreadable, or not the one that the passwords of this
    database were set with.
    """
    path = keys_path(database, keys)
    if path is None:
        return KeyRing({1: entropy(SECRET)})
    kept = meta.get(FINGERPRINTS)
    known = _fingerprints(kept)
    text = _read(path)
    if text is None:
        if known:
            raise exc.StoreError(
                f"The key file {path} of this database is missing, and nobody can log in without it: put it back, or "
                f"name its place with --keys. {_LOST}"
            )
        ring = KeyRing({1: entropy(SECRET)})
        if not make_private(path, ring.dump()):
            return open_keys(meta, database, keys, entropy)  # another process was quicker
    else:
        ring = _load(path, text)
    for number, fingerprint in known.items():
        if number not in ring or ring.fingerprint(number) != fingerprint:
            raise exc.StoreError(
                f"The key file {path} is not the one of this database: key {number} "
                f"{'is another' if number in ring else 'is not in it'}. Nobody whose password was set with that key "
                f"could log in: put the right file there. {_LOST}"
            )
    if ring.fingerprints != known and not meta.swap(FINGERPRINTS, kept, json.dumps(ring.fingerprints)):
        return open_keys(
            meta, database, keys, entropy
        )  # a server on another machine was quicker: it must have the same
    return ring


def new_keys(
    meta: MetaStore, database: Path | None, keys: str = "", entropy: Callable[[int], bytes] = os.urandom
) -> KeyRing:
    """Makes a new key file for a database whose key file is lost. All passwords must be set anew.

    The new key has a number that was never used, so that no record of an account can be taken for one of its own.
    Raises `StoreError` where a key file lies there: move it away first.
    """
    path = keys_path(database, keys)
    if path is None:
        raise exc.StoreError("A store in memory has no key file.")
    ring = KeyRing({max(_fingerprints(meta.get(FINGERPRINTS)), default=0) + 1: entropy(SECRET)})
    if not make_private(path, ring.dump()):
        raise exc.StoreError(f"There is a key file {path}; new keys do not overwrite it. Move it away first.")
    meta.set(FINGERPRINTS, json.dumps(ring.fingerprints))
    return ring


def _read(path: Path) -> str | None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            log.warning("others may read the key file %s (mode %04o); say: chmod 600 %s", path, mode, path)
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise exc.StoreError(f"The key file {path} can't be read: {error}.") from None


def _load(path: Path, text: str) -> KeyRing:
    try:
        return KeyRing.load(text)
    except BadKeys as error:
        raise exc.StoreError(f"{path}: {error}.") from None


def _fingerprints(kept: str | None) -> dict[int, str]:
    try:
        return {int(number): str(text) for number, text in json.loads(kept or "{}").items()}
    except (ValueError, AttributeError):
        raise exc.StoreError("The fingerprints of the keys in this database are damaged.") from None
