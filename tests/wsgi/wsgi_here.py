"""WSGI servers, each started as its users start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = sys.executable
APP, LISTEN = "wsgi_program:app", "127.0.0.1:{port}"
SERVERS = {
    "gunicorn": [PYTHON, "-m", "gunicorn", "--threads", "8", "--bind", LISTEN, APP],
    "waitress": [PYTHON, "-m", "waitress", "--no-clear-untrusted-proxy-headers", "--listen", LISTEN, APP],
    "wsgiref": [PYTHON, "threaded.py", "{port}"],
}


class Running:
    """A server under way. *lines*: what it has said."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes], said: Path) -> None:
        self.name, self.port, self.process, self._said = name, port, process, said

    @property
    def said(self) -> str:
        return self._said.read_text()

    def client(self, address: str = "127.0.0.1") -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=(address, 0))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM if self.name == "gunicorn" else signal.SIGINT)
        self.process.wait(20)


@contextmanager
def running(name: str, folder: Path, *options: str, db: str = "", keys: str = "") -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    command = [part.format(port=port) for part in SERVERS[name]]
    command[3:3] = options
    env = os.environ | {"FOLDER": str(folder), "LIMEN_DB": db, "KEYS": keys} | ({} if db else {"USER_ADA": "yes"})
    env["PYTHONPATH"] = os.pathsep.join([str(HERE), env.get("PYTHONPATH", "")])
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=HERE, env=env, stdout=said, stderr=said)
    server = Running(name, port, process, folder / "said")
    try:
        for _ in range(1000):
            assert process.poll() is None, server.said
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield server
    finally:
        if process.poll() is None:
            server.stop()
