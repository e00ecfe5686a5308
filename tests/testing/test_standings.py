"""Registrations and subscriptions through whatever happens: at rest the router has what is wanted, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from limen import exc, when_connected
from limen.testing import Clock, connections

URIS = ("a", "a.b", "c")
PATIENCE = 30.0
"""Seconds by the test's own clock: longer than any pause between attempts."""
asks = st.tuples(
    st.sampled_from(["register", "subscribe"]), st.sampled_from(URIS), st.sampled_from(["exact", "prefix"])
)
steps = st.one_of(
    asks,
    st.tuples(st.just("undo"), st.integers(0, 20)),
    st.tuples(st.just("give up"), st.integers(0, 20)),
    st.tuples(st.just("call"), st.sampled_from(URIS)),
    st.sampled_from([("cut", False), ("cut", True), ("come back",), ("turn",), ("wait",), ("rest",)]),
)


class Wanted:
    """One thing that was asked for: *task* gives its undo. *has_rival*: it may be refused, as registered already."""

    def __init__(self, what: str, uri: str, match: str, task: asyncio.Task[Any], has_rival: bool) -> None:
        self.what, self.uri, self.match, self.task, self.has_rival = what, uri, match, task, has_rival
        self.undone: asyncio.Future[None] | None = None

    def undo(self) -> None:
        if self.task.done() and not self.task.cancelled() and self.task.exception() is None:
            self.undone = self.task.result()()

    @property
    def key(self) -> tuple[str, str, str]:
        return self.what, self.uri, self.match

    @property
    def over(self) -> bool:
        return self.task.done() and not self.stands

    @property
    def stands(self) -> bool:
        task = self.task
        return task.done() and not task.cancelled() and task.exception() is None and self.undone is None


@given(st.lists(steps, max_size=30))
def test_at_rest_the_router_has_what_is_wanted_and_nothing_else(script: list[tuple[Any, ...]]) -> None:
    clock = Clock()

    async def main() -> None:
        async with connections(2, delay=1.0) as (one, other):
            wanted: list[Wanted] = []
            calls: list[asyncio.Task[Any]] = []

            async def rest() -> None:
                one.come_back()
                await clock.advance(PATIENCE)
                assert one.session.restored
                assert all(each.task.done() for each in wanted)
                assert all(each.undone.done() for each in wanted if each.undone is not None)
                assert all(call.done() for call in calls)
                realm = one.hub.realm(one.session.domain)
                session = realm.sessions[one.session.id]
                there = [("register", it.uri, it.match) for it in session.registrations.values()]
                there += [("subscribe", it.uri, it.match) for it in session.subscriptions.values()]
                assert sorted(there) == sorted({it.key for it in wanted if it.stands})
                assert len(session.invocations) == len(session.calls) == 0

            for what, *about in script:
                match what:
                    case "register" | "subscribe":
                        uri, match = about
                        ask = getattr(one.session, what)
                        task = asyncio.ensure_future(ask(uri, lambda *args: None, match=match))
                        rival = any(it.key == (what, uri, match) and not it.over for it in wanted)
                        wanted.append(Wanted(what, uri, match, task, rival and what == "register"))
                    case "undo" if wanted:
                        wanted[about[0] % len(wanted)].undo()
                    case "give up" if wanted:
                        wanted[about[0] % len(wanted)].task.cancel()
                    case "call":
                        calls.append(asyncio.ensure_future(other.session.call(about[0])))
                    case "cut":
                        one.cut(away=about[0])
                    case "come back":
                        one.come_back()
                    case "turn":
                        await asyncio.sleep(0)
                    case "wait":
                        await clock.advance(0.6)
                    case "rest":
                        await rest()
            await rest()
            for each in wanted:
                if each.stands:
                    each.undo()
            await rest()
            assert not one.hub.realm(one.session.domain).sessions[one.session.id].registrations
            await when_connected(other)
            for call in calls:
                assert call.exception() is None or isinstance(call.exception(), exc.NotFound | exc.Canceled)
            for each in wanted:
                error = None if each.task.cancelled() else each.task.exception()
                assert error is None or each.has_rival

    clock.run(main())
