"""Content-Disposition (RFC 6266), and what a browser may show rather than save."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

SHOWN: Final = frozenset(
    {
        "application/pdf",
        "audio/flac",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
        "video/mp4",
        "video/ogg",
        "video/quicktime",
        "video/webm",
    }
)
"""Types in which nothing runs. HTML, SVG and XML are not: what they hold would run as a page of this site."""


def disposition(filename: str, kind: str, *, inline: bool = False) -> bytes:
    """The value of a Content-Disposition. *filename*: any text. *kind*: the Content-Type, which decides whether
    *inline* is heeded.

    Nothing of the name can end the header or the quotes: what is not plain ASCII goes into `filename*`, in escapes.

    >>> disposition("report.pdf", "application/pdf", inline=True)
    b'inline; filename="report.pdf"'
    >>> disposition('n"ä.html', "text/html", inline=True)
    b'attachment; filename="n__.html"; filename*=UTF-8\\'\\'n%22%C3%A4.html'
    """
    how = "inline" if inline and kind.partition(";")[0] in SHOWN else "attachment"
    plain = re.sub(r"[^ !#$&-\[\]-~]", "_", filename)  # neither quote, backslash nor %, which some decode
    text = f'{how}; filename="{plain}"'
    if plain != filename:
        text += f"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
    return text.encode()
