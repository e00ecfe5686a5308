"""docs/nodes-tutorial.md, followed to the letter, with two real windows where it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import BrowserContext, expect
from reader import Reader
from served import Server

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "nodes-tutorial.md"


async def test_following_the_tutorial_of_nodes_leads_where_it_says(
    tmp_path: Path, start: Callable[..., Server], context: BrowserContext, troubles: list[str]
) -> None:
    reader = Reader(PAGE, tmp_path, start)
    reader.follow(upto="## 4. A page takes part")
    rest = reader.rest
    before, _, _ = rest.partition("The page can be called, too.")
    reader.rest = before
    reader.follow()
    hall, kitchen = await context.new_page(), await context.new_page()
    await hall.goto(reader.url)
    await kitchen.goto(f"{reader.url}/?room=kitchen")
    for window in (hall, kitchen):
        await expect(window.locator("#target")).to_have_text("18")
    await hall.get_by_role("button", name="Warmer").click()
    for window in (hall, kitchen):
        await expect(window.locator("#target")).to_have_text("19")
        await expect(window.locator("#said")).to_have_text("target is 19 now")
    reader.rest = rest.removeprefix(before)
    asking = asyncio.create_task(asyncio.to_thread(reader.follow))  # ask.py calls the window, which this loop serves
    await expect(hall.locator("#said")).to_have_text("Is anybody there?")
    await asking
    assert troubles == []
