"""`limen.connect`: a session with a server, by its URL and, if it is to be sealed, by who one is."""

from __future__ import annotations

import os
from ssl import SSLContext

from limen import exc
from limen.base.values import Encoding
from limen.client import machine
from limen.client.dial import Settings, WebSocketDial
from limen.client.session import Session
from limen.core.seal.machine import Credentials


def connect(
    url: str,
    user: str | None = None,
    password: str | None = None,
    *,
    key: str | os.PathLike[str] | Credentials | None = None,
    encoding: Encoding = "msgpack",
    realm: str | None = None,
    timeout: float | None = None,
    patience: float = 60.0,
    open_timeout: float = 10.0,
    max_message_size: int = 16 * 2**20,
    ssl: SSLContext | None = None,
) -> Session:
    """A session with the server at *url* (http, https, ws, wss), to be opened with `async with`.

    *user*, *password*: make it a sealed session; so does *key*, the path of a credentials file (`limen key new`), for
    programs without a person. Without any it is anonymous and plain WAMP. *encoding*: "msgpack",
    "json" or "cbor". *realm*: of an anonymous session with a foreign router; default: the URL's host. *timeout*:
    seconds that a call may take, unless it says otherwise. *patience*: seconds that a connection may stay lost before
    the session is over. *open_timeout*: seconds for each attempt, once for the connection and once for the greeting.
    *max_message_size*: bytes. *ssl*: for a certificate authority of one's own.

    Entering raises exc.InvalidCredential, exc.Abusive, exc.ConnectionLost and what else the server says.
    """
    settings = Settings(
        encoding, realm, timeout, patience, open_timeout=open_timeout, max_message_size=max_message_size, ssl=ssl
    )
    return dialled(url, user, password, key, settings)


def dialled(
    url: str,
    user: str | None,
    password: str | None,
    key: str | os.PathLike[str] | Credentials | None,
    settings: Settings,
) -> Session:
    """See `connect`."""
    if (user is None) is not (password is None):
        raise exc.InvalidCredential("A sealed session takes user and password; an anonymous one takes neither.")
    if key is not None and user is not None:
        raise exc.InvalidCredential("A session takes user and password, or a key; not both.")
    if (user is not None or key is not None) and settings.realm is not None:
        raise exc.InvalidAddress("The domain of a sealed session is its URL's host.")
    credentials: tuple[str, str] | Credentials | None = None
    if key is not None:
        credentials = machine.read(key)
    elif user is not None and password is not None:
        credentials = user, password
    return Session(WebSocketDial(url, credentials, settings), settings)
