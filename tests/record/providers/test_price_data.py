"""The prices of ``genai-prices``, read without the package: the same as the package computes, for every model."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.providers import pricing
from otel_agentlog.record.providers.price_data import KNOWN, PriceData
from otel_agentlog.record.providers.pricing import Billing, PriceTable
from otel_agentlog.vocabulary.usage import Cost, Usage

ROOT = Path(__file__).parents[3]
TIMES = (
    datetime(2024, 6, 1, 3, 30, tzinfo=timezone.utc),
    datetime(2025, 9, 7, 17, 0),
    datetime(2026, 11, 28, 23, 59, tzinfo=timezone.utc),
)
USES = (
    (Usage(1000, 100), Billing()),
    (Usage(250_000, 5000, 100_000, 50_000, 3000), Billing(cache_write_1h_input_tokens=20_000, web_searches=2)),
    (Usage(300_001, 1), Billing(service_tier="batch")),
    (Usage(10, 10, 5, 3), Billing(service_tier="priority", speed="fast")),
    (Usage(10, 10, 5, 6), Billing(service_tier="flex", cache_write_1h_input_tokens=7)),
    (Usage(None, 10, 5), Billing()),
    (Usage(5, None), Billing()),
)


@pytest.fixture(scope="module")
def data() -> PriceData:
    """What is read of the installed version."""
    found = PriceData.read()
    assert found is not None
    return found


def names_of(clause: Any) -> Iterator[str]:
    """Names that a model's clause speaks of."""
    for value in vars(clause).values():
        if isinstance(value, str):
            yield value.strip("^$").replace("\\d{8}", "20251001").replace("\\.", ".")
        else:
            for inner in value:
                yield from names_of(inner)


def both(data: PriceData, provider: str | None, model: str, at: datetime, usage: Usage, billing: Billing) -> tuple[Any, Any]:
    """The cost by the data, and by the package."""
    table = PriceTable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pricing, "_read", data)
        patch.delitem(sys.modules, "genai_prices")
        ours = table.cost(provider, model, usage, at, billing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pricing, "_read", None)
        theirs = table.cost(provider, model, usage, at, billing)
    return ours, theirs


def test_the_installed_version_is_read(data: PriceData) -> None:
    """With a version whose objects are not known the package would be imported: look at its changes, then widen `KNOWN`."""
    assert KNOWN.fullmatch(version("genai-prices"))
    assert data.version == genai_prices.__version__


@pytest.mark.parametrize("provider", providers, ids=lambda each: str(each.id))
def test_every_model_costs_what_the_package_says(data: PriceData, provider: Any) -> None:
    """By each of its names, at several times, for several uses and kinds of request."""
    for index, model in enumerate(provider.models):
        names = [model.id, *list(names_of(model.match))[:3]]
        for number, (usage, billing) in enumerate(USES):
            at = TIMES[(index + number) % len(TIMES)]
            for name in names if number == index % len(USES) else names[:1]:
                ours, theirs = both(data, provider.id, name, at, usage, billing)
                assert ours == theirs, (name, at, usage, billing)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([None, "litellm", "anthropic", "openai", "azure", "google", "aws", "deepseek", "openrouter"]) | st.text(),
    st.sampled_from([model for provider in providers for model in provider.models]).flatmap(
        lambda model: st.sampled_from([model.id, model.id.upper(), f"{model.id}-20250929", f"x/{model.id}", f"openai/{model.id}"])
    )
    | st.text(),
    st.builds(Usage, *[st.none() | st.integers(0, 2**40)] * 5),
    st.builds(
        Billing,
        st.none() | st.sampled_from(["batch", "flex", "priority", "standard"]),
        st.none() | st.sampled_from(["fast", "slow"]),
        st.none() | st.integers(0, 2**40),
        st.none() | st.integers(0, 100),
    ),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.none() | st.timezones()),
)
def test_any_names_and_uses_cost_what_the_package_says(
    data: PriceData, provider: str | None, model: str, usage: Usage, billing: Billing, at: datetime
) -> None:
    """Or neither knows a price."""
    ours, theirs = both(data, provider, model, at, usage, billing)

    assert ours == theirs


def test_prices_that_the_program_gave_the_package_count(data: PriceData) -> None:
    """Where the program has imported it, the package computes: it may have been given other prices."""
    from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

    assert PriceTable().cost("openai", "gpt-4o", Usage(1000, 100)) == Cost(0.0035, "genai-prices", data.version)
    set_custom_snapshot(DataSnapshot(providers=[each for each in providers if each.id != "openai"], from_auto_update=False))
    try:
        assert PriceTable().cost("openai", "gpt-4o", Usage(1000, 100)) is None
    finally:
        set_custom_snapshot(None)


def test_a_version_that_is_not_known_is_computed_by_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data may mean something else."""
    monkeypatch.setattr("otel_agentlog.record.providers.price_data.version", lambda name: "9.0.0")
    monkeypatch.setattr(pricing, "_read", pricing._NOT_READ)

    cost = PriceTable().cost("openai", "gpt-4o", Usage(1000, 100))

    assert pricing._read is None
    assert cost == Cost(0.0035, "genai-prices", version("genai-prices"))


def test_the_first_call_reads_nothing_on_its_own_thread() -> None:
    """The table is read on a thread that the start of the first AI call begins; the end waits for it, if it is that early."""
    code = """if True:
        import sys, threading
        import otel_agentlog as agentlog
        from otel_agentlog.record.providers.price_data import PriceData
        from otel_agentlog.record.providers import price_data, pricing
        readers, read = [], PriceData.read
        def noted():
            readers.append(threading.current_thread().name)
            return read()
        PriceData.read = staticmethod(noted)
        from otel_agentlog.record.collaborators import Lookups
        from otel_agentlog.record.recorder import Recorder, use
        from otel_agentlog.testing import MemorySink
        sink = MemorySink()
        use(Recorder([sink], lookups=Lookups(None, pricing.PriceTable())))
        for _ in range(2):
            with agentlog.task("t"), agentlog.ai_call("gpt-4o", provider="openai") as call:
                call.usage(input_tokens=1000, output_tokens=100)
        costs = [line["details"]["cost_usd"] for line in sink.of(type="ai_response")]
        print(readers, costs, "pydantic" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "['agentlog-prices'] [0.0035, 0.0035] False"


def test_a_price_is_few_calls_once_its_names_are_known(data: PriceData) -> None:
    """What was found for a provider and a model is remembered."""
    table, calls = PriceTable(), 0
    me = threading.get_ident()

    def count(frame: Any, event: str, what: Any) -> None:
        nonlocal calls
        calls += event == "call" and "otel_agentlog" in frame.f_code.co_filename and threading.get_ident() == me

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pricing, "_read", data)
        patch.delitem(sys.modules, "genai_prices")
        table.cost("openai", "gpt-4o", Usage(1000, 100))
        sys.setprofile(count)
        try:
            table.cost("openai", "gpt-4o", Usage(1000, 100, 50))
        finally:
            sys.setprofile(None)

    assert calls <= 20
