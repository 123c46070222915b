"""One request to a model is counted once, whoever else saw it, and by every counter: result, tree, index, metrics, validator."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import otel_agentlog as agentlog
from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.semconv import names
from otel_agentlog.store.folder.reader import TaskReader, find_task
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.store.index.extract import extract_from
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.store.validation.validate import validate

Attributes = dict[str, Any]
Counts = tuple[int, int, int]
"""AI calls, input tokens, output tokens."""


def chat(tokens: tuple[int, int] | None = (1000, 20), response_id: str | None = "r1", **more: Any) -> Attributes:
    """Attributes of a request by the GenAI conventions."""
    found: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        **more,
    }
    if response_id is not None:
        found["gen_ai.response.id"] = response_id
    if tokens is not None:
        found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"] = tokens
    return found


OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.provider": "openai",
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 20,
}


@contextmanager
def span(library: str, attributes: Attributes, late: bool = False) -> Iterator[trace.Span]:
    """A span of a library, which has its attributes from the beginning, or only at its end."""
    with trace.get_tracer(library).start_as_current_span("a span", attributes=None if late else attributes) as made:
        yield made
        made.set_attributes(attributes)


def nested() -> None:
    with span("lib", chat()), span("lib", chat()):
        pass


def three_libraries() -> None:
    with span("langchain", OPENINFERENCE, late=True), span("traceloop", chat()), span("http", {}), span("openai", chat()):
        pass


def inside_our_own() -> None:
    with agentlog.ai_call("gpt-4o", provider="openai"), agentlog.step("s"), span("a", chat()), span("b", chat()):
        pass


def inside_our_own_that_knows() -> None:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        with span("a", chat()), span("b", chat()):
            pass
        call.usage(input_tokens=1000, output_tokens=20)


def our_own_inside_theirs() -> None:
    with span("lib", chat(), late=True), agentlog.ai_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=1000, output_tokens=20)


def siblings() -> None:
    first = trace.get_tracer("traceloop").start_span("a", attributes=chat())
    second = trace.get_tracer("anthropic").start_span("b", attributes=chat(None, None))
    first.end()
    second.set_attributes(chat())
    second.end()


def siblings_of_one_library() -> None:
    tracer = trace.get_tracer("lib")
    first, second = tracer.start_span("a", attributes=chat()), tracer.start_span("b", attributes=chat())
    first.end()
    second.end()


def siblings_by_their_output() -> None:
    output = json.dumps({"id": "chatcmpl-abcdef123", "choices": []})
    with span("openai", {**OPENINFERENCE, "output.value": output}):
        pass
    with span("langchain", {**OPENINFERENCE, "output.value": f'{{"generations": [{output}]}}'}):
        pass


def only_the_outer_one_knows() -> None:
    with span("framework", chat()), span("client", chat(None, None)):
        pass


def only_the_outer_one_knows_what_was_cached() -> None:
    with span("framework", chat(**{"gen_ai.usage.cache_read.input_tokens": 800})), span("client", chat()):
        pass


def the_inner_one_ends_late() -> None:
    with span("framework", chat()):
        stream = trace.get_tracer("client").start_span("stream", attributes=chat(None))
    stream.set_attributes(chat())
    stream.end()


def the_inner_one_ends_late_and_alone_knows() -> None:
    with span("framework", chat(None, None)):
        stream = trace.get_tracer("client").start_span("stream", attributes=chat(None))
    stream.set_attributes(chat())
    stream.end()


def a_callback_after_ours() -> None:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        here, began = context.get_current(), time.time_ns()
        call.usage(input_tokens=1000, output_tokens=20)
    trace.get_tracer("litellm").start_span("litellm_request", here, attributes=chat(), start_time=began).end()


def a_callback_after_ours_alone_knows() -> None:
    with agentlog.ai_call("gpt-4o", provider="openai"):
        here, began = context.get_current(), time.time_ns()
    trace.get_tracer("litellm").start_span("litellm_request", here, attributes=chat(), start_time=began).end()


def recorded_after_the_request() -> None:
    with span("client", chat()):
        pass
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        call.record({"id": "r1", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 20}})


def two_requests_in_one() -> None:
    with span("framework", chat((1500, 40), None)):
        with span("client", chat()):
            pass
        with span("client", chat((500, 20), "r2")):
            pass


EMBEDDINGS = {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "text-embedding-3-small",
    "gen_ai.usage.input_tokens": 9,
}


def embeddings_for_an_answer() -> None:
    with span("lib", chat()), span("lib", EMBEDDINGS):
        pass


def embeddings_for_an_answer_seen_by_two_libraries_and_late() -> None:
    with span("a", chat(), late=True), span("b", chat(), late=True), span("a", EMBEDDINGS, late=True), span("b", EMBEDDINGS):
        pass


def embeddings_for_an_answer_of_ours() -> None:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=1000, output_tokens=20)
        with span("a", EMBEDDINGS), span("b", EMBEDDINGS, late=True):
            pass


def embeddings_of_ours_that_do_not_say_so() -> None:
    with agentlog.ai_call("text-embedding-3-small", provider="openai"), span("a", EMBEDDINGS):
        pass


def two_requests_of_which_one_is_not_read() -> None:
    with span("framework", chat((1500, 40), None)):
        with span("client", chat()):
            pass
        with span("client", chat(None, "r2")):
            pass


def a_tool_that_asks() -> None:
    with span("lib", chat()), span("lib", {"gen_ai.operation.name": "execute_tool"}), span("lib", chat((500, 20), "r2")):
        pass


def a_tool_that_asks_known_late() -> None:
    with span("lib", chat()), span("lib", {"traceloop.span.kind": "tool"}, late=True), span("lib", chat((500, 20), "r2")):
        pass


def our_tool_that_asks() -> None:
    with span("lib", chat()), agentlog.tool("t"), span("lib", chat((500, 20), "r2")):
        pass


def one_after_the_other() -> None:
    for number in ("r1", "r2"):
        with span("framework", chat((500, 10), number)), span("client", chat((500, 10), number)):
            pass


def a_server_that_repeats_its_id() -> None:
    for _ in range(2):
        with span("framework", chat((500, 10))), span("client", chat((500, 10))):
            pass


def one_retried_by_the_framework() -> None:
    with span("framework", chat()):
        failed = trace.get_tracer("client").start_span("first", attributes=chat(None, None))
        failed.set_status(trace.StatusCode.ERROR)
        failed.end()
        with span("client", chat()):
            pass


def after_ours_but_begun_later() -> None:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        here = context.get_current()
        call.usage(input_tokens=500, output_tokens=10)
    trace.get_tracer("lib").start_span("another", here, attributes=chat((500, 10))).end()


def told_after_its_end() -> None:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        call.record({"id": "r1", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 5}})
    for output_tokens in (15, 20):
        call.record({"id": "r1", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": output_tokens}})


def a_run_around_its_calls() -> None:
    run = {"context_wrapper": {"usage": {"requests": 2, "input_tokens": 1500, "output_tokens": 40}}}
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        for number in (1, 2):
            with agentlog.step("turn"), agentlog.ai_call("gpt-4o", provider="openai") as inner:
                inner.record({"id": f"r{number}", "choices": [], "usage": {"prompt_tokens": 750, "completion_tokens": 20}})
        call.record(run)


def _in_ours_that_ends_last(inner: Attributes, outer: Attributes) -> None:
    """As an instrumentor of agents whose processor is told of each end before ours, with its client instrumented, too."""
    around = trace.get_tracer("agents").start_span("response", attributes=chat(None, None))
    with trace.use_span(around, end_on_exit=False), agentlog.ai_call("gpt-4o", provider="openai") as call:
        with span("client", inner):
            pass
        around.set_attributes(outer)
        around.end()
        call.record({"id": "r1", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 20}})


def what_is_around_ours_ends_first() -> None:
    _in_ours_that_ends_last(chat(), chat())


def what_is_around_ours_ends_first_and_knows_more_than_the_client() -> None:
    _in_ours_that_ends_last(chat(None), chat())


def what_is_around_ours_ends_first_and_nothing_is_inside() -> None:
    around = trace.get_tracer("agents").start_span("response", attributes=chat(None, None))
    with trace.use_span(around, end_on_exit=False), agentlog.ai_call("gpt-4o", provider="openai") as call:
        around.set_attributes(chat())
        around.end()
        call.record({"id": "r1", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 20}})


def fail(*views: trace.Span) -> None:
    for view in views:
        view.set_status(trace.StatusCode.ERROR)
        view.end()


def view(library: str, model: str = "gpt-4o") -> trace.Span:
    """A span that is not made current, as some libraries have theirs around those of others."""
    return trace.get_tracer(library).start_span("a span", attributes=chat(None, None, **{"gen_ai.request.model": model}))


def a_failure_seen_side_by_side() -> None:
    outer, middle = view("traceloop"), view("openinference")
    fail(view("native"), middle, outer)


def failures_at_once_seen_side_by_side() -> None:
    outer = view("traceloop"), view("traceloop")
    inner = view("native"), view("native")
    fail(*inner, *outer)


def failures_at_once_of_two_models() -> None:
    other = view("traceloop", "gpt-5")
    fail(view("native"), other)


@contextmanager
def chain(library: str) -> Iterator[Any]:
    """A chain of a framework whose spans are never current: gives what begins a span of a request in it."""
    around = trace.get_tracer(library).start_span("chain")
    inner = trace.get_tracer(library).start_span("chain in it", trace.set_span_in_context(around))

    def begin() -> trace.Span:
        return trace.get_tracer(library).start_span("a span", trace.set_span_in_context(inner), attributes=chat(None, None))

    yield begin
    inner.end()
    around.end()


def a_failure_in_a_chain() -> None:
    with chain("langchain") as begin:
        outer = begin()
        fail(view("client"), outer)


def elsewhere(work: Callable[[], Any]) -> Any:
    """What work gives in another thread, in the context here: where frameworks call what is not asynchronous."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, work).result()


