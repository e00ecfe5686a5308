"""What tells developers about the services: the page `/limen/`, `/limen/services.json`, `/limen/openapi.json`.

None of it is for strangers. Over plain HTTP it is told in development, on loopback, and nowhere else. Elsewhere a user
with one of `config.DESCRIBE_ROLES` gets it by the sealed call `limen.services`; then the page, a program that holds
no secret, is there too, and asks for the login.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.door.http.answers import data_response
from limen.door.own.services import services
from limen.web.static import StaticTree

from .origins import is_loopback

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.base.principal import Principal
    from limen.door.http.places import OwnAddress
    from limen.door.http.request import Request
    from limen.web.response import Response

    from .app import App


def addresses(app: App) -> dict[str, OwnAddress]:
    """What stands at `/limen/NAME`, by NAME."""
    page = StaticTree("/limen/page", Path(__file__).with_name("page"))
    return {
        "": _page(app, page),
        "page": _page(app, page),
        "services.json": for_developers(app.config, lambda request: services(app.registry)),
        "openapi.json": for_developers(app.config, lambda request: openapi(app, request.root)),
    }


def openapi(app: App, root: str = "") -> dict[str, Any]:
    """The OpenAPI document of what plain HTTP answers. *root*: where the App is mounted."""
    from limen.service.describe import describe
    from limen.service.describe.openapi import openapi as document

    return document(describe(app.registry), server=root or "/")


def _is_told(config: Config, request: Request) -> bool:
    return config.IS_DEVELOPMENT and is_loopback(request.client)


def for_developers(config: Config, data: Callable[[Request], Any]) -> OwnAddress:
    """*data*, in development, to whoever asks from this machine; else there is nothing."""

    async def answer(request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        if rest or not _is_told(config, request):
            raise exc.NotFound
        if request.method not in ("GET", "HEAD"):
            raise exc.MethodNotAllowed(allow="GET, HEAD")
        return data_response(data(request))

    return answer


def _page(app: App, tree: StaticTree) -> OwnAddress:
    async def answer(request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        if not _is_told(app.config, request) and not app.config.domain(asker.domain).DESCRIBE_ROLES:
            raise exc.NotFound
        return await tree.answer(request.method, rest or ("",), request.headers, query=request.query)

    return answer
