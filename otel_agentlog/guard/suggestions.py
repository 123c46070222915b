"""What to do about an error: the known causes, each with its category and advice, and general advice for each category.

The texts are fixed: nothing of an exception ever stands in them, so they may be shown to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_agentlog.guard.suggestions_inner import INNER
from otel_agentlog.guard.suggestions_outer import OUTER
from otel_agentlog.guard.suggestions_words import Cause, ErrorCategory

LEAST = 3
"""How many suggestions there are at least for any error."""

GENERAL: Mapping[ErrorCategory, tuple[str, ...]] = {
    ErrorCategory.TIMEOUT: (
        "Look at the durations around it (`agentlog show TASK`): was it slow from the start, or did it hang at the end?",
        "Raise the time limit of this one operation if its usual duration comes close to it.",
        "Split the work into smaller parts, each with a time limit of its own.",
        "Retry with exponential backoff if the other side is busy at times.",
    ),
    ErrorCategory.VALIDATION: (
        "Compare the input recorded with this step (`01-input.json`, `details.arguments`) with what is expected.",
        "Check the input before the call, and tell the model in words what was wrong with it.",
        "Do not retry with the same input: it will fail again.",
    ),
    ErrorCategory.DEPENDENCY: (
        "Check that the service, package or program is there and runs in the version that is expected.",
        "Try it by hand from the same machine, with the same user and environment.",
        "Retry with backoff, and give a `fallback=` for the time it is away.",
    ),
    ErrorCategory.EXECUTION: (
        "Read the traceback from its end: the last line in your own code is where to begin (`agentlog errors ID`).",
        "Run the same step again with the recorded input and level DEBUG.",
        "Catch this error where something sensible can be done, with `handle_errors(recovery_strategy=…)`.",
    ),
    ErrorCategory.PERMISSION: (
        "Check which user or which key this ran with, and what that one may do.",
        "Grant exactly the right that is missing, not more.",
        "Do not retry before something was changed: it will fail again.",
    ),
    ErrorCategory.RESOURCE: (
        "Look at what is used up at that moment: memory, disk, open files, processes, quota.",
        "Do less at once: lower the concurrency, or the size of a batch.",
        "Free what is no longer needed, or raise the limit, and try again later.",
    ),
    ErrorCategory.UNKNOWN: (
        "Look up the traceback and what happened just before it (`agentlog errors ID`).",
        "Try the same step again: if it fails each time, its input is the key.",
        "Teach agentlog this kind of error with `register_category(…)`, so that the next one comes with advice.",
    ),
}

CAUSES: Mapping[str, Cause] = {**OUTER, **INNER}
"""Every known cause by its name."""


def advice(category: ErrorCategory, special: tuple[str, ...]) -> tuple[str, ...]:
    """The special suggestions, filled up with the category's general ones to at least `LEAST`."""
    general = [text for text in GENERAL[category] if text not in special]
    return special + tuple(general[: max(0, LEAST - len(special))])
