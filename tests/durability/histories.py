"""Makes histories for the acceptance suite's isolation.py and versions.py, and for lists.py.

    python histories.py lists URL --out lists.jsonl [--clients 8] [--transactions 300] [--how threads|tasks|processes]
    python histories.py lists URL --out lists.jsonl --how http|wamp [--servers 2] [--kill 1.5]
    python histories.py versions URL --out versions.jsonl …

URL is a store's (sqlite:///…, postgresql://…), or `memory`. http and wamp start `limen serve` on it and go through its
services; --kill ends a server by SIGKILL every so many seconds and starts it again: what was under way then is `info`.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shelves import READS, Docs, Lists, Plan, final_lists, happened, prepare, resolve, storage_on

import limen
from limen import dbm, exc

HERE = Path(__file__).parent
SPAN = 3
"""So many lists of each shape are in use at a time."""
EACH = 12
"""Transactions of a client after which the next list comes into use."""
PATIENCE = 30.0
"""Seconds."""
BETWEEN_KILLS = 20
"""Calls that were answered, or failed, before the next kill."""
History = list[dict[str, Any]]
REFUSED = exc.TransactionConflict, exc.RecordVersionMismatch, exc.StoreError
"""Errors after which nothing was done, for sure. Any other, and none at all, leaves it open."""


def shelves_needed(transactions: int) -> int:
    return transactions // EACH + SPAN


def plan_of(chance: random.Random, client: int, number: int) -> Plan:
    """One to four appends and reads of lists that are in use at the time."""
    plan: Plan = []
    for place in range(chance.choice((1, 2, 2, 3, 4))):
        key = f"{chance.choice('rs')}{number // EACH + chance.randrange(SPAN)}"
        if chance.random() < 0.5:
            plan.append(["append", key, (client * 1_000_000 + number) * 10 + place])
        else:
            plan.append(["r", key, chance.choice(READS[key[0]])])
    return plan


def _entry(client: int, number: int, plan: Plan, start: float, status: str, given: list[Any] | None) -> dict[str, Any]:
    ops = happened(plan, given) if given is not None else [[w, k, v] for w, k, v in plan if w == "append"]
    return {
        "id": client * 1_000_000 + number,
        "process": client,
        "status": status,
        "start": start,
        "end": time.monotonic(),
        "ops": ops,
    }


def lists_by(client: int, transactions: int, call: Callable[[Plan], list[Any]], into: History, seed: int = 1) -> None:
    """One client's transactions, one after the other."""
    chance = random.Random(seed * 1000 + client)
    for number in range(transactions):
        plan = plan_of(chance, client, number)
        start = time.monotonic()
        try:
            given, status = call(plan), "ok"
        except exc.Error as error:
            given, status = None, "fail" if isinstance(error, REFUSED) else "info"
        into.append(_entry(client, number, plan, start, status, given))


async def lists_by_task(
    client: int, transactions: int, call: Callable[[Plan], Awaitable[list[Any]]], into: History, seed: int = 1
) -> None:
    """The same for an asyncio task."""
    chance = random.Random(seed * 1000 + client)
    for number in range(transactions):
        plan = plan_of(chance, client, number)
        start = time.monotonic()
        try:
            given, status = await call(plan), "ok"
        except exc.Error as error:
            given, status = None, "fail" if isinstance(error, REFUSED) else "info"
        into.append(_entry(client, number, plan, start, status, given))


def documents_by(
    client: int, operations: int, call: Callable[..., list[Any]], shared: list[str], into: History
) -> None:
    """One client's writes and reads of documents that all clients share in *shared*."""
    chance = random.Random(77 + client)
    seen: dict[str, int] = {}
    for number in range(operations):
        value = f"c{client}-{number}"
        recent = shared[-6:]
        what = (
            "insert"
            if not recent
            else chance.choices(("insert", "update", "delete", "fetch", "history"), (3, 50, 1, 44, 2))[0]
        )
        record = chance.choice(recent) if recent else ""
        base = seen.get(record, 1)
        arguments = {"insert": (value,), "fetch": (record,), "history": (record,)}.get(what, (record, base, value))
        event: dict[str, Any] = {"op": what, "record": record, "process": client, "start": time.monotonic()}
        try:
            status, version, got = call(what, *arguments)
        except exc.Error as error:
            status, version, got = ("fail" if isinstance(error, REFUSED) else "info"), None, None
        event |= {"status": status, "end": time.monotonic()}
        if what == "insert":
            if status != "ok":
                continue  # nobody knows its id, and nobody will ask for it
            event |= {"record": got, "version": version, "value": value}
            shared.append(got)
            record = got
        elif what == "history":
            event["versions"] = version
        else:
            event |= {"value": got if what == "fetch" else value} | ({"version": version} if version else {})
            event |= {"base": base} if what != "fetch" else {}
        if status == "ok" and what != "history":
            seen[record] = version if what != "delete" else base
        elif status in ("stale", "info") and what != "insert":
            seen.pop(record, None)
            try:
                seen[record] = call("fetch", record)[1] or 1
            except exc.Error:
                pass
        if not (what in ("fetch", "history") and status != "ok"):
            into.append(event)