def failures_at_once_in_a_chain() -> None:
    """With a client's spans begun in another thread than the framework's."""
    with chain("langchain") as begin:
        for _ in range(2):
            outer, inner = [begin(), begin()], [elsewhere(lambda: view("client")) for _ in range(2)]
            fail(*inner, *outer)


def two_frameworks_around_a_failure() -> None:
    """Of which one makes its spans current, and the other does not: both end one after the other."""
    with chain("langchain") as begin, chain("other") as begin_other, span("other", {}):
        outer, middle = begin(), begin_other()
        fail(view("client"), outer, middle)


def failures_of_two_libraries_in_places_of_their_own() -> None:
    """One at the same time as another: nothing says that they are one request."""
    first = elsewhere(lambda: view("client"))
    with span("agents", {}):
        second = view("langchain")
    fail(first, second)


def stop(span: trace.Span, error: BaseException) -> None:
    span.record_exception(error)
    fail(span)


def a_stream_that_is_left() -> None:
    """Which one library calls a failure and the other does not, and which has told no tokens."""
    outer, inner = view("langchain"), view("client")
    told({inner: chat(None, None)})
    stop(outer, GeneratorExit())


def a_stream_that_is_left_known_to_the_client() -> None:
    outer, inner = view("langchain"), view("client")
    stop(inner, GeneratorExit())
    told({outer: chat()})


