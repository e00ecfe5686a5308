"""Commits until it is killed, and says the number of each commit once it was acknowledged, one a line.

    python writer.py sqlite:///{dir}/store.db [--lanes 4] [--processes 2] [--tasks]
    python writer.py --cluster {dir}                    starts the PostgreSQL server whose data is there, too

Goes on after what it finds. Each lane is a thread, with --tasks an asyncio task, and writes what ledger.py says. This
is the WRITER of the acceptance suite's crash.py; `--in-flight` there is lanes times processes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import threading

from ledger import number_of, open_storage, steps_of, take_step, take_step_async


def say(lane: int, step: int) -> None:
    os.write(1, f"{number_of(lane, step)}\n".encode())


def write(storage, lane: int, upto: int) -> None:
    step = steps_of(storage, lane)
    while step < upto:
        step += 1
        take_step(storage, lane, step)
        say(lane, step)


async def write_async(storage, lane: int, upto: int) -> None:
    step = await asyncio.to_thread(steps_of, storage, lane)
    while step < upto:
        step += 1
        await take_step_async(storage, lane, step)
        say(lane, step)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--cluster", help="folder of a PostgreSQL server's data; it is started where it does not run")
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first lane")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--tasks", action="store_true", help="asyncio tasks instead of threads")
    parser.add_argument("--steps", type=int, default=sys.maxsize, help="end after so many steps of each lane")
    options = parser.parse_args()
    url = options.url
    if options.cluster:
        from cluster import Cluster

        url = Cluster(options.cluster).start().url
    more = []
    for number in range(1, options.processes):
        first = options.first + number * options.lanes
        command = [sys.executable, __file__, url, "--lanes", str(options.lanes), "--first", str(first)]
        more.append(subprocess.Popen(command + ["--tasks"] * options.tasks + ["--steps", str(options.steps)]))
    storage = open_storage(url)
    lanes = range(options.first, options.first + options.lanes)
    if options.tasks:

        async def all_lanes() -> None:
            await asyncio.gather(*(write_async(storage, lane, options.steps) for lane in lanes))

        asyncio.run(all_lanes())
    else:
        threads = [threading.Thread(target=write, args=(storage, lane, options.steps)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return max([process.wait() for process in more], default=0)


if __name__ == "__main__":
    sys.exit(main())
