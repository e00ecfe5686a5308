"""docs/tutorial.md, followed to the letter, with a real browser where it says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, WebSocket, expect
from reader import Reader
from served import Server

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "tutorial.md"


async def test_following_the_tutorial_leads_where_it_says(
    tmp_path: Path, start: Callable[..., Server], page: Page, browser: Browser, troubles: list[str]
) -> None:
    reader = Reader(PAGE, tmp_path, start)
    reader.follow(upto="## 7. The second window")
    await one_window(reader, page)
    assert troubles == []
    reader.follow(upto="## 8. Two people, one line")
    context = await browser.new_context()
    await two_windows(reader, page, await context.new_page())
    await context.close()
    assert troubles == []
    await plug_pulled(reader, page)


async def one_window(reader: Reader, page: Page) -> None:
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # playwright takes no built-in function
    await page.goto(reader.url)
    await log_in(page, "ada", "byron")
    await expect(said(page)).to_have_text("That name and password don't go together.")
    await log_in(page, "ada", "lovelace")
    await add(page, "Buy milk")
    await expect(texts(page)).to_have_value("Buy milk")
    async with sockets[-1].expect_event("framereceived"):  # each change is made from what the one before it led to
        await page.get_by_label("Done").check()
    await texts(page).fill("Buy cream")
    await texts(page).press("Enter")
    await add(page, "  ")
    await expect(said(page)).to_contain_text("A todo needs a few words.")
    await page.reload()
    await expect(texts(page)).to_have_value("Buy cream")
    await expect(page.get_by_label("Done")).to_be_checked()
    await page.get_by_role("button", name="Remove").click()
    await expect(texts(page)).to_have_count(0)
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Name")).to_be_visible()


async def two_windows(reader: Reader, page: Page, other: Page) -> None:
    await page.reload()
    await log_in(page, "ada", "lovelace")
    await other.goto(reader.url)
    await log_in(other, "grace", "nanosecond")
    await expect(other.get_by_label("New")).to_be_visible()

    # 7: what one does the other sees
    await add(page, "Buy milk")
    await expect(texts(other)).to_have_value("Buy milk")
    await other.get_by_label("Done").check()
    await expect(page.get_by_label("Done")).to_be_checked()

    # 8: two people, one line
    await texts(page).press("End")
    await page.keyboard.type(" and bread")
    await texts(other).fill("Buy oat milk")
    await texts(other).press("Enter")
    await expect(texts(page)).to_have_value("Buy milk and bread")
    await page.keyboard.press("Enter")
    await expect(said(page)).to_have_text("grace was faster and wrote: Buy oat milk")
    await page.keyboard.type(" and oats")
    await page.keyboard.press("Enter")
    await expect(texts(other)).to_have_value("Buy milk and bread and oats")


async def plug_pulled(reader: Reader, page: Page) -> None:
    assert reader.server is not None
    reader.server.stop()
    await expect(said(page)).to_contain_text("The connection is lost.")
    await add(page, "Call the plumber")
    reader.follow()
    await expect(texts(page)).to_have_count(2)
    await expect(texts(page).last).to_have_value("Call the plumber")
    await expect(said(page)).to_have_text("")


async def log_in(page: Page, user: str, password: str) -> None:
    await page.get_by_label("Name").fill(user)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


async def add(page: Page, text: str) -> None:
    await page.get_by_label("New").fill(text)
    await page.keyboard.press("Enter")


def texts(page: Page) -> Locator:
    return page.get_by_role("listitem").get_by_label("Text")


def said(page: Page) -> Locator:
    return page.get_by_role("status")
