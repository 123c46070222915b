"""Computes the cost of tokens in US dollars, from the user's prices or a price table.

Prices are the user's own, else those of the optional package ``genai-prices`` (extra ``prices``), which brings them as
data: nothing here opens a connection. Its data is read with the first price needed, or on a thread of its own where
`PriceTable.load_soon` is called (``price_data.py``). The package itself computes where its version is not known there, and where
the program has imported it, and so may have given it other prices. What has no price costs ``None``, never 0.
"""

from __future__ import annotations

import math
import re
import sys
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from otel_agentlog._interrupts import OwnThread, raise_interrupt, suppress_errors
from otel_agentlog._platform.fork import forks_wait
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.vocabulary.usage import NO_USAGE, Cost, Usage

if TYPE_CHECKING:
    from otel_agentlog.record.providers.price_data import Model, PriceData, Prices

SOURCE = "genai-prices"
"""`Cost.source` of a price from the package."""

PACKAGE = "genai_prices"

MAX_NAMES = 4096
"""Providers and models of calls that are remembered."""

LOAD_WAIT_S = 10.0
"""Longest time, in seconds, that the end of the first AI call waits until the table is read; usually some milliseconds."""

_PROVIDERS = {
    **dict.fromkeys(("gcp.gen_ai", "gcp.vertex_ai", "gcp.gemini", "gemini", "vertex_ai", "vertexai"), "google"),
    **dict.fromkeys(("google_genai", "google_vertexai", "google-vertex", "google-gla", "google_ai_studio"), "google"),
    **dict.fromkeys(("azure.ai.inference", "azure.ai.openai", "azure_ai", "azure_openai", "azure-openai"), "azure"),
    **dict.fromkeys(
        ("aws.bedrock", "bedrock", "bedrock_converse", "amazon_bedrock", "amazon-bedrock", "anthropic_bedrock"), "aws"
    ),
    **dict.fromkeys(("x_ai", "xai"), "x-ai"),
    **dict.fromkeys(("mistral_ai", "mistralai"), "mistral"),
    **dict.fromkeys(("moonshot_ai", "moonshot"), "moonshotai"),
    **dict.fromkeys(("together_ai", "togetherai"), "together"),
    **dict.fromkeys(("fireworks_ai", "fireworksai"), "fireworks"),
    **dict.fromkeys(("perplexity_ai", "perplexityai"), "perplexity"),
    **dict.fromkeys(("cohere_chat", "cohere.chat"), "cohere"),
}
"""Names of providers in the GenAI convention, or in common use, that differ from those of the price table."""

_ROUTERS = frozenset({"litellm", "litellm_proxy", "langchain", "llamaindex", "llama_index", "pydantic_ai", "portkey"})
"""What is given as provider and is none: the model's name, or the one that was asked for, begins with the provider."""

_FOLDERS = {"models": "google", "publishers": "google", "projects": "google", "accounts": "fireworks"}
"""How names that are paths begin, the model at their end, and the provider that names its models so."""

_ON_BEDROCK = re.compile(
    r"(?:[a-z]{2,6}\.)?(?:amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|ai21|writer)\.[a-z]|arn:aws"
)
_ROUTES = re.compile(r"(?:converse|invoke|converse_like)/")
"""What LiteLLM has between ``bedrock/`` and the model's name."""

_DAY = re.compile(r"[-@]20\d{2}-?\d{2}-?\d{2}$")

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


