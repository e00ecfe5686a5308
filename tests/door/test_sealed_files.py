"""Files of sealed sessions: sent ahead, taken once, read by their owner only; links that are good for one look."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from http_site import Answer, read_answer
from knock import Door, Knock, knock

from limen import App, File, Upload, exc, get_state
from limen.base.config import Config
from limen.base.files import Given, Sent
from limen.door.hub.files import MOST_WAITING, Files
from limen.web.shelf import PIECE, Owner, Shelf, digest
from limen.web.spool import Spool

MIB = 2**20
NOT_FOUND, INVALID, TOO_LARGE = exc.NotFound.uri, exc.InvalidCall.uri, exc.TooLarge.uri


class Filing(Door):
    """A door with services that take and give files. *folder*: of files that it gives."""

    folder: Path

    def http(self) -> Any:
        asgi = self.app.asgi()
        asgi._started = True  # the house itself has started the app
        return asgi

    def extend(self, app: App) -> None:
        folder = self.folder = Path(app.config.KEYS).parent if app.config.KEYS else Path(app.spool.folder)

        @app.service()
        def put(file: Upload) -> dict[str, Any]:
            content = file.read()
            return {"size": len(content), "sum": sum(content), "filename": file.filename, "by": get_state().user}

        @app.service(max_upload=10)
        async def small(file: Upload) -> int:
            return file.size

        @app.service()
        def fails(file: Upload) -> None:
            raise exc.Forbidden("no")

        @app.service()
        def get(name: str) -> File:
            return File.below(folder, name)

        @app.service(inline=True)
        def made() -> File:
            return File(b"<h1>made</h1>", filename="made.html")

        @app.service()
        def nested() -> list[File]:
            return [File(b"")]


@pytest.fixture
async def door(open_door: Any, tmp_path: Path) -> Filing:
    door: Filing = await open_door(
        Filing,
        UPLOADS=str(tmp_path / "uploads"),
        MAX_UPLOAD_SIZE=3 * MIB,
        MAX_USER_UPLOADS=4 * MIB,
        IS_DEVELOPMENT=True,
    )
    door.folder.mkdir(exist_ok=True)
    return door


async def enter(client: Knock, user: str = "ada") -> None:
    await client.login(user)
    await client.open_slot()


async def send(client: Knock, data: bytes, name: str = "a.txt") -> str:
    id: str = await client.call("limen.upload.begin", name, "text/plain", len(data))
    for at in range(0, len(data), PIECE):
        assert await client.call("limen.upload.write", id, at, data[at : at + PIECE]) == min(at + PIECE, len(data))
    return id


def spooled(door: Filing) -> list[str]:
    places = door.app.spool.folder.rglob("*")
    return sorted(p.name for p in places if p.is_file() and p.name not in ("lock", "alive") and p.parent != door.folder)


async def test_a_file_goes_ahead_and_its_call_finds_it_once(door: Filing) -> None:
    data = bytes(range(256)) * 2048
    async with knock(door) as client:
        await enter(client)
        id = await send(client, data, "../x/\u202ename.txt")
        expected = {"size": len(data), "sum": sum(data), "filename": "name.txt", "by": "ada"}
        assert await client.call("put", Sent(id)) == expected
        assert await client.call("put", Sent(id)) == NOT_FOUND
        assert spooled(door) == []
        id = await send(client, b"")
        assert (await client.call("put", file=Sent(id)))["size"] == 0
        assert await client.call("fails", Sent(await send(client, b"gone"))) == exc.Forbidden.uri
        assert spooled(door) == []


async def test_a_file_is_written_in_order_without_holes_and_as_announced(
    door: Filing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limen.door.hub.files.PATIENCE", 0.05)
    async with knock(door) as client:
        await enter(client)
        id = await client.call("limen.upload.begin", "a", "", 10)
        write = "limen.upload.write"
        assert await client.call(write, id, 0, b"01234") == 5
        assert await client.call(write, id, 6, b"6") == INVALID
        assert await client.call(write, id, -1, b"6") == INVALID
        assert await client.call(write, id, 5, b"567890") == INVALID
        assert await client.call("put", Sent(id)) == INVALID
        assert await client.call(write, id, 0, b"01234") == 5
        assert await client.call(write, id, 5, b"x" * (PIECE + 1)) == TOO_LARGE
        assert await client.call(write, id, 5, b"56789") == 10
        assert (await client.call("put", Sent(id)))["sum"] == sum(b"0123456789")
        assert await client.call(write, id, 0, b"again") == NOT_FOUND
        for odd in ([id, "0", b""], [id, 0, "text"], ["../../etc/passwd", 0, b""], [7, 0, b""], [{}, 0, b""]):
            assert await client.call(write, *odd) in (INVALID, NOT_FOUND)
        for odd in (["a", "", -1], ["a", "", "1"], ["a", "", True], ["a", "", 1.5]):
            assert await client.call("limen.upload.begin", *odd) == INVALID


async def test_pieces_may_be_under_way_together(door: Filing) -> None:
    async with knock(door) as client:
        await enter(client)
        id = await client.call("limen.upload.begin", "a", "", 800)
        for at in range(0, 800, 100):
            await client.begin("limen.upload.write", id, at, b"x" * 100)
        there = [client.value(await client.receive()) for _ in range(8)]
        assert sorted(there) == list(range(100, 900, 100))


async def test_pieces_that_overtook_others_wait_for_them(door: Filing) -> None:
    """As on the HTTP lane, and where another process gets them."""
    elsewhere = Shelf(door.app.config, door.app.spool)
    async with knock(door) as client:
        await enter(client)
        id = await client.call("limen.upload.begin", "a", "", 500)
        for at in (400, 200, 300):
            await client.begin("limen.upload.write", id, at, bytes([at // 100]) * 100)
        await client.begin("limen.upload.write", id, 0, b"\0" * 100)
        assert client.value(await client.receive()) == 100
        (tab,) = door.hub.tabs
        elsewhere.write(Owner("localhost", "ada", tab.slot), id, 100, b"\1" * 100)
        assert [client.value(await client.receive()) for _ in range(3)] == [300, 400, 500]
        assert (await client.call("put", Sent(id)))["sum"] == sum(range(5)) * 100


async def test_one_user_can_not_fill_the_disk(door: Filing) -> None:
    begin = "limen.upload.begin"
    async with knock(door) as client, knock(door) as second, knock(door) as bob:
        await enter(client)
        await enter(second)
        await enter(bob, "bob")
        assert await client.call(begin, "a", "", 3 * MIB + 1) == TOO_LARGE
        id = await client.call(begin, "a", "", 3 * MIB)
        assert await client.call(begin, "a", "", MIB + 1) == TOO_LARGE
        assert await second.call(begin, "a", "", MIB + 1) == TOO_LARGE
        assert len(await bob.call(begin, "a", "", 3 * MIB)) == 32
        await client.call("limen.upload.drop", id)
        for _ in range(door.app.config.MAX_OPEN_FILES):
            id = await client.call(begin, "a", "", 1)
        assert await client.call(begin, "a", "", 1) == exc.Busy.uri
        assert await client.call("small", Sent(await send(bob, b"x" * 11))) == NOT_FOUND
        assert await bob.call("small", Sent(await send(bob, b"x" * 11))) == TOO_LARGE


async def test_what_is_one_logins_is_nobody_elses(door: Filing) -> None:
    (door.folder / "doc.txt").write_text("ada's")
    async with knock(door) as ada, knock(door) as twin, knock(door) as bob:
        await enter(ada)
        await enter(twin)
        await enter(bob, "bob")
        id = await send(ada, b"mine")
        given = await ada.call("get", "doc.txt")
        for other in (twin, bob):
            assert await other.call("put", Sent(id)) == NOT_FOUND
            assert await other.call("limen.upload.write", id, 0, b"yours") == NOT_FOUND
            assert await other.call("limen.file.read", given.id, 0, 10) == NOT_FOUND
            assert await other.call("limen.file.link", given.id) == NOT_FOUND
            await other.call("limen.upload.drop", id)
            await other.call("limen.file.drop", given.id)
        assert (await ada.call("put", Sent(id)))["size"] == 4
        assert await ada.call("limen.file.read", given.id, 0, 10) == b"ada's"


async def test_files_need_a_session_that_has_its_slot(door: Filing) -> None:
    async with knock(door) as client:
        await client.login()
        assert await client.call("limen.upload.begin", "a", "", 1) == INVALID
        assert await client.call("made") == INVALID
    async with knock(door, sealed=False) as client:
        await client.anonymous()
        assert await client.call("limen.upload.begin", "a", "", 1) == NOT_FOUND


async def test_a_file_as_a_result_is_read_in_pieces(door: Filing) -> None:
    data = bytes(range(256)) * 2000
    (door.folder / "big.bin").write_bytes(data)
    async with knock(door) as client:
        await enter(client)
        given = await client.call("get", "big.bin")
        assert (given.filename, given.content_type, given.size) == ("big.bin", "application/octet-stream", len(data))
        assert await client.call("limen.file.read", given.id, 0, PIECE) == data[:PIECE]
        assert await client.call("limen.file.read", given.id, PIECE, PIECE) == data[PIECE : 2 * PIECE]
        assert await client.call("limen.file.read", given.id, len(data), 10) == b""
        for odd in ((-1, 10), (0, 0), (0, PIECE + 1), ("0", 1), (0, True)):
            assert await client.call("limen.file.read", given.id, *odd) == INVALID
        made = await client.call("made")
        assert (made.filename, made.content_type, made.size) == ("made.html", "text/html", 13)
        assert await client.call("limen.file.read", made.id, 3, 100) == b">made</h1>"
        assert await client.call("get", "../keys") == NOT_FOUND
        assert await client.call("nested") == exc.InvalidValue.uri
        await client.call("limen.file.drop", made.id)
        assert await client.call("limen.file.read", made.id, 0, 1) == NOT_FOUND


async def test_nothing_is_read_in_place_of_what_was_given(door: Filing, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret!")
    target = door.folder / "doc.txt"
    async with knock(door) as client:
        await enter(client)
        for swap in (
            lambda: target.symlink_to(tmp_path / "secret"),
            lambda: target.write_text("changed"),
            lambda: None,
        ):
            target.unlink(missing_ok=True)
            target.write_text("mine")
            given = await client.call("get", "doc.txt")
            target.unlink()
            swap()
            assert await client.call("limen.file.read", given.id, 0, 10) == NOT_FOUND


async def ask(door: Filing, path: str, method: str = "GET", *, host: str = "localhost", **headers: str) -> Answer:
    """One plain HTTP request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Length: 0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        return await read_answer(reader, head=method == "HEAD")
    finally:
        writer.close()


