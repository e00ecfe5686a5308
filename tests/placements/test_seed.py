"""The test of three nodes as the seed has it: only its imports are others. Its connections: in memory, and through each
router."""

from __future__ import annotations

import pytest

from limen import when_connected


@pytest.mark.asyncio(loop_scope="session")
async def test_node_communication(connection1, connection2):

    import asyncio

    from limen import Node, Path, Signal, call, handler

    await when_connected(connection1)
    await when_connected(connection2)

    ev = asyncio.Event()
    first = Node()

    class Second(Node):
        on_foo = Signal()

        async def call_third(self):
            await self.remote("@third").rpc("hello")

    class Third(Node):
        def __init__(self):
            self.handler_args = None
            self.something = None

        @handler("@first.second")
        def do_on_second_foo(self, *args):
            self.handler_args = args
            ev.set()

        @call
        async def rpc(self, something):
            self.something = something

    base = Path("test")
    second = Second()
    third = Third()

    await first.node_bind(base + "first", connection1.new_context())
    await third.node_bind(base + "third", connection2.new_context())
    await first.node_add("second", second)

    await second.call_third()
    await second.on_foo.notify("hello handler")
    await ev.wait()

    assert third.something == "hello" and third.handler_args == ("hello handler",)  # noqa: PT018
    await first.node_unbind()
    await third.node_unbind()
