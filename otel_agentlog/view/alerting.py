"""Alerts from the folders: rules evaluated over what is read of them, as they would have been while it happened."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from otel_agentlog.query import RULES, Alert, Feed, Observation, Rule, Watch

LOOK_BACK_S = 3600
"""How far back the first evaluation reads."""

KEPT = 100
"""Most past notices that are kept."""

_NS = 1_000_000_000


class AlertTracker:
    """Evaluates the rules when it is called; safe from any thread. Reads nothing before the first call."""

    def __init__(self, root: Path, rules: Mapping[str, Rule] = RULES) -> None:
        self._root, self._rules = root, rules
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._feed: Feed | None = None
        self._notices: deque[Alert] = deque(maxlen=KEPT)

    def evaluate(self) -> dict[str, Any]:
        """Return active alerts and the latest notices, newest first."""
        with self._lock:
            if self._watch is None or self._feed is None:
                self._watch, self._feed = Watch(self._rules), Feed(self._root, time.time_ns() - LOOK_BACK_S * _NS)
            self._notices.extend(replay(self._watch, self._feed.poll()))
            active = sorted(self._watch.active.values(), key=lambda alert: alert.timestamp, reverse=True)
            return {"active": _as_json(active), "recent": _as_json(list(reversed(self._notices)))}


STEP_S = 10
"""Seconds between two evaluations of what is replayed, while nothing is observed and an alert is active."""


def replay(watch: Watch, seen: list[Observation]) -> Iterator[Alert]:
    """Yield the alerts of rules that are evaluated after each second with an observation, until all have ended, and now.

    What is read at once may have happened over an hour.
    """
    now_ns = time.time_ns()
    for number, each in enumerate(seen):
        watch.observe(each)
        until_ns = seen[number + 1].time_ns if number + 1 < len(seen) else now_ns
        if number + 1 == len(seen) or until_ns // _NS != each.time_ns // _NS:
            yield from watch.evaluate(each.time_ns)
            yield from _meanwhile(watch, each.time_ns, until_ns)
    yield from watch.evaluate(now_ns)


def _meanwhile(watch: Watch, since_ns: int, until_ns: int) -> Iterator[Alert]:
    """What ends between two observations."""
    at_ns = since_ns + STEP_S * _NS
    while at_ns < until_ns and any(not watch.rules[alert.type].is_budget for alert in watch.active.values()):
        yield from watch.evaluate(at_ns)
        at_ns += STEP_S * _NS


def _as_json(alerts: list[Alert]) -> list[dict[str, Any]]:
    return [alert.as_json() for alert in alerts]
