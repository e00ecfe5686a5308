"""Who performs the scenario: each Python client, async and blocking, and the browser's."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

from playwright.async_api import Page

from limen import Upload, exc
from limen.client.core import AsyncClient
from limen.client.sync import Client

USERS = {"ws blocking": "grace", "browser": "mary", "http": "joan", "http blocking": "emmy"}
"""Users of their own, for those who mistype a password at the same time."""


class Raised(Exception):
    """A step ended in an error: its name and facts, the same in both languages."""

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        super().__init__(f"{name} {facts}")
        self.name, self.facts = name, facts


class Performer:
    """*name*: of its own in the whole run. *can*: "plain streams", "topics", "session"."""

    def __init__(self, name: str, *can: str) -> None:
        self.name, self.can = name, {*can}
        self.user = USERS.get(name, "ada")

    async def step(self, what: str, *args: Any) -> Any:
        """Does one step; what it gives, or `Raised`."""
        raise NotImplementedError


class Async(Performer):
    def __init__(self, name: str, client: AsyncClient, *can: str) -> None:
        super().__init__(name, *can)
        self.client = client
        self._heard: list[Any] = []
        self._begun: asyncio.Task[Any]

    async def step(self, what: str, *args: Any) -> Any:
        try:
            return await getattr(self, "who" if what == "user" else what)(*args)
        except exc.Error as error:
            name = "NoneLeft" if "NoneLeft" in str(getattr(error, "remote_uri", "")) else error.exc
            raise Raised(name, error.facts) from error

    async def who(self) -> str | None:
        return self.client.user

    async def login(self, user: str, password: str) -> None:
        await self.client.login(user, password)

    async def logout(self) -> None:
        await self.client.logout()

    async def call(self, name: str, args: list[Any], kwargs: dict[str, Any], timeout: float | None) -> Any:
        return await self.client.apply(name, args, kwargs, timeout=timeout)

    async def safe_call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return await self.client.safe_call(name, *args, **kwargs)

    async def pass_on(self, name: str, to: str) -> Any:
        return await self.client.call(to, await self.client.call(name))

    async def stream(self, name: str, args: list[Any], take: int | None) -> list[Any]:
        values = []
        stream = self.client.stream(name, *args)
        async for value in stream:
            values.append(value)
            if len(values) == take:
                break
        await stream.aclose()
        return values

    async def upload(self, name: str, size: int) -> Any:
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(size))
            file.flush()
            gave = await self.call(name, [Upload.of(file.name, filename="made.bin")], {}, None)
        return [gave[0], gave[2]]

    async def download(self, name: str, args: list[Any]) -> int:
        return len(await (await self.client.call(name, *args)).read())

    async def begin(self, name: str, args: list[Any]) -> None:
        self._begun = asyncio.ensure_future(self.client.call(name, *args))

    async def begun(self) -> Any:
        return await self._begun

    async def subscribe(self, topic: str) -> None:
        await self.client.subscribe(topic, self._heard.append)

    async def heard(self) -> list[Any]:
        return self._heard


class Blocking(Async):
    """The blocking client, as a program without a loop uses it: here a thread for each step."""

    def __init__(self, name: str, client: Client, *can: str) -> None:
        super().__init__(name, client._client, *can)
        self.blocking = client

    async def login(self, user: str, password: str) -> None:
        await asyncio.to_thread(self.blocking.login, user, password)

    async def logout(self) -> None:
        await asyncio.to_thread(self.blocking.logout)

    async def call(self, name: str, args: list[Any], kwargs: dict[str, Any], timeout: float | None) -> Any:
        return await asyncio.to_thread(self.blocking.apply, name, args, kwargs, timeout=timeout)

    async def safe_call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return await asyncio.to_thread(self.blocking.safe_call, name, *args, **kwargs)

    async def pass_on(self, name: str, to: str) -> Any:
        return await asyncio.to_thread(lambda: self.blocking.call(to, self.blocking.call(name)))

    async def stream(self, name: str, args: list[Any], take: int | None) -> list[Any]:
        def work() -> list[Any]:
            with self.blocking.stream(name, *args) as stream:
                return [value for value, _ in zip(stream, range(take), strict=False)] if take else list(stream)

        return await asyncio.to_thread(work)

    async def download(self, name: str, args: list[Any]) -> int:
        return await asyncio.to_thread(lambda: len(self.blocking.call(name, *args).read()))

    async def begin(self, name: str, args: list[Any]) -> None:
        self._begun = asyncio.ensure_future(asyncio.to_thread(self.blocking.call, name, *args))

    async def subscribe(self, topic: str) -> None:
        await asyncio.to_thread(self.blocking.subscribe, topic, self._heard.append)


class Browser(Performer):
    def __init__(self, name: str, page: Page, *can: str) -> None:
        super().__init__(name, *can)
        self.page = page

    async def step(self, what: str, *args: Any) -> Any:
        outcome = await self.page.evaluate("([name, args]) => step(name, ...args)", [what, [*args]])
        if what == "begun":
            outcome = outcome["gave"]
        if "raised" in outcome:
            raise Raised(outcome["raised"], outcome["facts"])
        return outcome["gave"]
