"""What tokens cost: from the price package, from the user, or not known."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.providers.pricing import SOURCE, Billing, Price, PriceTable
from otel_agentlog.vocabulary.usage import Cost, Usage

MILLION = 1_000_000
MIXED = Usage(input_tokens=100_000, output_tokens=10_000, cache_read_input_tokens=50_000, cache_write_input_tokens=20_000)


def dollars(cost: Cost | None) -> float | None:
    return None if cost is None else round(cost.amount_usd, 9)


class TestThePackage:
    """Prices of ``genai-prices``, offline."""

    def test_names_its_source(self) -> None:
        """A price says which package and which version it is from."""
        cost = PriceTable().cost("anthropic", "claude-sonnet-4-5", Usage(1000, 100))

        assert cost == Cost(0.0045, "genai-prices", version("genai-prices"))

    @pytest.mark.parametrize(
        ("provider", "model", "expected"),
        [
            pytest.param("anthropic", "claude-sonnet-4-5", 0.03 * 3 + 0.05 * 0.3 + 0.02 * 3.75 + 0.01 * 15, id="anthropic"),
            pytest.param(
                "openai", "gpt-4o", 0.05 * 2.5 + 0.05 * 1.25 + 0.01 * 10, id="openai writes the cache at the usual price"
            ),
        ],
    )
    def test_counts_no_cached_token_twice(self, provider: str, model: str, expected: float) -> None:
        """Cached tokens are inside the input tokens, and each is charged once at its own price (dollars per million)."""
        assert dollars(PriceTable().cost(provider, model, MIXED)) == round(expected, 9)

    def test_reasoning_is_part_of_output(self) -> None:
        """Reasoning tokens are charged as output, once."""
        plain, thinking = Usage(1000, 500), Usage(1000, 500, reasoning_output_tokens=400)

        assert PriceTable().cost("openai", "o3-mini", thinking) == PriceTable().cost("openai", "o3-mini", plain)

    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            ("anthropic", "claude-opus-4-5-20251101"),
            (None, "claude-opus-4-5"),
            ("OpenAI", "GPT-4o-2024-08-06"),
            ("gcp.gemini", "gemini-2.5-flash"),
            ("gcp.vertex_ai", "claude-sonnet-4-5@20250929"),
            ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("azure.ai.openai", "gpt-4o"),
            ("mistral_ai", "mistral-large-latest"),
            ("x_ai", "grok-4"),
            ("moonshot_ai", "kimi-k2-0905-preview"),
            ("deepseek", "deepseek-chat"),
            ("groq", "llama-3.3-70b-versatile"),
            ("cohere", "command-r-plus"),
            ("perplexity", "sonar"),
            ("openrouter", "anthropic/claude-sonnet-4.5"),
            ("litellm", "anthropic/claude-sonnet-4-5"),
            (None, "openai/gpt-4o"),
        ],
    )
    def test_knows_the_providers_of_the_convention(self, provider: str | None, model: str) -> None:
        """Providers by the convention's names, dated and prefixed models, have a price."""
        cost = PriceTable().cost(provider, model, Usage(1000, 100))

        assert cost is not None
        assert 0 < cost.amount_usd < 1

    @pytest.mark.parametrize(
        ("provider", "model", "usage"),
        [
            pytest.param("openai", "gpt-99-turbo", Usage(1000, 100), id="unknown model"),
            pytest.param("offline", "offline-1", Usage(1000, 100), id="unknown provider"),
            pytest.param("my-openai-proxy", "gpt-4o", Usage(1000, 100), id="a provider that only sounds like one"),
            pytest.param(None, "offline-1", Usage(1000, 100), id="no provider"),
            pytest.param("github-copilot", "gpt-4o", Usage(1000, 100), id="in the table without a price"),
            pytest.param("openai", "gpt-4o", Usage(), id="no tokens known"),
            pytest.param("openai", "gpt-4o", Usage(input_tokens=1000), id="output not known"),
            pytest.param("openai", "gpt-4o", Usage(output_tokens=1000), id="input not known"),
            pytest.param("openai", "gpt-4o", Usage(100, 10, cache_read_input_tokens=200), id="counts that contradict each other"),
            pytest.param("openai", "text-embedding-3-small", Usage(1000, 100), id="output of a model that has none"),
            pytest.param("openai", None, Usage(1000, 100), id="no model"),
            pytest.param("openai", "", Usage(1000, 100), id="empty model"),
        ],
    )
    def test_unknown_is_not_free(self, provider: str | None, model: str | None, usage: Usage) -> None:
        """What has no price, or no count, costs ``None``."""
        assert PriceTable().cost(provider, model, usage) is None

    def test_embeddings_have_no_output(self) -> None:
        """Input alone is enough for a model without output."""
        assert dollars(PriceTable().cost("openai", "text-embedding-3-small", Usage(input_tokens=MILLION))) == 0.02

    def test_prices_of_the_day(self) -> None:
        """A date picks the prices of that day: DeepSeek's discount by the hour, in any time zone."""
        table, usage = PriceTable(), Usage(MILLION, MILLION)
        at_night = datetime(2025, 4, 1, 17, 0)
        costs = {
            dollars(table.cost("deepseek", "deepseek-chat", usage, at))
            for at in (
                at_night,
                at_night.replace(tzinfo=timezone.utc),
                at_night.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(hours=8))),
            )
        }

        assert len(costs) == 1
        assert costs < {dollars(table.cost("deepseek", "deepseek-chat", usage, datetime(2025, 4, 1, 12, 0))), *costs}

    @pytest.mark.parametrize(
        ("provider", "model", "billing", "factor"),
        [
            ("anthropic", "claude-opus-4-5", Billing(service_tier="batch"), 0.5),
            ("anthropic", "claude-opus-4-5", Billing(service_tier="standard"), 1),
            ("openai", "gpt-5", Billing(service_tier="flex"), 0.5),
            ("openai", "gpt-5", Billing(service_tier="priority"), 2),
            ("openai", "gpt-5", Billing(service_tier="default"), 1),
        ],
    )
    def test_service_tiers(self, provider: str, model: str, billing: Billing, factor: float) -> None:
        """What the response says of its tier changes the price."""
        table, usage = PriceTable(), Usage(1000, 100)
        standard = table.cost(provider, model, usage)

        assert standard is not None
        assert dollars(table.cost(provider, model, usage, billing=billing)) == round(standard.amount_usd * factor, 9)

    def test_cache_for_an_hour_and_searches(self) -> None:
        """Tokens cached for an hour cost 2 times the input, not 1.25 times; searches have a price of their own."""
        table, usage = PriceTable(), Usage(100_000, 0, 0, 100_000)

        assert dollars(table.cost("anthropic", "claude-sonnet-4-5", usage)) == 0.375
        assert (
            dollars(table.cost("anthropic", "claude-sonnet-4-5", usage, billing=Billing(cache_write_1h_input_tokens=100_000)))
            == 0.6
        )
        assert dollars(table.cost("anthropic", "claude-sonnet-4-5", Usage(0, 0), billing=Billing(web_searches=1000))) == 10


