"""Limen's units of work: `store_limen.py URL`."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

from tasks import TEXT, serve

from limen import DataStore, dbm

storage = DataStore(dbm.SQLStore(sys.argv[1]))
runner = asyncio.Runner()
pool = ThreadPoolExecutor(16)
last = None


class Todo:
    """A model without hooks."""


def insert(count):
    global last
    for number in range(count):
        with storage("benchmark") as db:
            last = db.insert(Todo, text=TEXT, done=False, number=number)


def hundred(count):
    for _ in range(count):
        with storage("benchmark") as db:
            for number in range(100):
                db.insert(Todo, text=TEXT, done=False, number=number)


def fetch(count):
    key = last._uuid
    for _ in range(count):
        with storage() as db:
            db.fetch(Todo, key)


async def insert_async(count):
    for number in range(count):
        async with storage("benchmark") as db:
            await db.insert(Todo, text=TEXT, done=False, number=number)


async def fetch_async(count):
    key = last._uuid
    for _ in range(count):
        async with storage() as db:
            await db.fetch(Todo, key)


async def writers(count):
    """Sixteen tasks at once."""
    await asyncio.gather(*[insert_async(count // 16) for _ in range(16)])


def threads(count):
    """Sixteen threads at once."""
    list(pool.map(insert, [count // 16] * 16))


def on_a_loop(function):
    return lambda count: runner.run(function(count))


serve(
    {
        "insert": insert,
        "hundred": hundred,
        "fetch": fetch,
        "threads": threads,
        "insert_async": on_a_loop(insert_async),
        "fetch_async": on_a_loop(fetch_async),
        "writers": on_a_loop(writers),
    }
)
