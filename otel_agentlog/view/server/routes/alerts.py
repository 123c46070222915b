"""Hides how the server keeps an eye on what is too much: one watch over the folders, moved on whenever somebody asks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_agentlog.query import RULES, Alert, Feed, Observation, Rule, Watch

LOOK_BACK_S = 3600
"""How far back the first look goes."""

KEPT = 100
"""How many notices are remembered."""

_NS = 1_000_000_000


class Alerting:
    """What is too much now, and what was lately. For any thread; nothing is read before somebody asks."""

    def __init__(self, root: Path, rules: Mapping[str, Rule] = RULES) -> None:
        self._root, self._rules = root, rules
        self._turn = threading.Lock()
        self._watch: Watch | None = None
        self._feed: Feed | None = None
        self._told: deque[Alert] = deque(maxlen=KEPT)

    def look(self) -> dict[str, Any]:
        """Return active alerts and the latest notices, newest first."""
        with self._turn:
            if self._watch is None or self._feed is None:
                self._watch, self._feed = Watch(self._rules), Feed(self._root, time.time_ns() - LOOK_BACK_S * _NS)
            self._move_on(self._watch, self._feed.poll())
            active = sorted(self._watch.active.values(), key=lambda alert: alert.timestamp, reverse=True)
            return {"active": _as_json(active), "recent": _as_json(list(reversed(self._told)))}

    def _move_on(self, watch: Watch, seen: list[Observation]) -> None:
        """Look after each second in which something happened, and now: what came at once may have taken an hour to happen."""
        for number, each in enumerate(seen):
            watch.observe(each)
            if number + 1 == len(seen) or seen[number + 1].time_ns // _NS != each.time_ns // _NS:
                self._told.extend(watch.evaluate(each.time_ns))
        self._told.extend(watch.evaluate(time.time_ns()))


def _as_json(alerts: list[Alert]) -> list[dict[str, Any]]:
    return [alert.as_json() for alert in alerts]
