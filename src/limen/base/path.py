"""Path: where something stands in the one tree, and what it counts its own addresses from.

    third       test.third              an address: dotted, from the root
    @third      test.third              counted from the path's base, here `test`
    #view       where the view is       by its role; resolvers know where that stands

A path that is made without a base is its own base; what is below it keeps that base:

    >>> base = Path("test")
    >>> first = base + "first"
    >>> first, first.resolve("@third"), first.resolve("other.place")
    (Path('test.first', 'test'), Path('test.third', 'test'), Path('other.place'))

Paths are immutable and interned: the same address with the same base is the same object. Two that differ in their base
alone are equal: they are one place. `vectors/paths.json` decides, in Python and in JavaScript.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NoReturn, TypeAlias, overload
from unicodedata import category
from weakref import WeakValueDictionary

from limen import exc

MAX_PATH: Final = 1024
"""Characters of an address."""

_PLAIN: Final = re.compile(r"[!-~]+", re.ASCII)
_MARKS: Final = {"/": "a slash", "\\": "a backslash", "?": "a question mark", "#": "a number sign"}

Resolver: TypeAlias = "Callable[[str, Path], Path | str | None]"
"""Says where a role stands, seen from a path: `resolver("view", path)`; None: ask the next one."""


class Path:
    """The address *path*: dotted, its parts one by one, or another path.

    *base*: what `@…` is counted from; without one the path is its own base. A *path* that begins with the base is whole
    already; any other is put below it, as is `@…`. Raises `exc.InvalidAddress`, which says which part and why.

        >>> Path("first", "test"), Path("test.first", "test"), Path("@test", "test")
        (Path('test.first', 'test'), Path('test.first', 'test'), Path('test.test', 'test'))
        >>> Path("test.first") is Path(["test", "first"]), Path("test.first") == Path("first", "test")
        (True, True)
        >>> Path("test..first")
        Traceback (most recent call last):
        limen.exc.InvalidAddress: Part 2 of "test..first" is empty.
    """

    __slots__ = ("__weakref__", "_hash", "_depth", "parts")  # noqa: RUF023

    parts: tuple[str, ...]
    """The names from the root."""
    _depth: int  # how many of the parts are the base's: a reference to itself would keep each path alive
    _hash: int

    def __new__(cls, path: Path | str | Iterable[str], base: Path | str | Iterable[str] | None = None) -> Path:
        if base is None:
            if isinstance(path, Path):
                return path
            text, parts = _read(path)
            if parts[0][:1] == "@":
                raise _no_address(text, f"{quoted(parts[0])} is counted from a base, and there is none.")
            return _interned(_checked(parts, text), len(parts))
        stem = Path(base).parts
        if isinstance(path, Path):
            parts = path.parts
        else:
            text, parts = _read(path)
            if parts[0][:1] == "@":
                return _interned(stem + _from_base(parts, text), len(stem))
            parts = _checked(parts, text)
        whole = parts if parts[: len(stem)] == stem else stem + parts
        return _interned(whole, len(stem))

    @property
    def base(self) -> Path:
        """What `@…` is counted from."""
        return self if self._depth == len(self.parts) else _interned(self.parts[: self._depth], self._depth)

    @property
    def absolute(self) -> Path:
        """The same place as its own base."""
        return _interned(self.parts, len(self.parts))

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1]

    @property
    def parent(self) -> Path | None:
        """The path above, with the same base as long as it is not above that; None at the root.

        >>> Path("a.b.c", "a").parent, Path("a").parent
        (Path('a.b', 'a'), None)
        """
        above = self.parts[:-1]
        return _interned(above, min(self._depth, len(above))) if above else None

    def resolve(self, address: Path | str | Iterable[str], *resolvers: Resolver) -> Path:
        """Where *address* leads, seen from here. The base stays while the place is below it.

        The resolvers are asked for the role of `#role` or `#role.name` in turn; the first answer that is not None wins.
        Raises `exc.InvalidAddress` where nobody knows the role.

            >>> view = lambda role, path: path.base + "window" if role == "view" else None
            >>> (Path("test") + "first").resolve("#view.title", view)
            Path('test.window.title', 'test')
        """
        if isinstance(address, Path):
            return address
        text, parts = _read(address)
        mark = parts[0][:1]
        if mark == "@":
            return _interned(self.parts[: self._depth] + _from_base(parts, text), self._depth)
        if mark == "#":
            return self._by_role(parts, text, resolvers)
        parts = _checked(parts, text)
        below = parts[: self._depth] == self.parts[: self._depth]
        return _interned(parts, self._depth if below else len(parts))

    def _by_role(self, parts: tuple[str, ...], text: str, resolvers: tuple[Resolver, ...]) -> Path:
        role, rest = parts[0][1:], _checked(parts[1:], text, 2)
        _checked((role,), text)
        for resolver in resolvers:
            answer = resolver(role, self)
            if answer is not None:
                # An answer that is a role again finds no resolvers: roles do not lead to each other in a circle.
                found = self.resolve(answer)
                return _interned(found.parts + rest, found._depth)
        raise _no_address(text, f'nobody here knows the role "{role}".')

    def __add__(self, more: Path | str | Iterable[str]) -> Path:
        """The path *more* below this one; the base stays."""
        if isinstance(more, Path):
            return _interned(self.parts + more.parts, self._depth)
        text, parts = _read(more)
        if parts[0][:1] in ("@", "#"):
            raise _no_address(text, "it does not say what is below; resolve() it.")
        return _interned(self.parts + _checked(parts, text), self._depth)

    def __eq__(self, other: object) -> bool:
        return self is other or (self.parts == other.parts if isinstance(other, Path) else NotImplemented)

    def __hash__(self) -> int:
        return self._hash

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.parts[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __str__(self) -> str:
        return ".".join(self.parts)

    def __repr__(self) -> str:
        base = "" if self._depth == len(self.parts) else f", {'.'.join(self.parts[: self._depth])!r}"
        return f"Path({str(self)!r}{base})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"A path does not change: {name!r} cannot be set.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"A path does not change: {name!r} cannot be deleted.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _interned, (self.parts, self._depth)


_PATHS: WeakValueDictionary[tuple[tuple[str, ...], int], Path] = WeakValueDictionary()


def _interned(parts: tuple[str, ...], depth: int) -> Path:
    """The one path of *parts*, which are known to be valid, whose base are the first *depth* of them."""
    found = _PATHS.get((parts, depth))
    if found is not None:
        return found
    if sum(map(len, parts)) + len(parts) - 1 > MAX_PATH:
        raise _no_address(".".join(parts), f"it is longer than {MAX_PATH} characters.")
    made = object.__new__(Path)
    for name, value in (("parts", parts), ("_depth", depth), ("_hash", hash(parts))):
        object.__setattr__(made, name, value)
    return _PATHS.setdefault((parts, depth), made)  # another thread may have been quicker


def _read(address: str | Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """An address as it is spelt, and its parts, not looked at yet."""
    if isinstance(address, str):
        text, parts = address, tuple(address.split("."))
    else:
        parts = tuple(address)
        text = ".".join(parts)
    if not text:
        raise exc.InvalidAddress("An address has at least one part; this one is empty.")
    return text, parts


def _from_base(parts: tuple[str, ...], text: str) -> tuple[str, ...]:
    """What comes after the base in `@…`; nothing for `@` alone."""
    return () if parts == ("@",) else _checked((parts[0][1:], *parts[1:]), text)


def _checked(parts: tuple[str, ...], text: str, first: int = 1) -> tuple[str, ...]:
    """*parts*, if each can be a part; *first*: the number of the first one in *text*."""
    for number, part in enumerate(parts, first):
        why = _why_not(part)
        if why:
            raise exc.InvalidAddress(f"Part {number} of {quoted(text)} {why}.")
    return parts


def _why_not(part: str) -> str:
    """Why *part* cannot be a part of an address; nothing if it can."""
    if not part:
        return "is empty"
    if part[0] == "@":
        return 'begins with "@", which counts from the base and stands at the beginning alone'
    for mark, words in _MARKS.items():
        if mark in part:
            return f"holds {words}"
    if "." in part:
        return "holds a dot"
    if _PLAIN.fullmatch(part):
        return ""
    for character in part:
        kind = category(character)
        if kind[0] == "Z" or character == "\ufeff":
            return "holds a space"
        if kind == "Cc":
            return "holds a control character"
        if kind == "Cs":
            return "holds half a character (a lone surrogate)"
    return ""


def quoted(text: str) -> str:
    """*text* in a sentence that tells of it: cut, without what cannot be written."""
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    return json.dumps(text if len(text) <= 80 else text[:80] + "…", ensure_ascii=False)


def _no_address(text: str, why: str) -> exc.InvalidAddress:
    return exc.InvalidAddress(f"{quoted(text)} is no address: {why}")
