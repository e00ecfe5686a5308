"""Pages stay open while every worker of their server is killed once: they come back by themselves."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, expect

APP = Path(__file__).parent.parent / "browser" / "app.py"


async def heard(page: Page, text: str) -> None:
    """Waits until the page has heard *text* on the topic."""
    async with asyncio.timeout(20):
        await page.evaluate(
            "async text => { while (!window.heard.includes(text)) await new Promise(later => setTimeout(later, 20)); }",
            text,
        )


async def test_pages_outlive_every_worker(serve: Any, context: BrowserContext) -> None:
    server = await asyncio.to_thread(serve, APP, "--workers", "2")
    pages = [await context.new_page() for _ in range(3)]
    await asyncio.gather(*(logged_in(page, server.url) for page in pages))
    for round, victim in enumerate(sorted(server.children())):
        before = server.children()
        slow = [asyncio.create_task(ended(page, f"round {round}")) for page in pages]
        await asyncio.sleep(0.3)  # they are on their way
        os.kill(victim, signal.SIGKILL)
        how = await asyncio.gather(*slow)
        assert set(how) <= {"done", "OutcomeUnknown"}, how
        for page in pages:
            assert await page.evaluate("Limen.safe_call('lab.add', 20, 22)") == 42
        async with asyncio.timeout(20):
            while not server.children() - before:
                await asyncio.sleep(0.02)
        for n, page in enumerate(pages):
            said = f"round {round}, page {n}"
            await page.evaluate("text => Limen.safe_call('lab.tell', text)", said)
            await asyncio.gather(*(heard(other, said) for other in pages))


async def logged_in(page: Page, url: str) -> None:
    await page.goto(url)
    await page.fill("[name=user]", "ada")
    await page.fill("[name=password]", "lovelace")
    await page.click("button")
    await expect(page.locator("li")).to_have_text(["1 + 2 = 3"], timeout=15_000)
    await page.evaluate("async () => { window.heard = []; await Limen.subscribe('lab.news', t => heard.push(t)); }")


async def ended(page: Page, name: str) -> str:
    """How a call ends that takes a second."""
    return str(
        await page.evaluate(
            "name => Limen.safe_call('lab.slow', name, 1).then(() => 'done', error => error.exc)",
            name,
        )
    )
