"""UTF-8 of text messages, whole and across fragments (RFC 6455, section 8.1)."""

from __future__ import annotations

from codecs import getincrementaldecoder

_Decoder = getincrementaldecoder("utf-8")


def is_utf8(data: bytes) -> bool:
    """Whether *data* is valid UTF-8; ASCII is known without decoding.

    >>> is_utf8("ä".encode()), is_utf8(b"\\xff"), is_utf8(b"\\xed\\xa0\\x80")
    (True, False, False)
    """
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Utf8Check:
    """Follows a text through its fragments; a character may be cut in two, an invalid byte is seen at once.

    >>> check = Utf8Check()
    >>> check.feed(b"\\xc3", final=False), check.feed(b"\\xa4", final=True)
    (True, True)
    >>> Utf8Check().feed(b"\\xc3", final=True)
    False
    """

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = _Decoder()

    def feed(self, data: bytes, final: bool) -> bool:
        """Whether the text may still be valid; after the final fragment: whether it is."""
        try:
            self._decoder.decode(data, final)
        except UnicodeDecodeError:
            return False
        return True
