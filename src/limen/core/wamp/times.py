"""Times as the router tells them, and is told them (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso(seconds: float) -> str:
    """Unix time, as the meta API tells it.

    >>> iso(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def microseconds(text: Any) -> int:
    """The time that *text* says, in microseconds of Unix time. Raises ValueError where it says none, or not in which
    zone.

    >>> microseconds("1970-01-01T00:00:01.5Z"), microseconds("1970-01-01T01:00:00+01:00")
    (1500000, 0)
    """
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(microseconds=1)
    except (TypeError, AttributeError, OverflowError):
        raise ValueError(f"{text!r} is no time with its zone") from None
