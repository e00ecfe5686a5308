"""The tree of errors is one: what Python's `limen.exc` says, the page's `js/src/exc.js` says too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import limen.exc

EXC = Path(__file__).parent.parent.parent / "js" / "src" / "exc.js"
NODE = shutil.which("node") or str(Path(sys.executable).with_name("node"))


def test_both_languages_have_the_same_names_kinds_uris_and_words() -> None:
    show = f"import({json.dumps(EXC.as_uri())}).then(({{TABLE}}) => console.log(JSON.stringify(TABLE)))"
    printed = subprocess.run([NODE, "-e", show], capture_output=True, text=True, check=True).stdout
    ours = {
        name: [cls.__base__.__name__ if name != "Error" else "", cls.uri]
        for name, cls in limen.exc.TABLE.items()
        if cls.__module__ == "limen.exc" and getattr(limen.exc, name, None) is cls and cls.__base__ is not None
    }
    page = json.loads(printed)
    assert {name: [kind, uri] for name, (kind, uri, _) in page.items()} == ours
    for name in ours.keys() - {"Error", "RemoteError", "Busy"}:  # those are said from another point of view
        words = (limen.exc.TABLE[name].__doc__ or "").strip().splitlines()[0]
        assert page[name][2] == words
