"""A door with topics and services for some, and what tests ask of it: "" where it is granted, else the error's URI."""

from __future__ import annotations

from knock import Door, Knock

from limen import App
from limen.core.wamp.messages import Publish, Published, Register, Registered, Subscribe, Subscribed


class Rules(Door):
    def extend(self, app: App) -> None:
        self.private = app.topic("private")
        self.nurses = app.topic("nurses", roles=["nurse"])
        self.chosen = app.topic("chosen", check_perm=lambda state: state.user == "bob")

        @app.service(roles=["nurse"])
        def for_nurses() -> str:
            return "for nurses"


async def subscribes(client: Knock, topic: str, match: str | None = None) -> str:
    client.request += 1
    await client.send(Subscribe(client.request, {"match": match} if match else {}, topic))
    message = await client.receive()
    return "" if type(message) is Subscribed else message.error  # type: ignore[union-attr]


async def publishes(client: Knock, topic: str) -> str:
    client.request += 1
    await client.send(Publish(client.request, {"acknowledge": True}, topic, ["forged"]))
    message = await client.receive()
    return "" if type(message) is Published else message.error  # type: ignore[union-attr]


async def registers(client: Knock, uri: str) -> str:
    client.request += 1
    await client.send(Register(client.request, {}, uri))
    message = await client.receive()
    return "" if type(message) is Registered else message.error  # type: ignore[union-attr]
