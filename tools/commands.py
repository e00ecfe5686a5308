"""Lists the commands of a Makefile: `make` without a word."""

import re
import sys
from pathlib import Path

for name in sys.argv[1:]:
    for line in Path(name).read_text().splitlines():
        if found := re.match(r"([a-z]+):[^#]*## (.+)", line):
            print(f"  make {found[1]:9}{found[2]}")