# -- in this process ---------------------------------------------------------------------------------------------
def in_threads(work: Callable[[int], None], clients: range) -> None:
    failed: list[BaseException] = []

    def guarded(client: int) -> None:
        try:
            work(client)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def lists_on(store: Any, clients: int = 8, transactions: int = 60, how: str = "threads", seed: int = 1) -> History:
    """A whole history of *clients* on *store*, with the read of everything at its end."""
    storage = storage_on(store)
    prepare(storage, shelves_needed(transactions))
    history: History = []
    lists = Lists(storage)
    if how == "tasks":

        async def all_tasks() -> None:
            await asyncio.gather(
                *(lists_by_task(client, transactions, lists.transact_async, history, seed) for client in range(clients))
            )

        asyncio.run(all_tasks())
    else:
        in_threads(lambda client: lists_by(client, transactions, lists.transact, history, seed), range(clients))
    return ended(history, storage)


def ended(history: History, storage: Any) -> History:
    start = time.monotonic()
    final = final_lists(storage)
    last = {"id": -1, "process": -1, "status": "ok", "start": start, "end": time.monotonic()}
    return [*resolve(history, final), last | {"ops": [["r", key, value] for key, value in final.items()]}]


def documents_on(store: Any, clients: int = 8, operations: int = 60) -> History:
    docs = Docs(storage_on(store))
    history: History = []
    shared: list[str] = []
    call = lambda what, *arguments: getattr(docs, what)(*arguments)  # noqa: E731
    in_threads(lambda client: documents_by(client, operations, call, shared, history), range(clients))
    return histories_at_end(history, docs)


def histories_at_end(history: History, docs: Docs) -> History:
    for record in {event["record"] for event in history}:
        start = time.monotonic()
        _, versions, _ = docs.history(record)
        history.append(
            {
                "op": "history",
                "record": record,
                "status": "ok",
                "versions": versions,
                "start": start,
                "end": time.monotonic(),
            }
        )
    return history


# -- through a server --------------------------------------------------------------------------------------------
class Served:
    """`limen serve` on the store at *url*, which may be killed and started again. *folder*: where it runs; the keys and
    the mark of a PostgreSQL database are there, the same for all its servers. *workers*: it is so many processes, of
    which one is killed at a time; the server sees to the rest."""

    def __init__(self, url: str, folder: str, workers: int = 0) -> None:
        sys.path.insert(0, str(HERE.parent))
        from served import Server

        limen_ = str(Path(sys.executable).with_name("limen"))
        command = [limen_, "serve", str(HERE / "served_shelves.py"), "--port", "0", "--db", url]
        if workers:
            command += ["--workers", str(workers)]
        self.workers = workers
        self.server = Server(command, Path(folder), {**os.environ})
        self.kills = 0

    @property
    def url(self) -> str:
        return self.server.url

    def kill_and_start(self) -> None:
        self.kills += 1
        if self.workers:
            there = self.server.children()
            if there:
                os.kill(random.choice(sorted(there)), signal.SIGKILL)
            return
        self.server.kill()
        self.server.start_again()

    def stop(self) -> None:
        self.server.stop()


def _answer(request: urllib.request.Request) -> bytes:
    """What the server answers, be it an error."""
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        with error:
            return error.read()


def by_http(url: str) -> Callable[..., Any]:
    """Calls a service; raises its error, or ConnectionLost where there is no answer."""

    def call(service: str, **arguments: Any) -> Any:
        request = urllib.request.Request(
            f"{url}/{service}", json.dumps(arguments).encode(), {"content-type": "application/json"}
        )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                said = json.loads(_answer(request))
                break
            except (OSError, ValueError, http.client.HTTPException) as error:  # it may end amid its answer
                refused = isinstance(getattr(error, "reason", None), ConnectionRefusedError)
                if not refused or time.monotonic() > end:
                    raise exc.ConnectionLost(str(error)) from None
                time.sleep(0.05)  # it is being started again, and has not heard of this
        if isinstance(said, dict) and "exc" in said:
            raise getattr(exc, said["exc"], exc.Error)(str(said.get("err")))
        return said["result"] if isinstance(said, dict) and "result" in said else said

    return call


async def by_wamp(url: str, client: int, transactions: int, into: History) -> None:
    """One client's transactions over a WebSocket; a lost connection leaves a call open, and a new one is made."""
    number = 0
    chance = random.Random(3000 + client)
    while number < transactions:
        try:
            async with limen.connect(url, patience=0.5, open_timeout=2, timeout=20) as session:
                while number < transactions:
                    plan = plan_of(chance, client, number)
                    start = time.monotonic()
                    try:
                        given, status = await session.call(chance.choice(("transact", "transact_async")), plan), "ok"
                    except exc.Error as error:
                        given, status = None, "fail" if isinstance(error, REFUSED) else "info"
                    into.append(_entry(client, number, plan, start, status, given))
                    number += 1
                    if status == "info":
                        break
        except (exc.Error, OSError):
            await asyncio.sleep(0.1)


