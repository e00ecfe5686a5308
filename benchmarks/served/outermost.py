"""`limen.asgi(inner)`: the services of limen_app.py before a FastAPI application, and that application by itself."""

from fastapi import FastAPI
from fastapi_app import Order
from limen_app import auth  # noqa: F401  that module declares the services

import limen

inner = FastAPI()


@inner.post("/own/order")
async def order(order: Order):
    return {"number": order.number + 1, "name": order.name}


outermost = limen.asgi(inner)
