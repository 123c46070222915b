"""Hides how the AI calls of a task, with what they used and what was said about their cost, stand in its lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from otel_agentlog.model import USAGE_FIELDS, Usage
from otel_agentlog.store import TaskReader, amount, mapping, number, text, whole


@dataclass(frozen=True, slots=True)
class EndedCall:
    """One AI call that ended, whatever became of it."""

    provider: str | None
    model: str | None
    """The model that was asked for."""
    answered_by: str | None
    """The model that the response names, which is the one that is paid for; that asked for where it names none."""
    usage: Usage
    """Of all attempts together."""
    cost_usd: float | None
    """As recorded; ``None`` where no price was known."""


def ended_calls(task: TaskReader) -> Iterator[EndedCall]:
    """Yield the AI calls of a task that ended, in the order of their ends. Damaged lines are skipped."""
    for line in task.events():
        if line.get("type") == "ai_response" and line.get("phase") == "end":
            yield _call(mapping(whole(line, task), "details"))


def _call(details: Mapping[str, Any]) -> EndedCall:
    model = text(details, "model") or text(details, "response_model")
    return EndedCall(
        provider=text(details, "provider"),
        model=model,
        answered_by=text(details, "response_model") or model,
        usage=Usage(**{field: amount(details.get(field)) for field in USAGE_FIELDS}),
        cost_usd=_cost(number(details, "cost_usd")),
    )


def _cost(amount_usd: float | None) -> float | None:
    """What only damage writes is no cost."""
    return amount_usd if amount_usd is not None and 0 <= amount_usd < math.inf else None
