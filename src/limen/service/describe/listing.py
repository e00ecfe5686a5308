"""What the page /limen/ shows: all services as plain data, with their types as text and as JSON Schema."""

from __future__ import annotations

from typing import Any

import msgspec

from limen.service.describe.description import Description, Parameter, ServiceDescription
from limen.service.describe.schema import Schemas
from limen.service.describe.typescript import TypeScript


def listing(description: Description) -> dict[str, Any]:
    """Services, topics and the schemas that they refer to, as `/limen/services.json` has them.

    >>> from limen.service.describe import describe
    >>> from limen.service.registry import Registry
    >>> listing(describe(Registry()))
    {'services': [], 'topics': [], 'types': {}, 'schemas': {}}
    """
    words, schemas = TypeScript(description), Schemas(description.types)
    services = [_service(each, words, schemas) for each in description.services]
    topics, types = list(description.topics), words.declarations()
    return {"services": services, "topics": topics, "types": types, "schemas": schemas.components}


def _service(told: ServiceDescription, words: TypeScript, schemas: Schemas) -> dict[str, Any]:
    service = told.service
    return {
        "name": told.uri,
        "path": f"/{service.urlpath}",
        "summary": told.summary,
        "body": told.body,
        "parameters": [_parameter(each, words, schemas) for each in told.parameters],
        "result": words.type(told.result, "out"),
        "streams": told.streams,
        "raises": list(told.raises),
        "safe": service.safe,
        "tls": service.ssl is not False,
        "roles": list(service.roles),
        "verb": service.verb.upper(),
        "methods": [] if service.safe else list(service.allowed_methods),
        "formats": [] if service.safe else sorted({"json", "txt", "raw", *service.output}),
        "timeout": service.timeout,
    }


def _parameter(parameter: Parameter, words: TypeScript, schemas: Schemas) -> dict[str, Any]:
    has_default = parameter.default is not msgspec.NODEFAULT
    return {
        "name": parameter.name,
        "how": parameter.how,
        "type": words.type(parameter.type, "in"),
        "schema": schemas.json(parameter.type),
        "required": parameter.required,
        **({"default": parameter.default} if has_default else {}),
    }
