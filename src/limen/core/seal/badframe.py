"""The one error of the channel, by itself: a door that opens no frame need not load what seals them."""

from __future__ import annotations


class BadFrame(Exception):
    """A frame that does not open here: tampered with, replayed, out of order, of another session or direction.

    The connection must end; the blame is the delivering origin's, never the account's.
    """
