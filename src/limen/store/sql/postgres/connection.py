"""One connection to PostgreSQL, in pipeline mode from its first moment to its last.

psycopg makes the connection and turns values of the database into Python's; between the two, libpq is driven directly:
statements are prepared once, sent as they come, and waited for together. That is one round trip for as many statements
as do not need each other's answers, at a quarter of what a cursor costs.

    connection.send("SELECT name FROM domain WHERE id = $1", (1,))
    connection.send("SELECT …")
    [names, more] = connection.wait()
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

from psycopg import Connection as Driver
from psycopg import Error as DriverError
from psycopg import errors, pq
from psycopg.adapt import Transformer

from .policy import SETTING, setting

Row = tuple[Any, ...]
Rows = list[Row]
STATEMENTS_AT_MOST = 500
"""Prepared statements that a connection keeps; queries have as many shapes as callers think of."""
OLDEST = 140_000
SEE = f"SELECT set_config('{SETTING}', $1, false)"
OURS = (
    "SELECT pid, extract(epoch FROM backend_start)::text, current_setting('fsync'), "
    "CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END, "
    "set_config('lock_timeout', '10s', false), set_config('TimeZone', 'UTC', false), "
    "set_config('DateStyle', 'ISO', false), "
    "set_config('default_transaction_isolation', 'read committed', false), "
    "set_config('idle_in_transaction_session_timeout', '60s', false) "
    "FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
"""What every connection of ours begins with. An acknowledged commit is on the disk, whatever the role is set to; a
stronger setting (remote_apply) stays. A process that is frozen in a transaction does not hold a domain for ever."""
_END = pq.ExecStatus.PIPELINE_SYNC
_TUPLES = pq.ExecStatus.TUPLES_OK
_DONE = pq.ExecStatus.COMMAND_OK
_SKIPPED = pq.ExecStatus.PIPELINE_ABORTED
_OK = pq.ConnStatus.OK
_BINARY = int(pq.Format.BINARY)


class Lost(Exception):
    """The connection is gone. What was sent last may or may not have happened."""


class Failed(Exception):
    """PostgreSQL refused a statement; the connection is as good as before."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(f"{said} ({code})")
        self.code, self.said = code, said


class Place:
    """One of the connections that there may be; free again when nobody holds it any more."""

    __slots__ = ("__weakref__",)


