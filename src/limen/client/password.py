"""Changing one's own password, by whatever sealed way: the password does not leave this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from limen.base.names import long_enough
from limen.core.seal.login import ClientRegistration


def password_min(details: Mapping[str, Any]) -> int:
    """Characters that a new password has at least: the server's word, in WELCOME; it never sees a password itself.

    >>> password_min({"x_password_min": 12}), password_min({})
    (12, 0)
    """
    least = details.get("x_password_min")
    return least if isinstance(least, int) else 0


async def change(call: Callable[..., Awaitable[Any]], user: str, domain: str, password: str, least: int) -> None:
    """*call*: a sealed call of the server's own procedures. Raises `InvalidCredential` for a password of less than
    *least* characters, and what the server says."""
    long_enough(password, least)
    machine = ClientRegistration(user, password, domain=domain, entropy=os.urandom(96))
    response = await call("limen.password.begin", [machine.request])
    record = await asyncio.to_thread(machine.record, response)  # key stretching takes 0.1 to 0.2 s of a processor
    await call("limen.password.finish", [record])