NO_BILLING = Billing()


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
        self._found: dict[tuple[str | None, ...], Price | _Priced] = {}
        """What is known of the names that calls had."""
        self._loading: threading.Thread | None = None

    def load(self) -> bool:
        """Read the table now; returns whether there is one."""
        return _data() is not None or _package() is not None

    def load_soon(self) -> None:
        """Read the table on a thread of its own, once, so that no AI call waits for it at its end."""
        if self._loading is not None:
            return
        self._loading = OwnThread(self._try_to_load, "agentlog-prices")
        try:
            self._loading.start()
        except RuntimeError:
            raise_interrupt()  # no new threads at the end of the interpreter; the table is read where it is needed

    def _try_to_load(self) -> None:
        with suppress_errors(Exception):  # no file can be opened, perhaps; the table is read where it is needed
            self.load()

    def join(self, timeout_s: float) -> None:
        """Wait until that has ended, at most this long."""
        if self._loading is not None and self._loading.ident is not None:
            self._loading.join(timeout_s)

    def cost(
        self,
        provider: str | None,
        model: str | None,
        usage: Usage,
        at: datetime | None = None,
        billing: Billing | None = None,
        *,
        requested: str | None = None,
    ) -> Cost | None:
        """What these tokens of **one** response cost; ``None`` if a price or a count is not known. Never raises.

        ``model`` is the one that answered, ``requested`` the one that was asked for, whose price is taken where the first has
        none. Both are also looked up without what stands before them (a provider, a path) and without their date. Prices change
        with the size of a request: add costs of several responses, not their tokens. ``at`` picks the
        prices of that day (default: now; without a time zone it is UTC).
        """
        try:
            if usage == NO_USAGE:
                return None
            names = provider, model, requested
            if not _NAMES.issuperset(map(type, names)):
                names = _exact(provider), _exact(model), _exact(requested)
            found = self._found.get(names)
            if found is None:
                if len(self._found) >= MAX_NAMES:
                    self._found.clear()
                found = self._found[names] = self._find(*names)
            if type(found) is Price:
                dollars = found.of(usage)
                return None if dollars is None else Cost(dollars, "user")
            return self._table_cost(found, usage, at, billing or NO_BILLING)  # type: ignore[arg-type]  # the other of the two
        except Exception:  # noqa: BLE001 - the package raises many kinds for unknown models, and must not reach the agent
            raise_interrupt()
            return None

    def _find(self, provider: str | None, model: str | None, requested: str | None) -> Price | _Priced:
        given = provider.strip().lower() if provider is not None else ""
        names = _names(model, requested)
        payee = _payee(given, names)
        forms = list(dict.fromkeys(form for name in names for form in _forms(payee, name)))
        return self._own_price(given, payee, forms) or _Priced(payee, forms)

    def _table_cost(self, found: _Priced, usage: Usage, at: datetime | None, billing: Billing) -> Cost | None:
        data = _read
        if data is _NOT_READ:
            self.join(LOAD_WAIT_S)
            data = _data()
        if data is None or PACKAGE in sys.modules:
            return _first_cost(found.payee, found.forms, usage, at, billing)
        if found.looked_up is not data:
            found.look_up(data)
        if found.model is None:
            return None
        if found.always is not None:
            prices = found.always
        else:
            context = {} if billing is NO_BILLING or not found.sells_itself else _context(billing)
            prices = found.model.prices_at(at or datetime.now(tz=timezone.utc), context)
        if not _all_priced(prices.get("input_mtok"), prices.get("output_mtok"), usage):
            return None
        return Cost(float(data.dollars(prices, _used(usage, billing))), SOURCE, data.version)

    def _own_price(self, given: str, payee: str | None, forms: list[str]) -> Price | None:
        if not self._own:
            return None
        for form in forms:
            for name in dict.fromkeys((form, _DATED.sub("", form))):
                for key in (f"{given}/{name}", f"{payee}/{name}", name):
                    if key in self._own:
                        return self._own[key]
        return None


class _Priced:
    """The names of a call, and what the table has for them."""

    __slots__ = ("always", "forms", "looked_up", "model", "payee", "sells_itself")

    def __init__(self, payee: str | None, forms: list[str]) -> None:
        self.payee, self.forms = payee, forms
        self.looked_up: PriceData | None = None
        self.model: Model | None = None
        self.sells_itself = False
        self.always: Prices | None = None
        """Its prices, if they are the same at any time and for any kind of request."""

    def look_up(self, data: PriceData) -> None:
        """Find the first name that the table has."""
        found = next(filter(None, (data.model(self.payee, form) for form in self.forms)), None)
        self.model, self.sells_itself = found or (None, False)
        self.always = None if self.model is None else self.model.always
        self.looked_up = data


_NOT_READ: Any = object()
_read: PriceData | None = _NOT_READ
"""The data of the package, once for all tables."""
_reading = threading.RLock()
_missing = False
"""Whether the package was looked for, and is not installed."""


