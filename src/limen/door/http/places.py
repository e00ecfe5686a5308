"""What the HTTP door is made of: what stands where, and how it knows who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.core.guard.ledger import Kind
    from limen.service.service import Service
    from limen.web.response import Response
    from limen.web.static import StaticTree

    from .request import Request

    OwnAddress = Callable[[Request, Principal, tuple[str, ...]], Awaitable[Response]]
    """What answers at `/limen/NAME`: given the request, who asks as far as the door knows (domain, origin, TLS), and
    the segments behind NAME. Other sites' pages never get so far."""


class Mounted(Protocol):
    """Another application at *segments* (`door/gateway/mount.py`): *service* asks it. *cross_site*: other sites' pages
    may. *on_threads*: its body must be there before it is asked."""

    @property
    def segments(self) -> tuple[str, ...]: ...
    @property
    def methods(self) -> tuple[str, ...]: ...
    @property
    def service(self) -> Service: ...
    @property
    def cross_site(self) -> bool: ...
    @property
    def on_threads(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """*statics*: trees of files. *mounts*: other applications, the longest path first. *own*: what stands at
    `/limen/NAME`, by NAME (the table is `app/running.py`'s). *assets*: the tree at `/limen`, for all other names."""

    statics: Iterable[StaticTree] = ()
    mounts: Iterable[Mounted] = ()
    own: Mapping[str, OwnAddress] = field(default_factory=dict)
    assets: StaticTree | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Callers:
    """*domain_of*: a Host header's domain, None for one that is not ours. *origin_of*: an IP address as the ledger
    counts it. *refused*: seconds until an origin may come again, None if it may now. *charge*: counts a misdeed.
    *delay*: seconds by which an answer to an origin is slowed. *signed*: who has signed a request, given who asks as
    far as the door knows (`door/bridge/signing.py`)."""

    domain_of: Callable[[str], str | None]
    origin_of: Callable[[str], str]
    refused: Callable[[str, str], float | None]
    charge: Callable[[str, str, Kind], object]
    delay: Callable[[str, str], float] = lambda domain, origin: 0.0
    signed: Callable[[Request, Principal], Awaitable[Principal]] | None = None
