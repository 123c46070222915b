"""Recovery: try another way, fall back in the open, let go on what cannot be helped; the audit trail tells which it was.

Afterwards ``agentlog errors --audit`` prints the same from the folder.
"""

from __future__ import annotations

from typing import Any

import otel_agentlog as agentlog

settings = agentlog.configure(service_name="recovery")
CACHE = {"https://example.org/rates": {"EUR": 1.08}}


def from_cache(error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, float]:
    """A recovery gets the error and the arguments of the call; a `KeyError` of its own means that it failed."""
    return CACHE[args[0]]


@agentlog.handle_errors(recovery_strategy=from_cache, errors=(ConnectionError, TimeoutError), component="integration")
def fetch_rates(url: str) -> dict[str, float]:
    """Needs the network, which is away today."""
    raise ConnectionRefusedError(111, "Connection refused")


@agentlog.handle_errors(fallback=lambda text: text[:20] + "…")
def summarize(text: str) -> str:
    """Needs a model, which is busy today."""
    raise agentlog.errors.IntegrationError("model is overloaded", context={"model": "claude-opus-4-5", "characters": len(text)})


with agentlog.task("Report the rates", task_id="report-rates") as task:
    print("recovered:", fetch_rates("https://example.org/rates"))
    print("degraded:", summarize("The euro rose against the dollar, and the yen fell."))

    with agentlog.handle_errors(fallback=[], component="database") as handled:
        raise agentlog.errors.DatabaseError("no such table: history", context={"table": "history"})
    print("in a block:", handled.result, "because of", handled.error)

    try:
        fetch_rates("https://example.org/unknown")
    except ConnectionError as error:
        print("not to be helped:", type(error).__name__, agentlog.error_id(error))
    task.result = "with what there was"

agentlog.shutdown()