def a_request_that_is_cancelled() -> None:
    outer, inner = view("langchain"), view("client")
    told({inner: chat(None, None)})
    stop(outer, asyncio.CancelledError())


def a_stream_that_is_cancelled_in_a_chain_and_closed_later() -> None:
    with chain("langchain") as begin:
        outer, inner = begin(), elsewhere(lambda: view("client"))
        outer.set_attributes(chat(response_id=None))
        stop(outer, asyncio.CancelledError())
    told({inner: chat()})


def a_failure_in_a_tool_that_a_failed_request_ran() -> None:
    """The spans around it are current: what lies between them is known."""
    for tool in (agentlog.tool("t"), span("agents", {"openinference.span.kind": "TOOL"}, late=True)):
        with span("framework", {}):
            around = trace.get_tracer("langchain").start_span("a", attributes=chat(None, None))
            with trace.use_span(around, end_on_exit=False), tool:
                fail(view("client"))
            fail(around)


def streams_at_once_of_which_one_is_left() -> None:
    outer, inner = [view("langchain"), view("langchain")], [view("client"), view("client")]
    told({inner[0]: chat(None, None), inner[1]: chat()})
    stop(outer[0], GeneratorExit())
    told({outer[1]: chat()})


def alike_in_two_frameworks() -> None:
    """Begun in other threads, in chains of two libraries: one operation, one after the other, the same tokens, no id."""
    with chain("langchain") as begin, chain("other") as begin_other:
        outer = elsewhere(begin)
        inner = begin_other()
        told({inner: chat(response_id=None), outer: chat(response_id=None)})


