"""What a framework reports and a decorator of ours sees, too, counts once; so many runs as there were stay so many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.integrations.openai_agents import AgentlogTracingProcessor
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.store.validation.validate import validate

numbers = iter(range(1_000_000))


@contextmanager
def reported(processor: AgentlogTracingProcessor, kind: str, **data: Any) -> Iterator[Any]:
    """A span of openai-agents, as it is told to our processor."""
    span = SimpleNamespace(
        span_id=f"span_{next(numbers)}",
        trace_id="trace_1",
        parent_id=None,
        span_data=SimpleNamespace(type=kind, **data),
        error=None,
    )
    processor.on_span_start(span)
    try:
        yield span
    except Exception as error:  # as openai-agents does with a tool's: it goes back to the model
        span.error = {"message": "Error running tool", "data": {"error": str(error)}}
    finally:
        processor.on_span_end(span)


@agentlog.tool
def f(x: int) -> str:
    """A tool."""
    if x < 0:
        raise ValueError("no")
    return f"r{x}"


@agentlog.tool
async def g(x: int) -> str:
    """A tool that waits."""
    await asyncio.sleep(0)
    return f"r{x}"


def once(agents: AgentlogTracingProcessor) -> None:
    with reported(agents, "function", name="f", input='{"x": 1}'):
        f(1)


def failed(agents: AgentlogTracingProcessor) -> None:
    with reported(agents, "function", name="f"):
        f(-1)


def tried_twice(agents: AgentlogTracingProcessor) -> None:
    """By the function that the framework calls: two runs."""
    with reported(agents, "function", name="f"):
        with suppress(ValueError):
            f(-1)
        f(1)


def of_another_name(agents: AgentlogTracingProcessor) -> None:
    """A tool that runs another one."""
    with reported(agents, "function", name="other"):
        f(1)


def not_ours(agents: AgentlogTracingProcessor) -> None:
    with reported(agents, "function", name="f"):
        pass


def itself(agents: AgentlogTracingProcessor) -> None:
    """Two runs of ours, of which nobody reports."""
    with agentlog.tool("f"):
        f(1)


def at_once(agents: AgentlogTracingProcessor) -> None:
    """With the same arguments."""

    async def one() -> None:
        with reported(agents, "function", name="g", input='{"x": 1}'):
            await g(1)

    async def both() -> None:
        await asyncio.gather(one(), one())

    asyncio.run(both())


def cancelled(agents: AgentlogTracingProcessor) -> None:
    async def one() -> None:
        with reported(agents, "function", name="g"):
            await g(1)

    async def left() -> None:
        task = asyncio.ensure_future(one())
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(left())


def seen_by_others_too(agents: AgentlogTracingProcessor) -> None:
    run = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f"}
    with trace.get_tracer("agents").start_as_current_span("f", attributes=run):
        once(agents)


Situation = Callable[[AgentlogTracingProcessor], None]
TOOLS: dict[Situation, tuple[int, int]] = {
    once: (1, 0),
    failed: (1, 1),
    tried_twice: (2, 1),
    of_another_name: (2, 0),
    not_ours: (1, 0),
    itself: (2, 0),
    at_once: (2, 0),
    cancelled: (1, 0),
    seen_by_others_too: (1, 0),
}
"""Runs of tools, and errors."""


@pytest.mark.parametrize("situation", TOOLS, ids=lambda each: each.__name__)
def test_a_tool_of_ours_that_a_framework_reports(situation: Situation, tasks_root: Path) -> None:
    """By the processor for openai-agents."""
    with agentlog.task("t", task_id="t"):
        situation(AgentlogTracingProcessor())

    task = find_task(tasks_root, "t")
    end = [line for line in task.events() if line["type"] == "task"][-1]
    runs, errors = TOOLS[situation]
    metrics = (task.final_result() or {})["metrics"]
    assert (metrics["tool_runs"], end["details"].get("tool_runs", 0), tree(task).roots[0].total.tool_runs) == (runs,) * 3
    assert metrics["errors"] == errors
    assert [str(problem) for problem in validate(task.folder).problems] == []


USAGE = {"prompt_tokens": 1000, "completion_tokens": 20}


def answered(agents: AgentlogTracingProcessor, *own: tuple[int, int] | None, usage: Any = USAGE) -> None:
    """A request as the framework tells it, with calls of the user's own in it: their tokens, ``None`` for one that failed."""
    with reported(agents, "generation", model="gpt-4o", usage=usage, output=[{"role": "assistant", "content": "x"}]):
        for tokens in own:
            with suppress(ValueError), agentlog.ai_call("gpt-4o", provider="openai") as call:
                if tokens is None:
                    raise ValueError("no")
                call.usage(input_tokens=tokens[0], output_tokens=tokens[1])


