"""Autobahn's asyncio client: `client_autobahn.py PORT ENCODING`."""

import asyncio
import sys

import uvloop
from autobahn.asyncio.component import Component
from rounds import rounds

port, encoding = sys.argv[1:]
component = Component(
    transports=[{"type": "websocket", "url": f"ws://localhost:{port}/ws", "serializers": [encoding]}], realm="localhost"
)


@component.on_join
async def joined(session, details):
    await rounds(lambda number, text: session.call("quick", number, text))


loop = uvloop.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(component.start(loop=loop))
