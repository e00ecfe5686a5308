"""Roles: `#view`, `#controller`, as both sides of a context find them.

shop.sx7….desktop                  the context
shop.sx7….desktop.controller       #controller
shop.sx7….client.desktop           #view: what the page has stands below `client`
shop.sx7…                          #session
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from limen.base.path import Path

CLIENT: Final = "client"
"""The name below which a page binds what it has of a session; no context has it."""
VIEW: Final = "view"
USUAL: Final[Mapping[str, str]] = {"controller": "controller", VIEW: VIEW}


class Roles:
    """A resolver (`NodeContext.resolvers`): the roles of the context *name* in the session at *place*.

    *roles*: by role what stands below the context; what begins with `view` is, or is below, the page's view.

    >>> from limen import Path
    >>> find = Roles(Path("shop.s7"), "desktop", {"view": "view", "rows": "view.grid", "cursor": "controller.cursor"})
    >>> str(find("cursor", None)), str(find("rows", None)), find("menu", None)
    ('shop.s7.desktop.controller.cursor', 'shop.s7.client.desktop.grid', None)
    """

    __slots__ = ("_name", "_place", "_roles")

    def __init__(self, place: Path, name: str, roles: Mapping[str, str]) -> None:
        self._place, self._name, self._roles = place, name, roles

    def __call__(self, role: str, path: Path | None) -> Path | None:
        if role == "session":
            return self._place
        if role == "context":
            return self._place + self._name
        place = self._roles.get(role)
        if place is None:
            return None
        side, dot, below = place.partition(".")
        if side == VIEW:
            view = self._place + CLIENT + self._name
            return view + below if dot else view
        return self._place + self._name + place
