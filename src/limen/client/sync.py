"""The clients for code that is not async: the same, over one event loop on a thread in the background."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from limen.client.core import AsyncClient, Key, State
from limen.client.events import Handler, Undo
from limen.client.files import Download, SyncDownload
from limen.client.runner import Runner
from limen.client.stream import Stream

T = TypeVar("T")


class SyncStream(Generic[T]):
    """The values of a streaming service, as they come: `for value in client.stream("count", 3): …`.

    The call begins with the first value asked for. `close()`, or leaving a `with`, cancels it on the server. `result`
    is what the service returned at its end, mostly None.
    """

    def __init__(self, stream: Stream[T], runner: Runner) -> None:
        self._stream, self._runner = stream, runner

    @property
    def result(self) -> Any:
        return self._stream.result

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        async def step() -> list[T]:
            async for value in self._stream:
                return [value]
            return []

        values = self._runner.run(step())
        if not values:
            raise StopIteration
        return values[0]

    def close(self) -> None:
        """Ends the stream: no more values come, and the server is told."""
        self._runner.run(self._stream.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Client:
    """A client whose methods block; see the constructors of its subclasses. Any thread may use it, several at once."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._runner = Runner()

    # -- who ----------------------------------------------------------------------------------------------------
    @property
    def user(self) -> str | None:
        """Who is logged in; None: nobody."""
        return self._client.user

    @property
    def roles(self) -> list[str]:
        """Of the user; the first is the main one."""
        return self._client.roles

    @property
    def role(self) -> str:
        """The first of the roles; "anonymous" without a user."""
        return self._client.role

    @property
    def profile(self) -> Mapping[str, Any]:
        """What the server says about the user."""
        return self._client.profile

    @property
    def domain(self) -> str:
        """The tenant."""
        return self._client.domain

    @property
    def state(self) -> State:
        """ "online", "offline" (a lost connection is coming back) or "closed" (the session is over)."""
        return self._client.state

    def login(
        self, user: str | None = None, password: str | None = None, *, key: Key | None = None, force: bool = False
    ) -> None:
        """See `AsyncClient.login`."""
        self._runner.run(self._client.login(user, password, key=key, force=force))

    def logout(self) -> None:
        """Ends the session, here and on the server. Subscriptions end with it."""
        self._runner.run(self._client.logout())

    def change_password(self, password: str) -> None:
        """Gives the user a new password; all their other sessions end. Soon after the login only."""
        self._runner.run(self._client.change_password(password))

    @property
    def impersonated_by(self) -> str | None:
        """Who acts as the user; None: it is the user."""
        return self._client.impersonated_by

    def sessions(self, user: str | None = None) -> list[dict[str, Any]]:
        """The open sessions of the user, the oldest first; with a role for it those of another."""
        return self._runner.run(self._client.sessions(user))

    def end_session(self, id: str, user: str | None = None) -> None:
        """Ends one of these. Raises exc.RecordNotFound."""
        self._runner.run(self._client.end_session(id, user))

    def impersonate(self, user: str) -> None:
        """Acts as another user of the domain until `relinquish`, with a role for it. Raises exc.Forbidden."""
        self._runner.run(self._client.impersonate(user))

    def relinquish(self) -> None:
        """Is oneself again."""
        self._runner.run(self._client.relinquish())

    # -- calls --------------------------------------------------------------------------------------------------
    def _given(self, call: Coroutine[Any, Any, Any]) -> Any:
        value = self._runner.run(call)
        return SyncDownload(value, self._runner) if isinstance(value, Download) else value

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """See `AsyncClient.call`."""
        return self._given(self._client.call(name, *args, **kwargs))

    def safe_call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `call`, but only sealed: raises exc.Unauthorized, before anything is sent, when nobody is logged in."""
        return self._given(self._client.safe_call(name, *args, **kwargs))

    def apply(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """`call` with its arguments in hand, and a *timeout* in seconds of its own."""
        return self._given(self._client.apply(name, args, kwargs, timeout=timeout))

    def safe_apply(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """`safe_call` with its arguments in hand, and a *timeout* in seconds of its own."""
        return self._given(self._client.safe_apply(name, args, kwargs, timeout=timeout))

    def stream(self, name: str, /, *args: Any, **kwargs: Any) -> SyncStream[Any]:
        """The values of a streaming service as they come; begins when the first is asked for. Errors as `call`."""
        return SyncStream(self._client.stream(name, *args, **kwargs), self._runner)

    def safe_stream(self, name: str, /, *args: Any, **kwargs: Any) -> SyncStream[Any]:
        """As `stream`, but only sealed; raises as `safe_call`, at once."""
        return SyncStream(self._client.safe_stream(name, *args, **kwargs), self._runner)

    # -- topics, events -----------------------------------------------------------------------------------------
    def subscribe(self, topic: str, handler: Handler) -> Undo:
        """Calls *handler* with each event of *topic* until the session ends; gives the undo.

        Handlers run one after the other on a thread of their own, and may use the client.
        """
        undo = self._runner.run(self._client.subscribe(topic, self._runner.tell(handler)))
        return lambda: self._runner.call_soon(undo)

    def publish(self, topic: str, /, *args: Any, **kwargs: Any) -> None:
        """Publishes an event, where clients may; comes back when the server has taken it."""
        self._runner.run(self._client.publish(topic, *args, **kwargs))

    def on(self, event: str, handler: Handler) -> Undo:
        """Calls *handler* when something happens to the session, as `AsyncClient.on` says; gives the undo."""
        return self._client.on(event, self._runner.tell(handler))

    # -- the end ------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Logs out, and ends what is open, the thread too. What `with` does at its end."""
        if self._runner.begun:
            try:
                self._runner.run(self._client.close())
            finally:
                self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._client).replace("Async", "", 1)