def _data() -> PriceData | None:
    """The data of the package; ``None`` where it is not installed, or only to be read by itself."""
    global _read
    if _read is _NOT_READ:
        with forks_wait(), _reading:
            if _read is _NOT_READ:
                from otel_agentlog.record.providers.price_data import PriceData

                _read = PriceData.read()
    return _read


_NAMES = frozenset({str, type(None)})


def _exact(name: object) -> str | None:
    return name if name is None or type(name) is str else str.__str__(name) if isinstance(name, str) else None


def _names(*models: object) -> list[str]:
    """The names to look for, in this order. One that is free has no price from its namesake that is not."""
    names = [name for model in models if isinstance(model, str) and (name := str.__str__(model).strip().lower())]
    free = [name for name in names if name.endswith(":free")]
    return free or names


def _payee(given: str, names: list[str]) -> str | None:
    """The provider that is paid, as the table names it; ``None`` if only the model can tell."""
    if given and given not in _ROUTERS:
        on_bedrock = given == "anthropic" and any(_ON_BEDROCK.match(name) for name in names)
        return "aws" if on_bedrock else _PROVIDERS.get(given, given)
    for name in reversed(names):
        if _ON_BEDROCK.match(name):
            return "aws"
        head, slash, _ = name.partition("/")
        if slash:
            # One that the table does not know has no price: the model's name alone would be priced as another one's.
            return _FOLDERS.get(head) or _PROVIDERS.get(head, head)
    return None


def _forms(payee: str | None, name: str) -> list[str]:
    """A model's name, without its provider, without its path, without its date."""
    forms = [name]
    head, slash, rest = name.partition("/")
    if slash and payee is not None and _PROVIDERS.get(head, head) == payee:
        forms.append(_ROUTES.sub("", rest))
    if "models/" in name and head in (*_FOLDERS, payee):
        forms.append(name.rpartition("models/")[2])
    return [*forms, *(_DAY.sub("", form) for form in forms)]


def _first_cost(payee: str | None, forms: list[str], usage: Usage, at: datetime | None, billing: Billing) -> Cost | None:
    """What the package itself computes."""
    package = _package()
    if package is None:
        return None
    for form in forms:
        with suppress_errors(LookupError):
            return _package_cost(package, payee, form, usage, at, billing)
    return None


def _package_cost(
    package: Any, provider: str | None, model: str, usage: Usage, at: datetime | None, billing: Billing
) -> Cost | None:
    found = package.calc_price(
        _used(usage, billing), model, provider_id=provider, genai_request_timestamp=at, price_context=_context(billing)
    )
    # The package also finds providers whose name merely contains a word; a wrong price is worse than none.
    if provider is not None and found.provider.id != provider:
        raise LookupError(provider)
    if not _all_priced(found.model_price.input_mtok, found.model_price.output_mtok, usage):
        return None
    return Cost(float(found.total_price), SOURCE, _version(package, found.auto_update_timestamp))


def _used(usage: Usage, billing: Billing) -> dict[str, int]:
    """What is known of it, by the package's names."""
    counts: dict[str, int] = {}
    for name, count in zip(_USED, usage, strict=True):
        if count is not None:
            counts[name] = count
    if billing is not NO_BILLING:
        if billing.cache_write_1h_input_tokens is not None and usage.cache_write_input_tokens:
            counts["cache_write_1h_tokens"] = billing.cache_write_1h_input_tokens
        if billing.web_searches is not None:
            counts["web_searches"] = billing.web_searches
    return counts


_USED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens")
"""The package's names of what `Usage` has, in its order."""


def _all_priced(per_input_mtok: object, per_output_mtok: object, usage: Usage) -> bool:
    """Whether everything used has a price: a model in the table without prices would come out as free."""
    for count, per_mtok in ((usage.input_tokens, per_input_mtok), (usage.output_tokens, per_output_mtok)):
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
    """The package itself; ``None`` where it is not installed."""
    global _missing
    if _missing and PACKAGE not in sys.modules:
        return None
    try:
        with forks_wait():
            import genai_prices
    except ImportError:
        raise_interrupt()
        _missing = True
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
