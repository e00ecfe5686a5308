"""Limen takes away the boundary between the program on the server and the program in the browser.

    from limen import service

    @service(safe=False, ssl=False)
    def hello(name="World"):
        return "Hello, %s!" % name

`limen serve hello.py` answers it at http://localhost:9000/hello.json, over WAMP, and to `Limen.call("hello")`.

The module-level names act on a default `App`; `limen.App()` gives a program several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import dbm, exc
from .app import App
from .app.datastore import DataStore
from .base.hict import Aict, Hict
from .base.principal import State, get_state
from .core.record.expression import field
from .core.record.query import Page

if TYPE_CHECKING:
    from .app.profiling import profile
    from .app.pyclient import PyClient
    from .client import connect

default = App()
"""The App that the names below act on."""

config = default.config
service = default.service
static = default.static
topic = default.topic
realm_rule = default.realm_rule
storage = default.storage
add_model = default.add_model
add_storage = default.add_storage
auth = default.auth
server = default.server
asgi = default.asgi
on = default.on

__all__ = [
    "Aict",
    "App",
    "DataStore",
    "Hict",
    "Page",
    "PyClient",
    "State",
    "add_model",
    "add_storage",
    "asgi",
    "auth",
    "config",
    "connect",
    "dbm",
    "default",
    "exc",
    "field",
    "get_state",
    "on",
    "profile",
    "realm_rule",
    "server",
    "service",
    "static",
    "storage",
    "topic",
]


def __getattr__(name: str) -> Any:
    # The clients are loaded when first asked for: a server does not need them.
    if name == "connect":
        from .client import connect

        return connect
    if name == "PyClient":
        from .app.pyclient import PyClient

        return PyClient
    if name == "profile":
        from .app.profiling import profile

        return profile
    raise AttributeError(f"module 'limen' has no attribute {name!r}")
