"""The prices of the package ``genai-prices``, read without importing it, and applied as it applies them.

Its prices are Python source that makes objects (``data.py``). Importing the package also imports pydantic and an HTTP client:
0.3 s of CPU and 13 MB. Here the same source makes plain tuples: 10 ms and 4 MB. That is done for versions whose objects are known
(`KNOWN`); `PriceData.read` gives ``None`` for any other, and whoever needs a price then imports the package itself.

That both give the same price, for every model, is what ``tests/record/providers/test_price_data.py`` is for.
"""

from __future__ import annotations

import builtins
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime, time, timezone
from decimal import Decimal
from importlib.machinery import SourceFileLoader
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass

PACKAGE = "genai_prices"

KNOWN = re.compile(r"0\.(?:1\.13|2\.\d+)")
"""Versions that are read here; 0.1.13 is the last for Python 3.10."""

Prices: TypeAlias = "Mapping[str, Decimal | Tiers]"
"""Dollars by what they are for (``input_mtok``)."""
Clause: TypeAlias = Callable[[str], bool]
Constraint: TypeAlias = "Callable[[datetime], bool] | None"
Usages: TypeAlias = Mapping[str, int]
"""How much was used, by the package's names (``input_tokens``); what was not reported is not there."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """A price that depends on the size of the input: all tokens cost what the highest tier does that is exceeded."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...]

    def at(self, input_tokens: int) -> Decimal:
        """The price for this many tokens of input."""
        price = self.base
        for start, higher in self.tiers:
            if input_tokens > start:
                price = higher
        return price


@dataclass(slots=True)
class Model:
    """One model of one provider."""

    match: Clause
    prices: Sequence[tuple[Constraint, Prices]]
    """The last that applies counts; the first where none does."""
    variants: Sequence[tuple[Mapping[str, str], Prices, Constraint]]
    """Prices for requests of a kind, such as a service tier; the first that applies counts, for each price."""

    @property
    def always(self) -> Prices | None:
        """Its prices, if they are the same at any time and for any kind of request."""
        return self.prices[0][1] if len(self.prices) == 1 and self.prices[0][0] is None and not self.variants else None

    def prices_at(self, at: datetime, context: Mapping[str, str]) -> Prices:
        """What holds at a time, for a kind of request."""
        found = self.prices[0][1]
        for applies, prices in reversed(self.prices):
            if applies is None or applies(at):
                found = prices
                break
        if context and self.variants:
            other: dict[str, Any] = {}
            for when, prices, applies in self.variants:
                if (applies is None or applies(at)) and all(context.get(key) == value for key, value in when.items()):
                    other = {**prices, **other}
            found = {**found, **other}
        return found


@dataclass(slots=True)
class Provider:
    """One provider, and the models that it sells."""

    id: str
    matches_model: Clause | None
    models: Sequence[Model]
    others: Sequence[str]
    """Providers whose prices it takes for models that it has none for."""

    def model(self, name: str) -> Model | None:
        """The first model that goes by a name, in lower case."""
        return next((model for model in self.models if model.match(name)), None)


@dataclass(frozen=True, slots=True)
class Unit:
    """What a price is for: so many of something."""

    usage: str
    per: int
    kind: frozenset[tuple[str, str]]
    """What it counts (``("direction", "input")``); a unit that says more is part of one that says less."""


class _Priced(NamedTuple):
    """One of the prices of a model."""

    name: str
    unit: Unit
    inner: frozenset[str]
    """What is part of what it is for."""
    priced: Sequence[str]
    """The prices of those parts."""


