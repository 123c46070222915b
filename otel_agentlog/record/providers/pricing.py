"""Computes the cost of tokens in US dollars, from the user's prices or a price table.

Prices are the user's own, else those of the optional package ``genai-prices`` (extra ``prices``), which brings them as
data: nothing here opens a connection. Its import takes about 0.3 s alone and 0.05 s where the Anthropic or OpenAI
package is loaded already, and happens with the first price needed, or when `PriceTable.load` is called. What has no
price costs ``None``, never 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.vocabulary.usage import Cost, Usage

SOURCE = "genai-prices"
"""`Cost.source` of a price from the package."""

_PROVIDERS = {
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gcp.gemini": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
"""Names of providers in the GenAI convention, or in common use, that differ from those of the price table."""

_DATED = re.compile(r"[-@](?:20\d{2}-?\d{2}-?\d{2}|\d{4}|latest)$")
"""The end of a model's name that is its version: ``-20250929``, ``-2025-08-07``, ``-0613``, ``-latest``."""


@dataclass(frozen=True)
class Billing:
    """Fields of a response that change the price of its tokens (`read.read_billing`)."""

    service_tier: str | None = None
    """``batch``, ``flex``, ``priority`` …, as the provider names it."""
    speed: str | None = None
    cache_write_1h_input_tokens: int | None = None
    """Of the tokens written to the cache, those kept for an hour (Anthropic), which cost more."""
    web_searches: int | None = None


@dataclass(frozen=True)
class Price:
    """Dollars per million tokens of one model; ``None`` is not known. Cached input without a price costs as input."""

    input_per_mtok: float | None = None
    output_per_mtok: float | None = None
    cache_read_per_mtok: float | None = None
    cache_write_per_mtok: float | None = None

    def of(self, usage: Usage) -> float | None:
        """Dollars for these tokens; ``None`` if some that were used have no price or no count."""
        read, written = usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0
        fresh = None if usage.input_tokens is None else usage.input_tokens - read - written
        terms = (
            _dollars(fresh, self.input_per_mtok),
            _dollars(read, _or(self.cache_read_per_mtok, self.input_per_mtok)),
            _dollars(written, _or(self.cache_write_per_mtok, self.input_per_mtok)),
            _dollars(usage.output_tokens, self.output_per_mtok),
        )
        known = [term for term in terms if term is not None]
        return sum(known) if len(known) == len(terms) else None


class PriceTable:
    """Prices by model. Safe from any thread once constructed."""

    def __init__(self, overrides: Mapping[str, Mapping[str, float]] | None = None, *, setting: str = "prices") -> None:
        """``overrides``: for each model, or ``provider/model``, the fields of `Price` in dollars.

        Raises:
            ConfigurationError: a price is not a number from 0, or a key is not a field of `Price`.
        """
        self._own = {model.lower(): _price(f"{setting}.{model}", values) for model, values in (overrides or {}).items()}

    def load(self) -> bool:
        """Import the price package now, so that no AI call waits for it; returns whether it is installed."""
        return _package() is not None

    def cost(
        self,
        provider: str | None,
        model: str | None,
        usage: Usage,
        at: datetime | None = None,
        billing: Billing | None = None,
    ) -> Cost | None:
        """What these tokens of **one** response cost; ``None`` if a price or a count is not known. Never raises.

        Prices change with the size of a request: add costs of several responses, not their tokens. ``at`` picks the
        prices of that day (default: now; without a time zone it is UTC).
        """
        if not model or not usage.known():
            return None
        if (own := self._own_price(provider, model)) is not None:
            dollars = own.of(usage)
            return None if dollars is None else Cost(dollars, "user")
        try:
            return _table_cost(*_reference(provider, model), usage, at, billing or Billing())
        except Exception:  # noqa: BLE001 - the package raises many kinds for unknown models, and must not reach the agent
            raise_interrupt()
            return None

    def _own_price(self, provider: str | None, model: str) -> Price | None:
        names = [model.lower(), _DATED.sub("", model.lower())]
        for name in names:
            for key in (f"{(provider or '').lower()}/{name}", name):
                if key in self._own:
                    return self._own[key]
        return None


def _reference(provider: str | None, model: str) -> tuple[str | None, str]:
    """Provider and model as the table names them; ``provider/model`` is LiteLLM's name for both."""
    head, slash, rest = model.partition("/")
    if slash and (provider is None or provider.lower() in ("litellm", head.lower())):
        provider, model = head, rest
    return (None if provider is None else _PROVIDERS.get(provider.lower(), provider)), model


def _table_cost(provider: str | None, model: str, usage: Usage, at: datetime | None, billing: Billing) -> Cost | None:
    package = _package()
    if package is None:
        return None
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_write_input_tokens,
        "cache_write_1h_tokens": billing.cache_write_1h_input_tokens if usage.cache_write_input_tokens else None,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
        "web_searches": billing.web_searches,
    }
    found = package.calc_price(
        {name: count for name, count in counts.items() if count is not None},
        model,
        provider_id=provider,
        genai_request_timestamp=at,
        price_context=_context(billing),
    )
    # The package also finds providers whose name merely contains a word; a wrong price is worse than none.
    if provider is not None and found.provider.id != provider.lower().strip():
        return None
    if not _all_priced(found.model_price, usage):
        return None
    return Cost(float(found.total_price), SOURCE, _version(package, found.auto_update_timestamp))


def _all_priced(price: Any, usage: Usage) -> bool:
    """Whether everything used has a price: a model in the table without prices would come out as free."""
    for count, per_mtok in ((usage.input_tokens, price.input_mtok), (usage.output_tokens, price.output_mtok)):
        if count is None and per_mtok is not None:
            return False
        if count and per_mtok is None:
            return False
    return True


def _context(billing: Billing) -> dict[str, str]:
    if billing.service_tier == "batch":
        return {"processing": "batch"}
    found = {"service_tier": billing.service_tier, "speed": billing.speed}
    return {name: value for name, value in found.items() if value}


def _version(package: Any, updated: datetime | None) -> str:
    """Version of the prices: the package's, and since when they are newer, if the user's code has it update them."""
    return f"{package.__version__}+{updated:%Y%m%dT%H%M%S}" if updated else str(package.__version__)


def _package() -> Any:
    try:
        import genai_prices
    except ImportError:
        raise_interrupt()
        return None
    return genai_prices


def _price(setting: str, values: Mapping[str, float]) -> Price:
    known = Price.__dataclass_fields__
    for name, value in values.items():
        if name not in known:
            raise ConfigurationError(setting, name, "one of " + ", ".join(known))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise ConfigurationError(f"{setting}.{name}", value, "dollars per million tokens, a number from 0")
    return Price(**values)


def _dollars(tokens: int | None, per_mtok: float | None) -> float | None:
    """Cost of some tokens; 0.0 for none used or none counted, ``None`` if the count or the price is missing."""
    if tokens is None:
        return 0.0 if per_mtok is None else None
    if tokens == 0:
        return 0.0
    return None if per_mtok is None or tokens < 0 else tokens * per_mtok / 1_000_000


def _or(first: float | None, second: float | None) -> float | None:
    return second if first is None else first
