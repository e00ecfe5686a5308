"""Changing one's own password, by whatever sealed way: the password does not leave this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from limen.core.seal.login import ClientRegistration


async def change(call: Callable[..., Awaitable[Any]], user: str, domain: str, password: str) -> None:
    """*call*: a sealed call of the server's own procedures. Raises what the server says."""
    machine = ClientRegistration(user, password, domain=domain, entropy=os.urandom(96))
    response = await call("limen.password.begin", [machine.request])
    record = await asyncio.to_thread(machine.record, response)  # key stretching takes 0.1 to 0.2 s of a processor
    await call("limen.password.finish", [record])
