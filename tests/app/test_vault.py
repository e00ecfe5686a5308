"""What an App keeps about people."""

from __future__ import annotations

import time

from limen import App
from limen.core.guard.accounts import Slot


def slot(app: App, domain: str, handle: bytes, age: float) -> None:
    then = time.time() - age
    app.vault.slots.put(
        Slot(
            handle=handle,
            domain=domain,
            user="ada",
            public=bytes(32),
            opened=then,
            used=then,
            login=then,
            epoch=app.vault.mark.epoch,
            origin="192.0.2.7",
            key_number=1,
        ),
        at_most=9,
    )


def test_a_start_keeps_the_sessions_of_a_domain_that_lets_them_live_longer() -> None:
    app = App()
    app.config.domain("long.example").SESSION_TIMEOUT = 3 * app.config.SESSION_TIMEOUT
    slot(app, "long.example", b"long".ljust(16), age=2 * app.config.SESSION_TIMEOUT)
    slot(app, "long.example", b"gone".ljust(16), age=4 * app.config.SESSION_TIMEOUT)
    app.vault.purge()
    assert app.vault.slots.get("long.example", b"long".ljust(16)) is not None
    assert app.vault.slots.get("long.example", b"gone".ljust(16)) is None
