"""One description of all services, from which everything that tells others about them is written.

types        annotations as a tree of msgspec.inspect types, with names for those that have fields
description  `describe(registry)`: services, topics, their documentation
schema       a type as JSON Schema, as it crosses in natural JSON or as text
openapi      OpenAPI 3.1, for what plain HTTP answers
typescript   services.d.ts
python       a module of typed clients
listing      services.json, for the page /limen/
"""

from limen.service.describe.description import Description, Parameter, ServiceDescription, describe

__all__ = ["Description", "Parameter", "ServiceDescription", "describe"]
