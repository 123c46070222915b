"""What AI calls would cost by other prices than those of their day, beside what was recorded. Nothing is rewritten."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.index.row import amount
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.usage import USAGE_FIELDS, Cost, Usage

Price = Callable[[str | None, str | None, Usage], Cost | None]
"""Takes provider, model and tokens of one call, returns what they cost; ``None`` if that is not known."""

_DIGITS = 10  # ten-billionths of a dollar, the precision of ``04-final-result.json``


@dataclass(frozen=True, slots=True)
class EndedCall:
    """One AI call that ended, whatever became of it."""

    provider: str | None
    model: str | None
    """The model of the request."""
    answered_by: str | None
    """The model that the response names, which is the one that is paid for; that of the request where it names none."""
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


@dataclass(slots=True)
class Recosted:
    """AI calls of one model, or all of them."""

    model: str | None
    calls: int = 0
    recorded_usd: float | None = None
    """Sum of what was recorded; ``None`` if nothing was."""
    unpriced: int = 0
    """Calls whose recorded cost is unknown."""
    repriced_usd: float | None = None
    """Sum by the other prices; ``None`` if none is known."""
    not_repriced: int = 0
    """Calls whose cost by the other prices is unknown."""
    difference_usd: float | None = None
    """How much more the calls cost by the other prices, of those alone whose cost is known both ways; ``None`` if none is."""

    def add(self, recorded: float | None, repriced: float | None) -> None:
        """Count one call."""
        self.calls += 1
        self.unpriced += recorded is None
        self.not_repriced += repriced is None
        self.recorded_usd = _plus(self.recorded_usd, recorded)
        self.repriced_usd = _plus(self.repriced_usd, repriced)
        if recorded is not None and repriced is not None:
            self.difference_usd = _plus(self.difference_usd, repriced - recorded)

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return asdict(self)


@dataclass(slots=True)
class Recost:
    """What came out."""

    models: list[Recosted]
    """The dearest by the other prices first."""
    total: Recosted
    sources: list[str]
    """Where the other prices came from, with the version of the table where it has one."""


def recost(calls: Iterable[EndedCall], price: Price) -> Recost:
    """Return the cost of calls as recorded and by `price`, by the model of the request."""
    by_model: dict[str | None, Recosted] = {}
    total, sources = Recosted(None), set[str]()
    for call in calls:
        cost = price(call.provider, call.answered_by, call.usage)
        if cost is None and call.model != call.answered_by and not (call.answered_by or "").endswith(":free"):
            cost = price(call.provider, call.model, call.usage)
        repriced = None if cost is None else cost.amount_usd
        if cost is not None:
            sources.add(" ".join(filter(None, (cost.source, cost.version))))
        for sums in (by_model.setdefault(call.model, Recosted(call.model)), total):
            sums.add(call.cost_usd, repriced)
    models = sorted(by_model.values(), key=lambda sums: (-(sums.repriced_usd or 0), -sums.calls, sums.model or ""))
    return Recost(models, total, sorted(sources))


def _plus(total: float | None, more: float | None) -> float | None:
    return total if more is None else round((total or 0.0) + more, _DIGITS)