def two_attempts_that_failed_side_by_side() -> None:
    outer = view("traceloop")
    fail(view("native"))
    fail(view("native"), outer)


def told(views: dict[trace.Span, Attributes]) -> None:
    """The views end in this order, and say this."""
    for each, attributes in views.items():
        each.set_attributes(attributes)
        each.end()


def siblings_without_ids() -> None:
    outer, inner = view("traceloop"), view("native")
    told({inner: chat(response_id=None), outer: chat(response_id=None)})


def siblings_without_ids_the_outer_one_first() -> None:
    outer, inner = view("traceloop"), view("native")
    told({outer: chat(response_id=None), inner: chat(response_id=None)})


def sibling_with_id_only_on_one() -> None:
    outer, inner = trace.get_tracer("openinference").start_span("a", attributes=OPENINFERENCE), view("native")
    told({inner: chat(), outer: {}})


def sibling_of_another_name_of_the_provider() -> None:
    outer, inner = view("traceloop", "models/gpt-4o"), view("native")
    told(
        {
            inner: chat(response_id=None),
            outer: chat(response_id=None, **{"gen_ai.provider.name": "azure", "gen_ai.request.model": "models/gpt-4o"}),
        }
    )


def sibling_whose_model_is_named_by_the_answer() -> None:
    """By the version that its alias stands for, and by that of a deployment which is called otherwise."""
    for requested, answered in (("gpt-4o", "gpt-4o-2024-08-06"), ("of-our-own", "gpt-4o-2024-08-06")):
        outer, inner = view("langchain", requested), view("client", requested)
        named = {**chat((500, 10), None), "gen_ai.request.model": answered}
        told({inner: named, outer: {**chat((500, 10), None), "gen_ai.request.model": requested}})


def siblings_of_which_one_names_the_alias_only() -> None:
    outer, inner = view("langchain", "gpt-4o"), trace.get_tracer("client").start_span("a span")
    told({inner: chat(response_id=None, **{"gen_ai.request.model": "gpt-4o-2024-08-06"}), outer: chat(response_id=None)})


def inside_a_sibling_without_ids() -> None:
    """As a stream whose span OpenInference ends first, beside that of another in which is the client's own."""
    outer, middle = view("openinference"), view("genai")
    with trace.use_span(middle):
        inner = view("native")
    told({inner: chat(), outer: OPENINFERENCE, middle: chat()})


def inside_a_sibling_that_ended_first() -> None:
    outer, middle = view("openinference"), view("genai")
    with trace.use_span(middle):
        inner = view("native")
    told({outer: OPENINFERENCE, inner: chat(), middle: chat()})


def siblings_of_which_only_one_knows() -> None:
    outer, inner = view("traceloop"), view("native")
    told({inner: chat(None, None), outer: chat(response_id=None)})


def siblings_known_late() -> None:
    outer, inner = trace.get_tracer("traceloop").start_span("a"), trace.get_tracer("native").start_span("b")
    told({inner: chat(response_id=None), outer: chat(response_id=None)})


def a_callback_after_the_client_without_ids() -> None:
    began = time.time_ns()
    with span("client", chat(response_id=None)):
        pass
    trace.get_tracer("langchain").start_span("a", attributes=OPENINFERENCE, start_time=began).end()


def two_at_once_of_equal_tokens_seen_twice() -> None:
    outer = view("traceloop"), view("traceloop")
    inner = view("native"), view("native")
    told(dict.fromkeys((*inner, *outer), chat((500, 10), None)))


def two_at_once_of_other_tokens_seen_twice() -> None:
    """Of those that ended first one does not know its tokens; the pair is that of the same tokens."""
    outer = view("traceloop"), view("traceloop")
    inner = view("native"), view("native")
    few, many = chat((250, 5), None), chat((750, 15), None)
    told({inner[0]: few, inner[1]: chat(None, None), outer[0]: few, outer[1]: many})


def two_at_once_by_their_ids() -> None:
    outer, inner = view("traceloop"), view("native")
    told({inner: chat((500, 10), "r1"), outer: chat((500, 10), "r2")})


def two_without_ids_one_after_the_other() -> None:
    for library in ("native", "traceloop"):
        with span(library, chat((500, 10), None)):
            pass


