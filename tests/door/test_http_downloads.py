"""Files as results over plain HTTP: named, in ranges, harmless in a browser, or sent by a web server in front."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from http_site import Site, serving

from limen import File

BIG = bytes(range(256)) * 4096


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site()
    declare(site, tmp_path)
    async with serving(site):
        yield site


def declare(site: Site, folder: Path) -> None:
    (folder / "big.bin").write_bytes(BIG)
    (folder / "page.html").write_text("<script>alert(1)</script>")
    (folder / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder / "ü 100%.txt").write_text("grüße")
    (folder / "sub").mkdir()
    (folder / "sub" / "a.png").write_bytes(b"png")
    (folder / "out").symlink_to("/etc/passwd")

    @site.service(safe=False, methods=["GET"])
    def get(name: str) -> File:
        return File.below(folder, name)

    @site.service(safe=False, methods=["GET"], content_disposition="inline", cache=60)
    def show(name: str) -> File:
        return File.below(folder, name)

    @site.service(safe=False, methods=["GET"], force_download=True)
    def force(name: str) -> File:
        return File.below(folder, name)

    @site.service(safe=False, methods=["GET"])
    def made() -> File:
        return File(b"a,b\n", filename='x"\r\nSet-Cookie: a=b;.csv')

    @site.service(safe=False, methods=["GET"], accel="/internal/")
    def accel(name: str) -> File:
        return File.below(folder, name)

    @site.service(safe=False, methods=["GET"], accel="X-Sendfile")
    def sendfile(name: str) -> File:
        return File.below(folder, name)

    @site.service(safe=False, methods=["GET"], accel="/internal/", log_exc=False)
    def lost() -> File:
        return File(folder / "big.bin")

    @site.service(safe=False, force_download=True, methods=["GET"])
    def table() -> list[int]:
        return [1, 2]


async def test_a_file_comes_whole_named_and_as_an_attachment(site: Site) -> None:
    answer = await site.get("/get/big.bin")
    assert answer.body == BIG
    assert answer.headers["content-disposition"] == 'attachment; filename="big.bin"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await site.post("/get", ["big.bin"])).body == BIG


async def test_ranges_heads_and_preconditions(site: Site) -> None:
    first = await site.get("/get/big.bin", range="bytes=10-19")
    assert (first.status, first.body, first.headers["content-range"]) == (206, BIG[10:20], f"bytes 10-19/{len(BIG)}")
    assert (await site.get("/get/big.bin", range=f"bytes={len(BIG)}-")).status == 416
    head = await site.ask("HEAD", "/get/big.bin")
    assert (head.status, head.headers["content-length"]) == (200, str(len(BIG)))
    etag = head.headers["etag"]
    assert (await site.get("/get/big.bin", if_none_match=etag)).status == 304
    assert (await site.get("/get/big.bin", range="bytes=0-1", if_range='"other"')).status == 200


async def test_a_name_can_not_break_out_of_its_header(site: Site) -> None:
    made = await site.get("/made")
    assert made.headers["content-disposition"] == ('attachment; filename="x_Set-Cookie_ a=b;.csv"')
    assert "set-cookie" not in made.headers
    named = (await site.get("/get?name=%C3%BC%20100%25.txt")).headers["content-disposition"]
    assert named == "attachment; filename=\"_ 100_.txt\"; filename*=UTF-8''%C3%BC%20100%25.txt"


async def test_only_what_nothing_runs_in_is_shown(site: Site) -> None:
    png = (await site.get("/show?name=sub/a.png")).headers
    assert (png["content-disposition"], png["content-type"]) == ('inline; filename="a.png"', "image/png")
    assert png["cache-control"] == "public, max-age=60"
    svg = (await site.get("/show?name=a.svg")).headers
    assert svg["content-disposition"] == 'attachment; filename="a.svg"'
    assert svg["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    page = (await site.get("/show?name=page.html")).headers
    assert page["content-disposition"] == 'attachment; filename="page.html"'
    assert page["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_a_forced_download_says_nothing_of_its_type(site: Site) -> None:
    page = (await site.get("/force?name=page.html")).headers
    assert page["content-type"] == "application/octet-stream"
    assert page["content-disposition"] == 'attachment; filename="page.html"'
    table = (await site.get("/table")).headers
    assert (table["content-type"], table["content-disposition"]) == (
        "application/octet-stream",
        'attachment; filename="table.json"',
    )


@pytest.mark.parametrize("name", ["..%2fetc", "out", "missing", "sub", ".hidden", "../x", "/etc/passwd"])
async def test_no_name_leads_out_of_the_folder(site: Site, name: str) -> None:
    assert (await site.get(f"/get?name={name}")).status == 404


async def test_a_web_server_in_front_is_told_what_to_send(site: Site) -> None:
    answer = await site.get("/accel?name=sub/a.png")
    assert (answer.headers["x-accel-redirect"], answer.body) == ("/internal/sub/a.png", b"")
    named = await site.get("/accel?name=%C3%BC%20100%25.txt")
    assert named.headers["x-accel-redirect"] == "/internal/%C3%BC%20100%25.txt"
    assert (await site.get("/sendfile?name=big.bin")).headers["x-sendfile"].endswith("/big.bin")
    for gone in ("missing", "out"):
        assert (await site.get(f"/accel?name={gone}")).status == 404


async def test_accel_for_a_path_that_stands_below_nothing_is_the_programs_mistake(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await site.get("/lost")).status == 500
    assert "limen.File.below" in caplog.text
    caplog.clear()
