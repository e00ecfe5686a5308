"""The peers, each in an environment of its own under .cache/peers, made when it is first asked for.

LIMEN_PEERS names a folder with environments that are ready: those in it (`web`, `autobahn`, `crossbar`, `xconn`) are
used as they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from .processes import ROOT

PACKAGES = {
    "web": ("fastapi", "starlette", "uvicorn", "uvloop", "httptools"),
    "autobahn": ("autobahn", "uvloop"),
    "crossbar": ("crossbar",),
    "xconn": ("xconn", "uvloop"),
    "react": ("reaktiv",),
    "signals": ("blinker",),
    "storage": ("django", "django-simple-history", "sqlalchemy", "aiosqlite", "greenlet", "asyncpg"),
}


def peers(name: str) -> str:
    """The Python of the environment *name*. Making that of Crossbar.io takes some minutes."""
    ready = os.environ.get("LIMEN_PEERS")
    if ready and (python := Path(ready, name, "bin", "python")).exists():
        return str(python)
    folder = ROOT / ".cache" / "peers" / name
    python, done = folder / "bin" / "python", folder / "done"
    if not done.exists():
        print(f"  making .cache/peers/{name} ({', '.join(PACKAGES[name])})", end=" … ", flush=True)
        begun = time.monotonic()
        run(sys.executable, "-m", "venv", "--clear", str(folder))
        run(str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES[name])
        done.touch()
        print(f"{time.monotonic() - begun:.0f} s", flush=True)
    return str(python)


def run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout.decode(errors='replace')[-4000:]}")
