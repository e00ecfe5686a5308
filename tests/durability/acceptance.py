"""Runs the acceptance suite's storage part on both engines, in short forms: `acceptance.py SUITE [--minutes 1]`.

crash.py kills the writer and takes the power away under it (for which it compiles a small library by gcc); isolation.py
and versions.py judge histories made in threads, tasks, processes and through servers that are killed. Prints their
verdicts; ends with 1 where one of them found something.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from cluster import Cluster  # noqa: E402
from postgres import Databases  # noqa: E402

PYTHON = sys.executable


def crashes(suite: Path, folder: Path, kills: int, power: int) -> Iterator[list[str]]:
    """The commands of crash.py."""
    crash = [PYTHON, str(suite / "crash.py")]
    for lanes, more, strict in ((1, "", []), (4, "--tasks", ["--strict-dirs"])):
        url = "sqlite:///{dir}/store.db"
        yield [
            *crash,
            f"{PYTHON} {HERE}/writer.py {url} --lanes {lanes} {more}",
            *("--check", f"{PYTHON} {HERE}/checker.py {url}", "--in-flight", str(lanes), "--seconds", "1.5", *strict),
            *("--kills", str(kills), "--power", str(power)),
        ]
    Cluster(folder / "base").make()
    yield [
        *crash,
        f"{PYTHON} {HERE}/writer.py --cluster {{dir}} --lanes 3",
        *("--check", f"{PYTHON} {HERE}/checker.py --cluster {{dir}}", "--in-flight", "3", "--seconds", "1.5"),
        *("--base", str(folder / "base"), "--kills", str(max(1, kills // 3)), "--power", str(max(1, power // 3))),
    ]


def histories(suite: Path, folder: Path, urls: Iterator[str], transactions: int) -> Iterator[list[list[str]]]:
    """The commands that make a history, and those that judge it."""
    ways = (
        "lists threads",
        "lists tasks",
        "lists processes",
        "lists http",
        "lists wamp",
        "versions threads",
        "versions http",
    )
    for url in urls:
        for number, way in enumerate(ways):
            what, how = way.split()
            out = str(folder / f"{number}.jsonl")
            made = [
                PYTHON,
                str(HERE / "histories.py"),
                what,
                url.replace("{n}", str(number)),
                "--out",
                out,
                "--how",
                how,
            ]
            made += ["--transactions", str(transactions), *(["--kill", "1"] if how in ("http", "wamp") else [])]
            made += ["--servers", "2"] if how in ("http", "wamp") and url.startswith("postgresql") else []
            judge = "isolation.py" if what == "lists" else "versions.py"
            level = ["--level", "strict-serializable"] if what == "lists" else []
            yield [made, [PYTHON, str(suite / judge), out, *level]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--power", type=int, default=24)
    parser.add_argument("--transactions", type=int, default=60)
    options = parser.parse_args()
    bad = 0
    folder = Path(tempfile.mkdtemp(prefix="limen-acceptance-"))
    databases = Databases()
    try:

        def urls() -> Iterator[str]:
            yield f"sqlite:///{folder}/{{n}}.db"
            yield databases.make()

        for command in crashes(options.suite, folder, options.kills, options.power):
            bad += run(" ".join(command[2:3]).replace(PYTHON, "").replace(f" {HERE}/", ""), command)
        for commands in histories(options.suite, folder, urls(), options.transactions):
            for command in commands:
                bad += run(" ".join(command[2:5]).replace(str(folder), "…"), command)
    finally:
        databases.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


def run(name: str, command: list[str]) -> int:
    since = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = [line for line in done.stdout.splitlines() if line.strip()]
    print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name} ({time.monotonic() - since:.1f} s)", flush=True)
    for line in said if done.returncode else [line for line in said if line.startswith("ok  ")]:
        print(f"       {line}", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
