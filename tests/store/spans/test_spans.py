"""Spans and log records from lines alone."""

from __future__ import annotations

import base64
import hashlib
import math
from pathlib import Path
from typing import Any

import orjson
import pytest

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.reader import TaskReader, list_tasks, with_artifacts
from otel_agentlog.store.spans.rebuild import rebuild, records
from otel_agentlog.vocabulary.records import LogRecordLine, RecordedScope, SpanEvent, SpanLink, SpanRecord
from tests.store.golden_expectations import path_of, reading
from tests.store.golden_writer import HERE as GOLDEN
from tests.store.spans.span_lines import NS, TRACE, end, log, process, span_id, start, task_of

GOLDEN_TASKS = [task.folder.name for task in list_tasks(GOLDEN)]


@pytest.mark.parametrize("name", GOLDEN_TASKS)
def test_a_golden_folder_reads_as_it_always_did(name: str) -> None:
    """Every span, log record, figure and problem, field by field."""
    task = TaskReader(GOLDEN / name)

    assert reading(task) == orjson.loads(path_of(task).read_bytes())


def only_span(task: TaskReader) -> SpanRecord:
    """The one span of a task."""
    (span,) = rebuild(task).spans
    return span


def test_a_span_is_its_start_line_updated_by_its_end_line(tmp_path: Path) -> None:
    """Every field of a span comes back."""
    link = {"trace_id": "cd" * 16, "span_id": span_id(9), "attributes": {"why": "queue"}}
    events = [{"timestamp": layout.timestamp(NS + 3), "name": "dns", "attributes": {"ms": 1.5}}]
    begin = start(1, 1, parent=8, parent_remote=True, trace_state="a=1", links=[link], attributes={"a": 1, "b": 1}, trace_flags=0)
    finish = end(1, 10, name="renamed", attributes={"b": 2, "c": 3}, events=events, status={"code": "ERROR", "description": "no"})

    span = only_span(task_of(tmp_path, [process(), begin, finish]))

    assert span == SpanRecord(
        name="renamed",
        kind="INTERNAL",
        trace_id=TRACE,
        span_id=span_id(1),
        parent_span_id=span_id(8),
        parent_remote=True,
        trace_flags=0,
        trace_state="a=1",
        start_ns=NS + 1,
        end_ns=NS + 10,
        attributes={"a": 1, "b": 2, "c": 3},
        events=[SpanEvent("dns", NS + 3, {"ms": 1.5})],
        links=[SpanLink("cd" * 16, span_id(9), {"why": "queue"})],
        status_code="ERROR",
        status_description="no",
        scope=RecordedScope("otel_agentlog", "1"),
        resource={"service.name": "service-aa"},
        line_type="step",
        outcome="completed",
    )


def test_tagged_values_are_values_again(tmp_path: Path) -> None:
    """Bytes and odd floats, at any depth; what only looks tagged stays."""
    odd = {
        "bytes": {"$bytes": base64.b64encode(b"\x00\xff").decode()},
        "list": [{"$float": "-Infinity"}, {"n": {"$float": "NaN"}}],
    }
    alike = {
        "a": {"$bytes": "not base64!"},
        "b": {"$float": "1"},
        "c": {"$bytes": "AA==", "x": 1},
        "d": {"$other": 1},
        "e": {"$float": []},
    }
    span = only_span(task_of(tmp_path, [process(), start(1, 1, attributes={**odd, **alike}), end(1, 2)]))

    assert span.attributes["bytes"] == b"\x00\xff"
    assert span.attributes["list"][0] == -math.inf
    assert math.isnan(span.attributes["list"][1]["n"])
    assert {key: span.attributes[key] for key in alike} == alike


