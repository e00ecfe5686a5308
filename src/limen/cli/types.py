"""`limen types`: declarations of a program's services for TypeScript and Python, and OpenAPI for everyone else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limen import exc

if TYPE_CHECKING:
    from limen.service.describe import Description

FORMATS = ("dts", "python", "openapi")
NOT_BUILT = "The browser's half is not built, and with it its types: say `make browser` in the folder of Limen."


@click.command("types")
@click.argument("target")
@click.option("--out", default=None, type=click.Path(file_okay=False), help="Folder to write into.")
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Only this; may be said again. Default: all."
)
def types(target: str, out: str | None, formats: tuple[str, ...]) -> None:
    """Write the types of TARGET's services: for TypeScript, Python, and as OpenAPI."""
    from limen.service.describe import describe

    from .target import load

    app = load(target)
    description = describe(app.registry)
    if not description.services:
        raise exc.NotFound(f"{target} declares no services, so that there is nothing to describe.")
    for note in description.types.notes:
        click.echo(f"Note: {note}", err=True)
    if out is None:
        if len(formats) != 1:
            raise click.UsageError("Say --out DIR for files, or one --format for standard output.")
        click.echo(_text(formats[0], description, _name(target)), nl=False)
        return
    for written in write(description, Path(out), _name(target), formats or FORMATS):
        click.echo(f"Wrote {written}.")


def write(description: Description, folder: Path, name: str, formats: tuple[str, ...] = FORMATS) -> list[Path]:
    """The files of *formats* in *folder*, named after the program *name*: services.d.ts (and Limen's own declarations
    below limen/), NAME_client.py, openapi.json. Gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"dts": "services.d.ts", "python": f"{name}_client.py", "openapi": "openapi.json"}
    written = []
    for each in formats:
        if each == "dts":
            _copy_declarations(folder / "limen")
        path = folder / files[each]
        path.write_text(_text(each, description, name), encoding="utf-8")
        written.append(path)
    return written


def _text(format: str, description: Description, name: str) -> str:
    from limen.service.describe.openapi import openapi_text
    from limen.service.describe.python import python
    from limen.service.describe.typescript import typescript

    writers: dict[str, Callable[[], str]] = {
        "dts": lambda: typescript(description),
        "python": lambda: python(description),
        "openapi": lambda: openapi_text(description, title=name),
    }
    return writers[format]()


def _copy_declarations(folder: Path) -> None:
    """Limen's own declarations, to which services.d.ts adds."""
    from limen.app.running import assets

    shipped = Path(assets().root)
    if not (shipped / "typed.d.ts").is_file():
        raise exc.NotFound(NOT_BUILT)
    for path in sorted(shipped.glob("**/*.d.*ts")):
        to = folder / path.relative_to(shipped)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def _name(target: str) -> str:
    from limen.service.describe.types import identifier

    return identifier(Path(target.partition(":")[0]).stem if ".py" in target else target.partition(":")[0])
