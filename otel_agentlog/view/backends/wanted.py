"""Which tasks a question asks of a backend."""

from __future__ import annotations

from otel_agentlog._startup import dataclass
from otel_agentlog.query import Filter
from otel_agentlog.store.index.condition import All, Compared, Condition


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks are asked about; together, and all of them where nothing is said. Times in Unix nanoseconds."""

    since_ns: int | None = None
    """It began at this time or later; `until_ns`: before."""
    until_ns: int | None = None
    active_since_ns: int | None = None
    """Something of it ended, or was said, at this time or later."""
    task: str | None = None
    """An id, with or without ``task-`` in front; where there is none such, those that begin so."""
    tasks: tuple[str, ...] = ()
    """Any of these ids."""
    newest: bool = False
    """The one that began last."""
    error_id: str | None = None
    """Those with this error."""


def wanted_of(wanted: Filter) -> Wanted:
    """The tasks within the bounds of time that a filter has."""
    since, until = _bounds(wanted.condition)
    return Wanted(
        since_ns=max((each for each in (since, wanted.since_ns) if each is not None), default=None),
        until_ns=min((each for each in (until, wanted.until_ns) if each is not None), default=None),
    )


def _bounds(condition: Condition | None) -> tuple[int | None, int | None]:
    """The earliest and the latest time of creation that a condition leaves, as far as all of it must hold."""
    if isinstance(condition, All):
        found = [_bounds(each) for each in condition.conditions]
        since = max((low for low, _ in found if low is not None), default=None)
        return since, min((high for _, high in found if high is not None), default=None)
    if isinstance(condition, Compared) and condition.field == "since" and condition.operator in (">", ">="):
        return int(condition.value), None
    if isinstance(condition, Compared) and condition.field == "until" and condition.operator == "<":
        return None, int(condition.value)
    return None, None
