"""The least that routes WAMP: msgspec and picows, one realm, no guard, no limits, no check of what comes."""

import asyncio
import itertools
import sys

import msgspec
import uvloop
from picows import WSListener, WSMsgType, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

CODECS = {
    "wamp.2.json": (WSMsgType.TEXT, msgspec.json.encode, msgspec.json.decode),
    "wamp.2.msgpack": (WSMsgType.BINARY, msgspec.msgpack.encode, msgspec.msgpack.decode),
}
numbers = itertools.count(1)
callees, topics, pending = {}, {}, {}
WELCOME, SUBSCRIBED, EVENT, RESULT, REGISTERED, INVOCATION = 2, 33, 36, 50, 65, 68


class Session(WSListener):
    def __init__(self, subprotocol):
        self.kind, self.encode, self.decode = CODECS[subprotocol]

    def on_ws_connected(self, transport):
        self.wire = transport

    def say(self, *message):
        self.wire.send(self.kind, self.encode(message))

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        match self.decode(frame.get_payload_as_bytes()):
            case [48, request, _, uri, args]:
                invocation = next(numbers)
                pending[invocation] = (self, request)
                registration, callee = callees[uri]
                callee.say(INVOCATION, invocation, registration, {}, args)
            case [70, invocation, _, args]:
                caller, request = pending.pop(invocation)
                caller.say(RESULT, request, {}, args)
            case [16, _, _, uri, args]:
                publication = next(numbers)
                made = {}
                subscription, sessions = topics[uri]
                for session in sessions:
                    data = made.get(session.encode)
                    if data is None:
                        data = made[session.encode] = session.encode((EVENT, subscription, publication, {}, args))
                    session.wire.send(session.kind, data)
            case [32, request, _, uri]:
                subscription, sessions = topics.setdefault(uri, (next(numbers), []))
                sessions.append(self)
                self.say(SUBSCRIBED, request, subscription)
            case [64, request, _, uri]:
                callees[uri] = (next(numbers), self)
                self.say(REGISTERED, request, callees[uri][0])
            case [1, *_]:
                self.say(WELCOME, next(numbers), {"roles": {"dealer": {}, "broker": {}}})


def accept(request):
    subprotocol = request.headers["Sec-WebSocket-Protocol"]
    response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": subprotocol})
    return WSUpgradeResponseWithListener(response, Session(subprotocol))


async def main():
    server = await ws_create_server(accept, "127.0.0.1", int(sys.argv[1]), enable_auto_ping=False)
    await server.serve_forever()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
