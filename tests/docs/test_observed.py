"""docs/how-to/observe.md lists every metric, every attribute of a span and every line of the log, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from limen.app.calllog import CROWDS
from limen.app.metrics import METRICS
from limen.base.traces import Traces
from limen.client.session import Session
from limen.client.tracing import within
from limen.core.wamp import trace
from limen.door.hub import tree

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "how-to" / "observe.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the rows below a heading, without those that name the columns."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [[cell.strip() for cell in row.split("|")] for row in re.findall(r"^\|(.+)\|$", part, re.MULTILINE)]
    return [row for row in found if "---" not in row[0]][1:]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_metric_stands_in_the_table_with_kind_and_labels() -> None:
    said = {words(row[0])[0]: (row[1], words(row[2])) for row in rows("Metrics")}
    there: dict[str, tuple[str, list[str]]] = {}
    for metric in METRICS:
        name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
        there[name] = metric.kind, [*metric.labels, *(label for label, _ in metric.fixed)]
    assert said == there


def made() -> dict[str, Any]:
    """The spans there are, by what makes them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = Traces(provider)
    for span in (
        spans.call("a", "s"),
        spans.serve("a", "d"),
        spans.route("a", "d"),
        spans.send("t", "s"),
        spans.spread("t", 1),
        spans.hear("t", "s"),
        spans.work("why"),
    ):
        span.end()
    return {name: span for name, span in zip(NAMES, exporter.get_finished_spans(), strict=True)}


NAMES = ("call", "serve", "route", "send", "spread", "hear", "work")


def test_every_attribute_of_a_span_stands_in_the_table_and_nothing_else() -> None:
    said = [(row[1], row[2].strip("`").replace("TOPIC", "t"), words(row[3])) for row in rows("Traces")]
    there = [(span.kind.name.lower(), span.name, list(span.attributes or {})) for span in made().values()]
    assert [(kind, names) for kind, _, names in said] == [(kind, names) for kind, _, names in there]
    assert [name for _, name, _ in said[3:]] == [name for _, name, _ in there[3:]]


def test_the_keys_on_the_wire_are_those_that_wamp_leaves_to_implementations() -> None:
    assert f'"{trace.PARENT}"' in PAGE
    assert f'"{trace.STATE}"' in PAGE
    for key in (trace.PARENT, trace.STATE):
        assert re.fullmatch(r"_[a-z0-9_]{3,}", key)


def test_every_line_that_comes_in_crowds_stands_in_the_table() -> None:
    assert {words(row[0])[0] for row in rows("The log")} == {*CROWDS, "omitted"}


@pytest.mark.parametrize("name", [*tree.SUMMED, "longest", "domain", "address", "kind", "match"])
def test_every_field_of_an_address_is_named(name: str) -> None:
    part = PAGE.partition("An address:")[2].partition("A session:")[0]
    assert f"`{name}`" in part


def test_what_traces_a_client_is_no_public_name() -> None:
    tracing = [name for name in dir(Session) if "span" in name or "trace" in name]
    assert tracing
    assert [name for name in tracing if not name.startswith("_")] == []
    assert callable(within)
