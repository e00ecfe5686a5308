"""Headers that the program chooses, for every answer; and TLS that a browser remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from http_site import Site

from limen.base.config import Config
from limen.door.http.request import Request
from limen.web.static import StaticTree


async def nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def site(folder: Path, **settings: Any) -> Site:
    config = Config()
    config.DOMAIN = "b.example"
    for name, value in settings.items():
        setattr(config, name, value)
    (folder / "page.html").write_text("page")
    made = Site(config=config)
    made.statics.append(StaticTree("/", folder, headers={"X-Tree": "1", "Permissions-Policy": None}))
    config.IS_DEVELOPMENT = settings.get("IS_DEVELOPMENT", False)
    made.open_door()

    @made.service(safe=False, ssl=False, methods=["GET"], inline=True)
    def one() -> int:
        return 1

    return made


async def ask(site: Site, path: bytes, tls: bool = True) -> dict[bytes, bytes]:
    response = await site.door.respond(Request("GET", path, b"", [(b"host", b"b.example")], "127.0.0.1", tls, nothing))
    headers = dict(response.headers)
    assert len(headers) == len(response.headers)
    if response.head is not None:
        assert response.head == b"".join(b"%s: %s\r\n" % pair for pair in response.headers)
    return headers


@pytest.mark.parametrize("path", [b"/one", b"/page.html", b"/missing"])
async def test_a_browser_that_came_over_tls_is_told_to_stay_there(tmp_path: Path, path: bytes) -> None:
    said = b"strict-transport-security"
    assert (await ask(site(tmp_path), path))[said] == b"max-age=31536000"
    assert said not in await ask(site(tmp_path), path, tls=False)
    for off in ({"HSTS": 0}, {"IS_DEVELOPMENT": True}, {"DOMAIN": "localhost"}):
        assert said not in await ask(site(tmp_path, **off), path)


@pytest.mark.parametrize("path", [b"/one", b"/page.html", b"/missing"])
async def test_the_program_chooses_headers_for_every_answer(tmp_path: Path, path: bytes) -> None:
    chosen = {"Cross-Origin-Resource-Policy": "cross-origin", "Referrer-Policy": None, "X-Own": "a"}
    headers = await ask(site(tmp_path, HEADERS=chosen), path)
    assert headers[b"cross-origin-resource-policy"] == b"cross-origin"
    assert headers[b"x-own"] == b"a"
    assert b"referrer-policy" not in headers
    assert headers[b"x-content-type-options"] == b"nosniff"


async def test_a_tree_chooses_for_its_own_files(tmp_path: Path) -> None:
    headers = await ask(site(tmp_path), b"/page.html")
    assert headers[b"x-tree"] == b"1"
    assert b"permissions-policy" not in headers
    assert headers[b"cross-origin-opener-policy"] == b"same-origin"


@pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A b": "c"}, {"": "x"}, {"Content-Length": "1"}, {"X": "ü"}])
def test_what_is_no_header_is_refused_at_the_start(headers: dict[str, str]) -> None:
    config = Config()
    config.HEADERS = headers
    with pytest.raises(ValueError, match="header"):
        Site(config=config)
