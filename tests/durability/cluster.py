"""A PostgreSQL server whose data lies in a folder that is named: for programs that lose it and find it again.

    python cluster.py DIR           makes one: the folder that crash.py takes as --base

Unlike the tests' server (tests/postgres.py) it is a child of whoever starts it, so that it dies with it, and its data
may have been copied or put together from what a power cut left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
from guardian import running_as  # noqa: E402
from postgres import READY, ROLE, NoServer, _binaries  # noqa: E402

DATABASE = "limen"


class Cluster:
    """The server whose data is in *folder*/data. *options*: settings, `fsync=off`."""

    def __init__(self, folder: str | Path, *options: str) -> None:
        self.data = Path(folder).resolve() / "data"
        self.owner = "nobody" if os.geteuid() == 0 else None
        self.options = [word for option in options for word in ("-c", option)]
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        # Programs and socket stand elsewhere: a folder that is recorded holds what the server writes and no more.
        self._place = Path(tempfile.gettempdir()) / f"limen-pg-programs-{os.geteuid()}"
        self._place.mkdir(mode=0o755, exist_ok=True)
        # Beside it, for whoever owns the folder above takes it away, should this program be killed.
        self._sockets = self.data.parent.with_name(f"s-{self.data.parent.name}")

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self._sockets), safe='')}"

    def make(self) -> Cluster:
        """Makes the data, with a role and a database of its own, and leaves it stopped."""
        self.data.mkdir(parents=True)
        self._own()
        words = ["-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--wal-segsize=1"]
        subprocess.run(
            [str(self._program("initdb")), *words],
            cwd=self.data,
            check=True,
            capture_output=True,
            **running_as(self.owner),
        )
        self.start()
        import psycopg

        with psycopg.connect(f"host={self._sockets} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        self.stop("fast")
        return self

    def start(self) -> Cluster:
        """Comes back when the server takes connections, after it has recovered what was lost."""
        self._own()
        shutil.rmtree(self._sockets, ignore_errors=True)  # of one that was killed: its lock would keep this one away
        self._sockets.mkdir(mode=0o700)
        if self.owner:
            shutil.chown(self._sockets, self.owner)
        with suppress(FileNotFoundError):
            (self.data / "postmaster.pid").unlink()  # as the system does it that starts servers after a reboot
        command = [str(self._program("postgres")), "-D", str(self.data), "-k", str(self._sockets), "-h", ""]
        self.process = subprocess.Popen(
            [*command, "-c", "max_connections=60", "-c", "shared_buffers=8MB", *self.options],
            cwd=self.data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **running_as(self.owner),
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if READY in line:
                break
        else:
            raise NoServer("PostgreSQL did not start:\n" + "\n".join(self.lines[-20:]))
        # Nobody reads on; the server says little, and less than a pipe holds.
        return self

    def stop(self, how: str = "fast") -> None:
        """*how*: fast, or immediate: as a crash, without writing anything any more."""
        if self.process is not None and self.process.poll() is None:
            import signal

            self.process.send_signal(signal.SIGQUIT if how == "immediate" else signal.SIGINT)
            self.process.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _own(self) -> None:
        """The server takes no data that others may write."""
        for path in (self.data, *self.data.rglob("*")):
            if self.owner and path.owner() != self.owner:
                shutil.chown(path, self.owner)
        self.data.chmod(0o700)

    def _program(self, name: str) -> Path:
        place = self._place / "site"
        known = next(iter(sorted(place.rglob(f"bin/{name}"), reverse=True)), None)
        return known or _binaries(self._place, self.owner is not None) / name


if __name__ == "__main__":
    Cluster(sys.argv[1]).make()
