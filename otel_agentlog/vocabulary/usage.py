"""What an AI call used, cost and answered, the same for all providers."""

from __future__ import annotations

from typing import Any, NamedTuple

from otel_agentlog._startup import dataclass


class Usage(NamedTuple):
    """Tokens of one AI call by the GenAI convention's sum rules; ``None`` where the provider reported none.

    ``input_tokens`` contains the cached ones, ``output_tokens`` contains the reasoning ones.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:  # type: ignore[override]  # these are sums
        inputs, output, read, written, reasoning = self
        more_inputs, more_output, more_read, more_written, more_reasoning = other
        return Usage(
            more_inputs if inputs is None else inputs if more_inputs is None else inputs + more_inputs,
            more_output if output is None else output if more_output is None else output + more_output,
            more_read if read is None else read if more_read is None else read + more_read,
            more_written if written is None else written if more_written is None else written + more_written,
            more_reasoning if reasoning is None else reasoning if more_reasoning is None else reasoning + more_reasoning,
        )

    def known(self) -> dict[str, int]:
        """The counts that are known, by field name."""
        found: dict[str, int] = {}
        for name, count in zip(USAGE_FIELDS, self, strict=True):
            if count is not None:
                found[name] = count
        return found


NO_USAGE = Usage()
USAGE_FIELDS = Usage._fields
"""The fields of `Usage`, in the order they have in files."""


@dataclass(frozen=True)
class Cost:
    """What an AI call cost, in US dollars, and where the price comes from."""

    amount_usd: float
    source: str
    """``provider`` if the response named it, ``user`` if given in code, else the price table's package name."""
    version: str | None = None
    """Version of the price table."""


@dataclass(frozen=True)
class Failure:
    """An error that a provider reports inside its answer, with no exception of the client."""

    code: str | None
    """In the provider's words: ``rate_limit_exceeded``, ``overloaded_error``, ``503``; ``None`` if it gives none."""
    message: str


@dataclass(frozen=True)
class Response:
    """One response of a model, the same for all providers."""

    usage: Usage = NO_USAGE
    finish_reasons: tuple[str, ...] = ()
    response_id: str | None = None
    model: str | None = None
    output: tuple[dict[str, Any], ...] = ()
    """Message parts in the shapes of the GenAI convention: ``{"type":"text","content":…}``, ``reasoning``, ``tool_call`` …"""
    cost_usd: float | None = None
    """Only if the provider itself reported a cost."""
    failure: Failure | None = None
    """The error in the answer, if it is or ends with one."""
    cancelled: bool = False
    """Whether the provider says that the answer was cancelled."""
    is_total: bool = False
    """Whether its usage and cost are those of all responses before it, as in the result of an agent's run."""
