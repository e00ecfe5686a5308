"""The settings of an App, with their defaults. A domain may have its own: `config.domain("clinic.example")`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

UNIX: Final = "unix"
"""In `PROXIES`: whoever comes over a Unix socket. Also what such a client is counted as."""


class Config:
    """Settings as attributes. A misspelt name is refused.

    >>> config = Config()
    >>> config.IS_DEVELOPMENT = True
    >>> config.IS_DEVELOPMENT
    True
    >>> config.domain("a.example").MAX_ORIGIN_ABUSE_LEVEL = 20
    >>> config.domain("a.example").MAX_ORIGIN_ABUSE_LEVEL, config.MAX_ORIGIN_ABUSE_LEVEL
    (20, 10.0)
    >>> config.IS_DEVELOPEMENT = True
    Traceback (most recent call last):
    AttributeError: there is no setting 'IS_DEVELOPEMENT'; did you mean IS_DEVELOPMENT?
    """

    # -- what this server is
    IS_DEVELOPMENT: bool = False
    """TLS is not forced, errors show their source, modules reload, addresses may be declared twice."""
    DOMAIN: str = "localhost"
    """The default domain (tenant, WAMP realm, host name)."""
    DB: str = ""
    """URL of the default store, 'sqlite:///todo.db' or 'postgresql://ada@db.example/todo'; empty: records are kept in
    memory only."""
    KEYS: str = ""
    """Path of the key file; empty: beside the SQLite file, or for PostgreSQL in the working folder."""
    DESCRIBE_ROLES: tuple[str, ...] = ()
    """Users with one of these roles may see which services there are, on the page `/limen/`; in development all may."""

    OBSERVE_ROLES: tuple[str, ...] = ()
    """Users with one of these roles may see what happens here: sessions, calls, events and what each costs, of their
    domain; those of `DOMAIN` the metrics of the whole server."""
    TRACES: bool = False
    """Calls, events and units of work are spans of OpenTelemetry; where they go, its own settings say. Needs the extra
    `observe`."""
    METRICS: str = ""
    """Port, or HOST:PORT, at which metrics for Prometheus are found, by whoever reaches it; without a host on loopback.
    "otel": they are given to OpenTelemetry's provider of metrics instead. Needs the extra `observe`."""

    PROXIES: tuple[str, ...] = ()
    """Addresses and networks of the proxies whose Forwarded and X-Forwarded-For/-Proto/-Host headers are believed;
    "unix": whoever comes over a Unix socket. See `limen.base.proxies`."""
    UPLOADS: str = ""
    """Folder in which uploads lie until their function is over; empty: beside the SQLite file, for PostgreSQL in the
    working folder, for a store in memory in the machine's temporary folder. Servers that share a database share it."""

    HEADERS: Mapping[str, str | None] = MappingProxyType({})
    """Headers of every answer over HTTP, in place of those of the same name; None: not sent."""
    HSTS: int = 365 * 24 * 3600
    """Seconds for which a browser that came over TLS does not try without; 0: that is not said. Nor is it in
    development, and for localhost."""

    # -- sessions (seconds)
    SESSION_TIMEOUT: float = 3600.0
    """A session without any call for so long ends."""
    SESSION_MAX_AGE: float = 12 * 3600.0
    """A session ends so long after its login."""
    PASSWORD_CHANGE_WINDOW: float = 300.0
    """A new password is taken from within a session so long after its login."""
    PASSWORD_MIN_LENGTH: int = 8
    """Characters of a new password, at least, where somebody types one: `limen user`, the clients' change_password."""
    MAX_USER_SESSIONS: int = 32
    """Most slots (tabs) of one user at once; one more is refused with MaxActiveSessions."""
    SESSION_ADMIN_ROLES: tuple[str, ...] = ()
    """Users with one of these roles list and end the sessions of others in their domain; (): nobody does."""
    CHILD_SESSIONS: bool = True
    """An open tab lets in further tabs of the same browser."""
    IMPERSONATOR_ROLES: tuple[str, ...] = ()
    """Users with one of these roles may act as another user of their domain; (): nobody may."""
    IMPERSONATE_IMPERSONATORS: bool = False
    """… also as one who has such a role themselves."""
    PARK_TIMEOUT: float = 60.0
    """So long a lost session keeps its running calls and their results for a resume."""
    PARK_MAX_RESULTS: int = 256
    """Most results (and 4 MiB) that a parked session keeps."""
    LOGIN_TIMEOUT: float = 30.0
    """So long a login may be pending."""
    MAX_PENDING_LOGINS: int = 16
    """Most logins of one origin pending at once."""

    # -- abuse (levels; seconds)
    ABUSE_WATCH_PERIOD: float = 600.0
    SOFT_ORIGIN_ABUSE_LEVEL: float = 5.0
    MAX_ORIGIN_ABUSE_LEVEL: float = 10.0

    # -- bounds (bytes; seconds; counts)
    MAX_ORIGIN_CONNECTIONS: int = 2500
    """Most WebSockets and streams of events of one origin without a login; further ones are refused with 503."""
    MAX_CONNECTIONS: int = 50_000
    """Most WebSockets and RawSockets of one process; further ones are refused with 503 (RawSocket: error 4)."""
    MAX_SESSIONS: int = 50_000
    """Most sessions of one realm in one process; a further HELLO is answered with ABORT wamp.error.unavailable."""
    MAX_MESSAGE_SIZE: int = 4 * 2**20
    """Largest WebSocket message and HTTP body taken."""
    MAX_QUEUE_SIZE: int = 8 * 2**20
    """Bytes queued for a peer that does not read before it is cut."""
    MAX_STALL: float = 10.0
    """Seconds that a peer may leave its queue unread before it is cut."""
    HELLO_TIMEOUT: float = 10.0
    """A WebSocket that has not said HELLO by then, or an HTTP connection that has not sent its head, is closed."""
    BODY_TIMEOUT: float = 30.0
    """An HTTP request whose body is not whole by then is refused."""
    MAX_UPLOAD_SIZE: int = 256 * 2**20
    """Bytes of the files of one request, and of one file that a sealed session sends."""
    MAX_UPLOAD_PARTS: int = 100
    """Most files of one request."""
    MAX_USER_UPLOADS: int = 2**30
    """Bytes that one user may have sent ahead, or have waiting to be read, together."""
    MAX_OPEN_FILES: int = 16
    """Most files that one user may be sending at once."""
    UPLOAD_RESERVE: int = 256 * 2**20
    """Bytes that uploads leave free on their disk, so that the database beside them can go on."""
    UPLOAD_TIMEOUT: float = 600.0
    """A file that a session sends ahead, or is given to read, goes when nobody has touched it for so long."""
    PING_INTERVAL: float = 10.0
    PING_TIMEOUT: float = 15.0
    """A peer that has not answered a ping for so long is gone."""
    MAX_PENDING_CALLS: int = 4096
    """Most calls of one session under way at once."""
    THREADS: int = 16
    """Worker threads for services that are plain functions."""

    def __init__(self) -> None:
        object.__setattr__(self, "_domains", {})

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(Config, name) or not name.isupper():
            from difflib import get_close_matches

            near = get_close_matches(name, [n for n in dir(Config) if n.isupper()], 1)
            raise AttributeError(f"there is no setting {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        object.__setattr__(self, name, value)

    def domain(self, name: str) -> Config:
        """The settings of one domain: what is set on it wins over what is set on the App.

        *name*: the domain as `limen.base.names.domain_name` writes it.
        """
        domains: dict[str, Config] = self.__dict__["_domains"]
        if name not in domains:
            domains[name] = _DomainConfig(self)
        return domains[name]

    def apart(self, **settings: Any) -> Config:
        """These settings, but for those that are named: for a part of the server that has its own.

        >>> config = Config()
        >>> part = config.apart(PROXIES=("10.0.0.1",))
        >>> config.MAX_STALL = 5.0
        >>> part.PROXIES, config.PROXIES, part.MAX_STALL
        (('10.0.0.1',), (), 5.0)
        """
        part = _DomainConfig(self)
        for name, value in settings.items():
            setattr(part, name, value)
        return part

    def most(self, name: str) -> float:
        """The largest value of the setting *name*, of the App's and the domains' own.

        >>> config = Config()
        >>> config.domain("a.example").SESSION_TIMEOUT = 7200
        >>> config.most("SESSION_TIMEOUT")
        7200
        """
        domains: dict[str, Config] = self.__dict__["_domains"]
        values: list[float] = [getattr(config, name) for config in (self, *domains.values())]
        return max(values)


class _DomainConfig(Config):
    def __init__(self, parent: Config) -> None:
        super().__init__()
        object.__setattr__(self, "_parent", parent)

    def __getattribute__(self, name: str) -> Any:
        if name.isupper() and name not in object.__getattribute__(self, "__dict__"):
            return getattr(object.__getattribute__(self, "_parent"), name)
        return object.__getattribute__(self, name)
