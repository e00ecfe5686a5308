"""What the user of a session does with their account: password, sessions, acting as another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.client.password import change

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from limen.client.events import Handler, Undo


class Account:
    """The half of `Session` that is for users. `session.py` has the rest."""

    user: str | None
    _password_min: int

    if TYPE_CHECKING:
        apply: Callable[..., Coroutine[Any, Any, Any]]

        @property
        def domain(self) -> str: ...
        def call(self, name: str, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]: ...
        def on(self, event: str, handler: Handler) -> Undo: ...

    async def change_password(self, password: str) -> None:
        """Gives the user of this session a new password; all their other sessions end."""
        if self.user is None:
            raise exc.Unauthorized("An anonymous session has no password.")
        await change(self.apply, self.user, self.domain, password, self._password_min)

    async def sessions(self, user: str | None = None) -> list[dict[str, Any]]:
        """The open sessions of the user, the oldest first; with a role for it (SESSION_ADMIN_ROLES) those of another.
        Each: `id`, `parent`, `kind`, `opened`, `used`, `login` (seconds since 1970), `origin`, `acting`, `this`."""
        found: list[dict[str, Any]] = await self.call("limen.session.list", user)
        return found

    async def end_session(self, id: str, user: str | None = None) -> None:
        """Ends one of these. Raises exc.RecordNotFound."""
        await self.call("limen.session.end", id, user)

    async def impersonate(self, user: str) -> None:
        """Acts as another user of the domain until `relinquish`, with a role for it (IMPERSONATOR_ROLES); then `user`,
        `roles` and `profile` are theirs, and `impersonated_by` says who it is. Raises exc.Forbidden."""
        await self._become("limen.session.impersonate", user)

    async def relinquish(self) -> None:
        """Is oneself again."""
        await self._become("limen.session.relinquish")

    async def _become(self, procedure: str, *args: Any) -> None:
        """The server has the session come back as whom it is then."""
        back: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def online() -> None:
            if not back.done():
                back.set_result(None)

        def out(error: exc.Error) -> None:
            if not back.done():
                back.set_exception(error)

        undo = [self.on("online", online), self.on("signed_out", out)]
        try:
            await self.call(procedure, *args)
            await back
        finally:
            back.cancel()
            for each in undo:
                each()
