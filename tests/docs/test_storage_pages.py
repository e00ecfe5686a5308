"""The pages on storage say that the engine is one line of a program: so they run on PostgreSQL as they stand. And what
they say is refused is refused: a `try` that nothing interrupts would hide it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from test_pages import ROOT, written

SQLITE = '"sqlite:///shop.db"'
DOCUMENTS = ["storage-tutorial.md", "storage.md", "how-to/retry.md", "how-to/erase-a-person.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_page_on_storage_holds_on_postgresql(document: str, tmp_path: Path, postgresql_url: str) -> None:
    program = written(ROOT / "docs" / document, tmp_path).read_text()
    assert SQLITE in program, "the page names another database"
    run(program.replace(SQLITE, repr(postgresql_url)), tmp_path)


@pytest.mark.parametrize("document", [*DOCUMENTS, "how-to/choose-an-engine.md"])
def test_what_a_page_on_storage_says_is_refused_is_refused(document: str, tmp_path: Path) -> None:
    program = Refused().visit(ast.parse(written(ROOT / "docs" / document, tmp_path).read_text()))
    run(ast.unparse(ast.fix_missing_locations(program)), tmp_path)


class Refused(ast.NodeTransformer):
    """Puts behind each `try` of a page that has an `except exc.…`, or `except TypeError`, what fails if nothing was
    raised."""

    def visit_Try(self, node: ast.Try) -> ast.Try:
        caught = [ast.unparse(handler.type) for handler in node.handlers if handler.type]
        if any(name.startswith("exc.") or name == "TypeError" for name in caught):
            said = f"line {node.lineno} of the page: nothing was refused ({', '.join(caught)})"
            node.orelse = ast.parse(f"raise AssertionError({said!r})").body
        return node


def run(program: str, folder: Path) -> None:
    script = folder / "program.py"
    script.write_text(program)
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
