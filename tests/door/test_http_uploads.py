"""Files that come with plain HTTP: on the disk while they come, gone when the call is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from http_site import Answer, Site, serving
from waiting import until

from limen import Upload, exc
from limen.web.spool import Spool

MIB = 2**20


@pytest.fixture(params=["own transport", "bare uvicorn"])
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    site = Site(spool=Spool(tmp_path / "uploads"))
    site.config.MAX_UPLOAD_SIZE, site.config.MAX_MESSAGE_SIZE = 8 * MIB, MIB
    declare(site, tmp_path)
    async with serving(site, own=request.param == "own transport"):
        yield site


def declare(site: Site, folder: Path) -> None:
    @site.service(safe=False)
    def put(file: Upload, note: str = "") -> dict[str, Any]:
        with file.open() as opened:
            first = opened.read(10)
        return {
            "filename": file.filename,
            "content_type": file.content_type,
            "size": file.size,
            "first": first.decode("latin-1"),
            "note": note,
        }

    @site.service(safe=False)
    def many(files: list[Upload], times: int = 1) -> list[int]:
        return [file.size for file in files] * times

    @site.service(safe=False)
    def keep(file: Upload) -> str:
        return file.keep(folder / "kept").name

    @site.service(safe=False)
    async def fails(file: Upload) -> None:
        raise exc.Forbidden("Not this one.")

    @site.service(safe=False, timeout=0.05)
    async def slow(file: Upload) -> None:
        await asyncio.Event().wait()

    @site.service(safe=False, max_upload=1000)
    def small(file: Upload) -> int:
        return file.size

    @site.service(safe=False)
    def text(note: str) -> str:
        return note

    @site.service()
    def sealed(file: Upload) -> None: ...


def form(*parts: tuple[str, str | None, bytes], kind: str = "image/png", boundary: str = "xyz") -> bytes:
    pieces = []
    for name, filename, value in parts:
        named = f'; filename="{filename}"\r\nContent-Type: {kind}' if filename is not None else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        pieces.append(head.encode() + value + b"\r\n")
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


async def post(site: Site, path: str, *parts: tuple[str, str | None, bytes]) -> Answer:
    return await site.ask("POST", path, form(*parts), kind="multipart/form-data; boundary=xyz")


def left(site: Site) -> list[Path]:
    return [path for path in site.spool.folder.rglob("*") if path.is_file() and path.name not in ("lock", "alive")]


async def test_a_file_and_fields_come_as_arguments(site: Site) -> None:
    answer = await post(site, "/put", ("file", "../a\u202eb.png", b"0123456789abc"), ("note", None, b"hello"))
    said = {"filename": "ab.png", "content_type": "image/png", "size": 13, "first": "0123456789", "note": "hello"}
    assert answer.value == said
    assert left(site) == []


async def test_several_files_of_one_name_are_a_list_and_one_is_one(site: Site) -> None:
    assert (await post(site, "/many", ("files", "a", b"1"), ("files", "b", b"22"), ("times", None, b"2"))).value == [
        1, 2, 1, 2
    ]  # fmt: skip
    assert (await post(site, "/many", ("files", "a", b"333"))).value == [3]
    assert left(site) == []


async def test_a_field_in_which_nobody_chose_a_file_is_missing(site: Site) -> None:
    assert (await post(site, "/put", ("file", "", b""))).value["fields"] == {"file": "This argument is missing."}


@pytest.mark.parametrize("method", ["POST"])
async def test_a_bare_body_is_the_file(site: Site, method: str) -> None:
    answer = await site.ask(
        method, "/put?note=n", b"data", kind="application/octet-stream",
        content_disposition='attachment; filename="plan.pdf"',
    )  # fmt: skip
    assert answer.value == {
        "filename": "plan.pdf", "content_type": "application/octet-stream", "size": 4, "first": "data", "note": "n"
    }  # fmt: skip
    assert (await site.ask("POST", "/many", b"data", kind="image/png")).exc == "UnsupportedMediaType"


async def test_what_is_kept_stays_and_all_else_goes(site: Site, tmp_path: Path) -> None:
    assert (await post(site, "/keep", ("file", "a", b"kept"))).value == "kept"
    assert (tmp_path / "kept").read_bytes() == b"kept"
    assert (await post(site, "/fails", ("file", "a", b"1"))).exc == "Forbidden"
    assert (await post(site, "/slow", ("file", "a", b"1"))).exc == "Timeout"
    assert (await post(site, "/put", ("file", "a", b"1"), ("other", None, b"1"))).exc == "InvalidArguments"
    assert (await site.ask("POST", "/put?file=x", b"data", kind="text/csv")).exc == "InvalidCall"
    assert left(site) == []


async def test_files_are_taken_only_where_a_parameter_takes_them(site: Site) -> None:
    assert (await post(site, "/text", ("note", "a", b"1"))).exc == "UnsupportedMediaType"
    assert (await post(site, "/put", ("note", "a", b"1"), ("file", "a", b"1"))).exc == "UnsupportedMediaType"
    assert (await post(site, "/put", ("file", None, b"a text"))).exc == "InvalidArguments"
    assert (await post(site, "/sealed", ("file", "a", b"1"))).status == 401
    assert left(site) == []


async def test_limits_are_held_for_announced_and_chunked_bodies(site: Site) -> None:
    assert (await post(site, "/small", ("file", "a", b"x" * 1000))).value == 1000
    assert (await post(site, "/small", ("file", "a", b"x" * 1001))).status == 413
    assert (await site.ask("POST", "/small", b"x" * 1001, kind="text/csv")).status == 413
    big = form(("file", "a", b"x" * (9 * MIB)))
    head = b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=xyz\r\n"
    assert (await site.raw(head + b"Content-Length: %d\r\n\r\n" % (20 * MIB))).status == 413
    assert (await site.raw(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(big) + big)).status == 413
    note = await post(site, "/put", ("note", None, b"x" * (MIB + 1)), ("file", "a", b"1"))
    assert note.status == 413
    many = [("files", "a", b"")] * (site.config.MAX_UPLOAD_PARTS + 1)
    assert (await post(site, "/many", *[(n, f, b"1") for n, f, _ in many])).status == 413
    assert (await post(site, "/put", *[("a", None, b"")] * 1001)).exc == "InvalidCall"
    assert left(site) == []


async def test_a_million_tiny_parts_are_not_read(site: Site) -> None:
    reader, writer = await site.connect()
    part = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    head = b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=xyz\r\n"
    writer.write(head + b"Content-Length: %d\r\n\r\n" % (8 * MIB) + part * 2000)
    assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert left(site) == []


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=xyz", b"image/png"])
async def test_an_upload_that_is_cut_leaves_nothing(site: Site, kind: bytes) -> None:
    _, writer = await site.connect()
    head = b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind + b"\r\n"
    writer.write(head + b"Content-Length: 4000000\r\n\r\n" + form(("file", "a", b"x" * (3 * MIB)))[:-10])
    await writer.drain()
    await until(lambda: left(site) != [])
    writer.close()
    await until(lambda: left(site) == [])


async def test_a_slow_and_steady_upload_goes_through_and_one_that_stands_still_does_not(site: Site) -> None:
    site.config.BODY_TIMEOUT = 0.4
    head = b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
    reader, writer = await site.connect()
    writer.write(head % (8 * 65536))
    for _ in range(8):
        writer.write(b"x" * 65536)
        await asyncio.sleep(0.1)
    assert b" 200 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    reader, writer = await site.connect()
    writer.write(head % (8 * 65536) + b"x" * 65536)
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert left(site) == []


async def test_a_full_disk_is_said_so_and_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def create() -> tuple[Path, int]:
        site.spool.run  # noqa: B018 its folder
        return site.spool.folder / "gone", os.open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(site.spool, "create", create)
    answer = await post(site, "/put", ("file", "a", b"1"))
    assert (answer.status, answer.exc) == (507, "NoSpace")
    assert left(site) == []


async def test_a_part_of_a_file_is_not_taken_for_the_whole(site: Site) -> None:
    answer = await site.ask("POST", "/put", b"part", kind="image/png", content_range="bytes 0-3/8")
    assert answer.exc == "InvalidCall"


async def test_two_sizes_and_a_boundary_in_the_wrong_place_are_no_upload(site: Site) -> None:
    head = b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
    kinds = (b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=" + b"x" * 71)
    for kind in kinds:
        answer = await site.raw(head + b"Content-Type: " + kind + b"\r\n\r\nabcd")
        assert (answer.status, answer.exc) == (400, "InvalidValue")
    twice = head + b"Content-Length: 5\r\nContent-Type: image/png\r\n\r\nabcd"
    assert (await site.raw(twice)).status == 400
    inner = form(("file", "a", b"--xyz--\r\n--xyz\r\nX-Evil: 1\r\n\r\n"))  # a boundary that the content smuggles in
    answer = await site.ask("POST", "/put", inner, kind="multipart/form-data; boundary=xyz")
    assert answer.status == 400
    assert left(site) == []


async def test_what_is_refused_is_not_read(site: Site) -> None:
    site.refusing = 30.0
    head = b"POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 4000000\r\n\r\n"
    assert (await site.raw(head)).status == 429


async def test_a_name_that_no_parser_likes_is_the_callers_fault(site: Site) -> None:
    for named in ("attachment; filename*=a; filename*0=b", "attachment; filename*=idna''x", 'a; b="' + ";" * 20000):
        headers = {"Content_Disposition": named}
        answer = await site.ask("POST", "/put", b"abc", kind="image/png", **headers)
        assert (answer.status, answer.exc) == (400, "InvalidCall")
    strange = b"--x\r\nContent-Disposition: form-data; name=file; filename*=a; filename*0=b\r\n\r\n1\r\n--x--"
    answer = await site.ask("POST", "/put", strange, kind="multipart/form-data; boundary=x")
    assert (answer.status, answer.exc) == (400, "InvalidValue")
    assert [charge[2].name for charge in site.charged] == ["MALFORMED"]
