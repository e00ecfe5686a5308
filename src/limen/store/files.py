"""Small files that must be whole: made once, or replaced at one stroke; on the disk when the call returns."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from limen import exc


def make_private(path: Path, text: str) -> bool:
    """Makes *path*, for its owner only (0600). False, and nothing is done, where something is there already.

    Raises `StoreError` where it can't be made.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise exc.StoreError(f"{path} can't be made: {error.strerror}.") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)  # half a key file would be taken for a damaged one
        raise exc.StoreError(f"{path} can't be written: {error.strerror}.") from None
    sync_folder(path.parent)
    return True


def replace_private(path: Path, text: str) -> None:
    """Puts *text* in place of what *path* held. A reader, and a machine that stops, sees the old or the new, no half.

    Raises `StoreError` where it can't be written; then the old is still there.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    make_private(fresh, text)
    try:
        os.replace(fresh, path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise exc.StoreError(f"{path} can't be written: {error.strerror}.") from None
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes sure that the names in *folder* are on the disk."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return  # not every system lets a folder be opened
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
