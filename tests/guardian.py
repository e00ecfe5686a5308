"""Runs one server, and ends it when whoever wanted it ends: `guardian.py FOLDER USER COMMAND…`.

Standard input says how the server is to end: `stop` (SIGINT) or `crash` (SIGQUIT). Its end without a word, which is how
a killed process leaves, means: crash, and remove FOLDER. USER may be empty: the same user. Standard library only.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any

SIGNALS = {"stop": signal.SIGINT, "crash": signal.SIGQUIT}
"""PostgreSQL's fast shutdown, which ends connections; and the immediate one, after which it must recover."""
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def running_as(user: str | None) -> dict[str, Any]:
    """Popen's arguments for running as *user*, in its own group and no other.

    >>> running_as(None)
    {}
    """
    if not user:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def guard(folder: str, user: str, command: list[str]) -> int:
    """Runs *command* until it ends; gives its exit code."""
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        **running_as(user),
    )
    for number in IGNORED:  # after the server was started, for it would inherit that
        signal.signal(number, signal.SIG_IGN)
    os.close(1)  # what is read there is the server's now, and ends with it
    words: list[str] = []

    def listen() -> None:
        words.append(sys.stdin.readline().strip())
        server.send_signal(SIGNALS.get(words[0], signal.SIGQUIT))

    threading.Thread(target=listen, daemon=True).start()
    code = server.wait()
    if words == [""]:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1], sys.argv[2], sys.argv[3:]))
