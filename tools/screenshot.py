"""Writes docs/images/todo.png: the running example, used by two people."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "todo.png"
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


async def main() -> None:
    path = chromium.find() or sys.exit(chromium.NONE_FOUND)
    with tempfile.TemporaryDirectory() as folder:
        limen = str(Path(sys.executable).with_name("limen"))
        target = ["examples/todo/app.py", "--dev", "--port", "0", "--db", f"sqlite:///{folder}/todo.db"]
        server = Server([limen, "serve", *target], cwd=ROOT, env=dict(os.environ))
        async with async_playwright() as playwright:
            switches = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = await playwright.chromium.launch(executable_path=path, args=switches)
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
            PICTURE.parent.mkdir(parents=True, exist_ok=True)
            await ada.screenshot(path=PICTURE, animations="disabled")
            await browser.close()
        server.stop()
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    asyncio.run(main())
