"""The lists and documents of shelves.py behind services: `limen serve served_shelves.py --db …`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from shelves import MODELS, Docs, Lists

from limen import add_model, service, storage

for model in MODELS:
    add_model(model)
lists, docs = Lists(storage), Docs(storage)


@service(safe=False, ssl=False)
def transact(plan: list) -> list:
    return lists.transact(plan)


@service(safe=False, ssl=False)
async def transact_async(plan: list) -> list:
    return await lists.transact_async(plan)


@service(safe=False, ssl=False)
def doc(what: str, arguments: list) -> list[Any]:
    return getattr(docs, what)(*arguments)
