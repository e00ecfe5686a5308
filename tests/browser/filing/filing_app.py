"""Files from and to a page, and pages under each kind of policy."""

from pathlib import Path
from typing import Any

from limen import File, Upload, auth, config, exc, service, static

config.IS_DEVELOPMENT = True
HERE = Path(__file__).parent


@service()
def put(file: Upload, note: str = "") -> list[Any]:
    content = file.read()
    return [file.filename, file.content_type, len(content), sum(content[:1000]), note]


@service()
def put_many(files: list[Upload]) -> list[str]:
    return [file.filename for file in files]


@service()
def refuse(file: Upload) -> None:
    raise exc.Forbidden("Not this one.")


@service()
def get(size: int, name: str = "made.bin") -> File:
    return File(bytes(range(256)) * (size // 256), filename=name)


@service("open/put", safe=False)
def open_put(file: Upload, note: str = "") -> list[Any]:
    return [file.filename, file.size, note]


@service("open/show", safe=False, methods=["GET"], content_disposition="inline")
def open_show(name: str) -> File:
    return File(b"<title>ran</title><script>document.title = 'script ran'</script>", filename=name)


auth.add_user("ada", "lovelace")
static("/", HERE / "strict")
static(
    "/hashed", HERE / "hashed", csp="default-src 'self'; script-src 'self' {script-hashes}; style-src {style-hashes}"
)
static("/nonce", HERE / "nonce", csp="script-src 'nonce-{nonce}'; object-src 'none'; base-uri 'none'")
static("/isolated", HERE / "isolated", headers={"Cross-Origin-Embedder-Policy": "require-corp"})
static(
    "/loose",
    HERE / "loose",
    csp=None,
    headers={"Cross-Origin-Opener-Policy": None, "Permissions-Policy": None, "Origin-Agent-Cluster": None},
)
