"""What a store of records must do. The port is `limen.core.record.port.RecordStore`."""

from __future__ import annotations

from .changes import HERE, INDEX, THREADS, WHO, Suite, put, reads, uuid
from .conflicts import ConflictSuite
from .retention import RetentionSuite
from .versions import VersionSuite

__all__ = ["HERE", "INDEX", "THREADS", "WHO", "RecordStoreSuite", "Suite", "put", "reads", "uuid"]


class RecordStoreSuite(VersionSuite, ConflictSuite, RetentionSuite):
    """All of it."""
