"""Annotations, resolved.

>>> def due(day: "int", room: "Missing") -> None: ...
>>> import logging; logging.disable(logging.WARNING)
>>> hints(due)
{'day': <class 'int'>, 'return': <class 'NoneType'>}
>>> logging.disable(logging.NOTSET)
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any


def hints(owner: Any) -> dict[str, Any]:
    """Name to annotation of a function or class (bases included), `Annotated` kept.

    Names that stand only under `TYPE_CHECKING`, or only inside of another function, can't be resolved: such an
    annotation is left out, and the log says so.
    """
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except Exception:  # a NameError, or anything else that evaluating annotations may raise: one by one, then
        holders = reversed(owner.__mro__) if isinstance(owner, type) else (owner,)
        return {name: hint for holder in holders for name, hint in _one_by_one(holder)}


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """`inspect.signature` without looking at annotations, which Python 3.14 evaluates only now: what `hints` leaves out
    raises here no NameError. They are strings in it, or what was written.

    >>> list(signature(lambda day, room=None: None).parameters)
    ['day', 'room']
    """
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
    return inspect.signature(function)


def _one_by_one(owner: Any) -> Iterator[tuple[str, Any]]:
    namespace = getattr(owner, "__globals__", None) or vars(sys.modules.get(owner.__module__, typing))
    for name, hint in _written(owner).items():
        one = types.FunctionType(_nothing.__code__, namespace)
        one.__annotations__ = {name: hint}
        try:
            yield name, typing.get_type_hints(one, include_extras=True)[name]
        except Exception as error:
            import logging

            said = "%s: the annotation of %r is ignored: %s"
            logging.getLogger("limen").warning(said, getattr(owner, "__qualname__", owner), name, error)


def _nothing() -> None:
    """Only something to hang an annotation on."""


def _written(owner: Any) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(owner, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(owner)
