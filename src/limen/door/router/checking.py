"""From what a TOML file says to structs: every mistake is found, none ends the search.

Of a table with a mistake all is used that has none; what can't do without the wrong key is left out, so that one
mistake is told once.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path as File
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec import inspect as kinds

from .config import Secret
from .places import Path, Places

T = TypeVar("T")

WRONG: Final = object()
"""What a value is that has a mistake."""


class Mistake(Struct, frozen=True, order=True):
    """*line*: of the file, 0 where it is none's. *key*: where in the file's tables. *what*: what is wrong, and what to
    write."""

    line: int
    key: str
    what: str

    def show(self, file: str) -> str:
        """One line of text.

        >>> Mistake(3, "realm[1].name", "a realm needs a name").show("router.toml")
        'router.toml:3: realm[1].name: a realm needs a name'
        """
        place = f"{file}:{self.line}" if self.line else file
        return f"{place}: {self.key}: {self.what}" if self.key else f"{place}: {self.what}"


class Notes:
    """Collects mistakes, and remarks: what is no mistake and should be known. *folder*: the configuration file's."""

    def __init__(self, data: Mapping[str, Any], places: Places, folder: str = ".") -> None:
        self._data, self._places, self.folder = data, places, folder
        self.numbers: dict[Path, list[int]] = {}
        """Of each array, which elements are used: those without a mistake."""
        self._hurt: set[Path] = set()
        self.mistakes: list[Mistake] = []
        self.remarks: list[Mistake] = []

    def wrong(self, path: Path, what: str) -> Any:
        self.mistakes.append(Mistake(self._places.line(path), self.shown(path), what))
        self._hurt.update(path[:size] for size in range(len(path) + 1))
        return WRONG

    def sound(self, path: Path) -> bool:
        """There is no mistake yet in what stands at *path*."""
        return path not in self._hurt

    def each(self, items: Iterable[T], path: Path) -> Iterator[tuple[T, Path]]:
        """*items* of the array at *path*, and where each stands."""
        return ((item, (*path, number)) for item, number in zip(items, self.numbers.get(path, ()), strict=False))

    def names(self, path: Path) -> set[str]:
        """What the tables of the array at *path* are called, those with mistakes too."""
        at: Any = self._data
        for part in path:
            at = at[part] if type(part) is int else at.get(part, [])
        at = [at] if isinstance(at, dict) else at if isinstance(at, list) else []
        return {one["name"] for one in at if isinstance(one, dict) and isinstance(one.get("name"), str)}

    def remark(self, path: Path, what: str) -> None:
        self.remarks.append(Mistake(self._places.line(path), self.shown(path), what))

    def shown(self, path: Path) -> str:
        """*path* as people read it: elements of arrays by their name, else by number from 1."""
        text, at = "", self._data
        for part in path:
            try:
                at = at[part]  # type: ignore[index]  # a table, or an array
            except (LookupError, TypeError):
                at = {}
            if type(part) is int:
                name = at.get("name") if isinstance(at, dict) else None
                text += f"[{name if isinstance(name, str) else part + 1}]"
            else:
                text += f".{part}" if text else str(part)
        return text

    def file(self, name: str) -> str:
        """The path of a file that the configuration names: from its own folder on."""
        return os.path.join(self.folder, os.path.expanduser(name))


def table(cls: type[Struct], data: Mapping[str, Any], notes: Notes, path: Path = ()) -> Any:
    """*data* as a *cls*, or WRONG."""
    return _table(kinds.type_info(cls), data, notes, path)


def _value(kind: kinds.Type, value: Any, notes: Notes, path: Path) -> Any:
    match kind:
        case kinds.StructType(cls=cls) if cls is Secret:
            return _secret(value, notes, path)
        case kinds.StructType():
            if type(value) is not dict:
                return notes.wrong(path, f"this is a table, not {_kind_of(value)}: [{_header(path)}] or {{…}}")
            return _table(kind, value, notes, path)
        case kinds.UnionType():
            return _value(next(one for one in kind.types if type(one) is not kinds.NoneType), value, notes, path)
        case kinds.VarTupleType():
            return _array(kind, value, notes, path)
        case _:
            return _plain(kind, value, notes, path)


def _table(kind: Any, data: Mapping[str, Any], notes: Notes, path: Path) -> Any:
    fields = {field.encode_name: field for field in kind.fields}
    for key in data.keys() - fields.keys():
        near = get_close_matches(key, [name for name in fields if name not in data], 1, 0.65)
        hint = f"did you mean {near[0]}?" if near else f"here are: {', '.join(fields)}"
        notes.wrong((*path, key), f"there is no such key; {hint}")
    values, whole = {}, True
    for key, field in fields.items():
        if key in data:
            value = _value(field.type, data[key], notes, (*path, key))
            if value is not WRONG:
                values[field.name] = value
            elif field.required:
                whole = False
        elif field.required:
            example = _example(field.type)
            notes.wrong(path, f"{key} is missing: {key} = {example}")
            whole = False
    return kind.cls(**values) if whole else WRONG


