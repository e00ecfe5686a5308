"""The HTTP site that most tests of the HTTP door speak to, on a real socket, through both of its servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from http_services import declare
from http_site import Site, serving

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
