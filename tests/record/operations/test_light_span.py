"""Spans of our own are to other code what those of the SDK are, and give the same lines."""

from __future__ import annotations

import copy
import os
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags, TraceState

import otel_agentlog as agentlog
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.record.collaborators import Spans, UsualLimits
from otel_agentlog.record.operations.span import LightSpan, Trace
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.testing import FixedClock, MemorySink, recording

# -- what other code puts on it --------------------------------------------------------------------------------------------

SENT: dict[str, Any] = {"gen_ai.operation.name": "chat", "agentlog.step.index": 1, "texts": ["a", "b"], "user": "x" * 40}
CONTEXT = SpanContext(1, 2, True, TraceFlags(1), TraceState([("v", "1")]))
INVALID = SpanContext(0, 0, True)

_KEYS = st.sampled_from(["a", "b", "c", "user", "texts", "gen_ai.operation.name", "", "é" * 9]) | st.text(max_size=3)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_ATTRIBUTES = st.none() | st.dictionaries(_KEYS, _VALUES, max_size=6)
_TIMES = st.integers(1, 1 << 62)
_CALLS = st.one_of(
    st.tuples(st.just("set_attribute"), _KEYS | st.integers() | st.none(), _VALUES | st.just(object)),
    st.tuples(st.just("set_attributes"), st.dictionaries(_KEYS | st.integers(), _VALUES, max_size=6)),
    st.tuples(st.just("add_event"), st.text(max_size=5), _ATTRIBUTES, _TIMES),
    st.tuples(st.just("add_link"), st.sampled_from([CONTEXT, INVALID, None]), _ATTRIBUTES),
    st.tuples(st.just("update_name"), st.text(max_size=5)),
    st.tuples(st.just("set_status"), st.sampled_from([*StatusCode, Status(StatusCode.ERROR, "e"), Status(), None]), st.none()),
    st.tuples(st.just("set_status"), st.sampled_from(StatusCode), st.text(max_size=5)),
    st.tuples(st.just("record_exception"), st.builds(ValueError, st.text(max_size=5)), _ATTRIBUTES, _TIMES, st.booleans()),
    st.tuples(st.just("end"), _TIMES),
)
LIMITS: dict[str, dict[str, int]] = {
    "usual": {},
    "few": {"max_span_attributes": 3, "max_events": 2, "max_links": 1, "max_event_attributes": 2, "max_link_attributes": 1},
    "short": {"max_attribute_length": 3},
    "short on spans": {"max_span_attribute_length": 7},
    "none": {"max_span_attributes": 0, "max_events": 0, "max_links": 0},
}


def _seen(span: Any) -> dict[str, Any]:
    """All that can be read from a span."""
    return {
        "name": span.name,
        "attributes": list((span.attributes or {}).items()),
        "events": [(event.name, event.timestamp, list((event.attributes or {}).items())) for event in span.events],
        "links": [(link.context, list((link.attributes or {}).items())) for link in span.links],
        "status": (span.status.status_code, span.status.description),
        "recording": span.is_recording(),
        "times": (span.start_time, span.end_time),
        "kind": span.kind,
    }


