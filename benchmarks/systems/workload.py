"""The task that every system records: 1 root, 5 steps, each with 1 AI call, 2 tool runs and 10 log records of 6 fields.

That is 21 spans and 50 log records. All texts are made before anything is measured. Each log record has a number of its own,
``seq``, by which the receiver knows it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

STEPS, TOOLS, LOGS = 5, 2, 10
SPANS_OF_A_TASK = 1 + STEPS * (2 + TOOLS)
LOGS_OF_A_TASK = STEPS * LOGS
EVENTS_OF_A_TASK = SPANS_OF_A_TASK + LOGS_OF_A_TASK

_TEXT = (
    "agent step plan tool call result error retry model token prompt context window file patch test build deploy webhook queue "
    'task search index vector memory user request response status latency café naïve 任务 "quoted" path/to/file.py line\n'
)
_WORDS = _TEXT.split(" ")
_TOOLS = ("read_file", "run_tests", "search_code", "apply_patch")
_MESSAGES = ("tool finished", "planning next action", "cache miss, fetching context", "agent produced output", "validating patch")


@dataclass(frozen=True)
class Ai:
    """An AI call and its answer."""

    prompt: str
    answer: str
    input_tokens: int
    output_tokens: int
    response_id: str
    provider: str = "anthropic"
    model: str = "claude-opus-4"
    temperature: float = 0.2
    max_tokens: int = 4096


@dataclass(frozen=True)
class Tool:
    """A tool run and its result."""

    name: str
    call_id: str
    arguments: str
    result: str


@dataclass(frozen=True)
class Step:
    """A step; after the AI call come four of the log records, after each tool run three."""

    index: int
    name: str
    ai: Ai
    tools: Sequence[Tool]
    logs: Sequence[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Task:
    """A whole task."""

    id: str
    session_id: str
    agent: str
    steps: Sequence[Step]


class System(Protocol):
    """What records: the product, the bare SDK, others."""

    def task(self, task: Task) -> AbstractContextManager[Any]: ...
    def step(self, task: Task, step: Step) -> AbstractContextManager[Any]: ...
    def ai(self, ai: Ai) -> AbstractContextManager[Any]: ...
    def answer(self, call: Any, ai: Ai) -> None: ...
    def tool(self, tool: Tool) -> AbstractContextManager[Any]: ...
    def result(self, run: Any, tool: Tool) -> None: ...
    def log(self, message: str, fields: dict[str, Any]) -> None: ...
    def flush(self) -> None: ...
    def shutdown(self) -> None: ...


# -- making tasks ---------------------------------------------------------------------------------------------------------


def task_id(number: int) -> str:
    """The id of the task with this number."""
    return f"task-{number:08d}"


def make_tasks(count: int) -> list[Task]:
    """That many tasks, the same each time."""
    pick = random.Random(1234)
    prompts, answers, arguments, results = ([_text(pick, size) for _ in range(64)] for size in (2048, 1024, 200, 1024))
    return [
        Task(
            id=task_id(number),
            session_id=f"sess-{number % 50:04d}",
            agent="coder",
            steps=[_step(pick, number, index, prompts, answers, arguments, results) for index in range(STEPS)],
        )
        for number in range(count)
    ]


def _text(pick: random.Random, size: int) -> str:
    return " ".join(pick.choices(_WORDS, k=size // 2))[:size]


def _step(pick: random.Random, number: int, index: int, *texts: list[str]) -> Step:
    prompts, answers, arguments, results = texts
    return Step(
        index=index,
        name=f"step-{index}",
        ai=Ai(
            pick.choice(prompts), pick.choice(answers), pick.randint(500, 999), pick.randint(200, 399), f"resp-{number}-{index}"
        ),
        tools=[
            Tool(_TOOLS[(index + which) % 4], f"call-{number}-{index}-{which}", pick.choice(arguments), pick.choice(results))
            for which in range(TOOLS)
        ],
        logs=[(pick.choice(_MESSAGES), _fields(pick, number, index, which)) for which in range(LOGS)],
    )


def _fields(pick: random.Random, number: int, index: int, which: int) -> dict[str, Any]:
    seq = (number * STEPS + index) * LOGS + which
    duration = round(pick.random() * 900, 3)
    tool = _TOOLS[which % 4]
    return {"seq": seq, "task_id": task_id(number), "step": index, "tool": tool, "duration_ms": duration, "outcome": "ok"}


# -- recording them -------------------------------------------------------------------------------------------------------


def run_task(system: System, task: Task) -> None:
    """Record one task."""
    with system.task(task):
        for step in task.steps:
            with system.step(task, step):
                with system.ai(step.ai) as call:
                    system.answer(call, step.ai)
                for message, fields in step.logs[:4]:
                    system.log(message, fields)
                for number, tool in enumerate(step.tools):
                    with system.tool(tool) as run:
                        system.result(run, tool)
                    for message, fields in step.logs[4 + 3 * number : 7 + 3 * number]:
                        system.log(message, fields)


async def run_task_async(system: System, task: Task) -> None:
    """The same in a coroutine that lets others go on within each AI call and tool run."""
    with system.task(task):
        for step in task.steps:
            with system.step(task, step):
                with system.ai(step.ai) as call:
                    await asyncio.sleep(0)
                    system.answer(call, step.ai)
                for message, fields in step.logs[:4]:
                    system.log(message, fields)
                for number, tool in enumerate(step.tools):
                    with system.tool(tool) as run:
                        await asyncio.sleep(0)
                        system.result(run, tool)
                    for message, fields in step.logs[4 + 3 * number : 7 + 3 * number]:
                        system.log(message, fields)


class Timed:
    """A system whose log calls and spans are timed: nanoseconds by the clock, a span's start and end together."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.logs: list[int] = []
        self.spans: list[int] = []

    def task(self, task: Task) -> AbstractContextManager[Any]:
        return _TimedSpan(self.spans, lambda: self._system.task(task))

    def step(self, task: Task, step: Step) -> AbstractContextManager[Any]:
        return _TimedSpan(self.spans, lambda: self._system.step(task, step))

    def ai(self, ai: Ai) -> AbstractContextManager[Any]:
        return _TimedSpan(self.spans, lambda: self._system.ai(ai), lambda call: self._system.answer(call, ai))

    def tool(self, tool: Tool) -> AbstractContextManager[Any]:
        return _TimedSpan(self.spans, lambda: self._system.tool(tool), lambda run: self._system.result(run, tool))

    def answer(self, call: Any, ai: Ai) -> None:
        """Nothing: it is part of the end that is timed, as is the next."""

    def result(self, run: Any, tool: Tool) -> None:
        pass

    def log(self, message: str, fields: dict[str, Any]) -> None:
        began = time.perf_counter_ns()
        self._system.log(message, fields)
        self.logs.append(time.perf_counter_ns() - began)

    def flush(self) -> None:
        self._system.flush()

    def shutdown(self) -> None:
        self._system.shutdown()


class _TimedSpan:
    def __init__(self, taken: list[int], make: Any, finish: Any = None) -> None:
        self._taken, self._make, self._finish = taken, make, finish

    def __enter__(self) -> Any:
        began = time.perf_counter_ns()
        self._span = self._make()
        self._inside = self._span.__enter__()
        self._start = time.perf_counter_ns() - began
        return self._inside

    def __exit__(self, *raised: Any) -> bool | None:
        began = time.perf_counter_ns()
        if self._finish:
            self._finish(self._inside)
        swallowed = self._span.__exit__(*raised)
        self._taken.append(self._start + time.perf_counter_ns() - began)
        return swallowed
