"""Which labels a metric may have, and how many values of each.

Hides the guard against a series per task: labels are made here and nowhere else, only from the low-cardinality keys of
`ALLOWED`, never from ids. Names that users choose (tools, models, agents) are open sets, so each label keeps the first
`MAX_VALUES` values it sees and calls all later ones ``_OTHER``; a value longer than `MAX_CHARACTERS` is ``_OTHER`` at once.

One dict is made per combination and used again, so that a measurement costs a look-up. Threads may race: the worst case is a
label with a few values more than its limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.util.types import AttributeValue

from otel_agentlog.export import semconv_names as names

MAX_VALUES = 100
"""Distinct values of one label."""
MAX_CHARACTERS = 128
"""Longest value of a label."""
MAX_COMBINATIONS = 4_096
"""Label sets that are kept ready; more are made each time."""

ALLOWED = frozenset(
    {names.OPERATION, names.PROVIDER, names.REQUEST_MODEL, names.RESPONSE_MODEL, names.SERVER_ADDRESS, names.SERVER_PORT}
    | {names.ERROR_TYPE, names.TOKEN_MODALITY, names.LEGACY_TOKEN_TYPE}
    | {names.AGENT_NAME, names.WORKFLOW_NAME, names.TOOL_NAME, names.TOOL_TYPE}
    | {names.OUTCOME, names.COMPONENT, names.ERROR_CATEGORY, names.SIGNAL, names.REASON}
)
"""Every label of every metric."""

Label = tuple[str, Any]
LabelSet = dict[str, AttributeValue]


class Labels:
    """Makes label sets. One per process, so that all metrics agree on what is ``_OTHER``."""

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self._seen: dict[str, set[str | int]] = {name: set() for name in ALLOWED}
        self._sets: dict[tuple[Label, ...], LabelSet] = {}

    def of(self, *labels: Label) -> LabelSet:
        """The label set of these pairs, without those that have no value.

        Raises:
            KeyError: a label that is not allowed.
        """
        guarded = tuple((name, self._value(name, value)) for name, value in labels if value is not None and value != "")
        known = self._sets.get(guarded)
        if known is not None:
            return known
        made: LabelSet = dict(guarded)
        if len(self._sets) < MAX_COMBINATIONS:
            self._sets[guarded] = made
        return made

    def _value(self, name: str, value: Any) -> str | int:
        seen = self._seen[name]
        plain: str | int = value if type(value) in (str, int) else str(value)
        if plain in seen:
            return plain
        if len(seen) >= self._max_values or (isinstance(plain, str) and len(plain) > MAX_CHARACTERS):
            # An int label (a port) has no `_OTHER`; 0 is the port nobody listens on.
            return names.OTHER if isinstance(plain, str) else 0
        seen.add(plain)
        return plain


def extended(labels: LabelSet, more: Iterable[Label]) -> LabelSet:
    """A copy of a label set with further labels of closed sets, such as a token type."""
    return {**labels, **dict(more)}
