"""Where services and topics stand: one tree of addresses, found by WAMP URI or by URL path.

>>> registry = Registry()
>>> from limen.service.service import make_service_decorator
>>> service = make_service_decorator(registry.add)
>>> @service(safe=False)
... def echo(*args): ...
>>> registry.by_path("/echo/1.5/2.json")
Match(service=echo, rest=['1.5', '2'], extension='json')
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from limen.base.config import Config
from limen.service.handlers import moved
from limen.service.service import STANDARD, Service, address
from limen.service.topic import Topic


@dataclass(frozen=True, slots=True)
class Match:
    """A service found by path. *rest*: further segments, the positional arguments. *extension*: None without one."""

    service: Service
    rest: list[str]
    extension: str | None

    def __repr__(self) -> str:
        return f"Match(service={self.service.uri}, rest={self.rest!r}, extension={self.extension!r})"


class Registry:
    """All services and topics of an App. *config*: in development an address may be declared again."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config or Config()
        self._by_path: dict[str, Service] = {}
        self._by_uri: dict[str, Service] = {}
        self.by_uri: Callable[[str], Service | None] = self._by_uri.get
        """`by_uri(uri)`: the service of a WAMP URI, or None; asked for each call, so it is the dict's own look."""
        self._apart: set[str] = set()
        """Paths at which a class's method stands by itself, for who calls it by name over HTTP."""
        self._topics: dict[str, Topic] = {}
        self._longest = 0
        self._mounted_at: list[Callable[[Service], object]] = []

    def __iter__(self) -> Iterator[Service]:
        """All services, in the order they were declared; of a class its methods, each once."""
        for service in self.paths():
            yield from service.named

    def paths(self) -> tuple[Service, ...]:
        """What stands at the paths, in the order it was declared; a class is one."""
        return tuple(service for path, service in self._by_path.items() if path not in self._apart)

    def add(self, service: Service) -> None:
        """Raises ValueError if another service stands there, unless it is `force_define` or in development."""
        there = self._by_path.get(service.urlpath)
        taken = there or next((self._by_uri[named.uri] for named in service.named if named.uri in self._by_uri), None)
        if taken is not None and not (service.force_define or self._config.IS_DEVELOPMENT):
            raise ValueError(
                f"/{service.urlpath} is taken by {_where(taken)}; give {_where(service)} another path, "
                "or say force_define=True."
            )
        for named in there.named if there is not None else ():
            self._by_uri.pop(named.uri, None)
            if named.verb:
                self._by_path.pop(f"{named.urlpath}/{named.verb}", None)
        self._by_path[service.urlpath] = service
        self._by_uri.update((named.uri, named) for named in service.named)
        for named in service.named:
            if named.verb:
                path = f"{named.urlpath}/{named.verb}"
                self._by_path[path] = replace(named, urlpath=path, verb="", cache=False)
                self._apart.add(path)
        self._longest = max(self._longest, service.urlpath.count("/") + 1 + bool(service.handlers))
        for add in self._mounted_at:
            add(service)

    def mount(self, prefix: str, registry: Registry) -> None:
        """All services of *registry*, now and later, stand here under *prefix* too.

        >>> inner, outer = Registry(), Registry()
        >>> outer.mount("v1", inner)
        >>> inner.add(Service(print, "hello"))
        >>> outer.by_uri("v1.hello").urlpath
        'v1/hello'
        """
        prefix = address(prefix)

        def add(service: Service) -> None:
            self.add(moved(service, f"{prefix}/{service.urlpath}"))

        for service in registry.paths():
            add(service)
        registry._mounted_at.append(add)

    # -- finding ------------------------------------------------------------------------------------------------
    def by_path(self, path: str | Sequence[str]) -> Match | None:
        """The service whose path is the longest beginning of *path*: a path, or its segments when those were decoded.

        The last segment's extension counts only if the service knows it: `/echo/1.5` has the argument '1.5'.
        """
        segments = path.strip("/").split("/") if isinstance(path, str) else path
        if not segments:
            return None
        last = len(segments)
        for count in range(min(last, self._longest), 0, -1):
            service = self._by_path.get("/".join(segments[:count]))
            rest = list(segments[count:])
            name = rest[-1] if rest else segments[-1]
            stem, dot, extension = name.rpartition(".")
            if service is None and not rest and dot:
                service = self._by_path.get("/".join([*segments[:-1], stem]))
                if service is not None and not knows(service, extension):
                    service = None
                if service is not None:
                    return Match(service, [], extension)
            if service is None:
                continue
            if rest and dot and knows(service, extension):
                rest[-1] = stem
                return Match(service, rest, extension)
            return Match(service, rest, None)
        return None

    # -- topics -------------------------------------------------------------------------------------------------
    @property
    def topics(self) -> dict[str, Topic]:
        """URI to topic."""
        return dict(self._topics)

    def add_topic(self, topic: Topic) -> None:
        """Raises ValueError if that topic is declared already, unless in development."""
        if topic.uri in self._topics and not self._config.IS_DEVELOPMENT:
            raise ValueError(f"The topic {topic.uri} is declared already; use the one that is there.")
        self._topics[topic.uri] = topic

    def topic(self, uri: str) -> Topic | None:
        """The topic of *uri*."""
        return self._topics.get(uri)


def knows(service: Service, extension: str) -> bool:
    """Whether *extension* picks an output format of *service*."""
    return extension in STANDARD or extension in service.output


def _where(service: Service) -> str:
    function = service.function
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"
