"""The services of limen_app.py as an ASGI application, by itself and below FastAPI; a bare ASGI application in the same
two places; and a route of FastAPI's own."""

from fastapi import FastAPI
from fastapi_app import Order
from limen_app import auth  # noqa: F401  that module declares the services

import limen

ANSWER = b'{"number":42,"name":"Ada Lovelace"}'
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(ANSWER))]}
BODY = {"type": "http.response.body", "body": ANSWER}

alone = limen.asgi()
below = FastAPI()


async def bare(scope, receive, send):
    """As little as an answer takes."""
    if scope["type"] == "http":
        await receive()
        await send(HEAD)
        await send(BODY)


async def prefixed(scope, receive, send):
    """Limen below /live, with nothing but that before it."""
    await alone(scope if scope["type"] == "lifespan" else dict(scope, root_path="/live"), receive, send)


@below.post("/own/order")
async def order(order: Order):
    return {"number": order.number + 1, "name": order.name}


below.mount("/live", alone)
below.mount("/bare", bare)
