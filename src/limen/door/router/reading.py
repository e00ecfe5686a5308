"""A router's configuration from its file: read as a whole, checked as a whole.

    settings, remarks = read("router.toml")        raises `Mistakes`, all of them, each with its place

*remarks* are no mistakes: what somebody who reads the file as an enemy would be glad of.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path as File

from limen import exc

from .checking import WRONG, Mistake, Notes, is_open, table
from .config import Settings
from .places import Places
from .sound import look


class Mistakes(exc.InvalidCall):
    """The configuration has mistakes. *mistakes*: each with its place."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistake.show(file) for mistake in mistakes))


def read(file: str) -> tuple[Settings, list[str]]:
    """What the TOML *file* says, and remarks on it, a line each. Paths in it are taken from its own folder on."""
    try:
        text = File(file).read_bytes().decode()
    except OSError as error:
        raise Mistakes(file, [Mistake(0, "", f"it can't be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise Mistakes(file, [Mistake(0, "", "it is not UTF-8")]) from None
    settings, notes = check(text, str(File(file).parent))
    if any("in the configuration itself" in remark.what for remark in notes.remarks) and is_open(file):
        notes.remarks.append(
            Mistake(0, "", f"everybody on this machine can read it, secrets and all: chmod 600 {file}")
        )
    if settings is None:
        raise Mistakes(file, sorted(notes.mistakes))
    return settings, [remark.show(file) for remark in sorted(notes.remarks)]


def check(text: str, folder: str = ".") -> tuple[Settings | None, Notes]:
    """What *text* says; None where it has mistakes. *folder*: where relative paths begin."""
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, _unreadable(str(error))
    notes = Notes(data, Places(text), folder)
    settings = table(Settings, data, notes)
    if settings is not WRONG:
        settings = look(settings, notes)
    return (None if notes.mistakes else settings), notes


def _unreadable(said: str) -> Notes:
    notes = Notes({}, Places(""))
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", said)
    line = int(found[1]) if found is not None and found[1] else 0
    what = said[: found.start()] if found is not None else said
    notes.mistakes.append(Mistake(line, "", f"this is not TOML: {what}{'' if line else ' at the end'}"))
    return notes
