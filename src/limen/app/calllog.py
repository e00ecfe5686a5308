"""One structured line a call: a JSON object on standard error, written in batches so that it costs about a microsecond.

    {"t":1763728496.123,"call":"todo.add","domain":"localhost","user":"ada","origin":"192.0.2.7","ms":0.310,"out":"ok"}

`by`, behind the user: who acts as them. Arguments and results are never written.

And one for what matters to security, with `event` in the place of `call` (docs/security.md, "The log", has the table):

    {"t":1763728490.001,"event":"login","ok":false,"how":"password","domain":"localhost","user":"ada","origin":…}
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TextIO

from limen.core.guard.ledger import Kind

if TYPE_CHECKING:
    from limen import exc
    from limen.base.principal import Principal
    from limen.core.guard.ledger import Entry, Ledger
    from limen.service.service import Service


CROWDS: Final = frozenset({"joined", "left", "refused", "violation", "denied", "authorizer failed"})
MOST: Final = 100
"""Lines a second of each of these."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Indented(logging.Formatter):
    """Text of the log in which what a caller has sent can't pass for a line of its own, nor speak to a terminal: lines
    after the first are indented, other control characters are shown.

    >>> record = logging.LogRecord("limen", logging.ERROR, "", 0, "%s", ('no\\n{"t":1}\\x1b[2J',), None)
    >>> print(Indented().format(record))
    no
        {"t":1}\\x1b[2J
    """

    def format(self, record: logging.LogRecord) -> str:
        text = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], super().format(record))
        return text.replace("\n", "\n    ")


class CallLog:
    """Collects lines and writes them at most every *every* seconds, in one piece.

    >>> import io
    >>> from limen.base.principal import Principal
    >>> from limen.service.service import Service
    >>> out = io.StringIO()
    >>> log = CallLog(out, clock=lambda: 12.5)
    >>> log(Service(print, "todo/add"), Principal("localhost", "192.0.2.7", "ada"), 0.00031, None)
    >>> log.flush()
    >>> out.getvalue()
    '{"t":12.500,"call":"todo.add","domain":"localhost","user":"ada","origin":"192.0.2.7","ms":0.310,"out":"ok"}\\n'
    """

    def __init__(
        self, stream: TextIO | None = None, every: float = 0.1, clock: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._every = every
        self._clock = clock
        self._lines: list[str] = []
        self._middles: dict[tuple[str, int], tuple[Principal, str]] = {}
        self._due = False
        self._spoken: dict[str, list[int]] = {}
        """Event that comes in crowds, to the second it was told in, and how often it came then."""

    def __call__(self, service: Service, principal: Principal, seconds: float, error: exc.Error | None) -> None:
        key = (service.uri, id(principal))
        known = self._middles.get(key)
        if known is None or known[0] is not principal:
            known = self._middle(key, principal)
        out = "ok" if error is None else error.exc
        # In one piece: this is written for every call.
        self._lines.append(f'{{"t":{self._clock():.3f}{known[1]}{seconds * 1000:.3f},"out":"{out}"}}\n')
        if not self._due:
            self._flush_later()

    def event(self, event: str, **facts: object) -> None:
        """Something that matters to security. *facts*: JSON-like; nothing secret. Of those that strangers can cause at
        will (`CROWDS`) at most `MOST` a second are told; how many were not, is.

        >>> import io
        >>> log = CallLog(out := io.StringIO(), clock=lambda: 12.5)
        >>> log.event("account", did="password", user="ada\\n")
        >>> log.flush()
        >>> out.getvalue()
        '{"t":12.500,"event":"account","did":"password","user":"ada\\\\n"}\\n'
        """
        if event in CROWDS and self._is_one_too_many(event):
            return
        self._write(event, facts)

    def _is_one_too_many(self, event: str) -> bool:
        second = int(self._clock())
        row = self._spoken.setdefault(event, [second, 0])
        if row[0] != second:
            self._tell_omitted(event, row)
            row[:] = second, 0
        row[1] += 1
        if row[1] == MOST + 1:
            self._later(1.0)
        return row[1] > MOST

    def _tell_omitted(self, event: str, row: list[int]) -> None:
        if row[1] > MOST:
            omitted, row[1] = row[1] - MOST, 0
            self._write("omitted", {"of": event, "lines": omitted})

    def _write(self, event: str, facts: dict[str, Any]) -> None:
        line = "," + json.dumps({"event": event, **facts}, separators=(",", ":"))[1:-1]
        self._lines.append(f'{{"t":{self._clock():.3f}{line}}}\n')
        if not self._due:
            self._flush_later()

    def entry(self, ledger: Ledger, what: str, entry: Entry) -> None:
        """What the ledger notes: a login or resume that passed, failed or was refused unheard, or abuse."""
        who = {"domain": entry.domain, "user": entry.user, "origin": entry.origin}
        if what != "charged":
            more = {"why": "abusive"} if what == "refused" else {}
            self.event("login", ok=what == "passed", how="password" if entry.kind is Kind.KE2 else "key", **who, **more)
        else:
            level = round(ledger.level(entry.domain, entry.origin, entry.time), 1)
            self.event("abuse", kind=entry.kind.value, domain=entry.domain, origin=entry.origin, level=level)

    def _flush_later(self) -> None:
        self._due = True
        if not self._later(self._every):  # a call from a script
            self.flush()

    def _later(self, seconds: float) -> bool:
        """Writes what there is after so many *seconds*; False without a loop that could."""
        try:
            asyncio.get_running_loop().call_later(seconds, self.flush)
        except RuntimeError:
            return False
        return True

    def _middle(self, key: tuple[str, int], principal: Principal) -> tuple[Principal, str]:
        """What all lines of this caller and this service have in common, kept for the next. The principal is held, so
        that no other can come by its id."""
        if len(self._middles) >= 4096:
            self._middles.clear()
        call, domain, user, origin = map(json.dumps, (key[0], principal.domain, principal.user, principal.origin))
        by = f',"by":{json.dumps(principal.impersonated_by)}' if principal.impersonated_by is not None else ""
        middle = f',"call":{call},"domain":{domain},"user":{user}{by},"origin":{origin},"ms":'
        known = self._middles[key] = principal, middle
        return known

    def close(self) -> None:
        """Writes what was collected, for the last time."""
        for event, row in self._spoken.items():
            self._tell_omitted(event, row)
        self.flush()

    def flush(self) -> None:
        """Writes what was collected."""
        second = int(self._clock()) if self._spoken else 0
        for event, row in self._spoken.items():
            if row[0] != second:
                self._tell_omitted(event, row)
        lines, self._lines, self._due = self._lines, [], False
        if lines:
            stream = self._stream or sys.stderr
            stream.write("".join(lines))
            stream.flush()
