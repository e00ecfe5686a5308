"""The pages on storage say that the engine is one line of a program: so they run on PostgreSQL as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_pages import ROOT, written

SQLITE = '"sqlite:///shop.db"'


@pytest.mark.parametrize(
    "document", ["storage-tutorial.md", "storage.md", "how-to/retry.md", "how-to/erase-a-person.md"]
)
def test_a_page_on_storage_holds_on_postgresql(document: str, tmp_path: Path, postgresql_url: str) -> None:
    script = written(ROOT / "docs" / document, tmp_path)
    program = script.read_text()
    assert SQLITE in program, "the page names another database"
    script.write_text(program.replace(SQLITE, repr(postgresql_url)))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
