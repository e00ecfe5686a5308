"""`multipart/form-data` (RFC 7578) while it comes: pieces of a body in, parts and their bytes out. No I/O.

    form = Multipart(b"x")
    for event in form.feed(piece): ...        # a Part, then bytes of it, then the next Part
    form.finish()

What it holds back is at most one boundary and the head of one part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from limen.base.parameters import parameters

MAX_HEAD: Final = 4096
"""Bytes of the head of one part."""
MAX_BOUNDARY: Final = 70
"""RFC 2046, 5.1.1."""


class BrokenForm(ValueError):
    """These bytes are no form; the message says what is wrong."""


class TooManyParts(ValueError):
    """The form has more parts than are taken."""


@dataclass(frozen=True, slots=True)
class Part:
    """What the head of a part says. *filename*: None for a field that is text."""

    name: str
    filename: str | None
    content_type: str


class Multipart:
    """A form with *boundary*, of at most *most* parts.

    >>> form = Multipart(b"x")
    >>> list(form.feed(b'--x\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n1\\r'))
    [Part(name='a', filename=None, content_type=''), b'1']
    >>> list(form.feed(b'\\n--x--\\r\\n')), form.finish()
    ([], None)
    """

    def __init__(self, boundary: bytes | None, most: int = 1000) -> None:
        if not boundary or len(boundary) > MAX_BOUNDARY:
            raise BrokenForm("The form names no boundary.")
        self._delimiter = b"\r\n--" + boundary
        self._rest = b"\r\n"  # the first boundary may stand at the very beginning
        self._left = most
        self._step: Callable[[], tuple[Part | bytes | None, bool]] = self._before

    def feed(self, data: bytes) -> Iterator[Part | bytes]:
        """What the next piece of the body holds. Raises `BrokenForm`, `TooManyParts`."""
        self._rest = self._rest + data if self._rest else data
        while True:
            found, more = self._step()
            if found is not None:
                yield found
            if not more:
                return

    def finish(self) -> None:
        """The body is over. Raises `BrokenForm` where the form is not."""
        if self._step != self._over:
            raise BrokenForm("The form does not end with its boundary.")

    # -- steps: each gives what it found, and whether there may be more ---------------------------------------------
    def _before(self) -> tuple[None, bool]:
        at = self._rest.find(self._delimiter)
        if at < 0:
            if len(self._rest) > MAX_HEAD:
                raise BrokenForm("The form does not begin with its boundary.")
            return None, False
        self._rest = self._rest[at + len(self._delimiter) :]
        self._step = self._after_boundary
        return None, True

    def _after_boundary(self) -> tuple[None, bool]:
        rest = self._rest
        if rest.startswith(b"--"):
            self._rest, self._step = rest[2:], self._over
            return None, True
        end = rest.find(b"\r\n")
        if end < 0:
            if len(rest) > MAX_HEAD:
                raise BrokenForm("A boundary of the form is not alone on its line.")
            return None, False
        if rest[:end].strip(b" \t"):
            raise BrokenForm("A boundary of the form is not alone on its line.")
        self._left -= 1
        if self._left < 0:
            raise TooManyParts
        self._rest, self._step = rest[end + 2 :], self._head
        return None, True

    def _head(self) -> tuple[Part | None, bool]:
        end = self._rest.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(self._rest) > MAX_HEAD + 4):
            raise BrokenForm("A part of the form has no head.")
        if end < 0:
            return None, False
        part = _part(self._rest[:end])
        # The boundary may follow at once; its line end is then the head's own.
        self._rest, self._step = self._rest[end + 4 :], self._data
        return part, True

    def _data(self) -> tuple[bytes | None, bool]:
        rest, delimiter = self._rest, self._delimiter
        at = rest.find(delimiter)
        if at >= 0:
            self._rest, self._step = rest[at + len(delimiter) :], self._after_boundary
            return (rest[:at] or None), True
        # What might be the beginning of a boundary waits for the next piece.
        keep = rest.rfind(b"\r", max(0, len(rest) - len(delimiter) + 1))
        while keep >= 0 and not delimiter.startswith(rest[keep:]):
            keep = rest.rfind(b"\r", max(0, len(rest) - len(delimiter) + 1), keep)
        if keep < 0:
            self._rest = b""
            return (rest or None), False
        self._rest = rest[keep:]
        return (rest[:keep] or None), False

    def _over(self) -> tuple[None, bool]:
        if self._rest.strip(b"\r\n"):
            raise BrokenForm("Something follows the end of the form.")
        self._rest = b""
        return None, False


def _part(head: bytes) -> Part:
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise BrokenForm("The form is not UTF-8.") from None
    said: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.isascii() or not name.isprintable() or " " in name:  # a folded line, too
            raise BrokenForm("A part of the form has a head that is none.")
        if (name := name.lower()) in said:
            raise BrokenForm("A part of the form has a header twice.")
        said[name] = value.strip(" \t")
    try:
        kind, named = parameters(said.get("content-disposition", ""))
    except ValueError:
        raise BrokenForm("A part of the form has a Content-Disposition that is none.") from None
    if kind != "form-data":
        raise BrokenForm("A part of the form is no form-data.")
    if "name" not in named:
        raise BrokenForm("A part of the form has no name.")
    return Part(named["name"], named.get("filename"), said.get("content-type", ""))
