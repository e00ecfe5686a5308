"""README.md and docs/*.md are true: their code runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from curl import curl
from served import Server

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PAGES = [page for page in PAGES if page.exists()]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

each_document = pytest.mark.parametrize("document", PAGES, ids=IDS)


def blocks(document: Path, *languages: str) -> list[tuple[int, str]]:
    """The fenced blocks of *languages* in *document*: number of the first line and text."""
    text = document.read_text()
    fence = re.compile(rf"^```(?:{'|'.join(languages)})[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, found.start(1)) + 1, found[1]) for found in fence.finditer(text)]


def written(document: Path, folder: Path) -> Path:
    """The Python of a page as a script in *folder*; line numbers in a traceback are the page's."""
    lines: list[str] = []
    for first, text in blocks(document, "python"):
        lines += [""] * (first - 1 - len(lines)) + text.splitlines()
    script = folder / f"{re.sub(r'[^a-z]+', '_', document.stem.lower())}_md.py"
    script.write_text("\n".join(lines) + "\n")
    (folder / "public").mkdir(exist_ok=True)  # the folder that pages serve files from
    return script


@each_document
def test_the_python_of_a_page_runs_from_top_to_bottom(document: Path, tmp_path: Path) -> None:
    """All its ```python blocks as one script, in a folder of its own."""
    script = written(document, tmp_path)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@each_document
def test_what_curl_answers_is_what_the_page_says(document: Path, tmp_path: Path, serve: Callable[..., Server]) -> None:
    """The page's Python is served, in development; `…` in an answer stands for anything."""
    said = [exchange for _, text in blocks(document, "console") for exchange in exchanges(text)]
    commands = [(command, answer) for command, answer in said if command.startswith("curl ")]
    if not commands:
        return
    port = serve(written(document, tmp_path), "--dev", cwd=tmp_path).port
    for command, answer in commands:
        got = curl(command, port)
        pattern = ".*".join(map(re.escape, answer.split("…")))
        if " -i " in command:  # of the head, the lines that the page shows
            lines = got.splitlines()
            assert [line for line in answer.splitlines() if line not in lines and "…" not in line] == [], got
        else:
            assert re.fullmatch(pattern, got.rstrip("\n"), re.DOTALL), f"$ {command}\n{got}"


def exchanges(text: str) -> list[tuple[str, str]]:
    """Commands of a console block, each with what it prints."""
    parts = re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    return [(command, answer.rstrip("\n")) for command, _, answer in (part.partition("\n") for part in parts)]


@each_document
def test_the_javascript_of_a_page_can_be_read(document: Path, tmp_path: Path) -> None:
    for first, text in blocks(document, "js", "javascript"):
        script = tmp_path / f"line{first}.mjs"
        script.write_text(text)
        done = subprocess.run([NODE, "--check", script], capture_output=True, text=True)
        assert done.returncode == 0, f"{document.name}:{first}\n{done.stderr}"


@each_document
def test_what_the_javascript_of_a_page_imports_is_there(document: Path) -> None:
    imports = re.compile(r'^import \{([^}]*)\} from "/limen/([\w.]+)"', re.MULTILINE)
    wanted = [
        (module, name.split(" as ")[0].strip())
        for names, module in imports.findall(document.read_text())
        for name in names.split(",")
    ]
    assert [(module, name) for module, name in wanted if name and name not in exported(module)] == []


@functools.cache
def exported(module: str) -> set[str]:
    """What a file of /limen/ exports."""
    text = (ROOT / "src" / "limen" / "browser" / module).read_text()
    lists = re.findall(r"\bexport\s*\{([^}]*)\}", text)
    return {name.split(" as ")[-1].strip() for names in lists for name in names.split(",")}


@each_document
def test_the_commands_of_a_page_exist(document: Path) -> None:
    for first, text in blocks(document, "console"):
        for command, _ in exchanges(text):
            assert exists(shlex.split(command, comments=True)), f"{document.name}:{first}: $ {command}"


@each_document
def test_the_links_of_a_page_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", text) + re.findall(r'(?:src|href|srcset)="([^"#]+)"', text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (document.parent / target).exists()] == []


NODE = shutil.which("node") or str(Path(sys.executable).with_name("node"))


def exists(words: list[str]) -> bool:
    """Whether a command of a page can be: of ours, its verbs and options; of others, only its name."""
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    name, *rest = words
    if name == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return all(word in targets or "=" in word for word in rest)
    if Path(name).name == "limen":
        return limen_takes(rest)
    return (
        name in {"cd", "mkdir", "source", "git", "curl", "pip", "python", "python3", "docker", "npm", "sudo"}
        or (ROOT / name).exists()
    )


def limen_takes(words: list[str]) -> bool:
    """Whether `limen` has these verbs, and the last of them these options."""
    verbs: list[str] = []
    help_text = limen_help()
    for word in words:
        if not re.search(rf"^\s+{re.escape(word)}\s", help_text.partition("Commands:")[2], re.MULTILINE):
            break
        verbs.append(word)
        help_text = limen_help(*verbs)
    if "those of `limen serve`" in help_text:
        help_text += limen_help("serve")
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    return bool(verbs) and all(re.search(rf"{re.escape(option)}\b", help_text) for option in options)


def limen_help(*verbs: str) -> str:
    done = subprocess.run([Path(sys.executable).with_name("limen"), *verbs, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
