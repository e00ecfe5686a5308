from __future__ import annotations

import sys
from pathlib import Path

from .texts import written

if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("statements.py").write_text(written(), "utf-8")
    sys.stdout.write("statements.py was written anew\n")
