"""As much of curl as the pages use, so that their examples run where there is no curl."""

from __future__ import annotations

import http.client
import re
import shlex
import ssl
from pathlib import Path
from urllib.parse import urlsplit


def curl(command: str, port: int, folder: Path = Path()) -> str:
    """What `curl …` prints, typed in *folder*; `localhost:9000` (or `x.localhost:9000`) in it means this *port*.
    Options: -s -N -i -X -H -d --json -G --cacert."""
    method, headers, data, head = "", {}, [], False
    target, asked = None, False
    authority: ssl.SSLContext | None = None
    words = iter(shlex.split(command, comments=True)[1:])
    for word in words:
        match word:
            case "-s" | "-N":
                pass
            case "--cacert":
                authority = ssl.create_default_context(cafile=folder / next(words))
            case "-i":
                head = True
            case "-G":
                asked = True
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(":")
                headers[name] = value.strip()
            case "-d" | "--data":
                data.append(next(words))
                headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            case "--json":
                data.append(next(words))
                headers.update({"Content-Type": "application/json", "Accept": "application/json"})
            case _ if re.match(r"https?://([\w-]+\.)*localhost:9000(/|$)", word):
                target = urlsplit(word)
                headers.setdefault("Host", f"{target.hostname}:{port}")
            case _:
                raise AssertionError(f"this curl does not know {word!r}: {command}")
    assert target is not None, command
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    body = "&".join(data)
    if asked:
        path, body = f"{path}{'&' if target.query else '?'}{body}", ""
        headers.pop("Content-Type", None)
    connection = (
        http.client.HTTPSConnection("localhost", port, timeout=30, context=authority)
        if target.scheme == "https"
        else http.client.HTTPConnection("localhost", port, timeout=30)
    )
    try:
        connection.request(method or ("POST" if body else "GET"), path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if head:
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{k}: {v}" for k, v in answer.getheaders())]
        return "\n".join([*lines, text])
    return text