def through_servers(
    url: str, what: str, how: str, clients: int, transactions: int, servers: int, kill: float | None, workers: int = 0
) -> tuple[History, int]:
    """The history, and how often a server (or one of its workers) was killed."""
    store = dbm.SQLStore(url)
    storage = storage_on_default(store)
    prepare(storage, shelves_needed(transactions))
    store.close()
    folder = tempfile.mkdtemp(prefix="limen-served-")
    running = [Served(url, folder, workers) for _ in range(servers)]
    history: History = []
    over = threading.Event()
    killer = threading.Thread(target=_kill_now_and_then, args=(running, kill, over, history)) if kill else None
    try:
        if killer:
            killer.start()
        if what == "versions":
            shared: list[str] = []

            def documents(client: int) -> None:
                call = by_http(running[client % servers].url)
                documents_by(
                    client, transactions, lambda what, *a: call("doc", what=what, arguments=list(a)), shared, history
                )

            in_threads(documents, range(clients))
        elif how == "wamp":

            async def sessions() -> None:
                await asyncio.gather(
                    *(by_wamp(running[n % servers].url, n, transactions, history) for n in range(clients))
                )

            asyncio.run(sessions())
        else:

            def lists(client: int) -> None:
                call = by_http(running[client % servers].url)
                service = "transact_async" if client % 2 else "transact"
                lists_by(client, transactions, lambda plan: call(service, plan=plan), history)

            in_threads(lists, range(clients))
    finally:
        over.set()
        if killer:
            killer.join()
        for server in running:
            server.stop()
        shutil.rmtree(folder)
    store = dbm.SQLStore(url)
    storage = storage_on_default(store)
    whole = histories_at_end(history, Docs(storage)) if what == "versions" else ended(history, storage)
    store.close()
    return whole, sum(server.kills for server in running)


def storage_on_default(store: Any) -> Any:
    return storage_on(store)


def _kill_now_and_then(running: list[Served], every: float, over: threading.Event, history: History) -> None:
    """Kills once a while, and only if something was done since: on a slow machine servers would be killed faster than
    they start, and a supervisor would wait longer and longer before it starts the next."""
    chance, done = random.Random(5), 0
    while not over.wait(every * chance.uniform(0.5, 1.5)):
        if len(history) - done >= BETWEEN_KILLS:
            done = len(history)
            chance.choice(running).kill_and_start()


def write(history: History, out: str) -> None:
    with open(out, "w") as file:
        for line in history:
            file.write(json.dumps(line) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("lists", "versions"))
    parser.add_argument("url")
    parser.add_argument("--out", required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--transactions", type=int, default=300, help="of each client")
    parser.add_argument("--how", choices=("threads", "tasks", "processes", "http", "wamp"), default="threads")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes of each server; --kill kills one of them")
    parser.add_argument("--kill", type=float)
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.how in ("http", "wamp"):
        history, kills = through_servers(
            options.url,
            options.what,
            options.how,
            options.clients,
            options.transactions,
            options.servers,
            options.kill,
            options.workers,
        )
        print(f"{len(history)} lines, {kills} {'workers' if options.workers else 'servers'} killed")
    elif options.how == "processes" or options.part is not None:
        history = in_processes(options)
    else:
        store = dbm.MemDictStore() if options.url == "memory" else dbm.SQLStore(options.url)
        if options.what == "lists":
            history = lists_on(store, options.clients, options.transactions, options.how)
        else:
            history = documents_on(store, options.clients, options.transactions)
        store.close()
    write(history, options.out)
    return 0


def in_processes(options: argparse.Namespace) -> History:
    """The clients in several processes, two or more in each."""
    store = dbm.SQLStore(options.url)
    storage = storage_on(store)
    each = -(-options.clients // options.processes)
    history: History = []
    if options.part is not None:
        clients = range(options.part * each, min(options.clients, (options.part + 1) * each))
        lists = Lists(storage)
        in_threads(lambda client: lists_by(client, options.transactions, lists.transact, history), clients)
        store.close()
        return history
    prepare(storage, shelves_needed(options.transactions))
    command = [sys.executable, __file__, options.what, options.url, "--clients", str(options.clients)]
    command += ["--processes", str(options.processes), "--transactions", str(options.transactions)]
    parts = [
        subprocess.Popen([*command, "--out", f"{options.out}.{part}", "--part", str(part)])
        for part in range(options.processes)
    ]
    for part, process in enumerate(parts):
        if process.wait():
            raise RuntimeError(f"a process of the clients has ended with {process.returncode}")
        path = Path(f"{options.out}.{part}")
        history += [json.loads(line) for line in path.read_text().splitlines()]
        path.unlink()
    whole = ended(history, storage)
    store.close()
    return whole


if __name__ == "__main__":
    sys.exit(main())
