"""Pages that have their reader make files and type commands lead where they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from reader import BLOCK, Reader, files
from served import Server

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGES = [page for page in sorted(DOCS.glob("**/*.md")) if "```shell-session\n" in page.read_text()]
for with_a_browser in ("tutorial.md", "nodes-tutorial.md"):  # test_tutorial_page.py and test_nodes_page.py follow them
    PAGES.remove(DOCS / with_a_browser)
FILES = [
    pytest.param(name, language, text, id=f"{page.relative_to(DOCS)}:{name}")
    for page in sorted(DOCS.glob("**/*.md"))
    for name, language, text in files(page)
]


@pytest.mark.parametrize("document", PAGES, ids=[str(page.relative_to(DOCS)) for page in PAGES])
def test_following_a_page_gives_what_it_says(document: Path, tmp_path: Path, start: Callable[..., Server]) -> None:
    Reader(document, tmp_path, start).follow()


@pytest.mark.parametrize(("name", "language", "text"), FILES)
def test_a_file_of_a_page_can_be_read(name: str, language: str, text: str) -> None:
    if language == "python":
        compile(text, name, "exec")


def test_no_block_is_left_without_its_language() -> None:
    bare = {str(page.relative_to(DOCS)) for page in DOCS.glob("**/*.md") if "```\n" in BLOCK.sub("", page.read_text())}
    assert bare == set()


PROSE = [DOCS.parent / "README.md", DOCS.parent / "ARCHITECTURE.md", *sorted(DOCS.glob("**/*.md"))]


@pytest.mark.parametrize("document", PROSE, ids=[str(page.relative_to(DOCS.parent)) for page in PROSE])
def test_the_places_that_links_name_are_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s#:]*\.md|)#([^)]+)\)", BLOCK.sub("", document.read_text()))
    missing = [
        f"{file}#{place}" for file, place in links if place not in places(document.parent / file if file else document)
    ]
    assert missing == []


def places(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in links."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
