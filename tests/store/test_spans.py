"""Spans, log records and the tree, from lines alone."""

from __future__ import annotations

import base64
import hashlib
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.store import layout
from otel_agentlog.store.reader import TaskReader, list_tasks
from otel_agentlog.store.spans import LogRecordLine, Scope, SpanEvent, SpanLink, SpanRecord
from otel_agentlog.store.spans_rebuild import rebuild, records
from otel_agentlog.store.spans_tree import Node, tree
from otel_agentlog.store.values import with_artifacts
from tests.store.golden_expectations import path_of, reading
from tests.store.make_golden import HERE as GOLDEN

GOLDEN_TASKS = [task.folder.name for task in list_tasks(GOLDEN)]
TRACE = "ab" * 16
NS = 1_795_238_521_000_000_000


@pytest.mark.parametrize("name", GOLDEN_TASKS)
def test_a_golden_folder_reads_as_it_always_did(name: str) -> None:
    """Every span, log record, figure and problem, field by field."""
    task = TaskReader(GOLDEN / name)

    assert reading(task) == orjson.loads(path_of(task).read_bytes())


def span_id(number: int) -> str:
    """16 hex digits."""
    return f"{number:016x}"


def process(tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """A process line."""
    resource, scope = {"service.name": f"service-{tag}"}, {"name": "otel_agentlog", "version": "1"}
    known = {"resource": resource, "scope": scope, "content_policy": "full", "pid": 7, "host": "h"}
    return {"timestamp": layout.timestamp(NS), "type": "process", **known, **keys, "event_id": f"{tag}-0"}


def start(number: int, at: int, parent: int | None = None, tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """A start line `at` nanoseconds after the beginning."""
    line: dict[str, Any] = {
        "timestamp": layout.timestamp(NS + at),
        "type": "step",
        "phase": "start",
        "name": f"step {number}",
        "kind": "INTERNAL",
    }
    line |= {"trace_id": TRACE, "span_id": span_id(number), "trace_flags": 1, "event_id": f"{tag}-1"}
    return line | ({} if parent is None else {"parent_span_id": span_id(parent)}) | keys


def end(number: int, at: int, tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """An end line `at` nanoseconds after the beginning."""
    line = {"timestamp": layout.timestamp(NS + at), "type": "step", "phase": "end", "trace_id": TRACE, "span_id": span_id(number)}
    return line | {"outcome": "completed", "event_id": f"{tag}-2"} | keys


def log(number: int | None = None, tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """A log line in a span."""
    line = {"timestamp": layout.timestamp(NS + 5), "type": "log", "level": "INFO", "message": "m", "event_id": f"{tag}-3"}
    return line | ({} if number is None else {"span_id": span_id(number)}) | keys


def task_of(folder: Path, events: list[dict[str, Any]], stages: list[dict[str, Any]] | None = None) -> TaskReader:
    """A folder that holds these lines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / layout.AGENT_OUTPUT).write_bytes(b"".join(map(layout.encode, events)))
    if stages is not None:
        (folder / layout.WEBHOOK_FLOW).write_bytes(b"".join(map(layout.encode, stages)))
    return TaskReader(folder)


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
        scope=Scope("otel_agentlog", "1"),
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
    assert [span.scope for span in rebuilt.spans] == [Scope("other", "2", "u"), Scope("otel_agentlog", "1")]
    assert [record.resource.get("service.name") for record in rebuilt.logs] == ["service-bb", None]


def test_a_scope_on_the_line_goes_before_that_of_the_process(tmp_path: Path) -> None:
    """Adopted spans name the library that made them."""
    scope = {"name": "opentelemetry.instrumentation.httpx", "version": "0.66b2", "attributes": {"a": 1}}
    span = only_span(task_of(tmp_path, [process(), start(1, 1, type="span", scope=scope), end(1, 2, type="span")]))

    assert span.scope == Scope("opentelemetry.instrumentation.httpx", "0.66b2", None, {"a": 1})


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
    """A lost process line must not open a door."""
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
                scope=draw(st.sampled_from([Scope("otel_agentlog", "1"), Scope("lib", None, "url", {"a": 1})])),
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


@settings(max_examples=200, deadline=None)
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


@settings(max_examples=300, deadline=None)
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


def outline(task: TaskReader) -> list[str]:
    """The tree as indented names."""
    return [f"{'.' * depth}{node.name}{'?' if node.is_orphan else ''}" for depth, node in tree(task).walk()]


def test_the_tree_nests_by_parents_in_order_of_start(tmp_path: Path) -> None:
    """Figures add up towards the root."""
    details = {"input_tokens": 5, "output_tokens": 1, "cost_usd": 0.25}
    lines = [start(1, 1, type="task"), start(3, 5, parent=1), start(2, 3, parent=1), start(4, 6, parent=3, type="ai_request")]
    lines += [end(4, 9_000_006, type="ai_response", details=details, duration_ms=9.0), log(4), log(None), end(2, 8)]

    found = tree(task_of(tmp_path, lines))
    by_name = {node.name: node for _, node in found.walk()}
    root = by_name["step 1"]

    assert [f"{depth} {node.name}" for depth, node in found.walk()] == ["0 step 1", "1 step 2", "1 step 3", "2 step 4"]
    assert (root.total.cost_usd, root.total.tokens["input_tokens"], root.total.ai_calls, root.total.logs) == (0.25, 5, 1, 2)
    assert (root.own.cost_usd, root.own.logs, by_name["step 4"].own.logs) == (None, 1, 1)
    assert (by_name["step 4"].duration_ms, by_name["step 2"].duration_ms) == (9.0, 5e-6)
    assert (root.is_open, root.outcome, by_name["step 2"].outcome) == (True, None, "completed")


def test_what_lost_its_parent_hangs_below_the_task(tmp_path: Path) -> None:
    """Nothing is left out; a remote parent is no loss."""
    lines = [
        start(1, 1, type="task", parent=50),
        start(2, 2, parent=1),
        start(3, 3, parent=51),
        start(4, 4, parent=52, parent_remote=True),
    ]

    assert outline(task_of(tmp_path, lines)) == ["step 1", ".step 2", ".step 3?", "step 4"]


def test_without_a_task_the_first_one_takes_its_place(tmp_path: Path) -> None:
    """Only steps are left of this folder."""
    assert outline(task_of(tmp_path, [start(2, 2, parent=9), start(3, 3, parent=9)])) == ["step 2?", ".step 3?"]
    assert outline(task_of(tmp_path, [])) == []


def test_parents_in_a_circle_are_cut(tmp_path: Path) -> None:
    """Damage may name a child as its parent's parent, or a span as its own."""
    lines = [start(1, 1, type="task"), start(2, 2, parent=3), start(3, 3, parent=2), start(4, 4, parent=4)]

    assert outline(task_of(tmp_path, lines)) == ["step 1", ".step 4?", ".step 2?", "..step 3"]


def test_steps_nested_ten_thousand_deep_are_walked(tmp_path: Path) -> None:
    """No recursion anywhere."""
    task = task_of(tmp_path, [start(number, number, parent=number - 1 or None) for number in range(1, 10_001)])

    found = list(tree(task).walk())

    assert len(found) == 10_000
    assert found[-1][0] == 9_999
    assert found[0][1].total.errors == 0


def test_an_error_counts_where_it_was_first_seen(tmp_path: Path) -> None:
    """Once in every total above."""
    error: dict[str, Any] = {"level": "ERROR", "exception": {"type": "E", "message": "m", "error_id": "e"}}
    lines = [start(1, 1, type="task"), start(2, 2, parent=1), end(2, 3, **error), end(1, 4, **error)]

    nodes: dict[str, Node] = {node.name: node for _, node in tree(task_of(tmp_path, lines)).walk()}

    assert [(node.own.errors, node.total.errors, node.error) for node in nodes.values()] == [(0, 1, "E: m"), (1, 1, "E: m")]


def test_a_sub_task_is_a_pointer(tmp_path: Path) -> None:
    """With its own id and outcome, below the step that began it."""
    details = {"task_id": "task-sub", "name": "Search"}
    lines = [start(1, 1, type="task"), start(2, 2, parent=1)]
    lines += [log(2, type="subtask", action="subtask_started", details=details)]
    open_pointer = list(tree(task_of(tmp_path / "a", lines)).walk())[-1]
    lines += [log(2, type="subtask", action="subtask_ended", details={**details, "outcome": "failed"})]
    ended_pointer = list(tree(task_of(tmp_path / "b", lines)).walk())[-1]

    assert [(depth, node.type, node.name, node.task_id) for depth, node in (open_pointer, ended_pointer)] == [
        (2, "subtask", "Search", "task-sub")
    ] * 2
    assert (open_pointer[1].is_open, ended_pointer[1].is_open, ended_pointer[1].outcome) == (True, False, "failed")
