"""Trees of files: no way out, right answers, nothing left open."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from limen import exc
from limen.web.opened import SMALL
from limen.web.response import Response
from limen.web.sending import CHUNK
from limen.web.static import StaticTree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_text("<h1>home</h1>")
    (root / "a.txt").write_text("0123456789")
    (root / "sub" / "index.html").write_text("below")
    (root / "sub" / "app.mjs").write_text("export {}")
    (root / ".env").write_text("SECRET")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("SECRET")
    (root / "big.bin").write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "secret.txt").write_text("SECRET")
    (tmp_path / "root-private").mkdir()
    (tmp_path / "root-private" / "secret.txt").write_text("SECRET")
    return root


async def get(tree: StaticTree, *segments: str, method: str = "GET", **headers: bytes) -> Response:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return await tree.answer(method, list(segments), named)


async def whole(response: Response) -> bytes:
    if response.stream is None:
        return response.body
    return b"".join([chunk async for chunk in response.stream])


def header(response: Response, name: bytes) -> bytes:
    return dict(response.headers)[name]


# -- what is there ----------------------------------------------------------------------------------------------
async def test_a_file_comes_with_type_tag_and_strict_headers(root: Path) -> None:
    answer = await get(StaticTree("/", root), "a.txt")
    assert (answer.status, await whole(answer)) == (200, b"0123456789")
    assert header(answer, b"content-type") == b"text/plain; charset=utf-8"
    assert header(answer, b"x-content-type-options") == b"nosniff"
    assert b"frame-ancestors 'none'" in header(answer, b"content-security-policy")
    assert header(answer, b"cross-origin-resource-policy") == b"same-origin"
    assert header(answer, b"cache-control") == b"no-cache"
    assert header(answer, b"accept-ranges") == b"bytes"
    assert header(answer, b"etag").startswith(b'"')


async def test_the_index_stands_for_its_folder(root: Path) -> None:
    tree = StaticTree("/", root)
    assert await whole(await get(tree, "")) == b"<h1>home</h1>"
    assert await whole(await get(tree)) == b"<h1>home</h1>"
    assert await whole(await get(tree, "sub", "")) == b"below"


async def test_without_an_index_a_folder_is_not_there(root: Path) -> None:
    tree = StaticTree("/", root, index=None)
    for segments in ([""], ["sub"], ["sub", ""]):
        with pytest.raises(exc.NotFound):
            await get(tree, *segments)


async def test_a_folder_without_its_slash_is_redirected_within_the_site(root: Path) -> None:
    (root / "ä b").mkdir()
    answer = await StaticTree("/files", root).answer("GET", ["ä b"], {}, query=b"x=1")
    assert answer.status == 307
    assert header(answer, b"location") == b"./%C3%A4%20b/?x=1"


async def test_an_unknown_extension_is_bytes(root: Path) -> None:
    (root / "Makefile").write_text("all:")
    assert header(await get(StaticTree("/", root), "Makefile"), b"content-type") == b"application/octet-stream"


async def test_head_has_the_length_and_no_body(root: Path) -> None:
    for name, size in (("a.txt", 10), ("big.bin", 2**20)):
        answer = await get(StaticTree("/", root), name, method="HEAD")
        assert (answer.status, answer.length, answer.stream) == (200, size, None)


async def test_other_methods_are_named_in_allow(root: Path) -> None:
    with pytest.raises(exc.MethodNotAllowed) as caught:
        await get(StaticTree("/", root), "a.txt", method="POST")
    assert caught.value.facts["allow"] == "GET, HEAD"


async def test_an_empty_file_is_a_file(root: Path) -> None:
    (root / "empty.css").touch()
    answer = await get(StaticTree("/", root), "empty.css")
    assert (answer.status, answer.length, await whole(answer)) == (200, 0, b"")


# -- no way out -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "segments",
    [
        ["..", "secret.txt"],
        ["sub", "..", "..", "secret.txt"],
        [".", "a.txt"],
        ["..%2fsecret.txt"],
        ["../secret.txt"],
        ["sub/../../secret.txt"],
        ["/etc/passwd"],
        ["", "etc", "passwd"],
        ["a.txt\0.html"],
        ["\0"],
        ["..\\secret.txt"],
        ["root-private", "secret.txt"],
        ["a" * 5000],
        ["a.txt", ""],
        ["a.txt", "x"],
        ["big.bin", "..", "a.txt"],
    ],
)
async def test_nothing_outside_the_root_is_found(root: Path, segments: list[str]) -> None:
    with pytest.raises(exc.NotFound):
        await get(StaticTree("/", root), *segments)


async def test_hidden_files_and_folders_are_not_there(root: Path) -> None:
    for segments in ([".env"], [".git", "config"], [".git", ""]):
        with pytest.raises(exc.NotFound):
            await get(StaticTree("/", root), *segments)


async def test_links_out_of_the_root_are_not_followed(root: Path) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "up").symlink_to(root.parent)
    (root / "etc").symlink_to("/etc")
    (root / "hidden.txt").symlink_to(root / ".env")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    for segments in (
        ["link.txt"],
        ["up", "secret.txt"],
        ["etc", "passwd"],
        ["hidden.txt"],
        ["loop"],
        ["dangling"],
        ["up"],
    ):
        with pytest.raises(exc.NotFound):
            await get(StaticTree("/", root), *segments)


async def test_links_within_the_root_are_followed(root: Path) -> None:
    (root / "again.txt").symlink_to("a.txt")
    (root / "same").symlink_to("sub")
    tree = StaticTree("/", root)
    assert await whole(await get(tree, "again.txt")) == b"0123456789"
    assert await whole(await get(tree, "same", "app.mjs")) == b"export {}"
    assert await whole(await get(tree, "same", "")) == b"below"


async def test_the_root_itself_may_be_a_link(root: Path) -> None:
    current = root.parent / "current"
    current.symlink_to(root)
    (root / "again.txt").symlink_to("a.txt")
    tree = StaticTree("/", current)
    assert await whole(await get(tree, "a.txt")) == b"0123456789"
    assert await whole(await get(tree, "again.txt")) == b"0123456789"


async def test_what_is_no_regular_file_is_not_there(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(exc.NotFound):
        await asyncio.wait_for(get(StaticTree("/", root), "pipe"), 5)


async def test_a_missing_root_is_not_found_until_it_is_there(tmp_path: Path) -> None:
    tree = StaticTree("/", tmp_path / "later")
    with pytest.raises(exc.NotFound):
        await get(tree, "a.txt")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.txt").write_text("now")
    assert await whole(await get(tree, "a.txt")) == b"now"


async def test_only_the_named_files_are_served_if_names_are_given(root: Path) -> None:
    tree = StaticTree("/", root, only=frozenset({"sub/app.mjs"}))
    assert await whole(await get(tree, "sub", "app.mjs")) == b"export {}"
    with pytest.raises(exc.NotFound):
        await get(tree, "a.txt")


def test_a_urlpath_begins_with_a_slash() -> None:
    with pytest.raises(exc.InvalidAddress):
        StaticTree("files", ".")


# -- caches -----------------------------------------------------------------------------------------------------
async def test_the_tag_brings_not_modified_until_the_file_changes(root: Path) -> None:
    tree = StaticTree("/", root)
    tag = header(await get(tree, "a.txt"), b"etag")
    again = await get(tree, "a.txt", if_none_match=tag)
    assert (again.status, await whole(again), header(again, b"etag")) == (304, b"", tag)
    (root / "a.txt").write_text("012345678X!")
    assert (await get(tree, "a.txt", if_none_match=tag)).status == 200


async def test_the_date_brings_not_modified(root: Path) -> None:
    tree = StaticTree("/", root)
    date = header(await get(tree, "big.bin"), b"last-modified")
    assert (await get(tree, "big.bin", if_modified_since=date)).status == 304


async def test_cache_seconds_are_told(root: Path) -> None:
    answer = await get(StaticTree("/", root, cache=60), "a.txt")
    assert header(answer, b"cache-control") == b"public, max-age=60"
    assert header(answer, b"expires").endswith(b"GMT")
    assert header(await get(StaticTree("/", root, cache=True), "a.txt"), b"cache-control") == b"public, max-age=3600"


async def test_csp_can_be_another_or_none(root: Path) -> None:
    answer = await get(StaticTree("/", root, csp="default-src https:"), "a.txt")
    assert header(answer, b"content-security-policy") == b"default-src https:"
    answer = await get(StaticTree("/", root, csp=None), "a.txt")
    assert b"content-security-policy" not in dict(answer.headers)
    with pytest.raises(ValueError, match="header"):
        StaticTree("/", root, csp="a\r\nset-cookie: x")


# -- ranges -----------------------------------------------------------------------------------------------------
async def test_one_range(root: Path) -> None:
    answer = await get(StaticTree("/", root), "a.txt", range=b"bytes=2-4")
    assert (answer.status, await whole(answer), answer.length) == (206, b"234", 3)
    assert header(answer, b"content-range") == b"bytes 2-4/10"


async def test_a_range_of_a_large_file(root: Path) -> None:
    content = (root / "big.bin").read_bytes()
    answer = await get(StaticTree("/", root), "big.bin", range=b"bytes=1000-999999")
    assert answer.status == 206
    assert await whole(answer) == content[1000:1000000]


async def test_several_ranges_come_as_parts(root: Path) -> None:
    for name, kind in (("a.txt", b"text/plain; charset=utf-8"), ("big.bin", b"application/octet-stream")):
        content = (root / name).read_bytes()
        answer = await get(StaticTree("/", root), name, range=b"bytes=0-1,-2")
        several, _, boundary = header(answer, b"content-type").partition(b"; boundary=")
        assert (answer.status, several) == (206, b"multipart/byteranges")
        body = await whole(answer)
        assert len(body) == answer.length
        size = len(content)
        head = b"\r\ncontent-type: " + kind + b"\r\ncontent-range: bytes "
        assert body == (
            b"--" + boundary + head + b"0-1/%d\r\n\r\n" % size + content[:2]
            + b"\r\n--" + boundary + head + b"%d-%d/%d\r\n\r\n" % (size - 2, size - 1, size) + content[-2:]
            + b"\r\n--" + boundary + b"--\r\n"
        )  # fmt: skip


async def test_a_range_beyond_the_end_is_416(root: Path) -> None:
    answer = await get(StaticTree("/", root), "a.txt", range=b"bytes=10-")
    assert answer.status == 416
    assert header(answer, b"content-range") == b"bytes */10"


async def test_head_ignores_ranges(root: Path) -> None:
    assert (await get(StaticTree("/", root), "a.txt", method="HEAD", range=b"bytes=0-1")).status == 200


# -- files and descriptors --------------------------------------------------------------------------------------
def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_large_file_comes_in_chunks(root: Path) -> None:
    answer = await get(StaticTree("/", root), "big.bin")
    assert answer.stream is not None
    sizes = [len(chunk) async for chunk in answer.stream]
    assert (max(sizes), sum(sizes)) == (CHUNK, 2**20)


async def test_nothing_is_left_open(root: Path) -> None:
    tree = StaticTree("/", root)
    await get(tree, "a.txt")  # the loop's worker threads and their pipes are there now
    before = descriptors()
    for segments in (["a.txt"], ["big.bin"], ["sub"], ["no"], ["sub", "no"], ["a.txt", "no"]):
        for headers in ({}, {"range": b"bytes=5-"}, {"range": b"bytes=99999999-"}, {"if_none_match": b"*"}):
            for method in ("GET", "HEAD", "POST"):
                try:
                    await whole(await get(tree, *segments, method=method, **headers))
                except exc.Error:
                    pass
    assert descriptors() == before


async def test_a_stream_that_is_given_up_closes_its_file(root: Path) -> None:
    tree = StaticTree("/", root)
    answer = await get(tree, "big.bin")
    before = descriptors()
    assert answer.stream is not None
    await anext(answer.stream)
    await answer.stream.aclose()
    assert descriptors() == before - 1


async def test_a_request_cancelled_while_its_file_is_opened_leaves_nothing_open(root: Path) -> None:
    tree = StaticTree("/", root)
    executor = ThreadPoolExecutor(2)
    before = descriptors()
    for _ in range(50):
        task = asyncio.ensure_future(tree.answer("GET", ["big.bin"], {}, executor=executor))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    executor.shutdown()  # the last file is opened now; the loop hears of it, and then closes it
    for _ in range(3):
        await asyncio.sleep(0)
    assert descriptors() == before


async def test_a_file_that_shrinks_while_it_is_sent_breaks_off(root: Path) -> None:
    answer = await get(StaticTree("/", root), "big.bin")
    assert answer.stream is not None
    await anext(answer.stream)
    os.truncate(root / "big.bin", SMALL)
    with pytest.raises(exc.StoreError):
        async for _ in answer.stream:
            pass
