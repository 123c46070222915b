"""A plugin for pytest, ``-p tests.support.more_examples``: property tests run with `EXAMPLES_TIMES` (10) as many examples each.

CI runs few of them, for time; ``.ci/examples`` looks longer. Loaded before the tests, whose ``@settings(max_examples=…)`` it
multiplies. Fresh seeds, also where the variable CI is set.
"""

from __future__ import annotations

import os
from typing import Any

import hypothesis

TIMES = int(os.environ.get("EXAMPLES_TIMES", "10"))
MOST = 5_000
"""No test is made to have more."""
_ALL_ELSE = {"deadline": None, "suppress_health_check": list(hypothesis.HealthCheck), "derandomize": False}


def _more(examples: int) -> int:
    return max(examples, min(examples * TIMES, MOST))


class _More(hypothesis.settings):
    def __init__(self, parent: hypothesis.settings | None = None, **given: Any) -> None:
        if "max_examples" in given:
            given["max_examples"] = _more(given["max_examples"])
        super().__init__(parent, **{**given, **_ALL_ELSE})


def pytest_sessionstart() -> None:
    """Tests that say no number have the default, times that."""
    plain = hypothesis.settings
    plain.register_profile("more", max_examples=_more(100), **_ALL_ELSE)
    plain.load_profile("more")
    hypothesis.settings = _More  # type: ignore[misc]
