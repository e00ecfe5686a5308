"""What several of these tests stand on."""

from __future__ import annotations

from speaking import places

__all__ = ["places"]
