"""Starlette with the types looked at by hand."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def order(request):
    body = await request.json()
    number, name = body["number"], body["name"]
    if type(number) is not int or type(name) is not str:
        return JSONResponse({"detail": "number is an int, name a text"}, 422)
    return JSONResponse({"number": number + 1, "name": name})


app = Starlette(routes=[Route("/order", order, methods=["POST"])])
