"""Spans of other libraries: one AI call in the folder per request, right tokens, nothing twice, nothing secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id

import otel_agentlog as agentlog
from otel_agentlog.query.questions import statistics
from otel_agentlog.record.operations.context import BY_TRACE
from otel_agentlog.record.operations.seen_calls import MAX_REMEMBERED
from otel_agentlog.store.folder.reader import TaskReader, find_task
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.vocabulary.records import SpanRecord
from tests.support.forking import Python
from tests.support.providers.server import ProviderServer
from tests.support.sdk_records import readable_span

APP = Path(__file__).parent / "vendor_app.py"
WITH_CLIENTS = Python(
    modules=(
        *("anthropic.resources.messages", "openai.resources.chat", "requests", "openinference.instrumentation.openai"),
        *("openinference.instrumentation.anthropic", "opentelemetry.instrumentation.genai.openai"),
        "opentelemetry.instrumentation.requests",
    )
)
"""Has imported the clients and their instrumentation, and instrumented nothing."""
Line = dict[str, Any]


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    """A model provider on this machine."""
    with ProviderServer() as server:
        yield server


def _run(root: Path, server: ProviderServer, library: str, wrapped: str, endpoint: str = "") -> list[Line]:
    url = server.anthropic_url if library.startswith("anthropic") else server.openai_url
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "AGENTLOG_SEND_DELAY": "0", "AGENTLOG_SHUTDOWN_TIMEOUT": "30"}
    done = WITH_CLIENTS.run([APP, root, url, library, wrapped], env=env, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    task = find_task(root, "t")
    assert [str(problem) for problem in validate(task.folder).problems] == []
    return list(task.events())


@pytest.mark.parametrize("wrapped", ["wrapped", "bare"])
@pytest.mark.parametrize(
    "library", ["anthropic", "anthropic-openinference", "openai-genai", "openai-openinference", "openai-both", "requests"]
)
def test_one_request_is_one_ai_call(library: str, wrapped: str, provider: ProviderServer, tmp_path: Path) -> None:
    """Whoever instruments the client, and with or without our own ai_call around it."""
    lines = _run(tmp_path / "tasks", provider, library, wrapped)

    assert len(provider.requests) == 1
    calls = [line for line in lines if line["type"] == "ai_response"]
    if library == "requests" and wrapped == "bare":
        assert calls == []
        (request,) = [line for line in lines if line["type"] == "span" and line["phase"] == "start"]
        assert request["attributes"]["http.method"] == "POST"
        return
    (call,) = calls
    usage = (call["details"]["input_tokens"], call["details"]["output_tokens"])
    assert usage == _tokens(library)
    metrics = (find_task(tmp_path / "tasks", "t").final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, *usage)


def _tokens(library: str) -> tuple[int, int]:
    from tests.support.providers.replies import ANTHROPIC_MESSAGE, CHAT_COMPLETION

    if library.startswith("anthropic"):
        usage: Any = ANTHROPIC_MESSAGE["usage"]
        return usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"], usage[
            "output_tokens"
        ]
    usage = CHAT_COMPLETION["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]


@pytest.mark.parametrize("library", ["anthropic", "openai-genai", "openai-openinference", "requests"])
def test_adopted_spans_are_the_same_in_both_homes(
    library: str, provider: ProviderServer, otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """What is rebuilt from the folder equals what was sent, also for spans that others made."""
    _run(tmp_path / "tasks", provider, library, "wrapped", otlp_receiver.http_endpoint)
    spans = [record for record in records(find_task(tmp_path / "tasks", "t")) if isinstance(record, SpanRecord)]
    sent = sorted(otlp_receiver.spans(), key=lambda span: str(span["span_id"]))
    assert {span["scope"]["name"] for span in sent} > {"otel_agentlog"}

    with OtlpReceiver() as second:
        OTLPSpanExporter(f"{second.http_endpoint}/v1/traces").export([readable_span(span) for span in spans])
        assert sorted(second.spans(), key=lambda span: str(span["span_id"])) == sent


def test_foreign_spans_are_filed_under_their_step_and_cleaned(tasks_root: Path) -> None:
    """Names, attributes, events and status of foreign spans lose their secrets; parents and children fit."""
    secret = "sk-" + "ant-api03-" + "a1B2c3D4" * 12
    tracer = trace.get_tracer("vendor.lib", "1.2")
    with agentlog.task("t", task_id="t"), agentlog.step("s"):
        with tracer.start_as_current_span(f"GET {secret}", attributes={"header": f"x-api-key: {secret}", "n": 1}) as span:
            span.add_event("sent", {"key": secret})
            with agentlog.tool("inside"):
                pass
        with pytest.raises(ValueError, match="sk"), tracer.start_as_current_span("fails"):
            raise ValueError(secret)

    task = find_task(tasks_root, "t")
    assert secret not in "".join(path.read_text() for path in task.folder.iterdir())
    lines = list(task.events())
    starts = {line["message"]: line for line in lines if line.get("phase") == "start"}
    vendor = next(line for line in lines if line["type"] == "span" and line["phase"] == "start")
    assert vendor["parent_span_id"] == starts["s"]["span_id"]
    assert starts["inside"]["parent_span_id"] == vendor["span_id"]
    assert vendor["scope"] == {"name": "vendor.lib", "version": "1.2", "schema_url": ""}
    assert vendor["step_id"] == "s"
    failed = [line for line in lines if line["type"] == "span" and line.get("outcome") == "failed"]
    assert len(failed) == 1
    assert validate(task.folder).problems == []


def test_a_span_around_that_nobody_recorded_is_no_fault_of_the_folder(tasks_root: Path) -> None:
    """A provider that is not joined, or a sampler, may leave a span of another library out of the folder."""
    apart = TracerProvider().get_tracer("apart")
    with agentlog.task("t", task_id="t"), apart.start_as_current_span("unknown") as unknown:
        with agentlog.step("s"), trace.get_tracer("vendor").start_as_current_span("known"), agentlog.step("in it"):
            pass
        with trace.get_tracer("vendor").start_as_current_span("below"):
            pass

    task = find_task(tasks_root, "t")
    assert [str(problem) for problem in validate(task.folder).problems] == []
    above = format_span_id(unknown.get_span_context().span_id)
    marked = {line["message"]: line["parent_span_id"] for line in task.events() if line.get("parent_elsewhere")}
    assert marked == {"s": above, "below": above}


def test_a_span_with_very_many_below_it_is_still_known(tasks_root: Path) -> None:
    """More spans than a task remembers."""
    tracer = trace.get_tracer("vendor")
    with agentlog.task("t", task_id="t"), tracer.start_as_current_span("around"):
        for _ in range(MAX_REMEMBERED + 10):
            tracer.start_span("below").end()

    task = find_task(tasks_root, "t")
    assert not any(line.get("parent_elsewhere") for line in task.events())
    assert validate(task.folder).problems == []


def test_foreign_spans_outside_a_task_are_not_filed(tasks_root: Path) -> None:
    """A span that belongs to no task stays where it was."""
    with trace.get_tracer("vendor.lib").start_as_current_span("alone"):
        pass

    assert not tasks_root.exists() or list(tasks_root.iterdir()) == []


def _headers() -> dict[str, str]:
    """W3C headers of where this is, as a library passes them on."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier


