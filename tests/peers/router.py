"""The router of the matrix, on two ports: `router.py FOLDER`, with ca.pem and server.pem in it, says where it listens.

One realm, with a user for each login method, who is called like it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from limen.app.router import Router
from limen.core.wamp.auth import wampcra
from limen.door.router.config import Cra, Listener, RealmSettings, Role, Rule, Scram, Secret, Settings, Tls, User

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
    tls = Tls(
        certificate=str(folder / "server.pem"),
        key=str(folder / "server.pem"),
        client_ca=str(folder / "ca.pem"),
        client="optional",
    )
    router = Router(
        Settings(realms=(REALM,), listeners=(Listener(port=0), Listener(host="localhost", port=0, tls=tls)))
    )
    router.config.MAX_ORIGIN_ABUSE_LEVEL = 1000  # all who are refused here come from one address
    async with router.alive() as (plain, secure):
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        print(f"TLS: {secure}\nLimen listens on {plain}", flush=True)
        await stopping.wait()


asyncio.run(main(Path(sys.argv[1])))
