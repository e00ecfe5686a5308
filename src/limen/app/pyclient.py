"""`PyClient`: an App's services from the same process, for tests and scripts.

    client = limen.PyClient()                 # the default App
    client.login("ada", "correct horse")      # the real check, without a socket
    client.safe_call("add", text="milk")

No transport, no seal; everything else is as from afar: the guard decides, arguments and results cross as values
(`docs/values.md`), errors are those of `limen.exc`.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import msgpack

from limen import exc
from limen.base import values
from limen.base.files import File, Upload
from limen.base.media import content_type
from limen.base.names import user_name
from limen.base.principal import Cancellation, Principal
from limen.client.core import NOBODY, AsyncClient, Transport, Who
from limen.client.files import Download, at_hand
from limen.client.stream import Push
from limen.client.sync import Client
from limen.client.tracing import here
from limen.core.seal.machine import Credentials
from limen.core.wamp.uris import is_uri
from limen.web.opened import open_file

if TYPE_CHECKING:
    from .app import App

T = TypeVar("T")


def address(name: str) -> str:
    """The WAMP URI that a name means, however it is spelt.

    >>> address("get_all"), address("/get_all.json"), address("todo/add"), address("todo.add")
    ('get_all', 'get_all', 'todo.add', 'todo.add')
    """
    uri = name.strip("/")
    if "/" in uri or name.startswith("/"):
        uri = uri.removesuffix(".json").replace("/", ".")
    if not is_uri(uri):
        raise exc.InvalidAddress(f"{name!r} is not an address.")
    return uri


class PyTransport(Transport):
    """Straight to the pipeline."""

    name = "PyClient"

    def __init__(self, app: App, user: str | None, roles: tuple[str, ...], domain: str | None) -> None:
        self._app = app
        self.domain = domain or app.config.DOMAIN
        self._principal = self._anonymous()
        if user is not None:
            self._enter(app.local(user, domain=self.domain, roles=roles))

    def _anonymous(self) -> Principal:
        return Principal(self.domain, tls=True)

    def _enter(self, principal: Principal) -> None:
        self._principal = principal
        self.who = Who(principal.user, list(principal.roles), principal.profile)

    async def call(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None, push: Push | None
    ) -> Any:
        service = self._app.registry.by_uri(address(name))
        if service is None:
            raise exc.NotFound
        try:
            async with asyncio.timeout(timeout):
                outcome = self._app.pipeline.call(
                    self._principal,
                    service,
                    [_argument(value) for value in args],
                    {name: _argument(value) for name, value in kwargs.items()},
                    progress=None if push is None else lambda value: push(_across(value)),
                    cancellation=Cancellation(),
                    trace=here.get(),
                )
                value = await outcome if inspect.isawaitable(outcome) else outcome
                return await asyncio.to_thread(_download, value) if isinstance(value, File) else _across(value)
        except TimeoutError:
            raise exc.Timeout from None

    async def login(self, credentials: tuple[str, str] | Credentials, *, force: bool) -> None:
        if isinstance(credentials, Credentials):
            raise self.unable("come in with a key")
        self._enter(await asyncio.to_thread(self._check, *credentials))

    async def logout(self) -> None:
        self._principal, self.who = self._anonymous(), NOBODY

    async def change_password(self, password: str) -> None:
        assert self._principal.user is not None
        await asyncio.to_thread(self._app.auth.set_password, self._principal.user, password, self.domain)

    def _check(self, user: str, password: str) -> Principal:
        """Both halves of the sealed login. Raises `InvalidCredential`."""
        from limen.core.seal.login import ClientLogin, LoginRefused, ServerLogin

        vault, name = self._app.vault, user_name(user)
        account = vault.accounts.get(self.domain, name)
        known = account is not None and not account.disabled
        subprotocol = "limen.1.msgpack"
        client = ClientLogin(
            user, password, domain=self.domain, subprotocol=subprotocol, entropy=secrets.token_bytes(128)
        )
        server = ServerLogin(
            vault.keys,
            domain=self.domain,
            subprotocol=subprotocol,
            user=name,
            record=account.record if known and account is not None else None,
            number=account.key_number if known and account is not None else None,
            entropy=secrets.token_bytes(96),
        )
        challenge = server.challenge(b"", client.extra)
        try:
            server.accept(b"", b"", client.answer(b"", b"", challenge))
        except LoginRefused:
            raise exc.InvalidCredential from None
        assert account is not None
        profile = {"username": account.user, **account.profile}
        return self._app.local(account.user, domain=self.domain, roles=account.roles, profile=profile)


class AsyncPyClient(AsyncClient):
    """Calls the services of *app* (default: the default App) in process, on the loop it is used on.

    *user*, *roles*: be that user from the start, without a password, as a test may. *domain*: the tenant. *timeout*:
    seconds that a call may take, unless it says otherwise.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        user: str | None = None,
        roles: tuple[str, ...] = ("user",),
        domain: str | None = None,
        timeout: float | None = None,
    ) -> None:
        if app is None:
            from limen import default

            app = default
        super().__init__(PyTransport(app, user, roles, domain), timeout=timeout)


class PyClient(Client):
    """As `AsyncPyClient`, for code that is not async: coroutines run on a thread in the background.

    >>> from limen import App
    >>> app = App()
    >>> @app.service()
    ... def whoami():
    ...     from limen import get_state
    ...     return get_state().user
    >>> with PyClient(app, user="ada") as client:
    ...     client.safe_call("whoami")
    'ada'
    >>> with PyClient(app) as client:
    ...     client.call("whoami")
    Traceback (most recent call last):
    limen.exc.Unauthorized: Log in first.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        user: str | None = None,
        roles: tuple[str, ...] = ("user",),
        domain: str | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(AsyncPyClient(app, user=user, roles=roles, domain=domain, timeout=timeout))


def _argument(value: Any) -> Any:
    """A file goes as it is; its path is the caller's own, and the function can neither move nor remove it."""
    if isinstance(value, list) and any(isinstance(item, Upload) for item in value):
        return [_argument(item) for item in value]
    return value if isinstance(value, Upload) else _across(value)


def _download(file: File) -> Download:
    found = open_file(file)
    if found is None:
        raise exc.NotFound("There is no such file.")
    content = io.BytesIO(found.content) if found.content is not None else os.fdopen(found.fd, "rb")
    kind = file.content_type or content_type(file.filename).partition(b";")[0].decode()
    return at_hand(file.filename, kind, found.size, content)


def _across(value: T) -> T:
    """What arrives on the other side of the threshold: a copy, which nobody here holds."""
    arrived: T = values.untag(msgpack.decode(msgpack.encode(values.tag(value, "msgpack"))), "msgpack")
    return arrived
