"""A module or class of tests may name its event loop."""

from loops import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
