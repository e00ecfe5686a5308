"""Where a PostgreSQL database is: what a URL says, for the driver and, without its password, for people.

    postgresql://user@host:5432/todo                    postgresql:///todo?host=/run/postgresql      (a Unix socket)
    postgresql://user@host/todo?sslmode=verify-full     whatever libpq knows may follow
    postgresql://user@host/todo?pool_size=20&pool_timeout=5

The password may stand in the URL, and had better stand in PGPASSWORD or ~/.pgpass, which libpq reads.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from limen import exc

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
OURS = {"pool_size": 10.0, "pool_timeout": 10.0}
"""What is ours in the part after the question mark: the most connections at once; seconds to wait for one."""
DEFAULTS = {
    "connect_timeout": 10,  # seconds
    "application_name": "limen",
    "keepalives_idle": 30,  # a server that is gone without a word is noticed within a minute
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}


@dataclasses.dataclass(frozen=True)
class Address:
    """A database. *options* go to the driver and hold the password: `repr` and `str` do not show them."""

    name: str
    """The URL without password and options, for errors and logs."""
    pool_size: int
    pool_timeout: float
    options: dict[str, Any] = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return self.name


def address(url: str) -> Address:
    """What *url* says. Raises `StoreError` for a URL that is none, and where psycopg is not installed.

    >>> a = address("postgresql://ada:secret@db.example:5433/todo?pool_size=20")
    >>> a.name, a.pool_size, a.options["port"], a.options["password"]
    ('postgresql://ada@db.example:5433/todo', 20, '5433', 'secret')
    >>> address("postgresql://ada@/todo?host=/run/postgresql").name
    'postgresql://ada@/todo?host=/run/postgresql'
    """
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise exc.StoreError("For PostgreSQL Limen needs its driver: pip install 'limen[postgresql]'") from None
    ours = dict(OURS)
    try:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError
        rest = []
        for name, value in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)):
            if name in ours:
                ours[name] = float(value)
            else:
                rest.append((name, value))
        plain = urlunsplit(parts._replace(scheme="postgresql", query=urlencode(rest, quote_via=quote), fragment=""))
        if not plain.startswith("postgresql://"):  # an empty host is written by nobody but needed by libpq
            plain = plain.replace("postgresql:", "postgresql://", 1)
        options = conninfo_to_dict(plain)
        if not all(port.isdecimal() for port in str(options.get("port", "1")).split(",")):
            raise ValueError  # most often a part of a password with a slash in it
    except (ValueError, ProgrammingError):
        # What the driver says may show a password that stands where it should not.
        raise exc.StoreError(
            "This URL of a PostgreSQL database can't be read. It looks like postgresql://user@host:5432/name, or "
            "postgresql:///name?host=/run/postgresql for a Unix socket; @ and / in a password are written %40 and %2F."
        ) from None
    if not 1 <= ours["pool_size"] <= 1000 or not 0 < ours["pool_timeout"] <= 3600:
        raise exc.StoreError("pool_size is a number of connections from 1 to 1000, pool_timeout one of seconds.")
    return Address(_shown(options), int(ours["pool_size"]), ours["pool_timeout"], {**DEFAULTS, **options})


def _shown(options: dict[str, Any]) -> str:
    host, user = str(options.get("host", "")), options.get("user")
    local = host.startswith(("/", "@"))
    netloc = f"{quote(str(user))}@" if user else ""
    if not local:
        netloc += host + (f":{options['port']}" if options.get("port") else "")
    return f"postgresql://{netloc}/{unquote(str(options.get('dbname', '')))}" + (f"?host={host}" if local else "")