def one_that_failed_and_one_that_did_not() -> None:
    outer, inner = view("traceloop"), view("native")
    fail(inner)
    told({outer: chat(response_id=None)})


AGENT = {**OPENINFERENCE, "openinference.span.kind": "AGENT"}


def an_agent_around_its_request() -> None:
    with span("framework", AGENT), agentlog.step("s"), span("client", chat()):
        pass


def by_the_conventions_of_old() -> None:
    used = {"gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.completion_tokens": 20}
    with span("client", {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", **used}, late=True):
        pass


def streams_told_when_they_are_read() -> None:
    """As by logfire: the span of the request ends before the answer is read, which a second span of no length tells."""
    both = [view("logfire"), view("logfire")]
    for each in both:
        each.end()
    fail(view("logfire"))
    for number, tokens in enumerate(((250, 5), (750, 15))):
        trace.get_tracer("logfire").start_span(
            "streaming response", attributes=chat(tokens, f"r{number}", **{"logfire.span_type": "log"})
        ).end()


ONE: Counts = (1, 1000, 20)
SITUATIONS: dict[Callable[[], None], Counts] = {
    **dict.fromkeys((nested, three_libraries, inside_our_own, inside_our_own_that_knows, our_own_inside_theirs), ONE),
    **dict.fromkeys((siblings, siblings_of_one_library, siblings_by_their_output, only_the_outer_one_knows), ONE),
    **dict.fromkeys((only_the_outer_one_knows_what_was_cached, the_inner_one_ends_late), ONE),
    **dict.fromkeys((the_inner_one_ends_late_and_alone_knows, a_callback_after_ours, a_callback_after_ours_alone_knows), ONE),
    recorded_after_the_request: ONE,
    told_after_its_end: ONE,
    what_is_around_ours_ends_first: ONE,
    what_is_around_ours_ends_first_and_knows_more_than_the_client: ONE,
    what_is_around_ours_ends_first_and_nothing_is_inside: ONE,
    **dict.fromkeys((siblings_without_ids, siblings_without_ids_the_outer_one_first, sibling_with_id_only_on_one), ONE),
    **dict.fromkeys((sibling_of_another_name_of_the_provider, siblings_of_which_only_one_knows, siblings_known_late), ONE),
    sibling_whose_model_is_named_by_the_answer: (2, 1000, 20),
    siblings_of_which_one_names_the_alias_only: ONE,
    **dict.fromkeys((inside_a_sibling_without_ids, inside_a_sibling_that_ended_first), ONE),
    a_callback_after_the_client_without_ids: ONE,
    **dict.fromkeys((an_agent_around_its_request, by_the_conventions_of_old), ONE),
    streams_told_when_they_are_read: (3, 1000, 20),
    two_at_once_of_equal_tokens_seen_twice: (2, 1000, 20),
    two_at_once_of_other_tokens_seen_twice: (2, 1000, 20),
    two_at_once_by_their_ids: (2, 1000, 20),
    two_without_ids_one_after_the_other: (2, 1000, 20),
    one_that_failed_and_one_that_did_not: (2, 1000, 20),
    **dict.fromkeys((a_failure_in_a_chain, two_frameworks_around_a_failure), (1, 0, 0)),
    a_failure_in_a_tool_that_a_failed_request_ran: (4, 0, 0),
    failures_at_once_in_a_chain: (4, 0, 0),
    failures_of_two_libraries_in_places_of_their_own: (2, 0, 0),
    **dict.fromkeys((a_stream_that_is_left, a_request_that_is_cancelled), (1, 0, 0)),
    **dict.fromkeys((a_stream_that_is_left_known_to_the_client, alike_in_two_frameworks), ONE),
    a_stream_that_is_cancelled_in_a_chain_and_closed_later: ONE,
    streams_at_once_of_which_one_is_left: (2, 1000, 20),
    a_run_around_its_calls: (2, 1500, 40),
    two_requests_in_one: (2, 1500, 40),
    embeddings_for_an_answer: (2, 1009, 20),
    embeddings_for_an_answer_seen_by_two_libraries_and_late: (2, 1009, 20),
    embeddings_for_an_answer_of_ours: (2, 1009, 20),
    embeddings_of_ours_that_do_not_say_so: (1, 9, 0),
    two_requests_of_which_one_is_not_read: (2, 1500, 40),
    a_tool_that_asks: (2, 1500, 40),
    a_tool_that_asks_known_late: (2, 1500, 40),
    our_tool_that_asks: (2, 1500, 40),
    one_after_the_other: (2, 1000, 20),
    a_server_that_repeats_its_id: (2, 1000, 20),
    one_retried_by_the_framework: (2, 1000, 20),
    after_ours_but_begun_later: (2, 1000, 20),
    a_failure_seen_side_by_side: (1, 0, 0),
    failures_at_once_seen_side_by_side: (2, 0, 0),
    failures_at_once_of_two_models: (2, 0, 0),
    two_attempts_that_failed_side_by_side: (2, 0, 0),
}


def of_metrics(metrics: Attributes) -> Counts:
    return metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]


def of_tree(task: TaskReader) -> Counts:
    total = tree(task).roots[0].total
    return total.ai_calls, total.tokens["input_tokens"], total.tokens["output_tokens"]


def of_index(task: TaskReader) -> Counts:
    runs = [run for run in extract_from(task).runs if run.kind == "ai_call"]
    return len(runs), sum(run.input_tokens for run in runs), sum(run.output_tokens for run in runs)


def of_otlp(task: TaskReader) -> Counts:
    """What the metrics of OpenTelemetry say of the same lines."""
    reader = InMemoryMetricReader()
    measure = Metrics(MeterProvider([reader]).get_meter("test"))
    for line in task.events():
        measure.on_line(line)
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    calls = sum(point.count for point in points.get(names.M_INFERENCE_DURATION, []))  # type: ignore[union-attr]  # a histogram
    used = [sum(point.value for point in points.get(name, [])) for name in (names.M_USAGE_INPUT, names.M_USAGE_OUTPUT)]  # type: ignore[union-attr]  # counters
    # Embeddings have metrics of their own.
    calls += sum(point.count for point in points.get(names.M_EMBEDDINGS_DURATION, []))  # type: ignore[union-attr]  # a histogram
    used[0] += sum(point.sum for point in points.get(names.M_EMBEDDINGS_INPUT_TOKENS, []))  # type: ignore[union-attr]  # the same
    return calls, *used  # type: ignore[return-value]  # two of them


def every_count(task: TaskReader) -> dict[str, Counts]:
    metrics = (task.final_result() or {})["metrics"]
    tally = Tally()
    for line in task.events():
        tally.add(line)
    return {
        "result": of_metrics(metrics),
        "replayed": of_metrics(tally.metrics()),
        "tree": of_tree(task),
        "index": of_index(task),
        "otlp": of_otlp(task),
    }


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.__name__)
def test_every_counter_counts_a_request_once(situation: Callable[[], None], tasks_root: Path) -> None:
    """Also the price: the cost is that of the tokens."""
    with agentlog.task("t", task_id="t"):
        situation()

    task = find_task(tasks_root, "t")
    wanted = SITUATIONS[situation]
    assert every_count(task) == dict.fromkeys(every_count(task), wanted)
    assert [str(problem) for problem in validate(task.folder).problems] == []
    end = [line for line in task.events() if line["type"] == "task"][-1]
    assert end["details"]["ai_calls"] == wanted[0]
    cost = (task.final_result() or {})["metrics"]["cost_usd"]
    embedded = EMBEDDINGS["gen_ai.usage.input_tokens"] if situation.__name__.startswith("embeddings") else 0
    if not wanted[1]:
        return
    assert cost == pytest.approx(tree(task).roots[0].total.cost_usd)
    assert cost == pytest.approx(((wanted[1] - embedded) * 2.5 + embedded * 0.02 + wanted[2] * 10) / 1e6)


