"""The cases of `vectors/`, which Python and JavaScript both run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "vectors"


def vectors(name: str) -> Any:
    """The content of `vectors/<name>.json`."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def unhex(values: dict[str, str]) -> dict[str, bytes]:
    """Every value as the bytes that its hex stands for."""
    return {key: bytes.fromhex(value) for key, value in values.items()}
