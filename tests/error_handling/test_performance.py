"""How long functions take, as events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.testing import MemorySink


def test_a_call_is_measured(recorded: MemorySink) -> None:
    """Component, function and duration stand on an event of the current task; the result passes."""

    @agentlog.log_performance(agentlog.Component.DATABASE)
    def query(number: int) -> int:
        return number + 1

    with agentlog.task("job") as task:
        assert query(1) == 2

    (line,) = recorded.of(type="event")
    assert (line["component"], line["action"], line["level"]) == ("database", "performance_measured", "INFO")
    assert line["details"]["function"].endswith("query")
    assert line["details"]["duration_ms"] >= 0
    assert line["span_id"] == task.span_id


def test_a_slow_call_is_a_warning(recorded: MemorySink) -> None:
    """From the threshold on it is slow, below it is not."""
    agentlog.log_performance("web", threshold_ms=0)(lambda: None)()
    agentlog.log_performance("web", threshold_ms=3_600_000)(lambda: None)()

    slow, fast = recorded.lines
    assert (slow["action"], slow["level"], slow["details"]["threshold_ms"]) == ("slow_operation", "WARNING", 0)
    assert (fast["action"], fast["level"]) == ("performance_measured", "INFO")


def test_an_exception_passes_and_is_noted(recorded: MemorySink) -> None:
    """The call that raised is measured too."""

    @agentlog.log_performance("web")
    def broken() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        broken()

    assert recorded.lines[0]["details"]["error_type"] == "ValueError"


async def test_coroutines_methods_and_generators(recorded: MemorySink) -> None:
    """Each kind of function keeps its kind and is measured to its end."""

    class Agent:
        @agentlog.log_performance("agent")
        async def ask(self) -> str:
            await asyncio.sleep(0)
            return "yes"

        @staticmethod
        @agentlog.log_performance("agent")
        def count() -> Iterator[int]:
            yield from range(3)

    assert asyncio.iscoroutinefunction(Agent.ask)
    assert await Agent().ask() == "yes"
    assert list(Agent.count()) == [0, 1, 2]
    assert [line["details"]["function"].rpartition(".")[2] for line in recorded.lines] == ["ask", "count"]


def test_what_cannot_be_measured_is_refused() -> None:
    """An async generator, and a threshold that is no number."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="async generator"):
        agentlog.log_performance("web")(numbers)
    wrong: Any
    for wrong in ("fast", True, -1, float("nan")):
        with pytest.raises(agentlog.ConfigurationError, match="threshold_ms"):
            agentlog.log_performance("web", threshold_ms=wrong)