def _behind(headers: dict[str, str]) -> Context:
    return extract(headers, Context())


@pytest.mark.parametrize("implicit", [False, True])
def test_spans_behind_headers_of_this_process_are_in_their_task(implicit: bool, tmp_path: Path) -> None:
    """Queues and streams within one process pass on ``traceparent`` alone: what is below is filed where that was made."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", implicit_tasks=implicit)
    tracer = trace.get_tracer("vendor.lib")
    with agentlog.task("t", task_id="t"):
        with agentlog.step("s"):
            tracer.start_span("in an open step", context=_behind(_headers())).end()
            with tracer.start_as_current_span("of another library"):
                inside = _headers()
            tracer.start_span("below that of another library", context=_behind(inside)).end()
            of_the_step = _headers()
        tracer.start_span("in a step that has ended", context=_behind(of_the_step)).end()
        with agentlog.task("sub", task_id="sub"):
            of_the_sub_task = _headers()
            tracer.start_span("in the sub-task", context=_behind(of_the_sub_task)).end()
        with tracer.start_as_current_span("around", context=_behind(_headers())), agentlog.tool("ours"):
            pass
    agentlog.shutdown()

    tasks = {path.name: find_task(tmp_path / "tasks", path.name) for path in (tmp_path / "tasks").iterdir() if path.is_dir()}
    found = {task_id: _starts(task) for task_id, task in tasks.items() if not task_id.startswith(".")}
    assert set(found) == {"t", "sub"}
    assert set(found["sub"]) == {"sub", "in the sub-task"}
    step = {"in an open step", "of another library", "below that of another library", "s"}
    assert set(found["t"]) == {"t", *step, "in a step that has ended", "around", "ours"}
    assert {name for name, line in found["t"].items() if line.get("step_id") == "s"} == step
    for task in tasks.values():
        assert [str(problem) for problem in validate(task.folder).problems] == []


def test_a_request_behind_headers_is_counted_with_the_call_around_it(tasks_root: Path) -> None:
    """As anywhere inside our ``ai_call``."""
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 7}
    with agentlog.task("t", task_id="t"), agentlog.ai_call("gpt-4o", provider="openai"):
        trace.get_tracer("vendor.lib").start_span("chat", context=_behind(_headers()), attributes=attributes).end()

    metrics = (find_task(tasks_root, "t").final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["input_tokens"]) == (1, 7)


def test_spans_behind_headers_of_no_open_task_are_not_filed(tasks_root: Path) -> None:
    """Of a task that has ended, of another process; also where a task is open that goes on with that trace."""
    tracer = trace.get_tracer("vendor.lib")
    with agentlog.task("ended", task_id="ended"):
        ended = _headers()
    elsewhere = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    tracer.start_span("late", context=_behind(ended)).end()
    with trace.use_span(trace.get_current_span(_behind(elsewhere))), agentlog.task("t", task_id="t"):
        tracer.start_span("of another", context=_behind({"traceparent": f"00-{'a' * 32}-{'c' * 16}-01"})).end()

    assert set(_starts(find_task(tasks_root, "ended"))) == {"ended"}
    assert set(_starts(find_task(tasks_root, "t"))) == {"t"}


def test_tasks_that_end_are_not_looked_up(tasks_root: Path) -> None:
    """Nor one whose object was dropped."""
    with agentlog.task("t"), agentlog.task("sub"):
        pass
    agentlog.task("dropped").start()
    agentlog.flush()
    assert not BY_TRACE


def _starts(task: TaskReader) -> dict[str, Line]:
    return {str(line["message"]): line for line in task.events() if line.get("phase") == "start"}


@pytest.mark.parametrize(
    ("attributes", "expected", "has_price"),
    [
        ({"gen_ai.usage.cache_read.input_tokens": 5000}, (5010, 5), True),
        ({"gen_ai.usage.cache_read.input_tokens": 4}, (10, 5), True),
        ({"gen_ai.usage.cache_read_input_tokens": 0, "gen_ai.usage.cache_creation_input_tokens": 900}, (910, 5), True),
        ({"gen_ai.usage.output_tokens": -5}, (10, None), False),
        ({"gen_ai.usage.output_tokens": True}, (10, None), False),
        ({"gen_ai.usage.output_tokens": "5", "gen_ai.usage.total_tokens": 15}, (10, 5), True),
    ],
)
def test_counts_of_foreign_spans_are_checked(
    attributes: dict[str, Any], expected: tuple[int, int | None], has_price: bool, tasks_root: Path
) -> None:
    """More cached tokens than input stand beside it, and what is no count is not known."""
    usage = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, **attributes}
    names = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.provider.name": "anthropic"}
    with agentlog.task("t", task_id="t"), trace.get_tracer("vendor").start_as_current_span("chat", attributes={**names, **usage}):
        pass

    (line,) = [line for line in find_task(tasks_root, "t").events() if line["type"] == "ai_response"]
    details = line["details"]
    assert (details["input_tokens"], details.get("output_tokens")) == expected
    assert (details["cost_usd"] is not None) == has_price


def test_statistics_name_the_model_that_a_span_tells_at_its_end(tasks_root: Path) -> None:
    """A library may set the model after the span's start, or only that of the response; the span's name is no model."""
    tracer = trace.get_tracer("vendor")
    with agentlog.task("t", task_id="t"):
        with tracer.start_as_current_span("ChatCompletion", attributes={"gen_ai.operation.name": "chat"}) as span:
            span.set_attributes({"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10})
        with tracer.start_as_current_span("Response", attributes={"gen_ai.operation.name": "chat"}) as span:
            span.set_attributes({"gen_ai.response.model": "gpt-5", "gen_ai.usage.input_tokens": 7})

    groups = {group.key: group.input_tokens for group in statistics(tasks_root, group_by="model").groups}
    assert groups == {"gpt-4o": 10, "gpt-5": 7}
