"""Runs the tests of both languages and closes with one line that counts them all. `test.py [arguments of pytest]`

With arguments only pytest runs, for whoever works on one thing: `make test ARGS=tests/core`. Without them each core has
its share of the files, up to four, and one more share keeps the cores busy where tests wait for something.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from bootstrap import node_environment  # noqa: E402

RESULTS = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "error", "errors")


def run(command: list[str], env: dict[str, str]) -> tuple[int, list[str]]:
    """Runs *command*, shows its output as it comes; its exit code and its last lines."""
    last: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace")
            sys.stdout.write(line)
            sys.stdout.flush()
            last = [*last[-20:], line.strip()]
    return process.returncode, last


def of_pytest(lines: list[str]) -> dict[str, int]:
    """What pytest's closing line counts: `== 3 failed, 41 passed in 1.20s ==`."""
    line = next((text for text in reversed(lines) if re.search(r" in [\d.]+s", text)), "")
    return {what: int(number) for number, what in re.findall(r"(\d+) (\w+)", line) if what in RESULTS}


def of_node(lines: list[str]) -> dict[str, int]:
    """What the closing lines of `node --test` count: `# pass 41`."""
    counted = dict(re.findall(r"^\S+ (pass|fail|skipped|cancelled|todo) (\d+)$", "\n".join(lines), re.MULTILINE))
    number = {what: int(text) for what, text in counted.items()}
    return {
        "passed": number.get("pass", 0),
        "failed": number.get("fail", 0) + number.get("cancelled", 0),
        "skipped": number.get("skipped", 0) + number.get("todo", 0),
    }


def main(arguments: list[str]) -> int:
    begun = time.monotonic()
    env = node_environment()
    total: dict[str, int] = {}
    worst = 0
    workers = ["-n", str(min(4, os.cpu_count() or 1) + 1), "--dist", "loadfile", "--no-loadscope-reorder"]
    runs = [([sys.executable, "-m", "pytest", *(arguments or workers)], of_pytest)]
    if not arguments:
        runs.insert(0, (["npm", "test"], of_node))
    for command, count in runs:
        code, lines = run(command, env)
        counts = count(lines)
        if not counts.get("passed"):
            counts["failed"] = counts.get("failed", 0) or 1  # a runner that ran nothing has failed
        worst = worst or code or int(bool(counts.get("failed") or counts.get("error") or counts.get("errors")))
        for what, number in counts.items():
            total[what] = total.get(what, 0) + number
    if os.environ.get("LIMEN_REQUIRE_ALL") and total.get("skipped"):
        print("LIMEN_REQUIRE_ALL is set, and tests were skipped.")
        worst = worst or 1
    said = ", ".join(f"{total[what]} {what}" for what in RESULTS if total.get(what))
    print(f"{f' {said} in {time.monotonic() - begun:.2f}s ':=^100}", flush=True)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