def test_an_agent_whose_requests_nobody_sees_is_one_call(tasks_root: Path) -> None:
    """Its run; in the metrics of OpenTelemetry it is that, and no request."""
    with agentlog.task("t", task_id="t"), span("framework", {"openinference.span.kind": "CHAIN"}), span("framework", AGENT):
        pass

    task = find_task(tasks_root, "t")
    counts = every_count(task)
    assert counts.pop("otlp") == (0, 0, 0)
    assert counts == dict.fromkeys(counts, ONE)
    assert [str(problem) for problem in validate(task.folder).problems] == []


def test_a_further_view_says_what_it_is(tasks_root: Path) -> None:
    """It is a plain span, and names the span that counts."""
    with agentlog.task("t", task_id="t"):
        nested()

    ends = [line for line in find_task(tasks_root, "t").events() if line["phase" if "phase" in line else "type"] == "end"]
    inner, outer = ends[0], ends[1]
    assert (inner["type"], outer["type"]) == ("ai_response", "span")
    assert outer["details"] == {"same_call_as": inner["span_id"]}


def test_a_failure_is_one_error(tasks_root: Path) -> None:
    """Views of a request that failed do not fail once each."""
    with agentlog.task("t", task_id="t"), pytest.raises(ValueError, match="no"):
        with span("framework", chat(None, None)), span("client", chat(None, None)):
            raise ValueError("no")

    assert (find_task(tasks_root, "t").final_result() or {})["metrics"]["errors"] == 1


