"""What every client is tried with; served by `limen serve`, and called in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from limen import App, File, Upload, exc, get_state

running: list[str] = []
cancelled: list[str] = []


class NoneLeft(exc.Error):
    """Nothing of that article is left."""

    status = 409


def make() -> App:
    """Two servers in one process take two Apps."""
    app = App()
    app.config.IS_DEVELOPMENT = True
    app.config.MAX_USER_SESSIONS = 50
    app.config.SOFT_ORIGIN_ABUSE_LEVEL, app.config.MAX_ORIGIN_ABUSE_LEVEL = 50, 100  # all clients come from one address
    news = app.topic("news", safe=False)

    @app.service(safe=False)
    def add(a: int, b: int = 0) -> int:
        return a + b

    @app.service("deep/echo", safe=False, auto_parse=False)
    def echo(value: Any = None) -> Any:
        return value

    @app.service(safe=False)
    def out_of_stock(article: str) -> None:
        raise NoneLeft(f"No {article} is left.", article=article, left=0)

    @app.service(safe=False)
    async def sleep(seconds: float, name: str = "") -> str:
        running.append(name)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        return name

    @app.service(safe=False)
    def is_running(name: str) -> bool:
        return name in running

    @app.service(safe=False)
    def was_cancelled(name: str) -> bool:
        return name in cancelled

    @app.service(safe=False)
    def count(to: int) -> Iterator[int]:
        yield from range(to)
        return "done"

    @app.service(safe=False)
    async def forever(name: str) -> AsyncIterator[int]:
        n = 0
        try:
            while True:
                yield n
                n += 1
                await asyncio.sleep(0.001)
        finally:
            cancelled.append(name)

    @app.service(safe=False)
    async def breaks_off() -> AsyncIterator[int]:
        yield 1
        raise exc.RecordNotFound("That was all.", id=7)

    @app.service(safe=False)
    def say(text: str) -> None:
        news.publish(text)

    @app.service()
    def whoami() -> str | None:
        return get_state().user

    app.auth.add_user("ada", "lovelace", roles=["nurse", "user"], profile={"name": "Ada"})
    for name in ("grace", "mary", "joan", "emmy"):
        app.auth.add_user(name, "lovelace")

    # -- files ------------------------------------------------------------------------------------------------------
    @app.service(safe=False)
    def put_file(file: Upload, note: str = "", times: int = 1) -> list[Any]:
        return [file.filename, file.content_type, file.size, sum(file.read()) % 1000, note, times]

    @app.service(safe=False)
    def put_files(files: list[Upload]) -> list[int]:
        return [file.size for file in files]

    @app.service(safe=False)
    def refuse_file(file: Upload) -> None:
        raise exc.Forbidden("Not this one.")

    @app.service(safe=False)
    def get_file(size: int, name: str = "made.bin") -> File:
        return File(bytes(range(256)) * (size // 256), filename=name)

    # -- for tests/scenario -----------------------------------------------------------------------------------------
    @app.service(safe=False)
    def kinds() -> dict[str, Any]:
        return {
            "decimal": Decimal("1.50"),
            "uuid": UUID(int=7),
            "when": datetime(2026, 11, 21, 12, tzinfo=UTC),
            "big": 2**60,
            "bytes": b"\x00hi",
            "set": {1},
            "tuple": (1, 2),
        }

    @app.service(safe=False, auto_parse=False)
    def same_kinds(value: Any) -> bool:
        """Whether what comes back is what `kinds` gave. (JavaScript has no UUID: there it is a text.)"""
        return value in (kinds(), {**kinds(), "uuid": str(UUID(int=7))})

    app.static("/", Path(__file__).parent.parent / "scenario" / "site", csp="default-src 'self'; img-src data:")

    return app


app = make()
