"""`@service`: a function becomes callable from far away, and stays the function it was.

    >>> declared = []
    >>> service = make_service_decorator(declared.append)
    >>> @service("greet/hello", safe=False, ssl=False, cache=60)
    ... def hello(name="World"):
    ...     return f"Hello, {name}!"
    >>> hello("Ada"), hello.urlpath, hello.safe, hello.auto_parse
    ('Hello, Ada!', 'greet/hello', False, True)
    >>> declared[0].uri
    'greet.hello'

| option | default | rule |
|---|---|---|
| *urlpath* | the function's name | where it stands; `a/b` is the WAMP URI `a.b`; letters, digits, `_`, `-`, `~` |
| *safe* | True | only for users, in a sealed session; nothing else will do |
| *ssl* | None | None: TLS, unless `config.IS_DEVELOPMENT`; True: TLS always; False: plain is allowed |
| *auto_parse* | True | texts become what they say (`limen.base.parse`), where an argument has no annotation |
| *cache* | False | True (an hour) or seconds: HTTP answers GET, and says that the answer may be kept |
| *check_perm* | None | a plain function of the `State`; what is not true is refused; None: any authenticated user |
| *roles* | () | one of these roles; with safe=False of a user who came in by a signature (cryptosign, signed request) |
| *check_abusive* | True | refuse anonymous calls from an origin past the abuse limit |
| *csp* | None | Content-Security-Policy of the answer |
| *methods* | None | HTTP methods besides POST |
| *max_upload* | None | bytes of the files of one call; `config.MAX_UPLOAD_SIZE` at most |
| *content_disposition* | None | "attachment", or "inline" to let a browser show what is safe to show |
| *force_download* | False | a browser saves the answer, whatever it is |
| *accel* | None | who sends a `File`: "X-Sendfile", or the internal path of an nginx ("/files/") |
| *cors* | () | origins whose pages may call; "*" for all |
| *log_exc* | True | unexpected exceptions are logged with their traceback |
| *postmortem_debug* | False | in development: the debugger opens where the exception was raised |
| *inline* | False | a `def` that is quick enough for the event loop; else it has a worker thread, and may block |
| *force_define* | False | take the place of a service that stands there already |
| *timeout* | None | seconds after which the call ends with Timeout |
| ***output* | | more output formats by extension: a function of the result that gives bytes or text |
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

from limen import exc
from limen.base.principal import State

F = TypeVar("F", bound=Callable[..., Any])

CheckPerm = Callable[[State], object]
Formatter = Callable[[Any], bytes | str]
"""From a result to what is sent."""

STANDARD = frozenset({"json", "txt", "raw"})
"""Output formats that every service has; limen/service/formats.py makes them."""

RESERVED = ("limen", "wamp", "ws")
"""First segments of addresses that belong to nobody."""

_SEGMENT = re.compile(r"[A-Za-z0-9_~-]+")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ORIGIN = re.compile(r"\*|https?://[a-z0-9.\[\]:-]+")


class Kind(Enum):
    """What a service's function is, and so how it is run."""

    PLAIN = "def"
    ASYNC = "async def"
    STREAM = "def with yield"
    ASYNC_STREAM = "async def with yield"


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A function at an address, with its options (see the module). Frozen; a registry that mounts it makes a copy."""

    function: Callable[..., Any]
    urlpath: str
    safe: bool = True
    ssl: bool | None = None
    auto_parse: bool = True
    cache: bool | float = False
    check_perm: CheckPerm | None = None
    roles: tuple[str, ...] = ()
    check_abusive: bool = True
    csp: str | None = None
    methods: tuple[str, ...] | None = None
    max_upload: int | None = None
    content_disposition: str | None = None
    force_download: bool = False
    accel: str | None = None
    cors: tuple[str, ...] = ()
    log_exc: bool = True
    postmortem_debug: bool = False
    inline: bool = False
    force_define: bool = False
    timeout: float | None = None
    output: Mapping[str, Formatter] = field(default_factory=lambda: MappingProxyType({}))
    verb: str = ""
    """The one HTTP method that it answers to, in lower case, where it is a method of a class (service/handlers.py)."""
    handlers: Mapping[str, Service] = field(default_factory=lambda: MappingProxyType({}))
    """Of a class: its methods by HTTP method. It is these that are called."""
    uri: str = field(init=False)
    """The WAMP URI: *urlpath* with dots; of a class's method with that behind."""
    kind: Kind = field(init=False)
    at_once: bool = field(init=False)
    """Its result is there when the pipeline comes back, unless it streams to someone who asked for progress."""
    plan: Any = field(init=False, default=None, repr=False)
    """What the pipeline has worked out for this service, at its first call (annotations may name what comes later)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", self.urlpath.replace("/", ".") + (f".{self.verb}" if self.verb else ""))
        kind = _kind(self.function)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "at_once", self.inline and kind in (Kind.PLAIN, Kind.STREAM))

    @property
    def named(self) -> tuple[Service, ...]:
        """What is called by name: the service itself, or the methods of a class."""
        return tuple(dict.fromkeys(self.handlers.values())) or (self,)

    @property
    def allowed_methods(self) -> tuple[str, ...]:
        """The HTTP methods it answers to: POST always, GET (and so HEAD) if `methods` or `cache` says so; of a class
        those that it has."""
        if self.handlers:
            return tuple(method for method in _METHODS if method in self.handlers)
        if self.verb:
            return ("GET", "HEAD") if self.verb == "get" else (self.verb.upper(),)
        named = {"POST", *(self.methods or ()), *(("GET",) if self.cache else ())}
        return tuple(method for method in _METHODS if method in named or (method == "HEAD" and "GET" in named))

    @property
    def cache_seconds(self) -> int:
        """Seconds for which an answer may be kept; 0: not at all."""
        return 3600 if self.cache is True else int(self.cache)


OPTIONS = (
    "urlpath",
    "safe",
    "ssl",
    "auto_parse",
    "cache",
    "check_perm",
    "roles",
    "check_abusive",
    "csp",
    "methods",
    "max_upload",
    "content_disposition",
    "force_download",
    "accel",
    "cors",
    "log_exc",
    "postmortem_debug",
    "inline",
    "force_define",
    "timeout",
    "output",
)
"""The options, as they can be read from the function afterwards."""


def make_service_decorator(add: Callable[[Service], object]) -> Any:
    """The `service` decorator that hands each `Service` to *add* (a registry's)."""

    def service(
        urlpath: str | None = None,
        safe: bool = True,
        ssl: bool | None = None,
        auto_parse: bool = True,
        cache: bool | float = False,
        check_perm: CheckPerm | None = None,
        roles: Iterable[str] = (),
        check_abusive: bool = True,
        csp: str | None = None,
        methods: Iterable[str] | None = None,
        max_upload: int | None = None,
        content_disposition: str | None = None,
        force_download: bool = False,
        accel: str | None = None,
        cors: Iterable[str] = (),
        log_exc: bool = True,
        postmortem_debug: bool = False,
        inline: bool = False,
        force_define: bool = False,
        timeout: float | None = None,
        **output: Formatter,
    ) -> Callable[[F], F]:
        """Makes a function callable from far away; rules and defaults: `limen.service.service`.

        Raises ValueError and TypeError for options that contradict each other, InvalidAddress for a path that is none.
        """
        options: dict[str, Any] = {
            "safe": safe,
            "ssl": ssl,
            "auto_parse": auto_parse,
            "cache": cache,
            "check_perm": check_perm,
            "roles": _texts("roles", roles),
            "check_abusive": check_abusive,
            "csp": csp,
            "methods": None if methods is None else tuple(m.upper() for m in _texts("methods", methods)),
            "max_upload": max_upload,
            "content_disposition": content_disposition,
            "force_download": force_download,
            "accel": accel,
            "cors": _texts("cors", cors),
            "log_exc": log_exc,
            "postmortem_debug": postmortem_debug,
            "inline": inline,
            "force_define": force_define,
            "timeout": timeout,
            "output": MappingProxyType(output),
        }
        if callable(urlpath):  # `@service` without parentheses
            return _declare(add, urlpath, None, options)
        _check(options)
        return lambda function: _declare(add, function, urlpath, options)

    return service


def _declare(add: Callable[[Service], object], function: F, urlpath: str | None, options: dict[str, Any]) -> F:
    if isinstance(function, type):
        from .handlers import class_service

        declared = class_service(function, address(urlpath if urlpath is not None else function.__name__), options)
        function.__limen_service__ = declared  # type: ignore[attr-defined]
        add(declared)
        return function
    if not callable(function) or isinstance(function, classmethod | staticmethod):
        raise TypeError(f"@service is for functions, not for {function!r}; on a method, write it below @classmethod.")
    name = getattr(function, "__name__", None)
    if urlpath is None and not isinstance(name, str):
        raise TypeError(f"{function!r} has no name; give it a path: @service('path').")
    declared = Service(function, address(urlpath if urlpath is not None else str(name)), **options)
    if declared.inline and declared.timeout is not None and declared.kind in (Kind.PLAIN, Kind.STREAM):
        raise ValueError("timeout can't stop what runs on the loop itself: leave inline out, or make it `async def`.")
    try:
        for option in OPTIONS:
            setattr(function, option, getattr(declared, option))
        function.__limen_service__ = declared  # type: ignore[attr-defined]
    except AttributeError:
        raise TypeError(f"{function!r} can't hold the options as attributes; write a function round it.") from None
    add(declared)
    return function


def address(path: str) -> str:
    """*path* as services stand under it: `a/b`. Raises InvalidAddress.

    >>> address("/todo/add"), address("todo.add")
    ('todo/add', 'todo/add')
    """
    if not isinstance(path, str):
        raise exc.InvalidAddress(f"A path is a text, not {path!r}.")
    segments = path.strip("/").replace(".", "/").split("/")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            raise exc.InvalidAddress(
                f"{path!r} is no path of a service: write names of letters, digits, '_', '-' and '~', with '/' between."
            )
    if segments[0] in RESERVED:
        raise exc.InvalidAddress(f"{path!r} begins with {segments[0]!r}, which is Limen's own; choose another name.")
    return "/".join(segments)


def _kind(function: Callable[..., Any]) -> Kind:
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if not inspect.isroutine(function):
        function = getattr(type(function), "__call__", function)  # noqa: B004 an object that can be called
    if inspect.isasyncgenfunction(function):
        return Kind.ASYNC_STREAM
    if inspect.isgeneratorfunction(function):
        return Kind.STREAM
    return Kind.ASYNC if inspect.iscoroutinefunction(function) else Kind.PLAIN


_FLAGS = (
    "safe", "auto_parse", "check_abusive", "force_download", "log_exc", "postmortem_debug", "inline", "force_define",
)  # fmt: skip


# -- options that contradict each other -------------------------------------------------------------------------
def _texts(name: str, value: Iterable[str]) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(text, str) and text for text in texts):
        raise TypeError(f"{name} is a list of texts, not {value!r}.")
    return texts


