"""How bad it is what a helper is told: from a status, a status code or an exit code to the level of its line."""

from __future__ import annotations

from otel_agentlog.record.events import word

_LEVELS = {
    "ERROR": "failed failure fail error errored timeout timed_out crashed crash dead down unhealthy unavailable refused lost",
    "WARNING": "degraded warning warn retrying retry orphaned orphan cancelled interrupted rejected denied stale slow limited",
}
_LEVEL_OF = {status: level for level, statuses in _LEVELS.items() for status in statuses.split()}


def level_of(status: object, otherwise: str = "INFO") -> str:
    """The level of an event with this status: a word, true or false; what is not known to be bad is ``otherwise``."""
    if status is None or status is True:
        return otherwise
    return "ERROR" if status is False else _LEVEL_OF.get(word(status), otherwise)


def level_of_http(status_code: object) -> str:
    """The level of an answer with this HTTP status."""
    if not isinstance(status_code, int) or status_code < 400:
        return "INFO"
    return "ERROR" if status_code >= 500 else "WARNING"
