"""docs/how-to/migrate.md, followed to the letter with a database of the last version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from old_database import old_database
from reader import BLOCK, Reader, exchanges
from served import Server

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "how-to" / "migrate.md"


def test_following_the_page_migrates_a_database_of_the_last_version(
    tmp_path: Path, start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIMEN_DB", raising=False)
    old_database(tmp_path / "todo.db")
    reader = Reader(PAGE, tmp_path, start)
    said = [
        exchange
        for language, _, text in BLOCK.findall(PAGE.read_text())
        if language == "console"
        for exchange in exchanges(text)
    ]
    assert len(said) == 5
    for command, answer in said:
        reader.type(command, answer)
