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
import secrets
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import msgpack

from limen import exc
from limen.base import values
from limen.base.names import user_name
from limen.base.principal import Cancellation, Principal
from limen.core.wamp.uris import is_uri

if TYPE_CHECKING:
    from types import TracebackType

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


class PyClient:
    """Calls the services of *app* (default: the default App) in process.

    *user*, *roles*: be that user from the start, without a password, as a test may. Its methods block and may be used
    from any thread that runs no event loop; `acall` is for coroutines.

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
    ...     client.safe_call("whoami")
    Traceback (most recent call last):
    limen.exc.Unauthorized: You must log in first, or you may not do this.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        user: str | None = None,
        roles: tuple[str, ...] = ("user",),
        domain: str | None = None,
    ) -> None:
        if app is None:
            from limen import default

            app = default
        self._app = app
        self._domain = domain or app.config.DOMAIN
        self._principal = self._anonymous()
        if user is not None:
            self._principal = app.local(user, domain=self._domain, roles=roles)
        self._lock = threading.Lock()
        self._runner: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    def _anonymous(self) -> Principal:
        return Principal(self._domain, tls=True)

    # -- who ----------------------------------------------------------------------------------------------------
    def login(self, user: str, password: str) -> None:
        """Logs in: both halves of the sealed login, in this process. Raises `InvalidCredential`."""
        from limen.core.seal.login import ClientLogin, LoginRefused, ServerLogin

        vault, name = self._app.vault, user_name(user)
        account = vault.accounts.get(self._domain, name)
        known = account is not None and not account.disabled
        subprotocol = "limen.1.msgpack"
        client = ClientLogin(
            user, password, domain=self._domain, subprotocol=subprotocol, entropy=secrets.token_bytes(128)
        )
        server = ServerLogin(
            vault.keys,
            domain=self._domain,
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
        self._principal = self._app.local(account.user, domain=self._domain, roles=account.roles, profile=profile)

    def logout(self) -> None:
        """Is nobody again."""
        self._principal = self._anonymous()

    # -- calls --------------------------------------------------------------------------------------------------
    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a service; a stream's values come as a list. Raises what the service, or the guard, raises."""
        return self._run(self.acall(name, *args, **kwargs))

    def safe_call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `call`, but only when logged in: else `Unauthorized`, and the service is not asked."""
        if self._principal.user is None:
            raise exc.Unauthorized
        return self.call(name, *args, **kwargs)

    async def acall(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """`call` for coroutines."""
        service = self._app.registry.by_uri(address(name))
        if service is None:
            raise exc.NotFound
        outcome = self._app.pipeline.call(
            self._principal,
            service,
            _across(list(args)),
            _across(kwargs),
            progress=None,
            cancellation=Cancellation(),
        )
        return _across(await outcome if inspect.isawaitable(outcome) else outcome)

    async def stream(self, name: str, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """The values of a streaming service, as they come."""
        service = self._app.registry.by_uri(address(name))
        if service is None:
            raise exc.NotFound
        queue: asyncio.Queue[Any] = asyncio.Queue()
        outcome = self._app.pipeline.call(
            self._principal,
            service,
            _across(list(args)),
            _across(kwargs),
            progress=queue.put,
            cancellation=Cancellation(),
        )
        task = asyncio.ensure_future(outcome) if inspect.isawaitable(outcome) else None
        if task is None:
            return
        try:
            while True:
                getter = asyncio.ensure_future(queue.get())
                await asyncio.wait({getter, task}, return_when=asyncio.FIRST_COMPLETED)
                if not getter.done():
                    getter.cancel()
                    break
                yield _across(getter.result())
            while not queue.empty():
                yield _across(queue.get_nowait())
            await task
        finally:
            task.cancel()

    # -- its own loop -------------------------------------------------------------------------------------------
    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self._lock:  # several threads may come at once
            if self._runner is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="limen-pyclient", daemon=True)
                thread.start()
                self._runner = loop, thread
            loop = self._runner[0]
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    def close(self) -> None:
        """Ends the loop that the blocking methods ran on; the next call begins another."""
        with self._lock:
            runner, self._runner = self._runner, None
        if runner is not None:
            loop, thread = runner
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def __enter__(self) -> PyClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _across(value: T) -> T:
    """What arrives on the other side of the threshold: a copy, which nobody here holds."""
    arrived: T = values.untag(msgpack.decode(msgpack.encode(values.tag(value, "msgpack"))), "msgpack")
    return arrived
