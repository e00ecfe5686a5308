"""What every server asks of its process."""

from __future__ import annotations

import contextlib


def raise_file_limit() -> None:
    """Each connection is an open file; many systems start a process with 1,024."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
        if soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
