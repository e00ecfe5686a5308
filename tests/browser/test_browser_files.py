"""Files from and to a page, and what each header does: in Chromium, with the real server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from served import LIMEN, Server

APP = Path(__file__).parent / "filing" / "filing_app.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("filing") / "filing.db"
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=APP.parent, env=dict(os.environ))
    yield server
    server.stop()


async def within(page: Page, script: str) -> Any:
    return await page.evaluate(f"async () => {{ {script} }}")


async def until(page: Page, condition: str) -> None:
    async with asyncio.timeout(20):
        while not await page.evaluate(condition):
            await asyncio.sleep(0.02)


BLOB = "new File([new Uint8Array(600000).fill(1)], '../tür\\u202e.png', { type: 'image/png' })"


# -- files ------------------------------------------------------------------------------------------------------
async def test_a_page_sends_and_fetches_files_sealed(server: Server, page: Page, tmp_path: Path) -> None:
    await page.goto(server.url)
    await within(page, "await Limen.login('ada', 'lovelace')")
    sent = await within(
        page,
        f"const told = []; const file = {BLOB};"
        "const result = await Limen.safe_apply('put', [file], {note: 'n'}, {uploading: (n, of) => told.push([n, of])});"
        "return [result, told.at(0), told.at(-1)]",
    )
    assert sent == [["tür.png", "image/png", 600000, 1000, "n"], [184320, 600000], [600000, 600000]]
    assert await within(page, f"return Limen.safe_call('put_many', [{BLOB}, new Blob(['x'])])") == ["tür.png", "file"]
    assert await within(page, f"return Limen.safe_call('refuse', {BLOB}).catch((error) => error.exc)") == "Forbidden"
    got = await within(
        page,
        "const file = await Limen.safe_call('get', 600064, 'page.html');"
        "const blob = await file.blob(); const bytes = new Uint8Array(await blob.arrayBuffer());"
        "let streamed = 0; const reader = file.stream().getReader();"
        "for (let step; !(step = await reader.read()).done;) streamed += step.value.length;"
        "return [file.filename, file.content_type, file.size, blob.type, bytes.length, bytes[257], streamed]",
    )
    assert got == ["page.html", "text/html", 600064, "application/octet-stream", 600064, 1, 600064]
    async with page.expect_download() as saving:
        await within(page, "const file = await Limen.safe_call('get', 512, 'grüße.bin'); await file.save()")
    saved = await saving.value
    assert saved.suggested_filename == "grüße.bin"
    await saved.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == bytes(range(256)) * 2


async def test_an_upload_can_be_given_up_and_is_refused_when_signed_out(server: Server, page: Page) -> None:
    await page.goto(server.url)
    put = f"Limen.safe_apply('put', [{BLOB}], {{}}, {{signal}}).catch((error) => error.exc)"
    assert await within(page, f"const signal = undefined; return {put}") == "Unauthorized"
    await within(page, "await Limen.login('ada', 'lovelace')")
    assert await within(page, f"const signal = AbortSignal.abort(); return {put}") == "Canceled"


async def test_a_link_is_followed_once(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await within(page, "await Limen.login('ada', 'lovelace')")
    link = await within(page, "return (await Limen.safe_call('get', 256, 'a.txt')).link({inline: true})")
    assert link.startswith(f"{server.url}/limen/link/")
    other = await page.context.new_page()
    response = await other.goto(link)
    assert response is not None
    assert (response.status, response.headers["content-disposition"]) == (200, 'inline; filename="a.txt"')
    again = await other.goto(link)
    assert again is not None
    assert again.status == 404


async def test_plain_calls_take_and_give_files(server: Server, page: Page) -> None:
    await page.goto(server.url)
    assert await within(page, f"return Limen.call('open/put', {{file: {BLOB}, note: 'n'}})") == ["tür.png", 600000, "n"]
    assert await within(page, f"return Limen.call('open/put', {BLOB})") == ["tür.png", 600000, ""]
    file = "const file = await Limen.call('open/show', 'x.html'); return [file.filename, (await file.blob()).size]"
    assert await within(page, file) == ["x.html", 64]


async def test_an_uploaded_page_is_never_a_page_of_this_site(server: Server, page: Page) -> None:
    await page.goto(server.url)
    async with page.expect_download() as saving:
        await within(page, "location.href = '/open/show?name=evil.html'")
    assert (await saving.value).suggested_filename == "evil.html"
    assert await page.title() == "strict"


# -- headers ----------------------------------------------------------------------------------------------------
async def test_what_the_default_headers_of_a_page_do(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await until(page, "window.seen?.sniffed && seen.connected")
    assert await page.evaluate("seen") == {
        "title": "strict",
        "cluster": True,
        "camera": False,
        "isolated": False,
        "color": "rgb(0, 0, 0)",
        "handler": "strict",
        "evaluated": "EvalError",
        "sniffed": "refused",
        "connected": "refused",
    }


async def test_other_sites_can_not_load_frame_or_hold_a_page(server: Server, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(server.url.replace("localhost", "127.0.0.1") + "/loose/", wait_until="load")
    await until(page, "seen.picture")
    assert await page.evaluate("seen.picture") == "refused"
    assert await page.evaluate("seen.camera") is True  # taken away for this tree
    await until(page, "seen.framed")
    assert any("frame-ancestors" in text for text in said), said
    async with page.context.expect_page() as opening:
        await page.click("html")
    opened = await opening.value
    await opened.wait_for_load_state()
    await until(page, "seen.severed")
    assert await opened.evaluate("window.opener === null")


async def test_addresses_do_not_leak_to_other_sites(server: Server, page: Page) -> None:
    await page.goto(server.url + "/?secret=1")
    other = server.url.replace("localhost", "127.0.0.1") + "/loose/"
    async with page.expect_navigation():
        await within(page, f"location.href = '{other}'")
    assert await page.evaluate("seen.referrer") == ""


async def test_scripts_that_stand_in_a_page_run_by_their_hashes(server: Server, page: Page) -> None:
    for status in (200, 304):
        async with page.expect_response("**/hashed/") as coming:
            await page.goto(server.url + "/hashed/")
        await expect(page).to_have_title("rgb(4, 5, 6)")
        response = await coming.value
        assert response.status in (200, status)
        assert response.headers["content-security-policy"].count("'sha256-") == 2


async def test_scripts_with_the_nonce_run_and_no_others(server: Server, page: Page) -> None:
    policies = set()
    for _ in range(2):
        response = await page.goto(server.url + "/nonce/")
        assert response is not None
        await expect(page).to_have_title("nonce with")
        policies.add(response.headers["content-security-policy"])
        assert response.headers["cache-control"] == "no-store"
    assert len(policies) == 2


async def test_a_tree_can_be_isolated(server: Server, page: Page) -> None:
    await page.goto(server.url + "/isolated/")
    await expect(page).to_have_title("isolated: true")
