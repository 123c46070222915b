"""Any spans survive the way through lines, and no lines make a reader raise."""

from __future__ import annotations

import base64
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.rebuild import rebuild
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.vocabulary.records import RecordedScope, SpanEvent, SpanLink, SpanRecord
from tests.store.spans.span_lines import NS, TRACE, process, span_id, task_of

attribute_values = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=10)
    | st.floats(allow_nan=False)
    | st.binary(max_size=8)
    | st.lists(st.integers(0, 9) | st.binary(max_size=3), max_size=3)
)
attributes = st.dictionaries(st.text(min_size=1, max_size=6), attribute_values, max_size=4)


def tagged(value: Any) -> Any:
    """A value as a writer puts it into a line."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")}
    if isinstance(value, list):
        return [tagged(item) for item in value]
    return {key: tagged(item) for key, item in value.items()} if isinstance(value, dict) else value


@st.composite
def span_models(draw: st.DrawFn) -> list[SpanRecord]:
    """Spans of one process with any parents and any overlap."""
    spans = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        begin = draw(st.integers(0, 10**9))
        ended = draw(st.booleans())
        failed = ended and draw(st.booleans())
        moments = st.integers(0, 10**9)
        events = [
            SpanEvent(draw(st.text(max_size=5)), NS + draw(moments), draw(attributes)) for _ in range(draw(st.integers(0, 2)))
        ]
        parent = draw(st.none() | st.integers(0, number - 1))
        spans.append(
            SpanRecord(
                name=draw(st.text(min_size=1, max_size=8)),
                kind=draw(st.sampled_from(["INTERNAL", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"])),
                trace_id=TRACE,
                span_id=span_id(number),
                parent_span_id=None if parent is None else span_id(parent),
                parent_remote=parent == 0,
                trace_flags=draw(st.integers(0, 255)),
                trace_state=draw(st.none() | st.just("a=1")),
                start_ns=NS + begin,
                end_ns=NS + begin + draw(moments) if ended else None,
                attributes=draw(attributes),
                events=events if ended else [],
                links=[SpanLink(TRACE, span_id(99), draw(attributes)) for _ in range(draw(st.integers(0, 2)))],
                status_code="ERROR" if failed else "UNSET",
                status_description=draw(st.none() | st.text(max_size=5)) if failed else None,
                scope=draw(st.sampled_from([RecordedScope("otel_agentlog", "1"), RecordedScope("lib", None, "url", {"a": 1})])),
                resource={"service.name": "service-aa"},
                line_type="step",
                outcome=draw(st.sampled_from(["completed", "failed"])) if ended else None,
            )
        )
    return spans


def lines_of(span: SpanRecord, split: bool) -> list[dict[str, Any]]:
    """The lines a writer makes of a span; with `split` its attributes come with the end."""
    given = tagged(span.attributes)
    begin: dict[str, Any] = {
        "timestamp": layout.timestamp(span.start_ns),
        "type": "step",
        "phase": "start",
        "name": span.name,
        "kind": span.kind,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "trace_flags": span.trace_flags,
        "attributes": {} if split and span.end_ns else given,
        "links": [
            {"trace_id": link.trace_id, "span_id": link.span_id, "attributes": tagged(link.attributes)} for link in span.links
        ],
        "event_id": "aa-1",
    }
    if span.parent_span_id is not None:
        begin |= {"parent_span_id": span.parent_span_id, "parent_remote": span.parent_remote}
    if span.trace_state is not None:
        begin["trace_state"] = span.trace_state
    if span.scope.name == "lib":
        begin["scope"] = {"name": "lib", "schema_url": "url", "attributes": {"a": 1}}
    if span.end_ns is None:
        return [begin]
    events = [
        {"timestamp": layout.timestamp(each.time_ns), "name": each.name, "attributes": tagged(each.attributes)}
        for each in span.events
    ]
    finish: dict[str, Any] = {"timestamp": layout.timestamp(span.end_ns), "type": "step", "phase": "end", "outcome": span.outcome}
    finish |= {"trace_id": span.trace_id, "span_id": span.span_id, "events": events, "event_id": "aa-2"}
    finish |= {"attributes": given} if split else {}
    if span.status_code == "ERROR":
        description = {} if span.status_description is None else {"description": span.status_description}
        finish["status"] = {"code": "ERROR", **description}
    return [begin, finish]


@settings(max_examples=100, deadline=None)
@given(span_models(), st.randoms(use_true_random=False), st.booleans())
def test_any_spans_survive_the_way_through_lines(
    tmp_path_factory: pytest.TempPathFactory, spans: list[SpanRecord], chance: Any, split: bool
) -> None:
    """Whatever overlaps: written as lines and rebuilt, every span is what it was."""
    waiting = [lines_of(span, split) for span in spans]
    lines = [process()]
    while waiting:
        which = chance.randrange(len(waiting))
        lines.append(waiting[which].pop(0))
        if not waiting[which]:
            del waiting[which]

    rebuilt = rebuild(task_of(tmp_path_factory.mktemp("spans"), lines))

    assert {span.span_id: span for span in rebuilt.spans} == {span.span_id: span for span in spans}
    assert len(rebuilt.spans) == len(spans)


wild = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.sampled_from(["$bytes", span_id(1), span_id(2)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$bytes", "$artifact", "sha256", "name", "a"]), inner, max_size=2)
    ),
    max_leaves=6,
)
wild_keys = [
    "timestamp",
    "type",
    "phase",
    "name",
    "span_id",
    "parent_span_id",
    "attributes",
    "events",
    "links",
    "scope",
    "status",
    "exception",
]
wild_keys += ["details", "resource", "event_id", "duration_ms", "trace_flags", "level", "action", "outcome", "stage"]
wild_lines = st.dictionaries(
    st.sampled_from(wild_keys), wild | st.sampled_from(["start", "end", "subtask", "process", "log"]), max_size=8
)


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(wild_lines, max_size=12))
def test_no_lines_make_rebuilding_or_the_tree_raise(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]
) -> None:
    """Values of any kind under any key; every span that is there is in the tree, once."""
    folder = tmp_path_factory.mktemp("wild")
    for name in layout.LINE_FILES:
        (folder / name).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    task = TaskReader(folder)

    spans = rebuild(task).spans
    nodes = [node for _, node in tree(task).walk()]

    assert {span.span_id for span in spans} - {""} <= {node.span_id for node in nodes}
    assert len({id(node) for node in nodes}) == len(nodes)