CLAUDE, CLAUDE_ON_BEDROCK, GPT_4O, GPT_4O_MINI = 0.0045, 0.00495, 0.0035, 0.00021
"""Dollars for 1000 tokens in and 100 out."""


class TestNames:
    """Which name of a model is looked up, and whose price it is."""

    @pytest.mark.parametrize(
        ("provider", "model", "requested", "expected"),
        [
            ("litellm", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", CLAUDE),
            ("litellm", "gpt-4o-mini", "gpt-4o-mini", GPT_4O_MINI),
            ("litellm", None, "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", CLAUDE_ON_BEDROCK),
            ("litellm", None, "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0", CLAUDE_ON_BEDROCK),
            ("litellm", "gpt-4o-2024-08-06", "azure/my-deployment", GPT_4O),
            ("litellm", "claude-sonnet-4-5@20250929", "vertex_ai/claude-sonnet-4-5@20250929", CLAUDE),
            ("litellm", "gemini-2.5-flash", "gemini/gemini-2.5-flash", 0.00055),
            ("litellm", "gpt-4o", "openrouter/openai/gpt-4o", GPT_4O),
            ("litellm", "ft:gpt-4o-mini-2024-07-18:acme::abc", "openai/ft:gpt-4o-mini-2024-07-18:acme::abc", 2 * GPT_4O_MINI),
            ("openrouter", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5", CLAUDE),
            ("openrouter", "openrouter/anthropic/claude-sonnet-4.5", None, CLAUDE),
            ("azure", "azure/gpt-4o", None, GPT_4O),
            ("azure", "gpt-4o-2024-11-20", "my-deployment", GPT_4O),
            ("azure_openai", "gpt-4o", None, GPT_4O),
            ("openai", "openai/gpt-4o", None, GPT_4O),
            ("openai", "from-inside", "gpt-4o", GPT_4O),
            ("openai", "gpt-4o-2031-01-01", None, GPT_4O),
            ("anthropic", "anthropic/claude-sonnet-4-5", None, CLAUDE),
            ("anthropic", "claude-sonnet-4-5@20250929", None, CLAUDE),
            ("anthropic", "claude-sonnet-4-5-20250929", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", CLAUDE_ON_BEDROCK),
            (None, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", None, CLAUDE_ON_BEDROCK),
            ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", None, CLAUDE_ON_BEDROCK),
            ("vertex_ai", "publishers/anthropic/models/claude-sonnet-4-5@20250929", None, CLAUDE),
            ("gcp.gemini", "models/gemini-2.5-flash", None, 0.00055),
            (None, "models/gemini-2.5-flash", None, 0.00055),
            (None, "accounts/fireworks/models/llama-v3p1-8b-instruct", None, 0.00022),
        ],
    )
    def test_are_found(self, provider: str | None, model: str | None, requested: str | None, expected: float) -> None:
        """The model that answered, then the one that was asked for, each also without provider, path and date."""
        assert dollars(PriceTable().cost(provider, model, Usage(1000, 100), requested=requested)) == expected

    @pytest.mark.parametrize(
        ("provider", "model", "requested"),
        [
            ("openrouter", "meta-llama/llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct"),
            ("openrouter", "meta-llama/llama-3.3-70b-instruct", "meta-llama/llama-3.3-70b-instruct:free"),
            ("litellm", "gpt-oss-20b", "ollama/gpt-oss:20b"),
            ("litellm", "gpt-4o", "my-proxy/gpt-4o"),
            ("openai", "anthropic/claude-sonnet-4-5", None),
            ("openai", "gpt-4o:free", None),
            ("openai", "gpt-4o-mini-2024-07-18:ft-acme", None),
            ("google", "tunedModels/gemini-2.5-flash-mine", None),
            ("my-openai-proxy", "gpt-4o", "gpt-4o"),
            ("vllm", "/models/gpt-4o", "gpt-4o"),
        ],
    )
    def test_are_not_guessed(self, provider: str, model: str, requested: str | None) -> None:
        """What is free, tuned, or served by somebody whose prices are not known, has no price."""
        assert PriceTable().cost(provider, model, Usage(1000, 100), requested=requested) is None

    def test_own_prices_go_before_the_table(self) -> None:
        """A price of one's own for the model that was asked for goes before the table's for the one that answered."""
        table = PriceTable({"my-deployment": {"input_per_mtok": 1000, "output_per_mtok": 0}})

        assert table.cost("azure", "gpt-4o-2024-08-06", Usage(1000, 100), requested="my-deployment") == Cost(1.0, "user")

    @pytest.mark.parametrize("odd", [5, b"gpt-4o", object(), MagicMock(), ["gpt-4o"], float("nan")])
    def test_what_is_no_text_is_no_name(self, odd: Any) -> None:
        """Names of any type raise nothing."""
        table = PriceTable({"m": {"input_per_mtok": 1}})

        assert table.cost(odd, odd, Usage(1), requested=odd) is None
        assert dollars(table.cost(odd, odd, Usage(MILLION), requested="m")) == 1


class TestOwnPrices:
    """Prices given by the user."""

    def test_replace_the_package(self) -> None:
        """A model's own prices win, with the user as source."""
        table = PriceTable({"claude-sonnet-4-5": {"input_per_mtok": 1, "output_per_mtok": 2}})

        assert table.cost("anthropic", "Claude-Sonnet-4-5-20250929", Usage(MILLION, MILLION)) == Cost(3.0, "user")
        other = table.cost("anthropic", "claude-opus-4-5", Usage(1, 1))
        assert other is not None
        assert other.source == SOURCE

    def test_every_price_counts_once(self) -> None:
        """Cached tokens have their own prices and are taken out of the input."""
        price = {"input_per_mtok": 10.0, "output_per_mtok": 20.0, "cache_read_per_mtok": 1.0, "cache_write_per_mtok": 12.5}
        cost = PriceTable({"m": price}).cost(None, "m", MIXED)

        assert dollars(cost) == 0.03 * 10 + 0.05 * 1 + 0.02 * 12.5 + 0.01 * 20

    def test_the_provider_may_be_named(self) -> None:
        """``provider/model`` is only for that provider."""
        table = PriceTable({"local/m": {"input_per_mtok": 0, "output_per_mtok": 0}})

        assert table.cost("local", "m", Usage(5, 5)) == Cost(0.0, "user")
        assert table.cost("other", "m", Usage(5, 5)) is None

    def test_missing_prices_are_unknown(self) -> None:
        """A price list without output knows nothing of an answer with output."""
        table = PriceTable({"m": {"input_per_mtok": 1}})

        assert table.cost(None, "m", Usage(MILLION, 1)) is None
        assert dollars(table.cost(None, "m", Usage(MILLION))) == 1
        assert dollars(table.cost(None, "m", Usage(MILLION, 0, MILLION))) == 1

    @pytest.mark.parametrize(
        ("prices", "message"),
        [
            ({"m": {"input": 1.0}}, "setting 'prices.m': expected one of input_per_mtok, .*, found 'input'"),
            ({"m": {"input_per_mtok": -1.0}}, "setting 'prices.m.input_per_mtok': expected dollars .*, found -1.0"),
            ({"m": {"input_per_mtok": float("nan")}}, "found nan"),
            ({"m": {"input_per_mtok": "1"}}, "found '1'"),
            ({"m": {"input_per_mtok": True}}, "found True"),
        ],
    )
    def test_bad_prices_fail_at_once(self, prices: dict[str, dict[str, float]], message: str) -> None:
        """A price that cannot be used names the setting and the value."""
        with pytest.raises(ConfigurationError, match=message):
            PriceTable(prices)


TOKENS = st.none() | st.integers(0, 2**63 - 1)
RATES = st.none() | st.floats(0, 1e6)


@settings(deadline=None)
@given(st.builds(Price, RATES, RATES, RATES, RATES), st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS))
def test_own_prices_of_any_usage(price: Price, usage: Usage) -> None:
    """Any prices and counts give an amount from 0, or nothing."""
    amount = price.of(usage)

    assert amount is None or amount >= 0


@settings(deadline=None)
@given(
    st.sampled_from([None, "anthropic", "openai", "litellm", ""]) | st.text(),
    st.sampled_from(["gpt-4o", "claude-opus-4-5", "text-embedding-3-small", "a/b", "/"]) | st.text(),
    st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS),
    st.none() | st.datetimes(),
    st.builds(Billing, st.none() | st.text(), st.none() | st.text(), TOKENS, TOKENS),
)
def test_never_raises(provider: str | None, model: str, usage: Usage, at: datetime | None, billing: Billing) -> None:
    """Any names, counts and dates cost something from 0, or nothing known."""
    cost = PriceTable().cost(provider, model, usage, at, billing)

    assert cost is None or cost.amount_usd >= 0


def _run(code: str, *options: str) -> str:
    """Run code in a fresh interpreter in the checkout and return what it prints."""
    root = Path(__file__).parents[3]
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_is_read_only_when_a_price_is_asked_for() -> None:
    """Neither importing nor making a table reads the package; the first price, or `load`, does. It is never imported."""
    code = """if True:
        import sys
        from otel_agentlog.vocabulary.usage import Usage
        from otel_agentlog.record.providers.pricing import PriceTable
        table = PriceTable({"own": {"input_per_mtok": 1}})
        table.cost(None, "own", Usage(1))
        data = "otel_agentlog.record.providers.price_data"
        before = data in sys.modules
        print(before, table.load(), data in sys.modules, not {"genai_prices", "pydantic", "httpx2"} & set(sys.modules))
    """
    assert _run(code) == "False True True True"


def test_opens_no_connection() -> None:
    """With every socket forbidden there are still prices, and no thread is left behind."""
    code = """if True:
        import sys, threading
        def forbid(event, arguments):
            if event.startswith("socket."):
                raise SystemExit(f"{event} {arguments}")
        sys.addaudithook(forbid)
        from otel_agentlog.vocabulary.usage import Usage
        from otel_agentlog.record.providers.pricing import PriceTable
        cost = PriceTable().cost("openai", "gpt-4o", Usage(1000, 100))
        print(cost.amount_usd, threading.active_count())
    """
    assert _run(code) == "0.0035 1"


def test_works_without_the_package() -> None:
    """Where the extra is not installed, own prices count and everything else is unknown."""
    code = """if True:
        import sys
        sys.modules["genai_prices"] = None  # what an import of a package that is not there comes to
        from otel_agentlog.vocabulary.usage import Usage
        from otel_agentlog.record.providers.pricing import PriceTable
        table = PriceTable({"own": {"input_per_mtok": 1, "output_per_mtok": 1}})
        print(table.load(), table.cost("openai", "gpt-4o", Usage(1, 1)), table.cost(None, "own", Usage(1000, 1000)).amount_usd)
    """
    assert _run(code) == "False None 0.002"
