"""What the peers call: services and a topic of the server itself, which runs with `--realm-rules open`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from limen import auth, get_state, service, topic

news = topic("news", safe=False)
ended = asyncio.Event()
auth.add_machine("device", roles=["machine"])
auth.add_key(
    "device", kind="ed25519", public=bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
)
"""Of the private key 000102…1f, which the peers know."""


@service(safe=False, ssl=False, roles=["machine"])
def whoami() -> list[str | None]:
    return [get_state().user, *get_state().roles]


@service(safe=False, ssl=False)
def add(a: int, b: int = 0) -> int:
    return a + b


@service(safe=False, ssl=False)
def echo(value: Any) -> Any:
    return value


@service(safe=False, ssl=False)
async def count(to: int) -> AsyncIterator[int]:
    for n in range(to):
        yield n


@service(safe=False, ssl=False)
async def forever() -> AsyncIterator[int]:
    n = 0
    try:
        while True:
            yield n
            n += 1
            await asyncio.sleep(0.001)
    finally:
        ended.set()


@service(safe=False, ssl=False)
async def until_forever_has_ended() -> bool:
    await ended.wait()
    ended.clear()
    return True


@service(safe=False, ssl=False)
def tell(text: str) -> None:
    news.publish(text, by="the server")
