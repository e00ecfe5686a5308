"""SASLprep (RFC 4013): the one form of a name or password that can be typed in several.

>>> saslprep("I\\u00adX"), saslprep("\\u2168")
('IX', 'IX')
"""

from __future__ import annotations


def saslprep(text: str, *, stored: bool = False) -> str:
    """*text* in its prepared form. *stored*: it is to be kept, so that code points unknown to Unicode 3.2 are refused.

    Raises ValueError for what RFC 4013 prohibits; its message shows nothing of *text*.
    """
    if text.isascii() and text.isprintable():
        return text  # most are, and load no tables
    return _prepared(text, stored)


def _prepared(text: str, stored: bool) -> str:
    import stringprep
    import unicodedata

    prohibited = (  # RFC 4013, 2.3
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(table(char) for char in prepared for table in prohibited):
        raise ValueError("a character is in it that SASLprep prohibits (RFC 4013, 2.3)")
    if stored and any(stringprep.in_table_a1(char) for char in prepared):
        raise ValueError("a character is in it that Unicode 3.2 does not assign (RFC 4013, 2.5)")
    _bidirectional(prepared)
    return prepared


def _bidirectional(text: str) -> None:
    """RFC 3454, section 6."""
    import stringprep

    if not any(stringprep.in_table_d1(char) for char in text):
        return
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    if not ends or any(stringprep.in_table_d2(char) for char in text):
        raise ValueError("it mixes directions of writing in a way that SASLprep prohibits (RFC 3454, 6)")
