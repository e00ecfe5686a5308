"""What tests of the doors speak to, on real sockets: an HTTP site, through both of its servers; a WebSocket door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_services import declare
from http_site import Site, serving
from knock import Door

from limen.web.static import StaticTree


@pytest.fixture(params=["own transport", "bare uvicorn"])
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    (tmp_path / "www" / "add").mkdir(parents=True)
    (tmp_path / "www" / "index.html").write_text("<h1>page</h1>")
    (tmp_path / "www" / "add" / "index.html").write_text("a folder of the same name")
    (tmp_path / "www" / "big.bin").write_bytes(b"x" * 1_000_000)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "limen.js").write_text("var Limen")
    (tmp_path / "own" / "secret.py").write_text("")
    site = Site(assets=StaticTree("/limen", tmp_path / "own", index=None, only=frozenset({"limen.js"})))
    site.statics.append(StaticTree("/", tmp_path / "www"))
    declare(site)
    async with serving(site, own=request.param == "own transport"):
        yield site


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    doors = [record for record in caplog.records if record.name == "limen.door"]
    assert not doors, "the door itself failed"


@pytest.fixture
async def open_door(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Door]]]:
    """`await open_door(SETTING=…)` starts a server with a WebSocket door (see knock.py); it ends with the test."""
    opened: list[Door] = []

    async def open_door(kind: type[Door] = Door, **settings: Any) -> Door:
        opened.append(kind(tmp_path / f"keys{len(opened)}", settings))
        await opened[-1].start()
        return opened[-1]

    yield open_door
    for door in opened:
        await door.stop()


@pytest.fixture
async def door(open_door: Callable[..., Awaitable[Door]]) -> Door:
    """A server with a WebSocket door, all settings as they are."""
    return await open_door()
