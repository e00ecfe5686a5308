"""What a failure looked like, for whoever mends it: the frames of its traceback with source and variables.

Only in development: the pipeline puts it into the `InternalError` that leaves the server, and the page shows it
(`js/src/dev.js`). What looks like a secret by its name is left out even there.
"""

from __future__ import annotations

import linecache
import os
import re
import reprlib
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

AROUND: Final = 5
"""Lines of source shown before and behind the one that failed."""
MOST_FRAMES: Final = 30
MOST_VARIABLES: Final = 40
_SECRET: Final = re.compile(r"pass(word|wd|phrase)?$|secret|token|private|credential|(^|_)(key|pin|auth)s?($|_)", re.I)
_OURS: Final = str(Path(__file__).parent.parent) + os.sep

_repr: Final = reprlib.Repr()
_repr.maxstring = _repr.maxother = 160
_repr.maxlist = _repr.maxtuple = _repr.maxdict = _repr.maxset = 12
_repr.maxlevel = 4


def frames(trace: TracebackType | None) -> list[dict[str, Any]]:
    """The frames of *trace* from the program's first one on, the one that failed last, at most MOST_FRAMES; JSON-like.

    Each has `file` (as short as it is clear), `line`, `function`, `first` (the number of the first line of `source`),
    `source` (texts), `own` (it is of the program, not of Limen or a library) and, if so, `variables` (name to text).

    >>> try:
    ...     password, shelf = "lovelace", {}
    ...     shelf["milk"]
    ... except KeyError as error:
    ...     found = frames(error.__traceback__)
    >>> found[-1]["variables"]["shelf"], found[-1]["variables"]["password"]
    ('{}', '…')
    """
    found: list[dict[str, Any]] = []
    while trace is not None:
        found.append(_frame(trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    while len(found) > 1 and not found[0]["own"]:
        del found[0]
    return found[-MOST_FRAMES:]


def _frame(frame: FrameType, line: int) -> dict[str, Any]:
    path = frame.f_code.co_filename
    own = not path.startswith((_OURS, "<frozen ")) and f"{os.sep}site-packages{os.sep}" not in path
    first = max(1, line - AROUND)
    lines = [linecache.getline(path, number, frame.f_globals) for number in range(first, line + AROUND + 1)]
    while lines and not lines[-1]:
        lines.pop()
    return {
        "file": _short(path),
        "line": line,
        "function": frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else frame.f_code.co_name,
        "first": first,
        "source": [text.rstrip("\n") for text in lines],
        "own": own,
        **({"variables": _variables(frame)} if own else {}),
    }


def _variables(frame: FrameType) -> dict[str, str]:
    at_module = frame.f_code.co_name == "<module>"  # its variables are the module's names, mostly imports
    found: dict[str, str] = {}
    for name, value in frame.f_locals.items():
        if name.startswith("__") or (at_module and callable(value)):
            continue
        if len(found) >= MOST_VARIABLES:
            found["…"] = "and others"
            break
        found[name] = "…" if _SECRET.search(name) else _repr.repr(value)
    return found


def _short(path: str) -> str:
    """*path* from the working folder, or from where packages are installed."""
    _, packages, rest = path.rpartition(f"{os.sep}site-packages{os.sep}")
    if packages:
        return rest
    if path.startswith(_OURS):
        return os.path.join("limen", path[len(_OURS) :])
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if relative.startswith("..") else relative
