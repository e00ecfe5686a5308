"""A reader who does what a page says, to the letter: makes its files, types its commands, compares what appears.

- A block whose fence names a file (```` ```python todo.py ````) is that file, as it is from here on.
- A ```` ```shell-session ```` block holds commands, each after `$ `, and what they print; `…` stands for anything.
  `limen serve` or `limen router` goes on until the next one, or the end; lines that ask for a password are answered.

`localhost:9000` means the reader's own port, in files and commands alike.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from curl import curl
from served import Server

BLOCK = re.compile(r"^```([\w-]+)(?: +(\S+))?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PASSWORDS = {"ada": "lovelace", "grace": "nanosecond"}
"""What the reader types when asked, by whose name stands in the command."""
PROMPT = re.compile(r"^(?:New )?[Pp]assword:\s*$|^Repeat for confirmation:\s*$", re.MULTILINE)


def files(page: Path) -> Iterator[tuple[str, str, str]]:
    """The files that a page has its reader make: name, language, text; one name may come several times."""
    for language, name, text in BLOCK.findall(page.read_text()):
        if name:
            yield name, language, text


class Reader:
    """*folder*: where the reader sits. *start*: starts a server (tests/conftest.py)."""

    def __init__(self, page: Path, folder: Path, start: Callable[..., Server]) -> None:
        self.folder, self.start = folder, start
        self.rest = page.read_text()
        self.port = free_port()
        self.server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def follow(self, upto: str | None = None) -> None:
        """Does what the page says from where the reader is, up to the heading *upto*, or to its end."""
        part, found, rest = self.rest.partition(f"\n{upto}\n") if upto else (self.rest, "", "")
        assert found or not upto, f"the page has no heading {upto!r} from here on"
        self.rest = rest
        for language, name, text in BLOCK.findall(part):
            if name:
                self.make(name, text)
            elif language == "shell-session":
                for command, answer in exchanges(text):
                    self.type(command, answer)

    # -- files --------------------------------------------------------------------------------------------------
    def make(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.here(text)
        if path.exists() and path.read_text() == text:
            return
        ready = self.ready()
        path.write_text(text)
        if name.endswith(".py") and self.server is not None and "--dev" in self.server.command:
            self.wait(lambda: self.ready() > ready, f"the server did not start anew after {name} was written")

    def ready(self) -> int:
        """How often the server has said that it is ready."""
        return sum("Limen listens on" in line for line in self.server.lines) if self.server else 0

    # -- commands -----------------------------------------------------------------------------------------------
    def type(self, command: str, answer: str) -> None:
        if re.match(r"limen (serve|router) (?!.*--check)", command):
            self.serve(command)
            got = "\n".join(self.said_until_ready())
        elif command.startswith("curl "):
            got = curl(command, self.port, self.folder)
        else:
            got = self.run(self.here(command))
        compare(command, answer, self.there(got))

    def serve(self, command: str) -> None:
        if self.server is not None:
            self.server.stop()
        words = shlex.split(command, comments=True)
        words[0] = str(Path(sys.executable).with_name("limen"))
        self.server = self.start([*words, "--port", str(self.port)], cwd=self.folder)

    def said_until_ready(self) -> list[str]:
        assert self.server is not None
        lines = list(self.server.lines)
        return lines[: 1 + next(i for i, line in enumerate(lines) if "Limen listens on" in line)]

    def run(self, command: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        typed = next((f"{word}\n" for name, word in PASSWORDS.items() if re.search(rf"\b{name}\b", command)), "")
        done = subprocess.run(  # the shell is what the reader types into
            command,
            shell=True,
            cwd=self.folder,
            env={**os.environ, "PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        # What an interpreter mutters while it shuts down (autobahn makes it) is not the program's word.
        return done.stdout.partition("Exception ignored in: ")[0]

    # -- helpers ------------------------------------------------------------------------------------------------
    def here(self, text: str) -> str:
        return text.replace("localhost:9000", f"localhost:{self.port}")

    def there(self, text: str) -> str:
        return text.replace(f":{self.port}", ":9000")

    def wait(self, until: Callable[[], bool], otherwise: str, patience: float = 20.0) -> None:
        ends = time.monotonic() + patience
        while not until():
            assert time.monotonic() < ends, otherwise
            time.sleep(0.02)


def exchanges(text: str) -> list[tuple[str, str]]:
    """Commands of a console block, each with what it prints."""
    parts = re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    return [(command, answer.rstrip("\n")) for command, _, answer in (part.partition("\n") for part in parts)]


def compare(command: str, answer: str, got: str) -> None:
    """Fails unless *got* is what the page says; `…` in *answer* stands for anything."""
    answer = PROMPT.sub("", answer).strip("\n")
    got = PROMPT.sub("", got).strip("\n")
    if command.startswith("curl ") and " -i " in command:  # of the head, the lines that the page shows
        missing = [line for line in answer.splitlines() if not any(_like(line, other) for other in got.splitlines())]
        assert missing == [], f"$ {command}\n{got}"
    else:
        assert _like(answer, got), f"$ {command}\n{got}\n-- but the page says:\n{answer}"


def _like(answer: str, got: str) -> bool:
    pattern = ".*".join(map(re.escape, answer.split("…")))
    return re.fullmatch(pattern, got, re.DOTALL) is not None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