@dataclass(slots=True)
class PriceData:
    """All prices of one version of the package."""

    version: str
    providers: Mapping[str, Provider]
    units: Mapping[str, Unit]
    """By the names of prices."""
    _orders: dict[frozenset[str], Sequence[_Priced]] = field(default_factory=dict)
    _inners: dict[str, frozenset[str]] = field(default_factory=dict)

    @staticmethod
    def read() -> PriceData | None:
        """The data of the installed package; ``None`` where there is none, or one of a version that is not known here."""
        try:
            found = find_spec(PACKAGE)
            if found is None or not found.submodule_search_locations or not KNOWN.fullmatch(number := version(PACKAGE)):
                return None
            folder = found.submodule_search_locations[0]
            providers: list[Provider] = _run(os.path.join(folder, "data.py"))["providers"]
            raw: Mapping[str, Mapping[str, Any]] = _run(os.path.join(folder, "data_units.py"))["unit_data"]
            units = {
                each.get("price_key", name): Unit(name, each["per"], frozenset(each.get("dimensions", {}).items()))
                for name, each in raw.items()
            }
            data = PriceData(number, {provider.id: provider for provider in providers}, units)
            # Here a thread of its own does it; later an AI call would, at its end.
            for names in {frozenset(prices) for each in providers for model in each.models for _, prices in model.prices}:
                data._orders[names] = data._order(names)
            return data
        except Exception:  # noqa: BLE001 - whatever it holds now: then the package is imported
            raise_interrupt()
            return None

    def model(self, provider_id: str | None, name: str) -> tuple[Model, bool] | None:
        """The model of a name in lower case, and whether the provider sells it itself.

        Without a provider it is the first of those whose models have such names.
        """
        if provider_id is None:
            sellers = self.providers.values()
            provider = next((each for each in sellers if each.matches_model and each.matches_model(name)), None)
        else:
            provider = self.providers.get(provider_id)
        if provider is None:
            return None
        for form in dict.fromkeys((name, _with_dashes(name))):
            if (model := provider.model(form)) is not None:
                return model, True
            others = (self.providers[other].model(form) for other in provider.others if other in self.providers)
            if (model := next(filter(None, others), None)) is not None:
                return model, False
        return None

    def dollars(self, prices: Prices, used: Usages) -> Decimal:
        """What a use costs. Raises `ValueError` where its counts do not fit together."""
        names = frozenset(prices)
        order = self._orders.get(names)
        if order is None:
            order = self._orders[names] = self._order(names)
        own: dict[str, int] = {}
        total = Decimal(0)
        for name, unit, inner, priced in order:
            count = 1 if unit.usage == "requests" else used.get(unit.usage)
            if not count and inner.isdisjoint(used):
                own[name] = 0  # nothing of it, nor of its parts, as of most
                continue
            price = prices[name]
            if type(price) is Tiers:
                if (inputs := used.get("input_tokens")) is None:
                    inputs = _count(used, "input_tokens", self._inner("input_tokens"))
                price = price.at(inputs) if price.tiers and inputs > price.tiers[0][0] else price.base
            if count is None:
                count = _count(used, unit.usage, inner)
            # What is part of it and has a price of its own is not counted again.
            own[name] = count = count - sum(map(own.__getitem__, priced))
            if count < 0:
                raise ValueError(f"more of a part than of {unit.usage}")
            total += price * count / unit.per  # type: ignore[operator]  # a Decimal, as the line above found
        return total

    def _order(self, names: frozenset[str]) -> Sequence[_Priced]:
        """Names of prices, parts first."""
        known = sorted((name for name in names if name in self.units), key=lambda name: -len(self.units[name].kind))
        return [
            _Priced(
                name,
                self.units[name],
                self._inner(self.units[name].usage),
                [part for part in known if self.units[part].kind > self.units[name].kind],
            )
            for name in known
        ]

    def _inner(self, usage: str) -> frozenset[str]:
        """What is part of it."""
        found = self._inners.get(usage)
        if found is None:
            kinds = {unit.usage: unit.kind for unit in self.units.values()}
            found = self._inners[usage] = frozenset(name for name, kind in kinds.items() if kind > kinds[usage])
        return found


def _count(used: Usages, usage: str, inner: frozenset[str]) -> int:
    """A count; of what was not reported nothing, unless parts of it were."""
    count = used.get(usage)
    if count is None:
        if any(map(used.get, inner)):
            raise ValueError(f"{usage} is not known, and parts of it are")
        count = 0
    return count


_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _with_dashes(name: str) -> str:
    """A name whose date is written ``-20251211``, with ``-2025-12-11``."""

    def dashed(found: re.Match[str]) -> str:
        try:
            return f"-{date(*map(int, found.groups()))}"
        except ValueError:
            raise_interrupt()
            return found[0]

    return _COMPACT_DATE.sub(dashed, name)


# -- what the package's source makes ---------------------------------------------------------------------------------------


def _run(path: str) -> dict[str, Any]:
    """Run a file of the package with our classes in place of its own; returns the names that it defines."""
    code = SourceFileLoader(PACKAGE, path).get_code(PACKAGE)
    names: dict[str, Any] = {"__name__": PACKAGE, "__builtins__": {**vars(builtins), "__import__": _import}}
    exec(code, names)  # type: ignore[arg-type]  # noqa: S102 - as importing it does; a source file has code
    return names