def _array(kind: kinds.VarTupleType, value: Any, notes: Notes, path: Path) -> Any:
    if type(value) is not list:
        if type(kind.item_type) is kinds.StructType:
            return notes.wrong(path, f"there may be several: [[{_header(path)}]], not {_said(value)}")
        shown = f'["{value}"]' if isinstance(value, str) else f"[{_example(kind.item_type)}]"
        return notes.wrong(path, f"this is a list: {shown}, not {_said(value)}")
    if kind.min_length and len(value) < kind.min_length:
        return notes.wrong(path, f"there must be one at least: [{_example(kind.item_type)}]")
    found = [_value(kind.item_type, item, notes, (*path, number)) for number, item in enumerate(value)]
    notes.numbers[path] = [number for number, item in enumerate(found) if item is not WRONG]
    return tuple(item for item in found if item is not WRONG)


def _plain(kind: Any, value: Any, notes: Notes, path: Path) -> Any:
    expected, fits = _PLAIN[type(kind)](kind, value)
    if fits:
        return float(value) if type(kind) is kinds.FloatType else value
    hint = ""
    if type(kind) is kinds.LiteralType and isinstance(value, str):
        near = get_close_matches(value, [one for one in kind.values if isinstance(one, str)], 1, 0.5)
        hint = f'; did you mean "{near[0]}"?' if near else ""
    return notes.wrong(path, f"{_said(value)} is not {expected}{hint}")


def _text(kind: Any, value: Any) -> tuple[str, bool]:
    least, most = kind.min_length or 0, kind.max_length
    expected = "a text" if kind.pattern is None else f"a text like {_EXAMPLES.get(kind.pattern, kind.pattern)}"
    if least:
        expected += f" of {least} to {most} characters" if most else ""
    fits = type(value) is str and len(value) >= least and (most is None or len(value) <= most)
    return expected, fits and (kind.pattern is None or re.search(kind.pattern, value) is not None)


def _number(kind: Any, value: Any) -> tuple[str, bool]:
    whole = type(kind) is kinds.IntType
    bounds = []
    if kind.ge is not None or kind.gt is not None:
        bounds.append(f"from {kind.ge:g}" if kind.ge is not None else f"above {kind.gt:g}")
    if kind.le is not None:
        bounds.append(f"to {kind.le:g}" if kind.le < 10**6 else f"to {kind.le}")
    expected = " ".join(["a whole number" if whole else "a number", *bounds])
    if type(value) is not int and (whole or type(value) is not float):
        return expected, False
    fits = (kind.ge is None or value >= kind.ge) and (kind.gt is None or value > kind.gt)
    return expected, fits and (kind.le is None or value <= kind.le)


_PLAIN: Final[dict[type[Any], Callable[[Any, Any], tuple[str, bool]]]] = {
    kinds.StrType: _text,
    kinds.IntType: _number,
    kinds.FloatType: _number,
    kinds.BoolType: lambda kind, value: ("true or false", type(value) is bool),
    kinds.LiteralType: lambda kind, value: (
        "one of " + ", ".join(f'"{one}"' for one in kind.values),
        isinstance(value, str) and value in kind.values,
    ),
}
"""What is expected, and whether a value fits."""
_EXAMPLES: Final = {"^0?[0-7]{3}$": '"660"'}


def _secret(value: Any, notes: Notes, path: Path) -> Any:
    if type(value) is str and value:
        notes.remark(path, "a secret stands in the configuration itself; {file = …} or {env = …} keep it out of it")
        return Secret(value=value)
    if type(value) is not dict or len(value) != 1 or not {"file", "env"} & value.keys():
        return notes.wrong(path, 'a secret is {file = "its.file"} or {env = "ITS_VARIABLE"}, or the text itself')
    ((kind, name),) = value.items()
    if type(name) is not str or not name:
        return notes.wrong((*path, kind), "this is the name of a " + ("file" if kind == "file" else "variable"))
    said = os.environ.get(name) if kind == "env" else _read(notes, (*path, kind), name)
    if said is None:
        return notes.wrong((*path, kind), f"the environment has no variable {name}")
    if said == "":
        return notes.wrong((*path, kind), f"{name} is empty: no secret is")
    return said if said is WRONG else Secret(value=said)


def _read(notes: Notes, path: Path, name: str) -> Any:
    file = notes.file(name)
    try:
        text = File(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return notes.wrong(path, f"{file} can't be read: {why}")
    if is_open(file):
        notes.remark(path, f"everybody on this machine can read {file}: chmod 600 {file}")
    return text.removesuffix("\n").removesuffix("\r")


def is_open(file: str) -> bool:
    """Others than its owner and group can read *file*."""
    return bool(os.stat(file).st_mode & stat.S_IROTH)


# -- how it is said ---------------------------------------------------------------------------------------------------
def _kind_of(value: Any) -> str:
    """What *value* is, without what it says: where a table of a login's method is to be, it may be the secret."""
    return "a text" if isinstance(value, str) else _said(value)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value[:60]}"' if len(value) <= 60 else f'"{value[:60]}…"'
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else str(value)


def _example(kind: kinds.Type) -> str:
    match kind:
        case kinds.LiteralType():
            return f'"{kind.values[0]}"'
        case kinds.IntType() | kinds.FloatType():
            return "1"
        case kinds.VarTupleType():
            return f"[{_example(kind.item_type)}]"
        case kinds.StructType():
            return "{…}"
    return '"…"'


def _header(path: Path) -> str:
    return ".".join(part for part in path if isinstance(part, str))