def test_a_stream_that_is_left_is_no_error(tasks_root: Path) -> None:
    """Where another view of the request says that it went well."""
    with agentlog.task("t", task_id="t"):
        a_stream_that_is_left()

    assert (find_task(tasks_root, "t").final_result() or {})["metrics"]["errors"] == 0


@pytest.mark.parametrize("beside", [False, True])
def test_views_of_one_failed_request_have_one_error(beside: bool, tasks_root: Path) -> None:
    """Also where each library says it in words of its own."""
    with agentlog.task("t", task_id="t"):
        outer = view("framework")
        here = None if beside else trace.set_span_in_context(outer)
        inner = trace.get_tracer("native").start_span("b", here, attributes=chat(None, None))
        inner.set_attribute("error.type", "api_error")
        outer.record_exception(ValueError("refused: no such model"))
        fail(inner, outer)
        fail(view("native"))

    lines = [line for line in find_task(tasks_root, "t").events() if "exception" in line]
    first, second, other = (line["exception"] for line in lines)
    assert first["error_id"] == second["error_id"] != other["error_id"]
    assert (first["type"], second["type"], second["message"]) == ("api_error", "ValueError", "refused: no such model")


def test_a_view_that_never_ends_is_none_of_another_request(tasks_root: Path) -> None:
    """A library may leave the span of a stream open, beside that of the client: one request, below the model's name."""
    with agentlog.task("t", task_id="t"):
        open_for_ever = trace.get_tracer("traceloop").start_span("chat", attributes={"gen_ai.operation.name": "chat"})
        inner = view("native")
        inner.set_attributes(chat())
        inner.end()

    task = find_task(tasks_root, "t")
    assert every_count(task) == dict.fromkeys(every_count(task), ONE)
    assert [run.name for run in extract_from(task).runs if run.kind == "ai_call"] == ["gpt-4o"]
    assert open_for_ever.is_recording()


def test_one_tool_run_is_counted_once(tasks_root: Path) -> None:
    """Three views of one run; a tool that runs another one, and one that runs itself, are two."""
    run = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather"}
    with agentlog.task("t", task_id="t"):
        with span("agents", run), span("mcp", run), agentlog.tool("weather"):
            pass
        with span("agents", run), span("agents", run):
            pass
        with span("agents", run), span("mcp", {**run, "gen_ai.tool.name": "other"}):
            pass

    task = find_task(tasks_root, "t")
    end = [line for line in task.events() if line["type"] == "task"][-1]
    assert (task.final_result() or {})["metrics"]["tool_runs"] == 5
    assert tree(task).roots[0].total.tool_runs == end["details"]["tool_runs"] == 5


def test_what_ends_after_the_task_is_in_its_result(tasks_root: Path) -> None:
    """Tokens of a request that another library reports late; one that never ends is no fault of the folder."""
    with agentlog.task("t", task_id="t"):
        late = trace.get_tracer("lib").start_span("late", attributes=chat(None, None))
        trace.get_tracer("lib").start_span("never", attributes=chat(None, None))
    late.set_attributes(chat())
    late.end()

    task = find_task(tasks_root, "t")
    assert of_metrics((task.final_result() or {})["metrics"]) == of_tree(task) == of_index(task) == (2, 1000, 20)
    assert validate(task.folder).ok


