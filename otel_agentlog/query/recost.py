"""What AI calls would cost by other prices than those of their day, beside what was recorded. Nothing is rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from otel_agentlog.model import Cost, Usage
from otel_agentlog.query.ai_calls import EndedCall

Price = Callable[[str | None, str | None, Usage], Cost | None]
"""Tells what the tokens of one call of a provider's model cost; ``None`` if that is not known."""

_DIGITS = 10  # ten-billionths of a dollar, the precision of ``04-final-result.json``


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
    """Return the cost of calls as recorded and by `price`, by the model that was asked for."""
    by_model: dict[str | None, Recosted] = {}
    total, sources = Recosted(None), set[str]()
    for call in calls:
        cost = price(call.provider, call.answered_by, call.usage)
        repriced = None if cost is None else cost.amount_usd
        if cost is not None:
            sources.add(" ".join(filter(None, (cost.source, cost.version))))
        for sums in (by_model.setdefault(call.model, Recosted(call.model)), total):
            sums.add(call.cost_usd, repriced)
    models = sorted(by_model.values(), key=lambda sums: (-(sums.repriced_usd or 0), -sums.calls, sums.model or ""))
    return Recost(models, total, sorted(sources))


def _plus(total: float | None, more: float | None) -> float | None:
    return total if more is None else round((total or 0.0) + more, _DIGITS)
