"""The router of the matrix, on two ports: `router.py FOLDER`, with ca.pem and server.pem in it, says where it listens.

One realm, with a user for each login method, who is called like it.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from pathlib import Path

from limen.app.listeners import Door
from limen.app.router import Router
from limen.core.wamp.auth import wampcra
from limen.door.router.config import Cra, Listener, RealmSettings, Role, Rule, Scram, Secret, Settings, User
from limen.door.router.entrance import RouterEntrance
from limen.transport.listening import HttpListener, bind

SECRET = Secret(value="correct horse battery")
SALTED = wampcra.salted(SECRET.value, "salt123", 1000)
PUBLIC = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
"""Of the private key 000102…1f, which the peers know."""
EVERYTHING = Rule(uri="", match="prefix", allow=("call", "register", "publish", "subscribe"))

REALM = RealmSettings(
    name="realm1",
    anonymous="anybody",
    roles=tuple(Role(name=name, rules=(EVERYTHING,)) for name in ("anybody", "user")),
    users=(
        User(name="ticket", roles=("user",), ticket=SECRET),
        User(name="wampcra", roles=("user",), wampcra=Cra(secret=SECRET)),
        User(
            name="salted",
            roles=("user",),
            wampcra=Cra(secret=Secret(value=SALTED.secret), salt=SALTED.salt, iterations=SALTED.iterations),
        ),
        User(name="scram", roles=("user",), scram=Scram(kdf="argon2id13", memory=512, password=SECRET)),
        User(name="cryptosign", roles=("user",), cryptosign=(PUBLIC,)),
        User(name="tls", roles=("user",), tls=("cn:tls",)),
    ),
)


async def main(folder: Path) -> None:
    plain = Listener(port=0)
    router = Router(Settings(realms=(REALM,), listeners=(plain,)))
    router.config.MAX_ORIGIN_ABUSE_LEVEL = 1000  # all who are refused here come from one address
    router.hub.entrance = RouterEntrance(router.settings, None, bytes(32))  # type: ignore[arg-type]  # asks nobody
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_cert_chain(folder / "server.pem")
    async with router.alive() as (where,):
        door = Door(router.hub, plain)
        secure, sock = HttpListener(door.asgi, door.accept, router.config), bind("localhost", 0)
        await secure.listen(sock, tls)
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        print(f"TLS: wss://localhost:{sock.getsockname()[1]}/ws", flush=True)
        print(f"Limen listens on {where}", flush=True)
        await stopping.wait()
        secure.stop()
    await secure.close(5.0)


asyncio.run(main(Path(sys.argv[1])))
