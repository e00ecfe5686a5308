"""A page's own EventSource, in a real browser: events, and the way back after the server was away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext
from served import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROGRAM = """
from limen import service, static, topic

news = topic("news", safe=False)
static("/", "www")


@service(safe=False)
def tell(text):
    news.publish(text, by="the server")
"""
PAGE = '<!doctype html><link rel="icon" href="data:,"><title>news</title><script src="page.js"></script>'
SCRIPT = """
const heard = [];
const source = new EventSource("/limen/events/news");
for (const kind of ["news", "missed"])
  source.addEventListener(kind, (event) => heard.push([kind, JSON.parse(event.data)]));
const opened = new Promise((resolve) => { source.onopen = resolve; });
const until = (count) => new Promise((resolve) => {
  const look = () => (heard.length >= count ? resolve(heard) : setTimeout(look, 20));
  look();
});
const headers = { "content-type": "application/json" };
const tell = (text) => fetch("/tell", { method: "POST", body: JSON.stringify({ text }), headers });
"""


async def test_a_page_listens_and_comes_back_by_itself(
    context: BrowserContext, serve: Callable[..., Server], tmp_path: Path, troubles: list[str]
) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text(PAGE)
    (tmp_path / "www" / "page.js").write_text(SCRIPT)
    (tmp_path / "news.py").write_text(PROGRAM)
    options: dict[str, Any] = {"cwd": tmp_path}
    server = serve(tmp_path / "news.py", "--dev", **options)
    page = await context.new_page()
    await page.goto(f"http://localhost:{server.port}/")
    await page.evaluate("opened")
    await page.evaluate("tell('milk')")
    assert await page.evaluate("until(1)") == [["news", {"args": ["milk"], "kwargs": {"by": "the server"}}]]
    server.stop()
    serve(tmp_path / "news.py", "--dev", "--port", str(server.port), **options)
    assert (await page.evaluate("until(2)"))[1] == ["missed", {}]
    await page.evaluate("tell('bread')")
    assert (await page.evaluate("until(3)"))[2][0] == "news"
    troubles[:] = [trouble for trouble in troubles if "/limen/events/news" not in trouble]  # the server was away
