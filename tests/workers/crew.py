"""What the workers of these tests serve."""

import asyncio
import os
import time

import limen
from limen import add_model, service, storage, topic

limen.config.IS_DEVELOPMENT = True
limen.config.MAX_ORIGIN_CONNECTIONS = 1000
limen.auth.add_user("ada", "correct horse")
limen.auth.add_user("bob", "battery staple")
news = topic("news", safe=False)


@add_model
class Mark:
    @classmethod
    def index(cls, record):
        return {"key": record.get("key")}


@service(safe=False, ssl=False)
def who():
    return os.getpid()


@service(safe=False, ssl=False)
def mark(key, seconds=0.0):
    with storage("mark") as db:
        db.insert(Mark, key=key)
    time.sleep(seconds)
    return os.getpid()


@service(safe=False, ssl=False)
def marks():
    with storage("count") as db:
        return len(list(db.select(Mark)))


@service(safe=False, ssl=False)
def keys(prefix):
    with storage("keys") as db:
        return [record.key for record in db.select(Mark) if str(record.key).startswith(prefix)]


@service
async def slow(key, seconds):
    """Marks, and answers later."""
    async with storage("slow") as db:
        await db.insert(Mark, key=key)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        async with storage("cancelled") as db:
            await db.insert(Mark, key=f"cancelled {key}")
        raise
    return [os.getpid(), key]


@service(safe=False, ssl=False)
async def announce(numbers):
    """Publishes these, one after the other."""
    for number in numbers:
        news.publish(os.getpid(), number)
        await asyncio.sleep(0)
    return os.getpid()


@service
async def tick(key):
    """As little as a call can write."""
    async with storage("tick") as db:
        await db.insert(Mark, key=key)
    return key


@limen.bind("crew.node")
class Bound(limen.Node):
    """In one of them at a time."""

    @limen.call
    def where(self):
        return os.getpid()
