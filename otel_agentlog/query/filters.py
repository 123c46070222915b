"""What can be asked of tasks: one `Filter` for every question, and whether a task meets it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from otel_agentlog.query.rows import UNSUCCESSFUL
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, Card, storable, words_of
from otel_agentlog.store.index.where import Conditions


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which tasks are meant; what is ``None`` or empty asks for nothing, everything else must hold together."""

    text: str | None = None
    """Words, each of which, or a word that begins so, stands in the task: its id, name, input, output, result, errors, logs."""
    statuses: Collection[str] = ()
    """States, any of which will do."""
    failed: bool = False
    """Adds the states failed, timed out and interrupted to `statuses`."""
    since_ns: int | None = None
    """Created at this time or later, in Unix nanoseconds."""
    until_ns: int | None = None
    """Created before this time."""
    agent: str | None = None
    agent_type: str | None = None
    provider: str | None = None
    """Where the task came from, or the provider of a model that was called."""
    model: str | None = None
    """The task's, or one that was called."""
    source: str | None = None
    tag: str | None = None
    error_category: str | None = None
    """The category of any error in the task; upper and lower case alike."""
    parent_task_id: str | None = None
    specialist: str | None = None
    user: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    min_cost_usd: float | None = None
    max_cost_usd: float | None = None
    """Bounds of the cost; a task whose cost is unknown is within no bound. Both bounds belong to the range."""
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    min_tokens: int | None = None
    """Input and output tokens together."""
    tool: str | None = None
    """A tool that was run."""

    @property
    def wanted(self) -> frozenset[str]:
        """The states that will do; empty if any will."""
        return frozenset(self.statuses) | (UNSUCCESSFUL if self.failed else frozenset())

    @property
    def words(self) -> list[str]:
        """The words that must stand in the task."""
        return sorted(set(words_of(storable(self.text or ""))))

    @property
    def is_impossible(self) -> bool:
        """Whether it asks for a text without any word in it."""
        return self.text is not None and bool(self.text.strip()) and not self.words


EQUAL = ("agent", "agent_type", "source", "parent_task_id", "specialist", "user", "session_id", "correlation_id")
"""Fields of `Filter` that must equal the field of the same name of a `Card`."""


def ranges_of(wanted: Filter) -> list[tuple[str, int | None, int | None]]:
    """The ranges a card's numbers must lie in, both ends within: field, least, most."""
    found = [
        ("created_ns", wanted.since_ns, None if wanted.until_ns is None else wanted.until_ns - 1),
        ("cost", _scaled(wanted.min_cost_usd, COST_UNITS_PER_USD), _scaled(wanted.max_cost_usd, COST_UNITS_PER_USD)),
        ("duration_us", _scaled(wanted.min_duration_s, 1_000_000), _scaled(wanted.max_duration_s, 1_000_000)),
        ("tokens", wanted.min_tokens, None),
    ]
    return [entry for entry in found if entry[1:] != (None, None)]


def _scaled(value: float | None, scale: int) -> int | None:
    # Beyond 64 bits nothing lies, and SQLite does not understand it.
    return None if value is None else round(min(max(value * scale, -(2.0**62)), 2.0**62))


def conditions_of(wanted: Filter) -> Conditions:
    """A filter as the catalogue understands it."""
    return Conditions(
        nothing=wanted.is_impossible,
        statuses=wanted.wanted,
        equal={name: value for name in EQUAL if (value := getattr(wanted, name)) is not None},
        ranges=ranges_of(wanted),
        tag=wanted.tag,
        tool=wanted.tool,
        model=wanted.model,
        provider=wanted.provider,
        category=None if wanted.error_category is None else wanted.error_category.upper(),
        words=wanted.words,
    )


def meets(wanted: Filter) -> Callable[[Card], bool]:
    """Return whether a card meets a filter, as a function."""
    tests = [*_tests_of_state(wanted), *_tests_of_names(wanted), *_tests_of_numbers(wanted), *_tests_of_text(wanted)]
    return lambda card: all(test(card) for test in tests)


def _tests_of_state(wanted: Filter) -> list[Callable[[Card], bool]]:
    states = wanted.wanted
    return [lambda card: card.status in states] if states else []


def _tests_of_names(wanted: Filter) -> list[Callable[[Card], bool]]:
    asked = [(name, getattr(wanted, name)) for name in EQUAL if getattr(wanted, name) is not None]
    tests: list[Callable[[Card], bool]] = [lambda card: all(getattr(card, name) == value for name, value in asked)]
    tag, tool, model, provider = wanted.tag, wanted.tool, wanted.model, wanted.provider
    if tag is not None:
        tests.append(lambda card: tag in card.tags)
    if tool is not None:
        tests.append(lambda card: any(part.kind == "tool_run" and part.name == tool for part in card.parts))
    if model is not None:
        tests.append(lambda card: card.model == model or any(p.kind == "ai_call" and p.name == model for p in card.parts))
    if provider is not None:
        tests.append(
            lambda card: card.provider == provider or any(p.kind == "ai_call" and p.variety == provider for p in card.parts)
        )
    return tests


def _tests_of_numbers(wanted: Filter) -> list[Callable[[Card], bool]]:
    ranges = ranges_of(wanted)

    def within(card: Card) -> bool:
        for name, least, most in ranges:
            value = getattr(card, name)
            if value is None or (least is not None and value < least) or (most is not None and value > most):
                return False
        return True

    return [within]


def _tests_of_text(wanted: Filter) -> list[Callable[[Card], bool]]:
    words, category = wanted.words, wanted.error_category
    tests: list[Callable[[Card], bool]] = []
    if words:
        tests.append(lambda card: all(any(known.startswith(word) for known in card.words) for word in words))
    if wanted.is_impossible:
        tests.append(lambda card: False)
    if category is not None:
        upper = category.upper()
        tests.append(lambda card: any((failure.category or "").upper() == upper for failure in card.failures))
    return tests
