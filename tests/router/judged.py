"""Runs the acceptance suite's wire part against `limen router`: `judged.py SUITE`.

All its checks with anonymous sessions and a realm that keeps history; those of sessions once more for each method of
login. Prints the suite's own verdicts; ends with 1 where one of them found something.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from served import Server

CONFIG = """
[[listener]]
port = 0

[[realm]]
name = "realm1"
anonymous = "anybody"

[[realm.role]]
name = "anybody"
rule = [
  {uri = "", match = "prefix", allow = ["call", "register", "publish", "subscribe"], force_reregister = true},
  {uri = "wamp.", match = "prefix", allow = ["call", "subscribe"]},
]

[[realm.history]]
uri = "accept.history"
match = "prefix"

[[realm.user]]
name = "ada"
roles = ["anybody"]
ticket = {env = "ADA"}
wampcra = {secret = {env = "ADA"}}
scram = {password = {env = "ADA"}, kdf = "pbkdf2", iterations = 4096}
cryptosign = ["KEY"]
"""
SECRET = "correct horse"
SEED = bytes(range(32)).hex()
PACKAGES = ("websockets", "msgspec", "cbor2", "msgpack", "argon2-cffi", "pynacl")


def python() -> str:
    """That of the environment in which the suite runs; made if it is missing, as `acceptance/run` does."""
    home = Path(os.environ.get("ACCEPTANCE_HOME", "/tmp/limen-acceptance"))
    found = home / "bin" / "python"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(found), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return str(found)


def configuration(folder: Path) -> Path:
    """The file of the router that is judged."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED)).public_key().public_bytes_raw().hex()
    file = folder / "router.toml"
    file.write_text(CONFIG.replace("KEY", public))
    return file


def main(suite: Path) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "limen.cli", "router", "--config", str(configuration(Path(folder)))]
        server = Server(command, cwd=Path(folder), env={**os.environ, "ADA": SECRET})
        try:
            judge = [python(), str(suite / "raw.py"), f"ws://127.0.0.1:{server.port}/ws", "realm1"]
            failed += run([*judge], "anonymous, all checks")
            for method in ("ticket", "cra", "scram", "cryptosign"):
                secret = SEED if method == "cryptosign" else SECRET
                login = ["--login", method, f"--{method}-user", "ada", f"--{method}-secret", secret]
                failed += run([*judge, *login, "--only", "session"], f"{method}, checks of sessions")
        finally:
            failed += server.stop() != 0
    return 1 if failed else 0


def run(command: list[str], what: str) -> bool:
    """Whether it failed; what it found is printed."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    print(f"router, {what}: {found[-1] if found else 'nothing was said'}", flush=True)
    if done.returncode:
        print(*found[:-1], sep="\n", flush=True)
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
