"""Reads the code without running it: one table of checks, all of them run, a line for each."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from bootstrap import node_environment  # noqa: E402

BIN = ROOT / ".venv" / "bin"

CHECKS: dict[str, list[str]] = {
    "style of the Python": [str(BIN / "ruff"), "check", "--no-cache"],
    "layout of the Python": [str(BIN / "ruff"), "format", "--no-cache", "--check"],
    "types of the Python": [str(BIN / "mypy"), "--strict"],
    "types of the Python, in 3.14": [str(BIN / "mypy"), "--strict", "--python-version", "3.14"],
    "types of the JavaScript": ["npm", "run", "--silent", "check"],
    "floors": [str(BIN / "lint-imports"), "--no-cache", "--config", "tests/floors.ini"],
}


def main() -> int:
    env = node_environment()
    failed = 0
    for what, command in CHECKS.items():
        begun = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(f"{'FAILED' if done.returncode else 'ok':8}{what} ({time.monotonic() - begun:.0f} s)", flush=True)
        if done.returncode:
            failed += 1
            print(done.stdout.decode(errors="replace"), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
