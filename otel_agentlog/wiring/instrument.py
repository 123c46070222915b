"""`instrument`: switches on OpenTelemetry instrumentors of AI libraries that are installed, one for each library.

Instrumentors are entry points of the group ``opentelemetry_instrumentor``. Two of one library would report each request twice
(it would be counted once, at twice the work and twice the spans), so of each library one is taken, in this order: the
library's own tracing, OpenTelemetry's (``opentelemetry-instrumentation-genai-…``), OpenInference's, any other such as
Traceloop's. `_FIRST` has the exceptions (``docs/decisions/0057-one-instrumentor-a-library.md``).
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.sanitize.keys import texts_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_logger = logging.getLogger("otel_agentlog")

GROUP = "opentelemetry_instrumentor"
OWN = "its own tracing"
ALL = "all"
"""In the setting ``instrument``: every library that is installed."""

_GENAI, _OPENINFERENCE, _OTHER = "opentelemetry-instrumentation-genai-", "openinference-instrumentation-", ""
_ORDER = (_GENAI, _OPENINFERENCE, _OTHER)
_FIRST: Mapping[str, tuple[str, ...]] = {
    # OpenTelemetry's has no spans of the requests to the model.
    "openai_agents": (_OPENINFERENCE, _OTHER, _GENAI),
}

_SAME = {
    "boto3": "bedrock",
    "haystack_ai": "haystack",
    "aleph_alpha_client": "aleph_alpha",
    "google_cloud_aiplatform": "vertexai",
    "ibm_watson_machine_learning": "watsonx",
    "llamaindex": "llama_index",
}
"""Names of entry points that are others' names of the same library."""

_OF_OTHERS = {
    *("agno", "aleph_alpha", "anthropic", "bedrock", "cohere", "crewai", "dspy", "google_genai", "google_generativeai", "groq"),
    *("haystack", "langchain", "litellm", "llama_index", "mcp", "mistralai", "ollama", "openai", "openai_agents", "replicate"),
    *("sagemaker", "smolagents", "together", "transformers", "vertexai", "voyageai", "watsonx", "writer"),
}
"""Libraries whose instrumentors are of AI also where the distribution's name does not say so."""


def _instrument_pydantic_ai() -> None:
    from pydantic_ai import Agent  # type: ignore[import-not-found, unused-ignore]  # optional

    Agent.instrument_all()


@dataclass(frozen=True)
class _Native:
    """A library that traces itself by OpenTelemetry's API."""

    distributions: tuple[str, ...]
    since: int
    """The first major version that does."""
    switch_on: Callable[[], None] | None = None
    """For one that must be switched on."""


_NATIVE: Mapping[str, _Native] = {
    "anthropic": _Native(("anthropic",), 2),
    "mcp": _Native(("mcp",), 2),
    "pydantic_ai": _Native(("pydantic-ai-slim", "pydantic-ai"), 2, _instrument_pydantic_ai),
}


@dataclass(frozen=True)
class Instrumented:
    """What `instrument` did."""

    on: Mapping[str, str]
    """The library → what watches it: a distribution, or ``its own tracing``."""
    left_off: Mapping[str, str]
    """The distribution, or the library whose own tracing it is → why it was left off."""

    def __str__(self) -> str:
        on = ", ".join(f"{library} ({by})" for library, by in self.on.items()) or "nothing"
        return "; ".join([f"on: {on}", *(f"left off {name}: {why}" for name, why in self.left_off.items())])


@dataclass(frozen=True)
class Candidate:
    """An instrumentor that is installed."""

    library: str
    by: str
    """Its distribution, or `OWN`."""
    entry: EntryPoint | None = None

    @property
    def name(self) -> str:
        """What it is called where it is left off."""
        return self.by if self.entry is not None else self.library


def installed() -> dict[str, list[Candidate]]:
    """The instrumentors of AI libraries that are installed, by library, the preferred one first. Imports none of them."""
    found: dict[str, list[Candidate]] = {}
    for library, native in _NATIVE.items():
        if any(_major(name) >= native.since for name in native.distributions):
            found[library] = [Candidate(library, OWN)]
    for each in sorted(_entries(), key=_rank):
        found.setdefault(each.library, []).append(each)
    return dict(sorted(found.items()))


def _entries() -> Iterator[Candidate]:
    from importlib import metadata

    seen = set()
    for entry in metadata.entry_points(group=GROUP):
        by = entry.dist.name if entry.dist is not None else entry.value.partition(":")[0]
        name = re.sub(r"[^a-z0-9]+", "_", entry.name.lower())
        library = _SAME.get(name, name)
        is_of_ai = by.startswith((_GENAI, _OPENINFERENCE)) or library in _OF_OTHERS
        if is_of_ai and (library, by) not in seen:  # a path may be searched twice
            seen.add((library, by))
            yield Candidate(library, by, entry)


