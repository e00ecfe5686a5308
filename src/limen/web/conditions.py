"""Preconditions and ranges of a GET (RFC 9110, sections 13 and 14): pure decisions on header values."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RANGES: Final = 8
"""More ranges in one request are nothing that a player or download manager asks for: the whole file is sent instead
(RFC 9110, 14.2 allows it)."""


def unchanged(headers: Mapping[bytes, bytes], etag: bytes, modified: int) -> int | None:
    """What the preconditions come to: 304 (the client's copy is current), 412 (it wanted another one), None (send it).

    *headers*: names in lower case. *etag*: strong, with its quotes. *modified*: Unix time in whole seconds.
    The order is that of RFC 9110, 13.2.2; a date that can't be read counts as absent.

    >>> unchanged({b"if-none-match": b'"a", W/"b"'}, b'"b"', 0)
    304
    >>> unchanged({b"if-match": b'W/"b"'}, b'"b"', 0)
    412
    """
    match = headers.get(b"if-match")
    if match is not None:
        if match.strip() != b"*" and etag not in _tags(match):
            return 412
    elif (since := headers.get(b"if-unmodified-since")) is not None:
        moment = _moment(since)
        if moment is not None and modified > moment:
            return 412
    none_match = headers.get(b"if-none-match")
    if none_match is not None:
        # Weak comparison: a W/ before either tag does not count here (RFC 9110, 8.8.3.2).
        same = none_match.strip() == b"*" or etag in {tag.removeprefix(b"W/") for tag in _tags(none_match)}
        return 304 if same else None
    if (since := headers.get(b"if-modified-since")) is not None:
        moment = _moment(since)
        if moment is not None and modified <= moment:
            return 304
    return None


def _tags(value: bytes) -> list[bytes]:
    return [tag.strip() for tag in value.split(b",")]


def _moment(value: bytes) -> int | None:
    try:
        return int(parsedate_to_datetime(value.decode("ascii")).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def ranges(headers: Mapping[bytes, bytes], etag: bytes, modified: int, size: int) -> list[tuple[int, int]] | None:
    """The parts of a representation of *size* bytes that are asked for, as (first, last) inclusive, in the order asked.

    None: the whole is to be sent (no Range, one that can't be read, a unit other than bytes, a stale If-Range, more
    than `MAX_RANGES`, or parts that together are more than the whole). An empty list: none can be satisfied, 416.

    >>> ranges({b"range": b"bytes=0-4,-3"}, b'"e"', 0, 10)
    [(0, 4), (7, 9)]
    >>> ranges({b"range": b"bytes=10-"}, b'"e"', 0, 10)
    []
    >>> ranges({b"range": b"bytes=0-1", b"if-range": b'"old"'}, b'"e"', 0, 10)
    """
    value = headers.get(b"range")
    if value is None or not _if_range(headers.get(b"if-range"), etag, modified):
        return None
    unit, _, spec = value.partition(b"=")
    if unit.strip().lower() != b"bytes":
        return None
    specs = [part.strip() for part in spec.split(b",", MAX_RANGES)]
    if len(specs) > MAX_RANGES:
        return None
    specs = [part for part in specs if part]
    if not specs:
        return None
    found: list[tuple[int, int]] = []
    for part in specs:
        first, dash, last = part.partition(b"-")
        if not dash or not _digits(first) or not _digits(last) or not (first or last):
            return None
        if not first:
            length = min(int(last), size)
            if length:
                found.append((size - length, size - 1))
            continue
        start = int(first)
        if last and int(last) < start:
            return None
        if start < size:
            found.append((start, min(int(last), size - 1) if last else size - 1))
    if len(found) > 1 and sum(last - first + 1 for first, last in found) > size:
        return None
    return found


def _digits(text: bytes) -> bool:
    return len(text) <= 20 and (not text or text.isdigit())


def _if_range(value: bytes | None, etag: bytes, modified: int) -> bool:
    if value is None:
        return True
    value = value.strip()
    if value.startswith((b'"', b"W/")):
        return value == etag
    return _moment(value) == modified