@pytest.mark.parametrize("limits", LIMITS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(calls=st.lists(_CALLS, max_size=12))
def test_it_takes_what_a_span_of_the_sdk_takes(limits: str, calls: list[tuple[Any, ...]]) -> None:
    """Whatever is called in whatever order, the two have the same name, attributes, events, links and status."""
    sdk_limits = SpanLimits(**LIMITS[limits])
    tracer = TracerProvider(shutdown_on_exit=False, span_limits=sdk_limits).get_tracer("t")
    theirs = tracer.start_span("s", kind=trace.SpanKind.CLIENT, attributes=SENT, start_time=5)
    begun = Trace(1, f"{1:032x}", TraceFlags(1), 1, None, True, True)
    ours = LightSpan(begun, "s", "CLIENT", SENT, 5, sdk_limits)
    for name, *arguments in calls:
        raised = [_raised_by(getattr(span, name), arguments) for span in (theirs, ours)]
        assert raised[0] == raised[1]

    assert _seen(ours) == _seen(theirs)


def _raised_by(call: Callable[..., Any], arguments: list[Any]) -> type[BaseException] | None:
    try:
        call(*arguments)
    except Exception as error:
        return type(error)
    return None


def test_usual_limits_are_those_of_the_sdk() -> None:
    """Where no variable says otherwise."""
    usual, sdk = UsualLimits(), SpanLimits()

    assert {name: getattr(sdk, name) for name in vars(usual)} == vars(usual)


def test_it_can_be_used_as_the_api_says() -> None:
    """``use_span`` and ``with span`` end it and note what was raised; it can be copied with the context it is in."""
    begun = Trace(1, f"{1:032x}", TraceFlags(1), 1, None, True, True)
    span = LightSpan(begun, "s", "CLIENT", {}, 5, UsualLimits())
    with pytest.raises(ValueError, match="no"), trace.use_span(span, end_on_exit=True):
        _fail_in(span)

    assert [event.name for event in span.events] == ["exception"]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError: no")
    assert not span.is_recording()
    assert _seen(copy.deepcopy(span)) == _seen(span)


def _fail_in(span: trace.Span) -> None:
    assert trace.get_current_span() is span
    raise ValueError("no")


# -- the lines -------------------------------------------------------------------------------------------------------------


@contextmanager
def _recording(light: bool, sampler: Sampler | None = None, **conventions: Any) -> Iterator[MemorySink]:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    with recording(cleaner=Cleaner(Redactor()), clock=FixedClock(), monotonic=FixedClock(0)) as sink:
        tracer = provider.get_tracer("test")
        recorder().spans = Spans(tracer, light=lambda: light, sampler=provider.sampler)
        recorder().tracer, recorder().conventions = tracer, Conventions(**conventions)
        yield sink


def _everything() -> None:
    """Every kind of operation, ended in several ways, with things of other code on their spans."""
    with agentlog.bind(correlation_id="c-1", tenant="acme"):
        with agentlog.task("job", task_id="t1", agent="brain", attributes={"u": 1, "gen_ai.system": "no", "b": b"x"}) as task:
            task.output("hello")
            with agentlog.step("Plan It", plan=True, attributes={"nan": float("nan")}):
                _put_on_the_span()
                with agentlog.ai_call("m", provider="anthropic", messages="hi", temperature=0, server_address="h") as call:
                    call.usage(input_tokens=10, output_tokens=5, finish_reasons=["stop"], cost_usd=0.1)
                with agentlog.tool("Read", arguments={"password": "hunter2hunter2"}, call_id="c") as run:
                    run.result, run.exit_code = {"x": 1}, 3
                    trace.get_current_span().update_name("renamed")
                    trace.get_current_span().set_status(StatusCode.ERROR, "bad AKIAIOSFODNN7EXAMPLE")
                with pytest.raises(ValueError, match="boom"), agentlog.step("deep"), agentlog.tool("x"), agentlog.ai_call("m2"):
                    raise ValueError("boom AKIAIOSFODNN7EXAMPLE")
                with pytest.raises(SystemExit), agentlog.step("exit"):
                    sys.exit(3)
                agentlog.tool("m").start().end("cancelled", reason="why")
                with (
                    agentlog.task("sub", task_id="t4", workflow="w"),
                    agentlog.ai_call("e", operation="embeddings", dimensions=3),
                ):
                    pass
        with agentlog.webhook("github", "push", {"a": 1}) as hook:
            hook.stage("validation", status="passed")
            hook.create_task("job2", input={"n": 1}, task_id="t2")
            carrier = hook.push()
    with agentlog.task(resume=carrier):
        pass
    far = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "v=1"}
    with agentlog.task("far", task_id="t3", resume=far), agentlog.step("in far"):
        pass
    with agentlog.step("alone"):
        pass


def _put_on_the_span() -> None:
    span = trace.get_current_span()
    span.set_attributes({"vendor.key": "v", "nothing": None, "list": [1, 2]})
    span.add_event("vendor event", {"n": 1}, timestamp=5)
    span.add_link(CONTEXT, {"why": "test"})
    span.record_exception(KeyError("k"), timestamp=6)


def _without_ids(sink: MemorySink) -> list[str]:
    """The lines, in which each id is replaced by its number."""
    ids: dict[str, str] = {}
    text = "\n".join(orjson.dumps([each.line, each.payload, each.sampled], default=str).decode() for each in sink.envelopes)
    pattern = r"\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b|\b[0-9a-f]{8}(?=-\d)|(?<=error.id\":\")\w{8}|(?<=error_id\":\")\w{8}"
    return re.sub(pattern, lambda found: ids.setdefault(found[0], f"id-{len(ids)}"), text).split("\n")


