"""A server in the process of the test."""

from __future__ import annotations

import gc

from limen import App
from limen.testing.served import Served


def test_when_it_has_ended_the_collector_looks_at_everything_again() -> None:
    with Served(App()):
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
