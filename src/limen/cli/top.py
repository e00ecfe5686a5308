"""`limen top`: what happens in a running server, live: sessions, calls, events, queues, the addresses that cost most.

It asks the server once a second over its control socket; the server takes times of addresses while somebody asks.
What is shown of a second is the difference of two pictures (`door/hub/counts.py`).
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from limen import exc

from .options import db as _db
from .options import keys as _keys

Picture = dict[str, Any]
Tree = dict[str, Any]

CLEAR: Final = "\x1b[H"
END_OF_LINE: Final = "\x1b[K"
REST: Final = "\x1b[J"
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
ROWS: Final = 12
"""Of each table, where the terminal has room."""
TEXTS: Final = frozenset({"address", "topic", "who waits", "sessions in", "realm", "role", "by"})
"""Columns that begin at the left."""
RATES: Final = {
    "calls": ("calls_local", "calls_routed"),
    "failed": ("calls_local_failed", "calls_routed_failed"),
    "published": ("published",),
    "delivered": ("delivered",),
    "messages in": ("messages_in",),
    "messages out": ("messages_out",),
    "bytes in": ("bytes_in",),
    "bytes out": ("bytes_out",),
}


@click.command()
@click.option("--socket", "path", type=click.Path(path_type=Path), help="Control socket of the server.")
@click.option("--port", type=int, default=None, help="First port of a `limen router` of yours on this machine.")
@click.option("--every", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Seconds between looks.")
@click.option("--once", is_flag=True, help="One look, as plain lines.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a look.")
@_db
@_keys
def top(
    path: Path | None, port: int | None, every: float, once: bool, as_json: bool, db: str | None, keys: str | None
) -> None:
    """What a running server does, live: the one on --db, or a `limen router` (--port, --socket). q or Ctrl-C ends it.

    \b
    limen top --db sqlite:///todo.db
    limen top --port 8080 --once
    """
    socket = find(path, port, db, keys)
    looks = watch(socket, every)
    try:
        if once:
            print(written(next(looks), as_json))
        elif as_json or not sys.stdout.isatty():
            for look in looks:
                print(written(look, as_json), flush=True)
        else:
            _live(looks)
    except (KeyboardInterrupt, BrokenPipeError):
        pass


def find(path: Path | None, port: int | None, db: str | None, keys: str | None) -> Path:
    """The socket of the server that is meant. Raises `click.UsageError`, `exc.ConnectionLost`."""
    from limen.app.control import router_socket

    if path is not None:
        return path
    if port is not None or not db:
        return router_socket(8080 if port is None else port)
    from limen.app.vault import socket_path

    found = socket_path(db, keys or "")
    if found is None:
        raise click.UsageError("A server whose store is in memory has no socket; say --socket or another --db.")
    return found


class Look:
    """Two pictures of a server, *seconds* apart, and its tree as of the second."""

    def __init__(self, before: Picture, now: Picture, seconds: float, tree: Tree) -> None:
        self.now, self.seconds, self.tree = now, seconds, tree
        self.rates = {
            name: max(0.0, sum(now[key] - before[key] for key in keys) / seconds) for name, keys in RATES.items()
        }
        self.addresses = _differences(before["addresses"], now["addresses"], seconds)
        self.topics = _differences(before["topics"], now["topics"], seconds)


def _differences(before: list[list[Any]], now: list[list[Any]], seconds: float) -> list[list[Any]]:
    """The rows of *now*, each with how many a second came, behind the name; those of the most time first."""
    known = {row[0]: row[1] for row in before}
    rows = [[row[0], max(0.0, (row[1] - known.get(row[0], 0)) / seconds), *row[1:]] for row in now]
    return sorted(rows, key=lambda row: row[4] if len(row) > 4 else row[2], reverse=True)


def watch(socket: Path, every: float) -> Iterator[Look]:
    """What the server at *socket* does, every so many seconds. Raises `exc.ConnectionLost` when it is gone."""
    from limen.app.control import ask

    def picture() -> tuple[Picture, float]:
        found = ask(socket, "picture")
        if found is None:
            raise exc.ConnectionLost(f"What answers at {socket} does not serve.")
        return found, time.monotonic()

    before, then = picture()
    while True:
        time.sleep(max(0.0, then + every - time.monotonic()))
        now, moment = picture()
        yield Look(before, now, moment - then, ask(socket, "tree"))
        before, then = now, moment


# -- lines ----------------------------------------------------------------------------------------------------------
def written(look: Look, as_json: bool) -> str:
    """A look as text: one JSON object, or plain lines."""
    if not as_json:
        return "\n".join(lines(look, 100, 10_000))
    return json.dumps({"t": time.time(), "rates": look.rates, "picture": look.now, "tree": look.tree})


def lines(look: Look, width: int, height: int, bold: str = "", plain: str = "") -> list[str]:
    """*look* in at most *height* lines of *width* characters."""
    now, rates, up = look.now, look.rates, time.time() - look.now["started"]
    head = [
        f"limen top   {now['processes']} process{'es' * (now['processes'] > 1)}   up {_span(up)}   memory "
        f"{_size(now['memory'])}",
        f"sessions {sum(row[3] for row in now['sessions'])}   connections {now['connections']}   registrations "
        f"{now['registrations']}   subscriptions {now['subscriptions']}   denied {sum(row[1] for row in now['denied'])}"
        f"   refused {sum(row[1] for row in now['refused'])}   violations {now['violations']}",
        f"calls {_number(rates['calls'])}/s   failed {_number(rates['failed'])}/s   pending {now['pending']}   events "
        f"{_number(rates['published'])}/s   delivered {_number(rates['delivered'])}/s   retained {now['retained']}",
        f"in {_number(rates['messages in'])}/s {_size(rates['bytes in'])}/s   out {_number(rates['messages out'])}/s "
        f"{_size(rates['bytes out'])}/s   queued {_size(now['queue'])}, at most {_size(now['queue_largest'])}",
    ]
    waiting = [row for row in look.tree["sessions"] if row["queue"] or row["calls"] or row["invocations"]]
    tables = [
        _table(
            ("address", "calls/s", "calls", "failed", "mean ms", "longest ms"),
            [
                (row[0], _number(row[1]), str(row[2]), str(row[3]), _ms(row[4] / max(1, row[2])), _ms(row[5]))
                for row in look.addresses
            ],
        ),
        _table(
            ("topic", "events/s", "events", "delivered"),
            [(row[0], _number(row[1]), str(row[2]), str(row[3])) for row in look.topics],
        ),
        _table(
            ("who waits", "realm", "role", "by", "queued", "calls", "to answer"),
            [
                (
                    *(str(row["user"] or row["session"]), row["domain"], row["role"], row["transport"]),
                    *(_size(row["queue"]), str(row["calls"]), str(row["invocations"])),
                )
                for row in waiting
            ],
        ),
        _table(
            ("sessions in", "role", "by", "number"),
            [(*row[:3], str(row[3])) for row in sorted(now["sessions"], key=lambda row: -row[3])],
        ),
    ]
    tables = [table for table in tables if len(table) > 1]
    room = max(3, (height - len(head) - len(tables)) // max(1, len(tables)))
    for table in tables:
        head += ["", *table[: min(room, ROWS + 1)]]
    titles = {table[0] for table in tables}
    shown = [(line[:width] if plain else line, line in titles) for line in head[:height]]
    return [f"{bold}{line}{plain}" if title else line for line, title in shown]


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """The lines of a table, its names first; the first column to the left, numbers to the right."""
    shown = [names, *(tuple(map(_clean, row)) for row in rows)]
    widths = [min(48, max(len(row[column]) for row in shown)) for column in range(len(names))]
    widths[0] = max(widths[0], 24)
    return ["  ".join(map(_cell, row, widths, names)).rstrip() for row in shown]


def _cell(text: str, width: int, name: str) -> str:
    return text[:width].ljust(width) if name in TEXTS else text.rjust(width)


def _clean(text: str) -> str:
    """What clients have chosen may not speak to the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# -- live -----------------------------------------------------------------------------------------------------------
def _live(looks: Iterator[Look]) -> None:
    with _screen():
        for look in looks:
            size = shutil.get_terminal_size()
            shown = lines(look, size.columns, size.lines - 1, BOLD, PLAIN)
            sys.stdout.write(CLEAR + "".join(f"{line}{END_OF_LINE}\n" for line in shown) + REST)
            sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[None]:
    """The terminal's other screen, without a cursor; q ends it as Ctrl-C does."""
    import signal

    sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J")
    undo = _quit_on_q()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        undo()
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def _quit_on_q() -> Any:
    """Has q end the program as Ctrl-C does, where a terminal is read from; gives the undo."""
    import os
    import signal
    import threading

    if not sys.stdin.isatty():
        return lambda: None
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)

    def read() -> None:
        while (key := os.read(number, 1)) and key not in b"qQ":
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=read, daemon=True).start()
    return lambda: termios.tcsetattr(number, termios.TCSADRAIN, before)