# -- links ----------------------------------------------------------------------------------------------------------
async def linked(client: Knock, name: str = "pic.png", *, inline: bool = False) -> str:
    given = await client.call("get", name)
    assert type(given) is Given
    path: str = await client.call("limen.file.link", given.id, inline)
    assert path.startswith("/limen/link/")
    return path


async def test_a_link_answers_once_and_says_that_nobody_keeps_it(door: Filing) -> None:
    (door.folder / "pic.png").write_bytes(b"picture")
    async with knock(door) as client:
        await enter(client)
        path = await linked(client)
        first = await ask(door, path)
        assert (first.status, first.body) == (200, b"picture")
        assert first.headers["content-disposition"] == 'attachment; filename="pic.png"'
        assert first.headers["cache-control"] == "no-store"
        assert first.headers["referrer-policy"] == "no-referrer"
        assert (await ask(door, path)).status == 404
        shown = await ask(door, await linked(client, inline=True))
        assert shown.headers["content-disposition"] == 'inline; filename="pic.png"'
        (door.folder / "page.html").write_text("<script>1</script>")
        page = await ask(door, await linked(client, "page.html", inline=True))
        assert page.headers["content-disposition"].startswith("attachment")


async def test_of_many_who_follow_a_link_at_once_one_gets_in(door: Filing) -> None:
    (door.folder / "pic.png").write_bytes(b"picture")
    async with knock(door) as client:
        await enter(client)
        path = await linked(client)
        answers = await asyncio.gather(*[ask(door, path) for _ in range(8)])
        assert sorted(answer.status for answer in answers) == [200] + 7 * [404]


