"""The least program."""

from limen import service


@service(safe=False, ssl=False, methods=["GET"])
async def hello():
    return "hello"
