"""A real server, started for a test."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from pathlib import Path

READY = re.compile(r"Limen listens on (https?://\S+)")


class Server:
    """The server that *command* starts; ready when this returns.

    `url` has no slash at its end; `lines` is what the server has said up to now.
    """

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str], patience: float = 30) -> None:
        self.command, self.cwd, self.env, self.patience = command, cwd, env, patience
        self.lines: list[str] = []
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(self.patience, self.process.kill)  # ends the reading below, should it hang
        watchdog.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if ready := READY.search(line):
                self.url = ready[1].rstrip("/")
                break
        else:
            self.process.wait()
            said = "\n".join(self.lines)
            raise AssertionError(f"The server ended with {self.process.returncode} before it was ready:\n{said}")
        watchdog.cancel()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Asks the server to stop, and waits until it has; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            try:
                self.process.wait(self.patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self._reader.join()
        return self.process.returncode

    def restart(self, with_signal: int = signal.SIGTERM) -> None:
        """The same server anew, on the same port and the same file."""
        self.stop(with_signal)
        self.start_again()

    def start_again(self) -> None:
        """Starts a server that was stopped, on the port that it had."""
        self.command[self.command.index("--port") + 1] = str(self.port)
        self._start()
