"""As much of curl as the pages use, so that their examples run where there is no curl."""

from __future__ import annotations

import http.client
import shlex
from urllib.parse import urlsplit


def curl(command: str, port: int) -> str:
    """What `curl …` prints; `localhost:9000` in it means this *port*. Options: -s -i -X -H -d --json -G."""
    method, headers, data, head = "", {}, [], False
    target, asked = None, False
    words = iter(shlex.split(command, comments=True)[1:])
    for word in words:
        match word:
            case "-s":
                pass
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
            case _ if word.startswith("http://localhost:9000"):
                target = urlsplit(word)
            case _:
                raise AssertionError(f"this curl does not know {word!r}: {command}")
    assert target is not None, command
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    body = "&".join(data)
    if asked:
        path, body = f"{path}{'&' if target.query else '?'}{body}", ""
        headers.pop("Content-Type", None)
    connection = http.client.HTTPConnection("localhost", port, timeout=30)
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
