from __future__ import annotations

from pathlib import Path

import pytest

from limen.store.sql import compose, statements


def test_the_statements_are_what_core_makes_of_the_tables() -> None:
    text = Path(statements.__file__).read_text("utf-8")
    assert text == compose.written(), "say: python -m limen.store.sql.compose"


@pytest.mark.parametrize("dialect", ["SQLITE", "POSTGRESQL"])
def test_every_statement_about_records_names_its_domain(dialect: str) -> None:
    about_all = {"domains", "progress", "add_domain", "add_model", "find_model", "meta", "set_meta"}
    for name, text in getattr(statements, dialect)._asdict().items():
        if name not in about_all | {"create"}:
            assert "domain" in text.partition("WHERE")[2] + text.partition("VALUES")[0], name
