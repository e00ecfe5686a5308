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
from .base.principal import State, get_state

if TYPE_CHECKING:
    from .app.datastore import DataStore
    from .app.profiling import profile
    from .app.pyclient import AsyncPyClient, PyClient
    from .base.files import File, Upload
    from .base.hict import Aict, Hict
    from .base.path import Path
    from .client import connect
    from .client.asgi import AsgiClient, AsyncAsgiClient
    from .client.http import AsyncHttpClient, HttpClient
    from .client.ws import AsyncWsClient, WsClient
    from .client.wsgi import AsyncWsgiClient, WsgiClient
    from .core.react import Computed, ReactiveDict, Value, batch, effect
    from .core.record.expression import field
    from .core.record.query import Page
    from .node.connection import Connection, when_connected
    from .node.context import NodeContext
    from .node.declared import call, handler
    from .node.node import Node
    from .node.proxy import Proxy
    from .node.signal import Signal, signal
    from .session.context import Context, Controller, View
    from .session.joined import start_session
    from .session.root import SessionRoot
    from .session.service import ApplicationService

default = App()
"""The App that the names below act on."""

config = default.config
service = default.service
static = default.static
mount = default.mount
bind = default.bind
get_url = default.get_url
topic = default.topic
realm_rule = default.realm_rule
add_model = default.add_model
add_storage = default.add_storage
server = default.server
asgi = default.asgi
wsgi = default.wsgi
on = default.on

if TYPE_CHECKING:
    auth = default.auth
    storage = default.storage

__all__ = [
    "Aict",
    "App",
    "ApplicationService",
    "AsgiClient",
    "AsyncAsgiClient",
    "AsyncHttpClient",
    "AsyncPyClient",
    "AsyncWsClient",
    "AsyncWsgiClient",
    "Computed",
    "Connection",
    "Context",
    "Controller",
    "DataStore",
    "File",
    "Hict",
    "HttpClient",
    "Node",
    "NodeContext",
    "Page",
    "Path",
    "Proxy",
    "PyClient",
    "ReactiveDict",
    "SessionRoot",
    "Signal",
    "State",
    "Upload",
    "Value",
    "View",
    "WsClient",
    "WsgiClient",
    "add_model",
    "add_storage",
    "asgi",
    "auth",
    "batch",
    "bind",
    "call",
    "config",
    "connect",
    "dbm",
    "default",
    "effect",
    "exc",
    "field",
    "get_state",
    "get_url",
    "handler",
    "mount",
    "on",
    "profile",
    "realm_rule",
    "server",
    "service",
    "signal",
    "start_session",
    "static",
    "storage",
    "topic",
    "when_connected",
    "wsgi",
]


_LATER = {
    "DataStore": "limen.app.datastore",
    "File": "limen.base.files",
    "Upload": "limen.base.files",
    "Hict": "limen.base.hict",
    "Aict": "limen.base.hict",
    "field": "limen.core.record.expression",
    "Page": "limen.core.record.query",
    "Value": "limen.core.react",
    "Computed": "limen.core.react",
    "ReactiveDict": "limen.core.react",
    "batch": "limen.core.react",
    "effect": "limen.core.react",
    "connect": "limen.client",
    "ApplicationService": "limen.session.service",
    "SessionRoot": "limen.session.root",
    "Context": "limen.session.context",
    "Controller": "limen.session.context",
    "View": "limen.session.context",
    "start_session": "limen.session.joined",
    "Path": "limen.base.path",
    "Connection": "limen.node.connection",
    "when_connected": "limen.node.connection",
    "Node": "limen.node.node",
    "NodeContext": "limen.node.context",
    "Proxy": "limen.node.proxy",
    "Signal": "limen.node.signal",
    "signal": "limen.node.signal",
    "call": "limen.node.declared",
    "handler": "limen.node.declared",
    "profile": "limen.app.profiling",
    "PyClient": "limen.app.pyclient",
    "AsyncPyClient": "limen.app.pyclient",
    "HttpClient": "limen.client.http",
    "AsyncHttpClient": "limen.client.http",
    "WsClient": "limen.client.ws",
    "AsyncWsClient": "limen.client.ws",
    "AsgiClient": "limen.client.asgi",
    "AsyncAsgiClient": "limen.client.asgi",
    "WsgiClient": "limen.client.wsgi",
    "AsyncWsgiClient": "limen.client.wsgi",
}
"""Loaded when first asked for, from these modules: not every program needs them, and commands, tests and workers begin
all the sooner (tests/test_imports.py)."""

_OF_DEFAULT = ("auth", "storage")
"""The same of the default App, which loads them when they are asked for."""


def __getattr__(name: str) -> Any:
    if name in _OF_DEFAULT:
        found = getattr(default, name)
    elif name in _LATER:
        from importlib import import_module

        found = getattr(import_module(_LATER[name]), name)
    else:
        raise AttributeError(f"module 'limen' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
