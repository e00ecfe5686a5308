"""Writes docs/images/todo.png and whiteboard.png: the running examples, each used by two people."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from math import sin
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]
import chromium  # noqa: E402
from served import Server  # noqa: E402


async def enter(browser: Browser, url: str, user: str, password: str) -> Page:
    """A window of 720 × 580 pixels, twice as sharp, in which *user* is logged in."""
    page = await browser.new_page(viewport={"width": 720, "height": 580}, device_scale_factor=2)
    await page.goto(url)
    await page.fill("#user", user)
    await page.fill("#password", password)
    await page.click("#enter")
    await page.wait_for_selector("#new:focus")
    return page


async def write(page: Page, text: str, done: bool = False) -> None:
    await page.fill("#new", text)
    await page.press("#new", "Enter")
    row = page.locator(".todo", has_text=text)
    await row.locator(".text:enabled").wait_for()
    if done:
        await row.get_by_role("checkbox").check()


async def todo(browser: Browser) -> None:
    with tempfile.TemporaryDirectory() as folder:
        limen = str(Path(sys.executable).with_name("limen"))
        target = ["examples/todo/app.py", "--dev", "--port", "0", "--db", f"sqlite:///{folder}/todo.db"]
        server = Server([limen, "serve", *target], cwd=ROOT, env=dict(os.environ))
        url = f"http://localhost:{server.port}/"
        grace = await enter(browser, url, "grace", "hopper")
        ada = await enter(browser, url, "ada", "lovelace")
        await write(ada, "Book the hall for Thursday")
        await write(grace, "Write the invitation", done=True)
        await write(grace, "Ask the neighbours for chairs")
        await write(ada, "Call the electrician")
        await ada.get_by_role("button", name="Edit: Call the electrician").first.click()
        await ada.fill(".change", "Call the electrician before noon")
        await grace.get_by_role("button", name="Edit: Call the electrician").first.click()
        await grace.fill(".change", "Call the electrician on Monday")
        await grace.press(".change", "Enter")
        await ada.wait_for_selector(".meanwhile:not([hidden])")
        await ada.press(".change", "Enter")
        await ada.wait_for_selector(".conflict")
        await ada.mouse.move(0, 0)
        await ada.screenshot(path=IMAGES / "todo.png", animations="disabled")
        server.stop()


async def whiteboard(browser: Browser) -> None:
    server = Server([sys.executable, "examples/whiteboard", "0"], cwd=ROOT, env=dict(os.environ))
    windows = []
    for name in ("Ada", "Grace"):
        page = await browser.new_page(viewport={"width": 900, "height": 520}, device_scale_factor=2)
        await page.goto(server.url)
        await page.locator("#figure option").last.wait_for(state="attached")
        await page.fill("#name", name)
        windows.append(page)
    ada, grace = windows
    await grace.check("input[value='#1b7a4b']", force=True)
    await grace.mouse.move(150, 240)
    await grace.mouse.down()
    for step in range(180):
        await grace.mouse.move(150 + step * 1.2, 240 - 70 * sin(step / 18))
    await grace.mouse.up()
    await ada.select_option("#figure", "rose")
    await ada.click("#draw")
    await ada.locator("#strokes polyline").nth(1).wait_for(state="attached")
    await grace.mouse.move(372, 210)
    await ada.locator("#pointers text").wait_for()
    await ada.screenshot(path=IMAGES / "whiteboard.png", animations="disabled")
    server.stop()


async def main() -> None:
    path = chromium.find() or sys.exit(chromium.NONE_FOUND)
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        switches = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=path, args=switches)
        await todo(browser)
        await whiteboard(browser)
        await browser.close()
    print("docs/images/todo.png, docs/images/whiteboard.png")


if __name__ == "__main__":
    asyncio.run(main())
