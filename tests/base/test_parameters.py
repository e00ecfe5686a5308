"""Parameters of headers that strangers write: nothing but an answer or ValueError, and soon."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.base.parameters import parameters

WRITTEN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f", min_codepoint=32))


@given(st.text("af*0'%\"\\;= \t,\r\n\0ü") | st.text())
def test_whatever_is_written_is_parameters_or_a_value_error(text: str) -> None:
    try:
        first, found = parameters(text)
    except ValueError:
        return
    assert not any(c in first + "".join([*found, *found.values()]) for c in "\r\n\0")


@given(WRITTEN)
def test_a_text_comes_back_quoted_and_escaped(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parameters(f'form-data; name="{quoted}"')[1] == {"name": text}
    assert parameters(f"a; filename=_; filename*=UTF-8''{quote(text, safe='')}")[1] == {"filename": text}


@pytest.mark.parametrize(
    "text",
    [
        "a; filename*=a; filename*0=b",  # continuations, which email.message fails to sort
        "a; filename*=idna''x",
        "a; filename*=unicode_escape''%5cu202e",
        "a; filename*=UTF-8''%ff",
        "a; filename*=UTF-8''%C3%BC%",
        "a; name=b; NAME=c",
        'a; name="b',
        'a; name="b"c',
        "a; name=b c",
        "a; b",
        "a; name=b\r\nX: y",
        "a; name=b\0",
    ],
)
def test_what_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parameters(text)


@pytest.mark.parametrize(
    "text", ['a; b="' + ";" * 32000, "a; " + "a;" * 16000, "a; " + '"\\";' * 8000, "a" + " " * 32000]
)
def test_a_long_one_takes_no_longer_than_it_is(text: str) -> None:
    begun = time.process_time()
    try:
        parameters(text)
    except ValueError:
        pass
    assert time.process_time() - begun < 0.2  # the quadratic parser of the standard library took 1.2
