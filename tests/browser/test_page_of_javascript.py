"""docs/javascript.md is one program: its Python is served, its JavaScript runs in a page of it, from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Page, expect
from served import Server

PAGE = Path(__file__).parent.parent.parent / "docs" / "javascript.md"
HTML = """<!doctype html>
<meta charset="utf-8">
<title>runs</title>
<link rel="icon" href="data:,">
<script type="module" src="page.js"></script>
"""
STRICT = "let n = 0; console.assert = (so) => { n++; if (!so) throw new Error(`number ${n} of the claims is false`); };"


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


async def test_the_program_of_the_page_runs(
    serve: Callable[..., Server], tmp_path: Path, page: Page, troubles: list[str]
) -> None:
    (tmp_path / "app.py").write_text(blocks("python"))
    public = tmp_path / "public"
    public.mkdir()
    (public / "index.html").write_text(HTML)
    script = blocks("js")
    assert script.count("console.assert") >= 10
    (public / "page.js").write_text(f"{STRICT}\n{script}\ndocument.title = 'ran';\n")
    server = serve(tmp_path / "app.py", cwd=tmp_path)
    await page.goto(server.url)
    try:
        await expect(page).to_have_title("ran", timeout=20_000)
    finally:
        assert troubles == []