def _check(options: dict[str, Any]) -> None:
    for name in _FLAGS:
        if not isinstance(options[name], bool):
            raise TypeError(f"{name} is True or False, not {options[name]!r}.")
    if options["ssl"] not in (None, True, False):
        raise TypeError(f"ssl is None, True or False, not {options['ssl']!r}.")
    _check_output(options["output"])
    if not isinstance(options["cache"], bool):
        _check_seconds("cache", options["cache"])
    if options["timeout"] is not None:
        _check_seconds("timeout", options["timeout"])
    check_perm = options["check_perm"]
    if check_perm is not None and (not callable(check_perm) or _kind(check_perm) is not Kind.PLAIN):
        raise TypeError("check_perm is a plain function of the state that gives True or False.")
    if unknown := [m for m in options["methods"] or () if m not in _METHODS]:
        raise ValueError(f"methods are of {', '.join(_METHODS)}; {unknown[0]!r} is not.")
    if unknown := [origin for origin in options["cors"] if not _ORIGIN.fullmatch(origin)]:
        raise ValueError(f"cors names origins as 'https://example.org', or '*'; {unknown[0]!r} is neither.")
    if options["csp"] is not None and (not isinstance(options["csp"], str) or not options["csp"].isprintable()):
        raise ValueError("csp is a Content-Security-Policy, a text on one line.")
    _check_files(options)
    _check_sealing(options)


