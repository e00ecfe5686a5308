"""What the HTTP lane is measured with: a sealed service that does nothing, and a plain one that writes a record."""

import os
from pathlib import Path

from limen import add_model, auth, config, service, storage


@add_model
class Note:
    text: str


@service(ssl=False, inline=True)
def sealed(number: int):
    return number


@service(safe=False, ssl=False)
async def write(number: int):
    async with storage("a note") as db:
        await db.insert(Note, text=f"note {number}")
    return number


@service(safe=False, ssl=False, inline=True)
def plain(number: int):
    return number


config.MAX_USER_SESSIONS = 1000
auth.add_machine("robot")
Path(os.environ["BENCH_KEY"]).write_text(auth.add_key("robot").dump())