async def test_others_can_not_follow_a_link_and_do_not_burn_it(door: Filing) -> None:
    (door.folder / "pic.png").write_bytes(b"picture")
    door.app.add_domain("b.example")
    refused: list[tuple[str, dict[str, str], int]] = [
        ("HEAD", {}, 405),
        ("POST", {}, 405),
        ("GET", {"host": "b.example"}, 404),
        ("GET", {"origin": "https://evil.example"}, 403),
        ("GET", {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}, 403),
        ("GET", {"sec_purpose": "prefetch"}, 403),
        ("GET", {"sec_purpose": "prefetch;prerender"}, 403),
    ]
    async with knock(door) as client:
        await enter(client)
        path = await linked(client)
        for method, headers, status in refused:
            assert (await ask(door, path, method, **headers)).status == status
        given = await client.call("get", "pic.png")
        door.app.config.IS_DEVELOPMENT = False
        assert (await ask(door, path)).status == 403
        assert await client.call("limen.file.link", given.id) == exc.RequireSSL.uri
        door.app.config.IS_DEVELOPMENT = True
        for other in ("/limen/link/", "/limen/link/x", path + "x", path[:-1], path + "/x", "/limen/link/" + "A" * 43):
            assert (await ask(door, other)).status == 404
        assert (await ask(door, path)).status == 200


async def test_a_link_is_over_after_its_time_and_its_token_stands_nowhere(
    door: Filing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (door.folder / "pic.png").write_bytes(b"picture")
    async with knock(door) as client:
        await enter(client)
        path = await linked(client)
        token = path.rpartition("/")[2]
        kept = [p for p in door.app.spool.folder.rglob("*") if p.is_file()]
        assert digest(token).hex() in " ".join(p.name for p in kept)
        assert not any(token in p.name or token.encode() in p.read_bytes() for p in kept)
        now = time.time()
        monkeypatch.setattr("limen.web.shelf.time.time", lambda: now + 31)
        assert (await ask(door, path)).status == 404
        assert token not in caplog.text


async def test_pieces_before_their_turn_do_not_pile_up_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limen.door.hub.files.PATIENCE", 0.05)
    files, ada = Files(Config(), Spool(tmp_path)), Owner("localhost", "ada", b"slot")
    id = files.shelf.begin(ada, "a", "text/plain", 10**6)
    early = [files.write(ada, id, 1000 + at, b"x") for at in range(100)]
    failed = await asyncio.gather(*early, return_exceptions=True)
    assert sum(isinstance(error, exc.Busy) for error in failed) == 100 - MOST_WAITING
    assert all(isinstance(error, exc.Busy | exc.InvalidCall) for error in failed)
