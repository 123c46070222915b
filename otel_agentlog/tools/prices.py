"""The prices of today, for AI calls that were recorded earlier."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.vocabulary.usage import Cost, Usage


def todays_prices(own: Mapping[str, Mapping[str, float]]) -> Callable[[str | None, str | None, Usage], Cost | None]:
    """Return a function from provider, model and tokens of an AI call to its cost; ``None`` where no price is known.

    Prices are those of `own` (the setting ``prices``), else those of the table that is installed here, as of today.

    Raises:
        ConfigurationError: a price of `own` cannot be used.
    """
    table = PriceTable(own)
    return lambda provider, model, usage: table.cost(provider, model, usage)


def has_price_table() -> bool:
    """Whether the optional package with the prices of many models is installed (extra ``prices``)."""
    return PriceTable().load()
