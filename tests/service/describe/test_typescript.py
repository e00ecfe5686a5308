"""tsc takes right calls of a program's services, and rejects wrong ones."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rich_program

from limen.cli.types import write
from limen.service.describe import describe

ROOT = Path(__file__).resolve().parents[3]
TSC = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
NODE = shutil.which("node") or str(Path(sys.executable).with_name("node"))

RIGHT = """\
import { call, plain, safe_apply, safe_call, services, subscribe, Tagged } from "/limen/limen.mjs";

const item = await safe_call("todo.add", "milk");
const name: string = item.name;
const price: Tagged = item.price;
await safe_call("/todo/add.json", { text: "x", tags: ["a"], due: "2026-11-21" });
await safe_call("/todo/add", "x", null);
for await (const n of call("count", 3)) n.toFixed();
const greeting: string = await plain.hello();
(await services.todo.add("x")).kids[0]?.color === "red";
(await services.todo({ item: { name: "a" } })).items[0]?.kids;
(await plain.class.import(1, { size: 1 }, 1, 2))[0].toFixed();
await subscribe("todo.changed", (x) => void x);
await subscribe("todo.", () => {}, { match: "prefix" });
await safe_apply("todo.add", ["x"], { tags: new Set(["a"]) }, { timeout: 3 });
await call("meet", { person: { name: "ada", friends: [{ name: "bob" }] } });
await plain.constructor.__init__["a-b"]({ function: 1, new: "a", more: 3 });
await call("constructor.__init__.a-b", 1, 2, "a");
await call("put", new File([], "a.png"), "title");
const content: Blob = await (await call("get", "a.txt")).blob();
void [name, price, greeting, content];
"""
WRONG = """\
await safe_call("todo.ad", "x"); // no such service
await safe_call("todo.add", 7); // a wrong type
await safe_call("todo.add"); // an argument is missing
await safe_call("todo.add", { text: "x", txt: 1 }); // no such name
await safe_call("todo", { name: "a" }); // one object means by name
await call("todo.add", "x"); // sealed
const n: number = (await safe_call("todo.add", "x")).name; // the result's type
await safe_call("/todo/ad.json", "x"); // no such path
await plain.todo.add("x"); // sealed
await services.hello(7); // a wrong type
await subscribe("todo.change", () => {}); // no such topic
await call("meet", { person: { name: "ada", friends: [{ nam: "bob" }] } }); // within a list
"""
CONFIG = """\
{"compilerOptions": {"strict": true, "noEmit": true, "target": "es2022", "module": "esnext", "types": [],
  "moduleResolution": "bundler", "paths": {"/limen/*": ["./types/limen/*"]}}, "include": ["**/*.ts", "**/*.mts"]}
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What tsc says of right.ts, wrong.ts, script.ts (the global `Limen`) and of what was written, in one run."""
    folder = tmp_path_factory.mktemp("typescript")
    write(describe(rich_program.app.registry), folder / "types", "rich", ("dts",))
    imports = 'import { call, plain, safe_call, services, subscribe } from "/limen/limen.mjs";'
    (folder / "right.ts").write_text(RIGHT)
    (folder / "wrong.ts").write_text(WRONG.replace("\n", f" {imports}\n", 1))
    (folder / "script.ts").write_text(
        'Limen.safe_call("todo.add", "x").then((item) => item.name);\nLimen.call("hi");\n'
    )
    (folder / "tsconfig.json").write_text(CONFIG)
    done = subprocess.run([NODE, TSC, "-p", folder], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_right_calls_are_taken(said: str) -> None:
    assert re.findall(r"^(?:right|types).*", said, re.MULTILINE) == []


def test_each_wrong_call_is_rejected(said: str) -> None:
    lines = {int(number) for number in re.findall(r"^wrong\.ts\((\d+),", said, re.MULTILINE)}
    assert lines == {*range(1, len(WRONG.splitlines()) + 1)}, said


def test_the_global_is_typed_as_well(said: str) -> None:
    assert re.findall(r"^script\.ts\((\d+),", said, re.MULTILINE) == ["2"]