@pytest.mark.parametrize(
    "conventions",
    [{}, {"profile": "both", "content_policy": "preview"}, {"profile": "legacy", "content_policy": "full"}],
    ids=["latest", "both", "legacy"],
)
@pytest.mark.parametrize("sampler", [None, ALWAYS_OFF, ParentBased(TraceIdRatioBased(0))], ids=["on", "off", "ratio 0"])
def test_the_lines_are_those_of_spans_of_the_sdk(conventions: dict[str, Any], sampler: Sampler | None) -> None:
    """Byte for byte, but for the ids."""
    found = []
    for light in (True, False):
        with _recording(light, sampler, **conventions) as sink:
            _everything()
        found.append(_without_ids(sink))

    assert len(found[0]) > 40
    assert found[0] == found[1]


def test_links_of_other_code_are_in_the_end_line() -> None:
    """As trace id, span id and attributes."""
    with _recording(light=True) as sink, agentlog.step("s"):
        trace.get_current_span().add_link(CONTEXT, {"why": "test"})

    assert sink.ends()[0]["links"] == [{"trace_id": f"{1:032x}", "span_id": f"{2:016x}", "attributes": {"why": "test"}}]


# -- ids and sampling --------------------------------------------------------------------------------------------------------


class Asked(Sampler):
    """Notes what it is asked; adds an attribute and a trace state."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def should_sample(
        self, parent_context: Any, trace_id: Any, name: str, kind: Any = None, attributes: Any = None, *rest: Any, **more: Any
    ) -> SamplingResult:
        self.names.append(name)
        given: Mapping[str, Any] = {**(attributes or {}), "sampler.rule": name}
        return SamplingResult(Decision.RECORD_AND_SAMPLE, given, TraceState([("rule", "one")]))

    def get_description(self) -> str:
        return "Asked"


def test_the_sampler_is_asked_once_a_trace() -> None:
    """Its attributes are on that span, its trace state on all."""
    sampler = Asked()
    with _recording(True, sampler) as sink, agentlog.task("t"), agentlog.step("s"), agentlog.tool("x"):
        pass

    assert sampler.names == ["invoke_workflow"]
    assert {line["trace_state"] for line in sink.of(phase="start")} == {"rule=one"}
    assert [line["attributes"].get("sampler.rule") for line in sink.ends()] == [None, None, "invoke_workflow"]


def test_a_sampler_that_raises_costs_nothing() -> None:
    """What it does not leave out is sent."""

    class Broken(Asked):
        def should_sample(self, *given: Any, **more: Any) -> SamplingResult:
            raise RuntimeError("bug")

    with _recording(True, Broken()) as sink:
        with agentlog.task("t"):
            pass
        assert recorder().failures == {"span": 1}

    assert [envelope.sampled for envelope in sink.envelopes] == [True, True]


@pytest.mark.parametrize("flags", [0, 1])
def test_what_continues_a_trace_of_elsewhere_is_sampled_as_that_is(flags: int) -> None:
    """With the id of its parent, which is said to be remote."""
    carrier = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-0{flags}"}
    with _recording(True) as sink, agentlog.task("t", resume=carrier), agentlog.step("s"):
        pass

    task, step = sink.of(phase="start")
    assert (task["trace_id"], task["parent_span_id"], task["parent_remote"]) == ("a" * 32, "b" * 16, True)
    assert (step["trace_id"], step["parent_span_id"], "parent_remote" in step) == ("a" * 32, task["span_id"], False)
    assert {envelope.sampled for envelope in sink.envelopes} == {bool(flags)}


def test_spans_of_other_libraries_are_children_of_ours_and_the_other_way_round() -> None:
    """Through a provider of the SDK."""
    exporter = InMemorySpanExporter()
    theirs = TracerProvider(shutdown_on_exit=False)
    theirs.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = theirs.get_tracer("other")
    with _recording(True) as sink, agentlog.task("t") as task, tracer.start_as_current_span("theirs"), agentlog.step("s"):
        pass

    (span,) = exporter.get_finished_spans()
    assert span.parent is not None
    assert span.context is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (task.trace_id, task.span_id)
    step = sink.of(type="step", phase="start")[0]
    assert (step["trace_id"], step["parent_span_id"]) == (task.trace_id, f"{span.context.span_id:016x}")


def test_ids_do_not_repeat_where_a_program_seeds_random_or_forks() -> None:
    """Neither within a process nor in the child of a fork."""
    seen: list[str] = []
    for _ in range(2):
        random.seed(1)
        with _recording(True) as sink, agentlog.task("t"):
            pass
        seen.append(sink.lines[0]["trace_id"])
    assert seen[0] != seen[1]

    reading, writing = os.pipe()
    with _recording(True):
        pid = os.fork()
        if not pid:
            os.write(writing, agentlog.step("s").start().span_id.encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(reading, 16).decode() != agentlog.step("s").start().span_id
    os.close(reading)
    os.close(writing)
