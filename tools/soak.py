"""The long forms of tests: of tests/durability histories, kills and power cuts by the hundred, on both engines; of the
wire storms, fuzzing, pending calls and Autobahn's testsuite (soak_wire.py). Prints figures.

    make soak                                   everything: three quarters of an hour
    make soak ARGS="sqlite --kills 20"          one engine, fewer kills
    make soak ARGS="wire --fuzz 600"            the wire, each target fuzzed for ten minutes

Ends with 1 where anything was lost, damaged or out of order. Power cuts of PostgreSQL are made by the acceptance suite
(../shared/acceptance/storage/crash.py, which needs gcc); where that is not there, they are not made, and it says so.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
DURABILITY = TESTS / "durability"
SUITE = ROOT.parent / "shared" / "acceptance" / "storage"
sys.path[:0] = [str(DURABILITY), str(TESTS), str(ROOT / "tools")]

from cluster import Cluster  # noqa: E402
from histories import documents_on, lists_on, through_servers  # noqa: E402
from lists import anomalies  # noqa: E402
from load import Load, fresh_database  # noqa: E402
from powerloss import disks, judge  # noqa: E402
from test_kills import kill_under_load  # noqa: E402
from test_power_loss import opened, recorded  # noqa: E402
from versions import one_line  # noqa: E402

from limen import dbm  # noqa: E402

MEMORY = Path("/dev/shm")
"""For databases that are opened once."""
CLIENTS = 8
OPERATIONS_OF_A_TRANSACTION = 2.0


class Soak:
    """Prints a line for each part, and keeps whether all went well."""

    def __init__(self) -> None:
        self.well = True

    def say(self, engine: str, what: str, figures: str, wrong: list[str], since: float) -> None:
        self.well = self.well and not wrong
        mark = "ok  " if not wrong else "FAIL"
        print(f"{mark} {engine:10} {what:24} {figures}; {time.monotonic() - since:.0f} s", flush=True)
        for line in wrong[:10]:
            print(f"       {line}", flush=True)


# -- histories -----------------------------------------------------------------------------------------------------
def histories(soak: Soak, engine: str, fresh: Callable[[], str], operations: int) -> None:
    """List appends in threads, tasks, processes and through servers that are killed; and lines of versions."""
    ways = ("threads", "tasks", "processes", "http", "wamp", "versions", "versions http")
    each = int(operations / len(ways) / OPERATIONS_OF_A_TRANSACTION / CLIENTS) + 1
    for way in ways:
        since = time.monotonic()
        wrong: list[str] = []
        done: Counter[str] = Counter()
        kills = 0
        left = each if not way.startswith("versions") else int(each * OPERATIONS_OF_A_TRANSACTION)
        while left > 0:
            part = min(left, 300)  # a history is judged as a whole: several of a size that can be
            left -= part
            url = fresh()
            history: list[dict[str, object]]
            if way in ("http", "wamp", "versions http"):
                what = "versions" if way.startswith("versions") else "lists"
                # One server per SQLite file; PostgreSQL takes several.
                servers = 1 if engine == "sqlite" else 2
                history, killed = through_servers(url, what, way.split()[-1], CLIENTS, part, servers, 1.5)
                kills += killed
            elif way == "processes":
                history = by_processes(url, part)
            else:
                store = dbm.SQLStore(url)
                history = (
                    documents_on(store, CLIENTS, part) if way == "versions" else lists_on(store, CLIENTS, part, way)
                )
                store.close()
            found = one_line(history) if way.startswith("versions") else said(anomalies(history))
            wrong += found
            for line in history:
                done[str(line["status"])] += 1
                done["operations"] += len(line.get("ops", [0]))  # type: ignore[arg-type]
        figures = (
            f"{done['operations']} operations, {done['ok']} units of work done, {done['fail'] + done['stale']} refused"
        )
        figures += f", {done['info']} left open by {kills} kills" if kills else ""
        soak.say(engine, f"history by {way}", figures, wrong, since)


def by_processes(url: str, transactions: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lists.jsonl"
        command = [
            sys.executable,
            str(DURABILITY / "histories.py"),
            "lists",
            url,
            "--out",
            str(out),
            "--how",
            "processes",
        ]
        subprocess.run([*command, "--transactions", str(transactions), "--clients", str(CLIENTS)], check=True)
        return [json.loads(line) for line in out.read_text().splitlines()]


def said(found: dict[str, list[str]]) -> list[str]:
    return [f"{name}: {text[:300]}" for name, texts in found.items() for text in texts]


# -- kills ---------------------------------------------------------------------------------------------------------
def kills(soak: Soak, engine: str, fresh: Callable[[], str], count: int) -> None:
    """Writers of several kinds, killed with all their processes."""
    ways = (("--lanes", "1"), ("--lanes", "4"), ("--lanes", "4", "--tasks"), ("--lanes", "2", "--processes", "2"))
    for number, options in enumerate(ways):
        since = time.monotonic()
        wrong: list[str] = []
        commits: set[int] = set()
        try:
            _, commits = kill_under_load(fresh(), -(-count // len(ways)), random.Random(number), *options, alive=0.25)
        except AssertionError as error:
            wrong.append(str(error))
        figures = f"{-(-count // len(ways))} kills -9 of the writer, {len(commits)} commits, none lost"
        soak.say(engine, " ".join(options), figures if not wrong else "", wrong, since)


def crashes(soak: Soak, count: int) -> None:
    """PostgreSQL itself: stopped at once, and one of its processes killed, under load."""
    import os
    import signal

    import psycopg
    from postgres import Server

    server = Server()
    try:
        since = time.monotonic()
        load = Load(fresh_database(server), lanes=4)
        for number in range(count):
            load.go_on(0.15)
            if number % 2:
                with psycopg.connect(server.url("limen"), autocommit=True) as connection:
                    pids = connection.execute(
                        "SELECT pid FROM pg_stat_activity"
                        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                    ).fetchall()
                for (pid,) in pids[:1]:
                    os.kill(pid, signal.SIGKILL)
            else:
                server.crash()
                server.start()
        load.go_on(0.2)
        wrong: list[str] = []
        try:
            load.end()
            load.check()
        except AssertionError as error:
            wrong.append(str(error))
        figures = (
            f"{count} crashes, {len(load.acknowledged)} commits, {len(load.refused)} refused, {load.unknown} unknown"
        )
        soak.say("postgresql", "crashes of the server", figures, wrong, since)
    finally:
        server.close()


# -- power cuts ----------------------------------------------------------------------------------------------------
def power_cuts_of_sqlite(soak: Soak, count: int) -> None:
    """At least *count* points in long histories, many disks at each."""
    chance = random.Random(4)
    for lanes, steps in ((1, 60), (4, 15), (8, 8)):
        since = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix="limen-soak-", dir=MEMORY if MEMORY.is_dir() else None))
        (folder / "cuts").mkdir()
        recorder = recorded(folder / "store", lanes, steps)
        every = max(1, len(recorder.events) * 3 // count)
        points = len(recorder.events) // every
        verdict = judge(disks(recorder.events, chance, mixtures=4, every=every), folder / "cuts", opened)
        shutil.rmtree(folder)
        figures = f"{points} power cuts, {verdict.cuts} disks that could be left, {verdict.opened} different, none lost"
        soak.say("sqlite", f"power, {lanes} writers", figures if not verdict.wrong else "", verdict.wrong, since)


def power_cuts_of_postgresql(soak: Soak, count: int) -> None:
    since = time.monotonic()
    if not (SUITE / "crash.py").exists() or not shutil.which("gcc"):
        print("     postgresql power cuts were not made: they need ../shared/acceptance/storage and gcc")
        return
    folder = Path(tempfile.mkdtemp(prefix="limen-soak-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user where this runs as root
    try:
        Cluster(folder / "base").make()
        python, here = sys.executable, DURABILITY
        command = [sys.executable, str(SUITE / "crash.py"), f"{python} {here}/writer.py --cluster {{dir}} --lanes 3"]
        command += ["--check", f"{python} {here}/checker.py --cluster {{dir}}", "--base", str(folder / "base")]
        command += ["--kills", "0", "--power", str(count), "--in-flight", "3"]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = [line[4:].strip() for line in done.stdout.splitlines() if "power loss" in line]
    soak.say("postgresql", "power", lines[0] if lines else "", [done.stdout[-1500:]] if done.returncode else [], since)


@contextmanager
def databases(engine: str) -> Iterator[Callable[[], str]]:
    """Makes fresh ones."""
    if engine == "sqlite":
        folder = Path(tempfile.mkdtemp(prefix="limen-soak-"))
        numbers = iter(range(1_000_000))
        try:
            yield lambda: f"sqlite:///{folder}/{next(numbers)}.db"
        finally:
            shutil.rmtree(folder)
    else:
        from postgres import Databases

        made = Databases()
        try:
            yield made.make
        finally:
            made.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["sqlite", "postgresql", "wire"])
    parser.add_argument("--operations", type=int, default=100_000, help="of histories")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--power", type=int, default=200, help="power cuts")
    parser.add_argument("--storms", type=int, default=30, help="of 10,000 calls and events each")
    parser.add_argument("--fuzz", type=int, default=60, help="seconds for each target")
    options = parser.parse_args()
    soak = Soak()
    if "wire" in options.engines:
        from soak_wire import wire

        wire(soak, options.storms, options.fuzz)
    for engine in options.engines:
        if engine == "wire":
            continue
        with databases(engine) as fresh:
            if options.operations:
                histories(soak, engine, fresh, options.operations)
            if options.kills:
                kills(soak, engine, fresh, options.kills)
        if engine == "sqlite" and options.power:
            power_cuts_of_sqlite(soak, options.power)
        if engine == "postgresql":
            if options.kills:
                crashes(soak, max(4, options.kills // 5))
            if options.power:
                power_cuts_of_postgresql(soak, options.power)
    print("nothing was lost, damaged or out of order" if soak.well else "NOT WELL: see FAIL above")
    return 0 if soak.well else 1


if __name__ == "__main__":
    sys.exit(main())
