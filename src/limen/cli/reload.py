"""`limen serve --dev`: this process holds the port and watches; a child serves, and starts anew when a file changes.

Connections that come meanwhile wait in the port's queue: no page sees a refused connection. A program that fails to
start is left alone until its files change. Users, sessions and records outlive a child: without `--db` they are in a
file that goes with this process, so that an open page stays logged in.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from .serve import INHERITED

POLL = 0.5
"""Seconds between two looks at the files where watchfiles is not installed."""
PATIENCE = 15.0
"""Seconds that a child has to end; its calls have 10."""
SKIPPED = {"__pycache__", "node_modules", ".venv", "venv", ".git"}


def keep_serving(root: str | Path, sock: socket.socket, command: list[str] | None = None, *, db: bool = True) -> int:
    """Serves in a child on *sock* until this process is told to stop; the last child's exit code.

    *root*: the folder that is watched. *command*: what starts the child (default: the command line of this process).
    *db*: the command names a store; without it, and without LIMEN_DB, the children share one that ends with this call.
    """
    if db or os.environ.get("LIMEN_DB"):
        return _keep_serving(root, sock, command, {})
    with tempfile.TemporaryDirectory(prefix="limen-dev-", ignore_cleanup_errors=True) as folder:
        return _keep_serving(root, sock, command, {"LIMEN_DB": f"sqlite:///{folder}/dev.db"})


def _keep_serving(root: str | Path, sock: socket.socket, command: list[str] | None, more: dict[str, str]) -> int:
    os.set_inheritable(sock.fileno(), True)
    environment = {**os.environ, **more, INHERITED: str(sock.fileno())}
    command = command or [sys.executable, "-m", "limen.cli", *sys.argv[1:]]
    stopping = False
    told: subprocess.Popen[bytes] | None = None

    def start() -> subprocess.Popen[bytes]:
        # A terminal's Ctrl-C goes to both processes; the child is to hear of it once, from this one.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.Popen(command, env=environment, pass_fds=[sock.fileno()])  # noqa: S603  # our own command
        finally:
            signal.signal(signal.SIGINT, before)

    child = start()

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping, told
        stopping = True
        if child.poll() is None:
            child.terminate()  # a second time ends it at once
            told = child

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    waiting = False
    for changed in changes(Path(root)):
        if stopping:
            break
        if child.poll() and not changed and not waiting:
            print("The program is tried again when a file changes.", file=sys.stderr, flush=True)
            waiting = True
        if changed:
            print(f"{', '.join(sorted(changed))} changed: restarting", file=sys.stderr, flush=True)
            end(child)
            child, waiting = start(), False
    return end(child, told=told is child)


def end(child: subprocess.Popen[bytes], told: bool = False) -> int:
    """Asks *child* to end, unless it was *told* already, and sees to it; its exit code."""
    if child.poll() is None and not told:
        child.terminate()
    try:
        return child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def changes(root: Path) -> Iterator[set[str]]:
    """Names of Python files below *root* that have changed, again and again; an empty set at least every second."""
    try:
        from watchfiles import PythonFilter, watch
    except ImportError:
        yield from polled(root)
        return
    found = watch(root, watch_filter=PythonFilter(), yield_on_timeout=True, rust_timeout=500, raise_interrupt=False)
    try:
        for batch in found:
            yield {os.path.relpath(path, root) for _, path in batch}
    except OSError:  # a place below it that can't be watched: then by looking
        yield from polled(root)


def polled(root: Path, interval: float = POLL) -> Iterator[set[str]]:
    """`changes` by looking at every file's time."""
    before = _times(root)
    while True:
        time.sleep(interval)
        now = _times(root)
        yield {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
        before = now


def _times(root: Path) -> dict[str, int]:
    times: dict[str, int] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED]
        for name in files:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                try:
                    times[os.path.relpath(path, root)] = os.stat(path).st_mtime_ns
                except OSError:
                    continue  # it went away in between
    return times
