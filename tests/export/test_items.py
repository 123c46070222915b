"""Which OTLP items a line gives: the same rule for counting, sending and rebuilding."""

from __future__ import annotations

from typing import Any

import pytest

from otel_agentlog.export.semconv.operations import OPERATIONS
from otel_agentlog.vocabulary.lines import NOT_INFERENCE, count_items, items_of

ERROR = {"type": "E", "message": "m", "traceback": ["t"]}


def test_operations_that_are_no_inference_are_known_by_the_same_names_everywhere() -> None:
    """The floor's list and the table of conventions name the same operations."""
    assert set(OPERATIONS) == NOT_INFERENCE


@pytest.mark.parametrize(
    ("line", "policy", "places", "kinds"),
    [
        ({"type": "task", "phase": "start"}, "full", ("span", "event"), ()),
        ({"type": "task", "phase": "end"}, "full", ("span", "event"), ("span",)),
        ({"type": "step", "phase": "end", "exception": ERROR}, "off", ("span",), ("span", "exception")),
        ({"type": "ai_response", "phase": "end"}, "full", ("event",), ("span", "details")),
        ({"type": "ai_response", "phase": "end"}, "off", ("event",), ("span",)),
        ({"type": "ai_response", "phase": "end", "exception": ERROR}, "full", ("event",), ("span", "details", "exception")),
        ({"type": "ai_response", "phase": "end", "details": {"operation": "embeddings"}}, "full", ("event",), ("span",)),
        ({"type": "log"}, "off", ("span",), ("log",)),
        ({"type": "output"}, "off", ("span",), ()),
        ({"type": "output"}, "preview", ("span",), ("log",)),
        ({"type": "subtask"}, "full", ("span",), ()),
    ],
)
def test_a_line_gives_these_items(line: dict[str, Any], policy: str, places: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    """By type, phase, exception and what content may leave where."""
    assert items_of(line, policy, places) == kinds
    assert count_items(line, policy, places) == len(kinds)
