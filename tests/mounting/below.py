"""An App with other applications below it, and a client that asks it in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from limen import App, get_state

LIVED: list[str] = []


@asynccontextmanager
async def lives(app: Starlette) -> AsyncIterator[dict[str, str]]:
    LIVED.append("began")
    yield {"found": "at start"}
    LIVED.append("ended")


async def told(request: Request) -> Response:
    state = get_state()
    return JSONResponse(
        {
            "path": request.scope["path"],
            "root": request.scope["root_path"],
            "url": str(request.url),
            "for": str(request.url_for("told")),
            "client": request.client.host if request.client else None,
            "headers": sorted({name for name, _ in request.headers.items()}),
            "body": (await request.body()).decode(),
            "found": request.state.found,
            "state": [state.domain, state.origin, state.user, state.service],
        }
    )


async def many(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 1000

    return StreamingResponse(chunks())


async def fails(request: Request) -> Response:
    raise RuntimeError("with a secret in it")


starlette = Starlette(
    routes=[
        Route("/", told, name="root"),
        Route("/told", told, methods=["GET", "POST"], name="told"),
        Route("/many", many),
        Route("/fails", fails),
    ],
    lifespan=lives,
)

wsgi = flask.Flask(__name__)


@wsgi.route("/told", methods=["GET", "POST"])
def told_by_flask() -> Any:
    request, state = flask.request, get_state()
    return {
        "path": request.path,
        "root": request.root_path,
        "url": request.url,
        "for": flask.url_for("told_by_flask"),
        "client": request.remote_addr,
        "headers": sorted(name.lower() for name, _ in request.headers),
        "body": request.get_data(as_text=True),
        "state": [state.domain, state.origin, state.user, state.service],
    }


@wsgi.route("/many")
def many_of_flask() -> Any:
    return flask.Response(b"x" * 1000 for _ in range(50))


@wsgi.route("/fails")
def fails_in_flask() -> Any:
    raise RuntimeError("with a secret in it")


def program() -> App:
    app = App()
    app.config.PROXIES = ("127.0.0.1",)
    app.config.DOMAIN = "shop.example"

    @app.service(safe=False, ssl=False, methods=["GET"])
    def administrator() -> str:
        return "a service"

    @app.service("asgi/own", safe=False, ssl=False, methods=["GET"])
    def own() -> str:
        return "a service"

    app.mount("/asgi", starlette, ssl=False)
    app.mount("/wsgi", wsgi, ssl=False)
    app.mount("/strict", starlette)
    app.mount("/admin", starlette, ssl=False, check_perm=lambda state: state.origin == "203.0.113.9")
    app.mount("/read", starlette, ssl=False, methods=["GET"])
    app.mount("/open", starlette, ssl=False, cross_site=True)
    return app


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks an ASGI application in process, from the address of its proxy."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def ask(self, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        path, _, query = target.partition("?")
        named = {"host": "shop.example"} | {name.lower().replace("__", "-"): value for name, value in headers.items()}
        if body:
            named["content-length"] = str(len(body))
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "client": ("127.0.0.1", 5),
        }
        sent: list[Any] = []
        pieces = [{"type": "http.request", "body": body}]

        async def receive() -> Any:
            return pieces.pop() if pieces else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, body)


@asynccontextmanager
async def client(app: App, inner: Any = None) -> AsyncIterator[Client]:
    """A client of *app*, which starts and ends with this. *inner*: as `App.asgi` takes it."""
    application = app.asgi(inner)
    heard: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(application({"type": "lifespan"}, heard.get, said.put))
    for step in ("startup", "shutdown"):
        await heard.put({"type": f"lifespan.{step}"})
        assert (await said.get())["type"] == f"lifespan.{step}.complete"
        if step == "startup":
            try:
                yield Client(application)
            except BaseException:
                life.cancel()
                raise
    await life