DIES = """
import os, sys
import otel_agentlog as agentlog
from opentelemetry import trace
from tests.end_to_end.test_counted_once import chat, span
agentlog.configure(service_name="x", directory=sys.argv[1], console="off", capture_logging=False)
with agentlog.task("t", task_id="t"):
    with span("framework", chat(None, None)), span("middle", chat(None, None)):
        with span("client", chat()):
            if sys.argv[2] == "within": os._exit(9)
        os._exit(9)
"""


@pytest.mark.parametrize(("when", "wanted"), [("within", (1, 0, 0)), ("after", ONE)])
def test_a_dead_process_leaves_one_call(when: str, wanted: Counts, tmp_path: Path) -> None:
    """What was open of a request's views is closed by recovery, and still is one call."""
    root = tmp_path / "tasks"
    subprocess.run([sys.executable, "-c", DIES, str(root), when], check=False, timeout=60)
    recover(root)

    task = find_task(root, "t")
    counts = every_count(task)
    assert {key: counts[key] for key in ("result", "replayed", "tree", "index")} == dict.fromkeys(
        ("result", "replayed", "tree", "index"), wanted
    )
    assert validate(task.folder).ok


@dataclass
class Request:
    """A request, and who sees it from the inside out: library, whether it knows the tokens, and when its kind."""

    tokens: tuple[int, int]
    views: list[tuple[str, bool, bool]]


@dataclass
class Group:
    """Something around requests: a framework's span of the whole, a plain span, a step or a tool."""

    around: str
    inside: list[Any]


_views = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), min_size=1, max_size=4)
_requests = st.builds(Request, st.tuples(st.integers(1, 999), st.integers(1, 99)), _views)
_work = st.recursive(
    _requests,
    lambda inner: st.builds(
        Group, st.sampled_from(["framework", "plain", "step", "tool", "their tool"]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


def _wanted(work: Request | Group) -> tuple[list[tuple[int, int]], int]:
    """Tokens of each request that counts, and how many of them can be seen from outside."""
    if isinstance(work, Request):
        return [work.tokens if any(knows for _, knows, _ in work.views) else (0, 0)], 1
    inner = [_wanted(each) for each in work.inside]
    found, seen = [tokens for each, _ in inner for tokens in each], sum(count for _, count in inner)
    if work.around == "framework" and seen == 0:
        return [*found, (0, 0)], 1  # nothing else saw its request
    return found, 0 if "tool" in work.around else seen


def _do(work: Request | Group, number: Iterator[int]) -> None:
    if isinstance(work, Group):
        with _around(work.around):
            for inner in work.inside:
                _do(inner, number)
        return
    identity = f"r{next(number)}"
    with ExitStack() as stack:
        for library, knows, late in reversed(work.views):
            stack.enter_context(span(library, chat(work.tokens if knows else None, identity), late))


def _around(what: str) -> AbstractContextManager[Any]:
    made: dict[str, Callable[[], Any]] = {
        "framework": lambda: span("framework", chat(None, None)),
        "plain": lambda: span("plain", {}),
        "step": lambda: agentlog.step("s"),
        "tool": lambda: agentlog.tool("t"),
        "their tool": lambda: span("agents", {"openinference.span.kind": "TOOL"}, late=True),
    }
    return made[what]()


@given(_work)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_nesting_of_views_is_counted_by_its_requests(tasks_root: Path, work: Request | Group) -> None:
    """However views, steps and tools are nested, the requests are counted."""
    with agentlog.task("t") as task:
        _do(work, iter(range(1000)))

    found = find_task(tasks_root, task.task_id)
    counts = every_count(found)
    requests, _ = _wanted(work)
    wanted = (len(requests), sum(a for a, _ in requests), sum(b for _, b in requests))
    assert counts == dict.fromkeys(counts, wanted)
    assert validate(found.folder).problems == []


def test_a_tool_run_whose_other_view_ends_first_is_counted_once(tasks_root: Path) -> None:
    """As where two processors see one run, and the one around is told of its end first."""
    with agentlog.task("t", task_id="t"):
        theirs = trace.get_tracer("agents").start_span("weather", attributes={"gen_ai.operation.name": "execute_tool"})
        with trace.use_span(theirs):
            ours = agentlog.tool("weather").start()
        theirs.end()
        ours.end()

    task = find_task(tasks_root, "t")
    assert (task.final_result() or {})["metrics"]["tool_runs"] == 1
    assert [str(problem) for problem in validate(task.folder).problems] == []
