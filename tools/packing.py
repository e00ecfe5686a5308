"""Asked by hatchling before it packs: what a page loads must be built, for who installs the package cannot build it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Packing(BuildHookInterface[Any]):
    """Refuses a package without the browser's files; an editable install may come before they are built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable" and not (Path(self.root) / "src" / "limen" / "browser" / "limen.mjs").exists():
            raise FileNotFoundError("src/limen/browser is not built; no page could load it. Run `make browser` first.")
