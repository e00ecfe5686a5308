"""A real server, started for a test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

LIMEN = str(Path(sys.executable).with_name("limen"))
"""The command of this environment."""


class Server:
    """The server that *command* starts; ready when this returns.

    `url` has no slash at its end; `lines` is what the server has said up to now.
    """

    READY = re.compile(r"Limen listens on ((?:http|ws)s?://\S+)")
    """What it says when it is, and where."""

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
            start_new_session=True,  # with --dev there is a second process, which dies with the first
        )
        watchdog = threading.Timer(self.patience, self.process.kill)  # ends the reading below, should it hang
        watchdog.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if ready := self.READY.search(line):
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
        return int(self.url.split(":")[2].partition("/")[0])

    def children(self) -> set[int]:
        """The processes that this one has started and that live: the workers of `--workers`."""
        found = set()
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(FileNotFoundError):  # a thread that has just ended
                found |= {int(pid) for pid in (task / "children").read_text().split()}
        return found

    def stop(self) -> int:
        """Asks the server to stop, and waits until it has; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(self.patience)
            self._reader.join(self.patience)  # ends when the last process has closed its output
            assert not self._reader.is_alive(), "The server left a process behind."
        except BaseException:
            self.kill()
            raise
        return self.process.returncode

    def kill(self) -> None:
        """Ends the server as a crash would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def restart(self) -> None:
        """Stops the server, and starts it anew."""
        self.stop()
        self.start_again()

    def start_again(self) -> None:
        """Starts a server that has ended, on the port and the file that it had."""
        self.command[self.command.index("--port") + 1] = str(self.port)
        self._start()