class Connection:
    """For one thread at a time. Raises `Lost` when the server can't be reached, `Failed` when it refuses us.

    *options*: what libpq understands (`host`, `dbname`, …). *name*: what to call the server in a log.
    """

    def __init__(self, options: dict[str, Any], name: str) -> None:
        try:
            self._driver = Driver.connect("", autocommit=True, **options)
        except errors.OperationalError as error:
            if error.sqlstate:
                raise Failed(error.sqlstate, _first(error)) from None
            raise Lost(_first(error)) from None
        self._pg = self._driver.pgconn
        self._loader = Transformer(self._driver)
        self._ready = select.poll()
        self._ready.register(self._pg.socket, select.POLLIN)
        self._statements: dict[str, bytes] = {}
        self._count = 0
        # Of each command under way: None where its rows are asked for, else the statement that it prepares, if it does.
        self._sent: list[str | None] = []
        self._domain: str | None = None  # what the setting is; None: not known
        self.used = monotonic()
        """When it was given back last."""
        self.place: Place | None = None
        """What a pool counts."""
        try:
            self._pg.enter_pipeline_mode()
            self.send(OURS)
            [[(pid, begun, fsync, *_)]] = self.wait()
            if self._pg.server_version < OLDEST:
                raise Failed(
                    "0A000", f"PostgreSQL {self._pg.server_version // 10_000} is too old: it takes 14 or later"
                )
        except BaseException:
            self.close()
            raise
        self.backend: tuple[int, str] = (pid, begun)
        """Process id and start of the server's process behind this connection: that one and none after it."""
        self.syncs = fsync != "off"
        """False where the server does not wait for its disk."""

    def send(self, statement: str, parameters: Sequence[Any] = (), asked: bool = True) -> None:
        """Sends a statement ($1, $2 … stand for *parameters*), without waiting. *asked*: whether `wait` gives its
        rows."""
        values: list[bytes | None] = []
        formats: list[int] = []
        for value in parameters:
            kind = type(value)
            formats.append(kind is bytes)
            if kind is bytes:
                values.append(value)
            elif kind is int:
                values.append(b"%d" % value)
            elif kind is str:
                if "\0" in value:
                    raise Failed("22021", "a text holds the character U+0000, which PostgreSQL does not keep")
                values.append(value.encode())
            else:
                values.append(_text(value))
        try:
            name = self._statements.get(statement) or self._prepare(statement)
            self._pg.send_query_prepared(name, values, formats, _BINARY)
        except DriverError as error:
            raise Lost(_first(error)) from None
        self._sent.append(None if asked else "")

    def see(self, domain: str | None) -> None:
        """From the next statement on, only the rows of *domain* are seen; None: all rows."""
        said = setting(domain)
        if said != self._domain:
            self.send(SEE, (said,), asked=False)
            self._domain = said

    def wait(self) -> list[Rows]:
        """The rows of each statement asked since the last time, in one round trip. `Failed` for the first one that
        failed; those after it were not run."""
        pg = self._pg
        failed: Failed | None = None
        found: list[Rows] = []
        sent, self._sent = self._sent, []
        position = 0
        try:
            pg.pipeline_sync()
            while pg.flush():
                self._ready.modify(pg.socket, select.POLLIN | select.POLLOUT)
                self._ready.poll()
                self._ready.modify(pg.socket, select.POLLIN)
                pg.consume_input()
            while True:
                while pg.is_busy():
                    self._ready.poll()
                    pg.consume_input()
                result = pg.get_result()
                if result is None:  # between two commands; for ever, once the connection is gone
                    if pg.status != _OK:
                        raise Lost(failed.said if failed else "the server closed the connection")
                    continue
                status = result.status
                if status == _END:
                    break
                if position == len(sent):  # an answer to nothing: the server's parting word
                    raise Lost(_failure(result).said)
                unasked = sent[position]
                position += 1
                if status == _TUPLES:
                    if unasked is None:
                        self._loader.set_pgresult(result)
                        found.append(self._loader.load_rows(0, result.ntuples, tuple))
                elif status == _DONE:
                    if unasked is None:
                        found.append([])
                else:
                    if unasked is not None:
                        self._statements.pop(unasked, None)  # it may not have been prepared
                    if status != _SKIPPED and failed is None:
                        failed = _failure(result)
        except DriverError as error:
            raise Lost(failed.said if failed else _first(error)) from None
        if failed:
            self._domain = None  # it may have been skipped, or is undone with the transaction
            if failed.code.startswith("57P") or failed.code in ("26000", "0A000"):
                # It shuts down; or it knows our statements no longer, or they mean something else now.
                raise Lost(failed.said)
            raise failed
        return found

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """The rows of one statement, waited for at once."""
        self.send(statement, parameters)
        return self.wait()[-1]

    def alive(self, asking: bool) -> bool:
        """Whether the server has not hung up. *asking*: with a round trip, for networks that forget silently."""
        try:
            while self._ready.poll(0):
                self._pg.consume_input()  # its parting word, or news of a setting
            if asking:
                self.wait()
        except (DriverError, Lost):
            return False
        return self._pg.status == _OK

    def forget(self) -> None:
        """What was set within a transaction that is undone is not known any more."""
        self._domain = None

    @property
    def waiting(self) -> bool:
        """Whether something was sent that was not waited for."""
        return bool(self._sent)

    @property
    def socket(self) -> int:
        return self._pg.socket

    def notified(self) -> bool:
        """Takes in what the server said unasked; whether a notification was among it."""
        try:
            self._pg.consume_input()
        except DriverError as error:
            raise Lost(_first(error)) from None
        any_ = False
        while self._pg.notifies():
            any_ = True
        return any_

    def close(self) -> None:
        self.place = None
        self._driver.close()

    def _prepare(self, statement: str) -> bytes:
        if len(self._statements) >= STATEMENTS_AT_MOST:
            oldest = next(iter(self._statements))
            self._pg.send_query_params(b"DEALLOCATE " + self._statements.pop(oldest), None)
            self._sent.append("")
        self._count += 1
        name = b"limen_%d" % self._count
        self._pg.send_prepare(name, statement.encode())
        self._sent.append(statement)
        self._statements[statement] = name
        return name


def _failure(result: Any) -> Failed:
    code = result.error_field(pq.DiagnosticField.SQLSTATE)
    said = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)
    return Failed(
        (code or b"XX000").decode("ascii", "replace"), (said or result.error_message).decode("utf-8", "replace").strip()
    )


def _first(error: Exception) -> str:
    """What the driver says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _text(value: Any) -> bytes | None:
    """A parameter as PostgreSQL reads it.

    >>> _text(True), _text(1.5), _text(timedelta(days=1, microseconds=5)), _text(["a", b"b"])
    (b't', b'1.5', b'1 days 0 seconds 5 microseconds', b'{"a","\\\\\\\\x62"}')
    """
    match value:
        case None:
            return None
        case bool():
            return b"t" if value else b"f"
        case float():
            return repr(value).encode()
        case timedelta():
            return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds".encode()
        case datetime() | date() | time():
            return value.isoformat().encode()
        case Decimal() | UUID() | int() | str():
            return str(value).encode()
        case list() | tuple():
            return b"{" + b",".join(map(_item, value)) + b"}"
    raise TypeError(f"{type(value).__name__} is no parameter of a statement")


def _item(value: Any) -> bytes:
    if value is None:
        return b"NULL"
    plain = b"\\x" + value.hex().encode() if isinstance(value, bytes) else _text(value) or b""
    return b'"' + plain.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