CALLS: dict[str, tuple[Situation, tuple[int, int, int]]] = {
    "none of ours": (lambda agents: answered(agents), (1, 1000, 20)),
    "one of ours": (lambda agents: answered(agents, (1000, 20)), (1, 1000, 20)),
    "that knows more": (lambda agents: answered(agents, (1000, 20), usage=None), (1, 1000, 20)),
    "tried again": (lambda agents: answered(agents, None, (1000, 20)), (2, 1000, 20)),
    "another request": (lambda agents: answered(agents, (30, 1)), (2, 1030, 21)),
    "one after the other": (lambda agents: [answered(agents, (1000, 20)) for _ in range(2)] and None, (2, 2000, 40)),
}
"""Calls, and tokens."""


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_ours_that_a_framework_reports(name: str, tasks_root: Path) -> None:
    """In a model class of the user's own: its spans have no id of the answer."""
    situation, wanted = CALLS[name]
    with agentlog.task("t", task_id="t"):
        situation(AgentlogTracingProcessor())

    task = find_task(tasks_root, "t")
    metrics, total = (task.final_result() or {})["metrics"], tree(task).roots[0].total
    assert tuple(metrics[key] for key in ("ai_calls", "input_tokens", "output_tokens")) == wanted
    assert (total.ai_calls, total.tokens["input_tokens"]) == wanted[:2]
    assert [str(problem) for problem in validate(task.folder).problems] == []


# -- by spans that are not made current, as those of OpenInference for LangChain ------------------------------------------------


@contextmanager
def beside(library: str, name: str, arguments: str | None = None, elsewhere: bool = False) -> Iterator[None]:
    """A span around a run, in a chain, which says what it is at its end; begun and ended in another thread if ``elsewhere``."""
    tracer = trace.get_tracer(library)
    chain = tracer.start_span("chain")
    here = trace.set_span_in_context(chain)
    span = in_thread(lambda: tracer.start_span(name, here)) if elsewhere else tracer.start_span(name, here)
    try:
        yield
    except Exception as error:
        span.record_exception(error)
        span.set_status(trace.StatusCode.ERROR)
        raise
    finally:
        given = {} if arguments is None else {"input.value": arguments, "input.mime_type": "application/json"}
        span.set_attributes({"openinference.span.kind": "TOOL", "tool.name": name, **given})
        span.end()
        chain.end()


def in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, work).result()


def seen_beside() -> None:
    with beside("langchain", "f"):
        f(1)


def two_seen_beside() -> None:
    for _ in range(2):
        seen_beside()


def seen_beside_and_failed() -> None:
    with suppress(ValueError), beside("langchain", "f"):
        f(-1)


def at_once_beside() -> None:
    """With the same arguments, each view told in another thread."""

    async def one() -> None:
        with beside("langchain", "g", '{"x": 1}', elsewhere=True):
            await g(1)

    async def both() -> None:
        await asyncio.gather(one(), one())

    asyncio.run(both())


def run_elsewhere() -> None:
    with beside("langchain", "f", '{"x": 1}'):
        in_thread(lambda: f(1))


def run_elsewhere_with_other_arguments() -> None:
    """Nothing says that the framework's is that of ours."""
    with beside("langchain", "f", '{"x": 2}'):
        in_thread(lambda: f(1))


def twice_in_one_view() -> None:
    with beside("langchain", "f"):
        f(1)
        f(2)


def one_of_another_name() -> None:
    with beside("langchain", "other"):
        f(1)


def in_a_step() -> None:
    """What the framework calls has a step of its own around it: another place."""
    with beside("langchain", "other"), agentlog.step("s"), beside("langchain", "f"):
        f(1)


def one_after_the_other() -> None:
    with beside("langchain", "f"):
        pass
    f(1)


def by_two_libraries() -> None:
    with beside("langchain", "f", '{"x": 1}'), beside("other", "f", '{"x": 1}'):
        f(1)


def by_two_libraries_without_ours() -> None:
    both = [trace.get_tracer(library).start_span("f") for library in ("langchain", "other")]
    for each in both:
        each.set_attributes({"openinference.span.kind": "TOOL", "tool.name": "f"})
        each.end()


BESIDE: dict[Callable[[], None], int] = {
    seen_beside: 1,
    two_seen_beside: 2,
    seen_beside_and_failed: 1,
    at_once_beside: 2,
    run_elsewhere: 1,
    run_elsewhere_with_other_arguments: 2,
    twice_in_one_view: 2,
    one_of_another_name: 2,
    in_a_step: 2,
    one_after_the_other: 2,
    by_two_libraries: 1,
    by_two_libraries_without_ours: 1,
}


@pytest.mark.parametrize("situation", BESIDE, ids=lambda each: each.__name__)
def test_a_tool_of_ours_that_is_seen_beside(situation: Callable[[], None], tasks_root: Path) -> None:
    """By a library whose spans are no parents of what runs in them."""
    with agentlog.task("t", task_id="t"):
        situation()

    task = find_task(tasks_root, "t")
    runs = (task.final_result() or {})["metrics"]["tool_runs"]
    assert (runs, tree(task).roots[0].total.tool_runs) == (BESIDE[situation], BESIDE[situation])
    assert [str(problem) for problem in validate(task.folder).problems] == []


def test_runs_that_are_remembered_are_small(tasks_root: Path) -> None:
    """A task that writes a hundred large files does not keep them."""
    with agentlog.task("large") as task:
        with trace.get_tracer("another").start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat"}):
            pass
        for number in range(150):
            with agentlog.tool("Write", arguments={"path": f"{number}.txt", "text": "x" * 200_000, "lines": ["y" * 1000] * 100}):
                pass
        remembered = task.task.seen._runs if task.task is not None and task.task.seen is not None else ()

        assert 0 < len(remembered) <= 100
        assert all(len(repr(run.arguments)) < 500 for run in remembered)
