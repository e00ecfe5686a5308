"""Where in a TOML file something stands: the parser tells what a file says, and not where.

>>> places = Places('[[realm]]\\nname = "realm1"\\n\\n[[realm.role]]\\nname = "guest"\\nrule = [\\n {uri = ""},\\n]')
>>> places.line(("realm", 0, "name")), places.line(("realm", 0, "role", 0)), places.line(("realm", 0, "missing"))
(2, 4, 1)
>>> places.line(("realm", 0, "role", 0, "rule", 0, "uri"))
7
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys, and numbers of the elements of arrays from 0."""

_TOKEN: Final = re.compile(
    r"""(?P<string>\"{3}(?:\\.|[^\\])*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    r"""|(?P<comment>\#[^\n]*)|(?P<newline>\n)|(?P<mark>[\[\]{},=.])|(?P<space>[ \t\r]+)"""
    r"""|(?P<bare>[^\s\[\]{},=."'#]+)""",
    re.DOTALL,
)


class Places:
    """Of a *text* that is TOML."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {(): 1}
        self._tokens: list[tuple[str, str, int]] = []
        number = 1
        for token in _TOKEN.finditer(text):
            kind, said = token.lastgroup or "", token[0]
            if kind not in ("comment", "space"):
                self._tokens.append((kind, said, number))
            number += said.count("\n")
        self._at = 0
        self._counts: dict[Path, int] = {}
        self._read()

    def line(self, path: Path) -> int:
        """The line of what stands there, or of what it would stand in."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    # -- reading: what is well formed is known already --------------------------------------------------------------
    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> tuple[str, str, int]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _read(self) -> None:
        table: Path = ()
        while self._peek():
            if self._peek() == "\n":
                self._next()
            elif self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line = self._next()[2]
        array = self._peek() == "["
        if array:
            self._next()
        *parents, last = self._key("]")
        path: Path = ()
        for part in parents:
            path = (*path, part)
            self._lines.setdefault(path, line)
            path = self._inside(path)
        path = (*path, last)
        if array:
            self._counts[path] = self._counts.get(path, 0) + 1
            self._lines.setdefault(path, line)
        path = self._inside(path)
        self._lines[path] = line
        while self._peek() not in ("\n", ""):
            self._next()
        return path

    def _inside(self, path: Path) -> Path:
        """Of an array of tables, the last one."""
        return (*path, self._counts[path] - 1) if path in self._counts else path

    def _key(self, end: str) -> list[str]:
        parts = []
        while self._peek() not in (end, ""):
            kind, said, _ = self._next()
            if said != ".":
                parts.append(said[1:-1] if kind == "string" else said)
        self._next()
        return parts

    def _pair(self, table: Path) -> None:
        line = self._tokens[self._at][2]
        path = table
        for part in self._key("="):
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._value(path)

    def _value(self, path: Path) -> None:
        said = self._next()[1]
        if said == "[":
            self._array(path)
        elif said == "{":
            self._skip()
            while self._peek() not in ("}", ""):
                self._pair(path)
                self._skip()
            self._next()
        else:
            while self._peek() not in ("\n", ",", "]", "}", ""):  # 1.5 and 12:30 are several tokens
                self._next()

    def _array(self, path: Path) -> None:
        number = 0
        self._skip()
        while self._peek() not in ("]", ""):
            self._lines[*path, number] = self._tokens[self._at][2]
            self._value((*path, number))
            number += 1
            self._skip()
        self._next()

    def _skip(self) -> None:
        """Commas and line breaks between elements."""
        while self._peek() in ("\n", ","):
            self._next()