def _check_files(options: dict[str, Any]) -> None:
    most = options["max_upload"]
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ValueError(f"max_upload is a number of bytes, not {most!r}.")
    if options["content_disposition"] not in (None, "attachment", "inline"):
        raise ValueError(f'content_disposition is "attachment" or "inline", not {options["content_disposition"]!r}.')
    accel = options["accel"]
    if accel is not None and accel != "X-Sendfile" and not re.fullmatch(r"/([A-Za-z0-9_.~-]+/)+", str(accel)):
        raise ValueError(f'accel is "X-Sendfile", or the path of an internal location like "/files/", not {accel!r}.')


def _check_seconds(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds, not {value!r}.")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is a number of seconds above 0, not {value!r}.")


def _check_sealing(options: dict[str, Any]) -> None:
    if options["safe"]:
        for name in ("cache", "methods", "cors"):
            if options[name]:
                raise ValueError(
                    f"{name} is for plain HTTP, where a sealed service never answers: leave it out, or say safe=False."
                )
    for name in ("check_perm", "roles"):
        if options["cache"] and options[name]:
            raise ValueError(
                f"cache shows one caller's answer to others, whom {name} might refuse: leave one of them out."
            )


def _check_output(output: Mapping[str, Any]) -> None:
    for name, formatter in output.items():
        if not callable(formatter):
            near = get_close_matches(name, OPTIONS, 1)
            raise TypeError(
                f"service() has no option {name!r}"
                + (f"; did you mean {near[0]}?" if near else ".")
                + " An output format is a function of the result."
            )
        if not re.fullmatch(r"[a-z0-9]{1,16}", name):
            raise ValueError(f"{name!r} is no extension: write lower-case letters and digits.")
