"""A failure on a server in development is shown over the page, with source and variables, under the strict CSP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Page, expect
from served import Server

PROGRAM = """
from pathlib import Path
from limen import config, service, static

config.IS_DEVELOPMENT = {development}
PRICES = {{"milk": 120}}

@service(safe=False, ssl=False, methods=["GET"])
def price(article, pin=1234):
    return PRICES[article]

static("/", Path(__file__).parent / "site")
"""
HTML = """<!doctype html><title>Shop</title><link rel="icon" href="data:,">
<button>Price</button><output></output><script type="module" src="page.js"></script>"""
SCRIPT = """
import { call } from "/limen/limen.mjs";
document.querySelector("button").onclick = () =>
  call("price", "butter").catch((error) => { document.querySelector("output").textContent = error.exc; });
"""


def program(folder: Path, development: bool) -> Path:
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text(HTML)
    (site / "page.js").write_text(SCRIPT)
    path = folder / "shop.py"
    path.write_text(PROGRAM.format(development=development))
    return path


async def test_a_failed_call_shows_where_and_with_what(
    serve: Callable[..., Server], tmp_path: Path, page: Page, troubles: list[str]
) -> None:
    server = serve(program(tmp_path, development=True))
    await page.goto(server.url)
    await page.get_by_role("button", name="Price").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading")).to_have_text("KeyError: 'butter'")
    await expect(dialog.locator(".here")).to_have_text("    return PRICES[article]")
    await expect(dialog.locator("dd")).to_have_text(["'butter'", "…"])
    await expect(page.locator("output")).to_have_text("InternalError")  # the page has its error all the same
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.goto(f"{server.url}/price/butter")  # a link to a service that fails
    await expect(page.get_by_role("dialog").locator(".here")).to_have_text("    return PRICES[article]")
    assert [trouble for trouble in troubles if "500" not in trouble] == []


async def test_in_production_a_page_learns_nothing(serve: Callable[..., Server], tmp_path: Path, page: Page) -> None:
    server = serve(program(tmp_path, development=False))
    await page.goto(server.url)
    await page.get_by_role("button", name="Price").click()
    await expect(page.locator("output")).to_have_text("InternalError")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    answer = await page.goto(f"{server.url}/price/butter")
    assert answer is not None
    assert set(await answer.json()) == {"exc", "err", "incident"}
