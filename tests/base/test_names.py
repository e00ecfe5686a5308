"""Names: `vectors/names.json`, and what must hold of any text."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.base.names import domain_name, password_bytes, user_name
from vectors import vectors

FILE = vectors("names")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)


def _case(row: dict[str, Any]) -> str:
    return ascii(row["in"])[:40]


@pytest.mark.parametrize("row", FILE["domain"], ids=_case)
def test_domains(row: dict[str, Any]) -> None:
    if row.get("refused"):
        with pytest.raises(exc.InvalidAddress):
            domain_name(row["in"])
    else:
        assert domain_name(row["in"]) == row["out"]


@pytest.mark.parametrize("row", FILE["user"], ids=_case)
def test_users(row: dict[str, Any]) -> None:
    if row.get("refused"):
        with pytest.raises(exc.InvalidCredential):
            user_name(row["in"])
    else:
        assert user_name(row["in"]) == row["out"]


@pytest.mark.parametrize("row", FILE["password"], ids=_case)
def test_passwords(row: dict[str, Any]) -> None:
    if row.get("refused"):
        with pytest.raises(exc.InvalidCredential):
            password_bytes(row["in"])
    else:
        assert password_bytes(row["in"]).hex() == row["utf8"]


@given(ANY_TEXT)
def test_a_domain_stays_itself(text: str) -> None:
    try:
        name = domain_name(text)
    except exc.InvalidAddress:
        return
    assert domain_name(name) == name
    assert name.isascii()
    assert name == name.lower()
    assert len(name) <= 253


@given(ANY_TEXT)
def test_a_user_name_stays_itself(text: str) -> None:
    try:
        name = user_name(text)
    except exc.InvalidCredential:
        return
    assert user_name(name) == name
    assert unicodedata.is_normalized("NFC", name)
    assert 0 < len(name.encode()) <= 255


@given(ANY_TEXT)
def test_a_password_typed_in_another_form_is_the_same(text: str) -> None:
    try:
        data = password_bytes(text)
    except exc.InvalidCredential:
        return
    assert password_bytes(data.decode()) == data
    assert password_bytes(unicodedata.normalize("NFD", text)) == data


@given(ANY_TEXT)
def test_a_refusal_never_shows_the_password(text: str) -> None:
    with pytest.raises(exc.InvalidCredential) as refused:
        password_bytes("\x00marker" + text)
    assert "marker" not in repr(refused.value)
