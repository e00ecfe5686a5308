"""Credentials files: how a program comes in without a person (`limen key new` makes them).

async with limen.connect("https://clinic.example", key="robot.key") as session: …
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from limen import exc
from limen.core.seal import machine
from limen.core.seal.machine import Credentials

__all__ = ["Credentials", "read"]

log = logging.getLogger("limen.client")


def read(source: str | os.PathLike[str] | Credentials, kind: str = "x25519") -> Credentials:
    """The credentials in the file *source* (or *source* itself), which must be of *kind*.

    Raises `exc.InvalidCredential` where there is no such file, or another one. Warns in the log where others may read
    it.
    """
    found = source if isinstance(source, Credentials) else _read(Path(source))
    if found.kind != kind:
        raise exc.InvalidCredential(f"This needs a key of kind {kind}; the one of {found.user!r} is of {found.kind}.")
    return found


def _read(path: Path) -> Credentials:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1 << 16)
    except OSError as error:
        raise exc.InvalidCredential(f"The credentials file {path} can't be read: {error.strerror}.") from None
    if mode & 0o077 and os.name == "posix":
        log.warning("Others may read the credentials file %s: chmod 600 %s.", path, path)
    try:
        return machine.load(text)
    except exc.InvalidCredential as error:
        raise exc.InvalidCredential(f"{path}: {error}") from None
