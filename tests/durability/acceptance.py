"""Runs the acceptance suite's storage part on both engines, in short forms: `acceptance.py SUITE`.

crash.py kills the writer and takes the power away under it (for which it compiles a small library by gcc); isolation.py
and versions.py judge histories made in threads, tasks, processes and through servers that are killed. Prints their
verdicts; ends with 1 where one of them found something.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from cluster import Cluster  # noqa: E402
from postgres import Databases  # noqa: E402

PYTHON = sys.executable
LISTS = "lists threads", "lists tasks", "lists processes", "lists http", "lists wamp"


Commands = Iterator[list[str]]


def crashes_of_sqlite(suite: Path, kills: int, power: int) -> Commands:
    crash = [PYTHON, str(suite / "crash.py")]
    for lanes, more, strict in ((1, "", []), (4, "--tasks", ["--strict-dirs"])):
        url = "sqlite:///{dir}/store.db"
        yield [
            *crash,
            f"{PYTHON} {HERE}/writer.py {url} --lanes {lanes} {more}",
            *("--check", f"{PYTHON} {HERE}/checker.py {url}", "--in-flight", str(lanes), "--seconds", "1.5", *strict),
            *("--kills", str(kills), "--power", str(power)),
        ]


def crashes_of_postgresql(suite: Path, folder: Path, kills: int, power: int) -> Commands:
    Cluster(folder / "base").make()
    yield [
        *(PYTHON, str(suite / "crash.py"), f"{PYTHON} {HERE}/writer.py --cluster {{dir}} --lanes 3"),
        *("--check", f"{PYTHON} {HERE}/checker.py --cluster {{dir}}", "--in-flight", "3", "--seconds", "1.5"),
        *("--base", str(folder / "base"), "--kills", str(kills), "--power", str(power)),
    ]


def histories(suite: Path, folder: Path, url: Callable[[], str], transactions: int) -> Commands:
    """The commands that make a history, each followed by the one that judges it."""
    for way in (*LISTS, "versions threads", "versions http"):
        what, how = way.split()
        made = url()
        out = str(folder / f"{way}.jsonl")
        yield [
            *(PYTHON, str(HERE / "histories.py"), what, made, "--out", out, "--how", how),
            *("--transactions", str(transactions)),
            *(["--kill", "1"] if how in ("http", "wamp") else []),
            *(["--servers", "2"] if how in ("http", "wamp") and made.startswith("postgresql") else []),
        ]
        if what == "lists":
            yield [PYTHON, str(suite / "isolation.py"), out, "--level", "strict-serializable"]
        else:
            yield [PYTHON, str(suite / "versions.py"), out]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--kills", type=int, default=3, help="of each engine; a third of them on PostgreSQL")
    parser.add_argument("--power", type=int, default=9, help="power cuts; the same")
    parser.add_argument("--transactions", type=int, default=40, help="of each of eight clients")
    options = parser.parse_args()
    suite, few = options.suite.resolve(), (max(1, options.kills // 3), max(1, options.power // 3))
    folder = Path(tempfile.mkdtemp(prefix="limen-acceptance-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user where this runs as root
    (folder / "sqlite").mkdir()
    (folder / "postgresql").mkdir()
    numbers = count()
    databases = Databases()
    lines = (
        chain(
            crashes_of_sqlite(suite, options.kills, options.power),
            histories(
                suite,
                folder / "sqlite",
                lambda: f"sqlite:///{folder}/sqlite/{next(numbers)}.db",
                options.transactions,
            ),
        ),
        chain(
            crashes_of_postgresql(suite, folder / "postgresql", *few),
            histories(suite, folder / "postgresql", databases.make, options.transactions),
        ),
    )
    try:
        with ThreadPoolExecutor(len(lines)) as pool:  # the engines beside each other
            bad = sum(pool.map(lambda commands: sum(run(command, str(folder)) for command in commands), lines))
    finally:
        databases.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


def run(command: list[str], folder: str) -> int:
    """1 where it found something; what it said is printed then, else what it found in order."""
    since = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    words = (word.replace(f"{PYTHON} ", "").replace(f"{HERE}/", "").replace(f"{folder}/", "") for word in command[2:5])
    said = [line for line in done.stdout.splitlines() if line.strip()]
    well = [line for line in said if line.startswith("ok  ") or re.match(r"\d+ (transactions|events)", line)]
    mark = "FAIL" if done.returncode else "ok  "
    lines = [f"{mark} {Path(command[1]).name} {' '.join(words):.90} ({time.monotonic() - since:.1f} s)"]
    print("\n       ".join(lines + (said if done.returncode else well)), flush=True)
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