def test_what_was_moved_to_artifacts_is_put_back(tmp_path: Path) -> None:
    """Text and JSON, on spans and log records; what is not there stays a reference."""
    text, numbers = "long " * 1000, orjson.dumps({"k": list(range(500))})

    def reference(data: bytes, media_type: str, keep: bool = True) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        if keep:
            (tmp_path / layout.ARTIFACTS).mkdir(exist_ok=True)
            (tmp_path / layout.ARTIFACTS / name).write_bytes(data)
        return {"$artifact": {"sha256": name, "size_bytes": len(data), "media_type": media_type, "preview": "…"}}

    gone = reference(b"gone", "text/plain", keep=False)
    attributes = reference(numbers, "application/json")
    lines = [
        process(),
        start(1, 1, attributes=attributes),
        log(1, message=reference(text.encode(), "text/plain"), details={"x": gone}),
    ]

    rebuilt = rebuild(task_of(tmp_path, [*lines, end(1, 2)]))

    assert rebuilt.spans[0].attributes == {"k": list(range(500))}
    assert rebuilt.logs[0].line["message"] == text
    assert rebuilt.logs[0].line["details"] == {"x": gone}


@pytest.mark.parametrize(
    "reference", [7, {}, {"sha256": 1}, {"sha256": "../../etc/passwd", "size_bytes": 9}, {"sha256": "0" * 64, "size_bytes": 1e30}]
)
def test_a_malformed_reference_stays_what_it_is(tmp_path: Path, reference: Any) -> None:
    """Nothing is opened for it."""
    assert with_artifacts({"$artifact": reference}, TaskReader(tmp_path)) == {"$artifact": reference}


def test_stages_become_events_of_the_span_they_name(tmp_path: Path) -> None:
    """Scalar keys that are not common become attributes; one that is on the end line already is not doubled."""
    ids = {"task_id": "task-a", "span_id": span_id(1), "trace_id": TRACE, "event_id": "aa-9"}
    first = {"timestamp": layout.timestamp(NS + 2), "stage": "received", "provider": "github", "payload": {"x": 1}, **ids}
    second = {"timestamp": layout.timestamp(NS + 4), "stage": "command_matching", "matched": True, "score": 0.5, **ids}
    both = [
        {
            "timestamp": layout.timestamp(NS + 2),
            "name": "webhook.received",
            "attributes": {"agentlog.webhook.provider": "github"},
        },
        {"timestamp": layout.timestamp(NS + 3), "name": "cache.miss"},
    ]

    span = only_span(task_of(tmp_path, [process(), start(1, 1), end(1, 9, events=both)], [first, second]))

    assert span.events == [
        SpanEvent("webhook.received", NS + 2, {"agentlog.webhook.provider": "github"}),
        SpanEvent("cache.miss", NS + 3, {}),
        SpanEvent("webhook.command_matching", NS + 4, {"agentlog.webhook.matched": True, "agentlog.webhook.score": 0.5}),
    ]


def test_each_writer_has_its_own_resource_and_scope(tmp_path: Path) -> None:
    """Lines are told apart by the tag in their event_id; a span belongs to the process that began it."""
    lines = [process("aa"), process("bb", scope={"name": "other", "version": "2", "schema_url": "u"})]
    lines += [
        start(1, 1, tag="aa"),
        start(2, 2, tag="bb"),
        end(2, 3, tag="bb"),
        end(1, 4, tag="bb"),
        log(tag="bb"),
        log(tag="cc"),
    ]

    rebuilt = rebuild(task_of(tmp_path, lines))

    assert [span.resource.get("service.name") for span in rebuilt.spans] == ["service-bb", "service-aa"]
    assert [span.scope for span in rebuilt.spans] == [
        RecordedScope("other", "2", "u"),
        RecordedScope("otel_agentlog", "1"),
    ]
    assert [record.resource.get("service.name") for record in rebuilt.logs] == ["service-bb", None]


def test_a_scope_on_the_line_goes_before_that_of_the_process(tmp_path: Path) -> None:
    """Adopted spans name the library that made them."""
    scope = {"name": "opentelemetry.instrumentation.httpx", "version": "0.66b2", "attributes": {"a": 1}}
    span = only_span(task_of(tmp_path, [process(), start(1, 1, type="span", scope=scope), end(1, 2, type="span")]))

    assert span.scope == RecordedScope("opentelemetry.instrumentation.httpx", "0.66b2", None, {"a": 1})


