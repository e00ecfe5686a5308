"""The meta API of a server of several processes: each knows of its own sessions and subscriptions, together they answer
as one (`core/wamp/meta/merging.py`).

What happens to sessions, subscriptions and registrations is told to the others only while somebody there listens.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from limen.core.wamp.effects import MetaError, Told
from limen.core.wamp.session import Session
from limen.door.hub.bus import packed, unpacked

if TYPE_CHECKING:
    from limen.core.wamp.effects import Gather, Listen
    from limen.core.wamp.realm import Realm
    from limen.door.hub.bus import Bus
    from limen.door.hub.hub import Hub

    from .heard import Heard


class Meta:
    """*hub*'s part of it, over *bus*."""

    def __init__(self, hub: Hub, bus: Bus, heard: Heard) -> None:
        self._hub, self._bus, self._heard = hub, bus, heard
        self._listening: set[str] = set()
        """Domains where somebody here listens."""
        self._elsewhere: dict[str, set[int]] = {}
        """By domain: the processes where somebody does."""
        self._tasks: set[asyncio.Task[None]] = set()
        bus.answer("meta", self._asked)
        bus.hear("meta.listen", self._listens)
        bus.answer("meta.listening", self._listed)
        bus.left(self._left)

    async def begin(self) -> None:
        """Learns where somebody listens already."""
        for number, domains in await self._bus.gather("meta.listening", None):
            for domain in domains:
                self._listens([number, domain, True])

    # -- calls --------------------------------------------------------------------------------------------------
    def gather(self, realm: Realm, gather: Gather) -> None:
        """Asks the others; `Realm.gathered` says what follows."""
        task = self._hub.loop.create_task(self._gather(realm, gather))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gather(self, realm: Realm, gather: Gather) -> None:
        asker = gather.session
        said = packed(gather.args, gather.kwargs)
        answers = await self._bus.gather("meta", [realm.name, asker.id, asker.sealed, gather.uri, said])
        others: list[Told | MetaError] = []
        for reason, sentence, told in answers:
            others.append(MetaError(reason, sentence) if reason else Told(unpacked(told)))
        self._hub.act(realm, realm.gathered(gather, others))

    async def _asked(self, body: list[Any]) -> list[Any] | None:
        domain, id, sealed, uri, said = body
        realm = self._hub.known_realm(domain)
        if realm is None:
            return None  # nobody was ever here
        asker = Session(id)
        asker.sealed = sealed
        answer, effects = realm.answer(asker, uri, *unpacked(said))
        self._hub.act(realm, effects)
        if isinstance(answer, MetaError):
            return [answer.reason, answer.sentence, []]
        return ["", "", packed(*answer.args)]

    # -- events -------------------------------------------------------------------------------------------------
    def listen(self, realm: Realm, listen: Listen) -> None:
        """Tells the others whether somebody here listens; who wants to is answered when they know."""
        known = self._listening
        (known.add if listen.listens else known.discard)(realm.name)
        self._bus.tell("meta.listen", [self._bus.me, realm.name, listen.listens])
        session, message = listen.session, listen.message
        if session is not None and message is not None:
            self._heard.then(lambda: self._hub.act(realm, realm.listening(session, message)))

    async def _listed(self, _: None) -> list[Any]:
        return [self._bus.me, sorted(self._listening)]

    def _listens(self, body: list[Any]) -> None:
        number, domain, listens = body
        there = self._elsewhere.setdefault(domain, set())
        (there.add if listens else there.discard)(number)
        self._hub.realm(domain).listened(bool(there))

    def _left(self, number: int) -> None:
        for domain, there in self._elsewhere.items():
            if number in there:
                self._listens([number, domain, False])
