"""A class as a handler: its methods get, post, put, patch, delete and head answer these HTTP methods.

    @service("todo/item", safe=False)
    class Item:
        def get(self, id: int): ...
        def put(self, id: int, text: str): ...

`GET /todo/item/7` makes an `Item()` and calls its `get(7)`; a method that it does not have gets 405 with Allow. Static
and class methods are called without an instance. Each is a service of its own besides, with the URI `todo.item.get`: so
they are called over WAMP, in a sealed session, by clients, and with POST at `/todo/item/get`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from limen.base.hints import signature

from .service import Service

VERBS = ("get", "head", "post", "put", "patch", "delete")


def class_service(cls: type, urlpath: str, options: dict[str, Any]) -> Service:
    """The service that *cls* is. Raises TypeError where none of its methods is a handler, or it can't be made without
    arguments; ValueError for options that make no sense for it."""
    verbs = [verb for verb in VERBS if callable(getattr(cls, verb, None))]
    if not verbs:
        raise TypeError(f"{cls.__qualname__} has none of the methods {', '.join(VERBS)}: nothing would answer.")
    if options["methods"] is not None:
        raise ValueError(f"methods is for functions; {cls.__qualname__} answers to the methods that it has.")
    if options["cache"] and "get" not in verbs:
        raise ValueError(f"cache is for GET, and {cls.__qualname__} has no method get.")
    by_method: dict[str, Service] = {}
    for verb in verbs:
        own = options if verb == "get" else options | {"cache": False}
        by_method[verb.upper()] = Service(_function(cls, verb), urlpath, verb=verb, **own)
    if "GET" in by_method:
        by_method.setdefault("HEAD", by_method["GET"])
    return Service(cls, urlpath, handlers=MappingProxyType(by_method), **options)


def moved(service: Service, urlpath: str) -> Service:
    """*service*, with its handlers, at another path."""
    there = {handler: replace(handler, urlpath=urlpath) for handler in service.handlers.values()}
    handlers = {method: there[handler] for method, handler in service.handlers.items()}
    return replace(service, urlpath=urlpath, handlers=MappingProxyType(handlers))


def _function(cls: type, verb: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(cls, verb)
    if not inspect.isfunction(inspect.getattr_static(cls, verb)):
        return function  # a static or a class method
    if any(p.default is p.empty and p.kind not in _OPEN for p in signature(cls).parameters.values()):
        raise TypeError(f"{cls.__qualname__} is made anew for each call, and so without arguments; give them defaults.")

    @functools.wraps(function)
    def of_an_instance(*args: Any, **kwargs: Any) -> Any:
        return function(cls(), *args, **kwargs)

    whole = signature(function)
    own = list(whole.parameters.values())[1:]
    of_an_instance.__signature__ = whole.replace(parameters=own)  # type: ignore[attr-defined]
    return of_an_instance


_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
