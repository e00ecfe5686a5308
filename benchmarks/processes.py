"""Servers as processes of their own, on free ports of the loopback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVED = Path(__file__).resolve().parent / "served"
SCRATCH = ROOT / ".cache" / "bench"
LIMEN = str(Path(sys.executable).with_name("limen"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def started(command: Sequence[str | Path], port: int, patience: float = 60.0) -> Iterator[int]:
    """Runs *command* for the length of the block, once *port* answers; gives its pid. Raises RuntimeError where it
    does not come up. What it says on standard error is shown then, and else thrown away."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    log = SCRATCH / f"{port}.log"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(SERVED)])}
    with log.open("wb") as out:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out, env=environ)
    try:
        deadline = time.monotonic() + patience
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not come up:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.unlink(missing_ok=True)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


@contextmanager
def limen(app: str = "limen_app.py", *options: str) -> Iterator[tuple[int, int]]:
    """`limen serve` of a program in served/; gives pid and port."""
    port = free_port()
    with started([LIMEN, "serve", SERVED / app, "--port", str(port), *options], port) as pid:
        yield pid, port


@contextmanager
def router(*options: str | Path) -> Iterator[tuple[int, int]]:
    """`limen router` with a realm where everybody may do everything; gives pid and port."""
    port = free_port()
    words = [LIMEN, "router", "--realm", "localhost", "--anonymous", "--port", str(port), *options]
    with started(words, port) as pid:
        yield pid, port


@contextmanager
def uvicorn(python: str, target: str) -> Iterator[tuple[int, int]]:
    """uvicorn as it is run for speed: uvloop, httptools, one worker, no access log; gives pid and port."""
    port = free_port()
    words = [python, "-m", "uvicorn", target, "--host", "127.0.0.1", "--port", str(port), "--app-dir", str(SERVED)]
    words += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    words += ["--timeout-keep-alive", "60"]  # connections wait while others have their turn
    with started(words, port) as pid:
        yield pid, port


@contextmanager
def python(script: str, *arguments: str, python: str = sys.executable) -> Iterator[tuple[int, int]]:
    """A script in served/ that takes its port as first argument; gives pid and port."""
    port = free_port()
    with started([python, SERVED / script, str(port), *arguments], port) as pid:
        yield pid, port


@contextmanager
def nats() -> Iterator[tuple[int, int] | None]:
    """nats-server as it comes; gives pid and port, None where it is not installed."""
    command = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if command is None:
        print("  nats-server is not installed (Debian: apt-get install nats-server): it is left out")
        yield None
        return
    port = free_port()
    with started([command, "--addr", "127.0.0.1", "--port", str(port)], port) as pid:
        yield pid, port


@contextmanager
def crossbar(python: str) -> Iterator[tuple[int, int]]:
    """Crossbar.io with one router that lets everybody do everything; gives pid and port."""
    port = free_port()
    rule = {"uri": "", "match": "prefix", "allow": dict.fromkeys(("call", "register", "publish", "subscribe"), True)}
    realm = {"name": "localhost", "roles": [{"name": "anonymous", "permissions": [rule]}]}
    transport = {
        "type": "websocket",
        "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1"},
        "serializers": ["json", "msgpack", "cbor"],
        "auth": {"anonymous": {"type": "static", "role": "anonymous"}},
    }
    worker = {"type": "router", "realms": [realm], "transports": [transport]}
    folder = SCRATCH / f"crossbar-{port}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"version": 2, "workers": [worker]}))
    crossbar = Path(python).with_name("crossbar")
    words: list[str | Path] = [crossbar, "start", "--cbdir", folder, "--loglevel", "warn"]
    try:
        with started(words, port) as pid:
            yield pid, port
    finally:
        shutil.rmtree(folder, ignore_errors=True)