def _import(name: str, globals_: Any = None, locals_: Any = None, names: Any = (), level: int = 0) -> ModuleType:
    return _OBJECTS if level else __import__(name, globals_, locals_, names, level)


class _Whole(dict[str, "Decimal | Tiers"]):
    """The prices of a model that has no conditions."""


def _model_price(**prices: Any) -> _Whole:
    return _Whole({name: price for name, price in prices.items() if price is not None})


def _tiered(*, base: Decimal, tiers: list[tuple[int, Decimal]]) -> Tiers:
    return Tiers(base, tuple(sorted(tiers, key=lambda tier: tier[0])))


def _tier(*, start: int, price: Decimal) -> tuple[int, Decimal]:
    return start, price


def _conditional(*, prices: Prices, constraint: Constraint = None) -> tuple[Constraint, Prices]:
    return constraint, prices


def _variant(*, when: dict[str, str], prices: Prices, constraint: Constraint = None) -> tuple[dict[str, str], Prices, Constraint]:
    return when, prices, constraint


def _model(
    *,
    id: str,
    match: Clause,
    prices: Any = (),
    price_variants: Any = None,
    name: Any = None,
    description: Any = None,
    context_window: Any = None,
    price_comments: Any = None,
    deprecated: Any = None,
) -> Model:
    return Model(match, ((None, prices),) if type(prices) is _Whole else tuple(prices), tuple(price_variants or ()))


def _provider(
    *,
    id: str,
    name: Any,
    api_pattern: Any,
    pricing_urls: Any = None,
    description: Any = None,
    price_comments: Any = None,
    model_match: Clause | None = None,
    provider_match: Any = None,
    extractors: Any = None,
    fallback_model_providers: Sequence[str] | None = None,
    models: Sequence[Model] = (),
) -> Provider:
    return Provider(id, model_match, tuple(models), tuple(fallback_model_providers or ()))


def _since(*, start_date: date) -> Constraint:
    return lambda at: _in_utc(at).date() >= start_date


def _within_day(*, start_time: time, end_time: time) -> Constraint:
    start, end = _time_in_utc(start_time), _time_in_utc(end_time)

    def applies(at: datetime) -> bool:
        now = _in_utc(at).timetz()
        return start <= now < end if start <= end else now >= start or now < end

    return applies


def _in_utc(at: datetime) -> datetime:
    """A time in UTC; one without a time zone is in UTC."""
    return at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)


def _time_in_utc(given: time) -> time:
    if given.tzinfo is None:
        return given.replace(tzinfo=timezone.utc)
    return datetime.combine(date(1970, 1, 1), given).astimezone(timezone.utc).timetz()


def _starts_with(*, starts_with: str) -> Clause:
    wanted = starts_with.lower()
    return lambda text: text.startswith(wanted)


def _ends_with(*, ends_with: str) -> Clause:
    wanted = ends_with.lower()
    return lambda text: text.endswith(wanted)


def _contains(*, contains: str) -> Clause:
    wanted = contains.lower()
    return lambda text: wanted in text


def _equals(*, equals: str) -> Clause:
    return equals.lower().__eq__


def _regex(*, regex: str) -> Clause:
    # Compiled here, on the thread that reads the prices.
    search = re.compile(regex).search
    return lambda text: search(text) is not None


def _or(*, or_: Sequence[Clause]) -> Clause:
    return lambda text: any(clause(text) for clause in or_)


def _and(*, and_: Sequence[Clause]) -> Clause:
    return lambda text: all(clause(text) for clause in and_)


def _nothing(*given: Any, **values: Any) -> None:
    """Of what says how counts are read of a response, which is not done here."""


_MAKERS: dict[str, Callable[..., Any]] = {
    "Provider": _provider,
    "ModelInfo": _model,
    "ModelPrice": _model_price,
    "TieredPrices": _tiered,
    "Tier": _tier,
    "ConditionalPrice": _conditional,
    "PriceVariant": _variant,
    "StartDateConstraint": _since,
    "TimeOfDateConstraint": _within_day,
    "ClauseStartsWith": _starts_with,
    "ClauseEndsWith": _ends_with,
    "ClauseContains": _contains,
    "ClauseEquals": _equals,
    "ClauseRegex": _regex,
    "ClauseOr": _or,
    "ClauseAnd": _and,
    **dict.fromkeys(("UsageExtractor", "UsageExtractorMapping", "ArrayMatch"), _nothing),
}
_OBJECTS = ModuleType("types")
vars(_OBJECTS).update(_MAKERS)
