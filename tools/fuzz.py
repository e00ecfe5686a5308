"""Coverage-guided fuzzing (atheris) of one target of tests/fuzz/targets.py: `fuzz.py TARGET FOLDER [options]`

*FOLDER* keeps what was found to be interesting, and grows from one run to the next. Ends with another code than 0 where
something does not hold; the bytes are then in FOLDER-crash-…, and `fuzz.py TARGET FOLDER THAT_FILE` shows it again.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "fuzz"))

with atheris.instrument_imports(include=["limen.core.wamp", "limen.base", "limen.transport", "targets"]):
    from targets import TARGETS, seeds


def main(target: str, folder: str, *options: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for data in seeds(target):
        (Path(folder) / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    limits = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=4096", f"-artifact_prefix={folder}-"]
    corpus = [] if any(not option.startswith("-") for option in options) else [folder]
    atheris.Setup([sys.argv[0], *limits, *options, *corpus], TARGETS[target])
    atheris.Fuzz()


main(*sys.argv[1:])