def test_a_process_line_behind_its_lines_is_found(tmp_path: Path) -> None:
    """Merged or repaired files may have another order."""
    rebuilt = rebuild(task_of(tmp_path, [start(1, 1), end(1, 2), log(), process()]))

    assert rebuilt.spans[0].resource == rebuilt.logs[0].resource == {"service.name": "service-aa"}


@pytest.mark.parametrize(("policy", "types"), [("off", ["log", "state", "attempt", "event"]), ("preview", None), ("full", None)])
def test_lines_are_log_records_by_type_and_content_policy(tmp_path: Path, policy: str, types: list[str] | None) -> None:
    """Content leaves only where that is allowed; pointers never do."""
    kinds = ["log", "output", "thinking", "system", "user", "state", "attempt", "event", "subtask"]
    task = task_of(tmp_path, [process(content_policy=policy), *(log(type=kind) for kind in kinds)])

    found = rebuild(task).logs

    assert [record.line["type"] for record in found] == (types or kinds[:-1])
    assert {(record.kind, record.content_policy) for record in found} == {("log", policy)}


def test_content_does_not_leave_where_the_policy_is_unknown(tmp_path: Path) -> None:
    """A lost process line must not let content leave."""
    assert [record.line["type"] for record in rebuild(task_of(tmp_path, [log(type="output"), log()])).logs] == ["log"]


def test_an_exception_is_a_log_record_where_it_was_first_seen(tmp_path: Path) -> None:
    """The line with the traceback is a second record; those above it are not."""
    seen, passed = (
        {"type": "E", "message": "m", "error_id": "e", "traceback": ["E: m"]},
        {"type": "E", "message": "m", "error_id": "e"},
    )
    lines = [process(), start(1, 1), start(2, 2, parent=1), end(2, 3, exception=seen), end(1, 4, exception=passed)]

    found = list(records(task_of(tmp_path, lines)))

    assert [type(record) for record in found] == [SpanRecord, LogRecordLine, SpanRecord]
    assert isinstance(found[1], LogRecordLine)
    assert (found[1].kind, found[1].line["exception"]) == ("exception", seen)


def test_open_spans_come_last_and_have_no_end(tmp_path: Path) -> None:
    """With their stages, as far as they came."""
    stage = {"timestamp": layout.timestamp(NS + 2), "stage": "received", "span_id": span_id(1), "event_id": "aa-9"}
    lines = [process(), start(1, 1), start(2, 2, parent=1), start(3, 3, parent=1), end(3, 4)]

    spans = rebuild(task_of(tmp_path, lines, [stage])).spans

    assert [(span.span_id, span.end_ns) for span in spans] == [(span_id(3), NS + 4), (span_id(1), None), (span_id(2), None)]
    assert [event.name for event in spans[1].events] == ["webhook.received"]


def test_an_end_whose_start_was_lost_gives_what_is_known(tmp_path: Path) -> None:
    """The start follows from the duration."""
    span = only_span(task_of(tmp_path, [process(), end(1, 5_000_000, duration_ms=2.0, attributes={"a": 1}, message="work")]))

    assert (span.start_lost, span.start_ns, span.end_ns) == (True, NS + 3_000_000, NS + 5_000_000)
    assert (span.name, span.attributes, span.parent_span_id) == ("work", {"a": 1}, None)


def test_a_span_that_ended_is_not_begun_or_ended_again(tmp_path: Path) -> None:
    """The first pair counts; recovery that ran twice changes nothing."""
    lines = [process(), start(1, 1), start(1, 2), end(1, 3), end(1, 4, outcome="interrupted"), start(1, 5)]

    assert [(span.start_ns - NS, (span.end_ns or 0) - NS) for span in rebuild(task_of(tmp_path, lines)).spans] == [(1, 3)]