def _rank(each: Candidate) -> tuple[int, str]:
    order = _FIRST.get(each.library, _ORDER)
    family = next(family for family in _ORDER if each.by.startswith(family))
    return order.index(family), each.by


def _major(distribution: str) -> int:
    from importlib import metadata

    try:
        return int(metadata.version(distribution).partition(".")[0])
    except (metadata.PackageNotFoundError, ValueError):
        raise_interrupt()
        return -1


_lock = threading.RLock()
_on: dict[str, str] = {}
"""What was switched on in this process."""


def instrument(*, only: Collection[str] | None = None, leave_out: Collection[str] = ()) -> Instrumented:
    """Switch on the instrumentors of the AI libraries that are installed, one for each library; again: what is new.

    Args:
        only: libraries (``openai``) or distributions (``openinference-instrumentation-openai``); default: all that are installed.
        leave_out: the same, to leave out; names that are not installed are fine.

    Returns:
        What is on, and what was left off and why. An instrumentor that fails is left off, which is also logged.

    Raises:
        ConfigurationError: `only` has a name that is not installed.
    """
    found = installed()
    only, leave_out = check("only", only, found), texts_of(leave_out)
    left_off: dict[str, str] = {}
    with _lock:
        for library, candidates in found.items():
            wanted = [each for each in candidates if _is_wanted(each, only, leave_out, left_off)]
            _switch_on(library, wanted, left_off)
        return Instrumented(dict(sorted(_on.items())), left_off)


def as_set(wanted: Collection[str]) -> Callable[[], None]:
    """What does what the setting ``instrument`` says. Raises `ConfigurationError` for a name that is not installed."""
    only = None if ALL in wanted else wanted
    check("instrument", only, installed())
    return lambda: _logger.info("%s", instrument(only=only))


def check(setting: str, only: Collection[str] | None, found: Mapping[str, list[Candidate]]) -> list[str] | None:
    """The names. Raises `ConfigurationError` for one that is neither a library nor a distribution of what was found."""
    if only is None:
        return None
    if isinstance(only, str):
        raise ConfigurationError(setting, only, "a collection of names, such as ['openai']")
    known = {name for library, candidates in found.items() for name in (library, *(each.name for each in candidates))}
    wanted = texts_of(only)
    for name in wanted:
        if name not in known:
            raise ConfigurationError(setting, name, f"what is installed ({', '.join(sorted(known)) or 'nothing is'})")
    return wanted


def _is_wanted(each: Candidate, only: Collection[str] | None, leave_out: Collection[str], left_off: dict[str, str]) -> bool:
    names = {each.library, each.name}
    if not names.isdisjoint(leave_out):
        left_off[each.name] = "left out by leave_out"
    elif only is not None and names.isdisjoint(only):
        left_off[each.name] = "not in only"
    else:
        return True
    return False


def _switch_on(library: str, candidates: list[Candidate], left_off: dict[str, str]) -> None:
    """Switch on the first of them that works, unless one is on."""
    if library not in _on:
        already = next((each for each in candidates if _is_on(each)), None)
        if already is not None:
            _on[library] = already.by
    for each in candidates:
        if (by := _on.get(library)) is None:
            why = _try(each)
            if why is None:
                _on[library] = each.by
            else:
                left_off[each.name] = why
                _logger.warning("%s was not switched on: %s", each.name, why)
        elif by != each.by:
            left_off[each.name] = f"{library} is watched by {by}"


def _is_on(each: Candidate) -> bool:
    """Whether somebody else has switched it on; what was not imported is not on."""
    module, _, name = (each.entry.value if each.entry is not None else "").partition(":")
    instrumentor: Any = getattr(sys.modules.get(module), name, None) if name else None
    try:
        return instrumentor is not None and bool(instrumentor().is_instrumented_by_opentelemetry)
    except Exception:  # noqa: BLE001 - code of others; it is tried as if it were off
        raise_interrupt()
        return False


def _try(each: Candidate) -> str | None:
    """Switch it on; why that was not possible."""
    try:
        if each.entry is not None:
            each.entry.load()().instrument(raise_exception_on_conflict=True)
        elif (switch_on := _NATIVE[each.library].switch_on) is not None:
            switch_on()
    except Exception as error:  # noqa: BLE001 - code of others may raise anything; the program runs without it
        raise_interrupt()
        return f"{type(error).__name__}: {error}"[:500]
    return None


def _renew_after_fork() -> None:
    # Another thread of the parent may have held it.
    global _lock
    _lock = threading.RLock()


after_fork_in_child(_renew_after_fork)
