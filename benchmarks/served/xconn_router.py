"""xconn's router, with one realm that everybody may use, on uvloop."""

import asyncio
import sys

import uvloop
from xconn.router import Router
from xconn.server import Server


async def main():
    router = Router()
    router.add_realm("localhost")
    await Server(router).start("127.0.0.1", int(sys.argv[1]))
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
