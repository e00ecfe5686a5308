"""Limen's Python client: `client_limen.py PORT ENCODING`."""

import sys

import uvloop
from rounds import rounds

import limen


async def main(port, encoding):
    async with limen.connect(f"ws://localhost:{port}/ws", encoding=encoding) as session:
        await rounds(lambda number, text: session.call("quick", number, text))


uvloop.run(main(*sys.argv[1:]))
