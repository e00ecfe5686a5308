"""Which event loop a test runs on: a class may name it as `loop = uvloop.new_event_loop`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factory = getattr(item.cls, "loop", None) or getattr(item.module, "loop", None) or asyncio.new_event_loop
    return {factory.__module__.split(".")[0]: factory}
