"""Reports about tasks that go on, each shared by all who look at the task, and what of one has changed as events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from otel_agentlog.query import Entry, LiveReport
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.render.show.task_json import entry_as_json, figures_as_json, page_of_row, page_of_task

KEPT = 4
"""So many reports are kept a little longer than anybody looks at them: a page asks for the task, then for its stream."""

PARTS_AT_A_TIME = 200
"""Most parts in one event."""


class SharedReport:
    """One task's report; hold `lock` while it is polled or read."""

    def __init__(self, task: TaskReader) -> None:
        self.lock = threading.Lock()
        self._task = task
        self._report: LiveReport | None = None

    def polled(self) -> LiveReport:
        """The report as it is now."""
        if self._report is None:
            self._report = LiveReport(self._task)
        else:
            self._report.poll()
        return self._report


class LiveReports:
    """The reports of one server. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: WeakValueDictionary[Path, SharedReport] = WeakValueDictionary()
        self._latest: deque[SharedReport] = deque(maxlen=KEPT)

    def of(self, task: TaskReader) -> SharedReport:
        """The report about a task."""
        with self._lock:
            found = self._reports.get(task.folder)
            if found is None:
                found = self._reports[task.folder] = SharedReport(task)
            if found not in self._latest:
                self._latest.append(found)
            return found


def whole_tree(shared: SharedReport, trace_url: str | None) -> dict[str, Any]:
    """The page of a task that goes on, with the offset from which on `TreeChanges` has what comes then."""
    live = shared.polled()
    return {**page_of_task(live.at_present(), trace_url), "tree_offset": live.offset}


class TreeChanges:
    """What has changed in one task since an offset in its output, for one client."""

    def __init__(self, shared: SharedReport, offset: int, most: int, trace_url: str | None) -> None:
        self._shared, self._offset, self._most, self._trace_url = shared, offset, most, trace_url
        self._seen: tuple[int, int] | None = None
        """Regrowth and version of what was sent last."""
        self._row: dict[str, Any] | None = None

    def poll(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield events: ``parts`` that are new or have changed, each after what it stands below or behind; ``task``."""
        with self._shared.lock:
            live = self._shared.polled()
            anew, changed = self._changed(live)
            parts = [self._part(live, entry, wholly) for entry, wholly in changed if self._is_shown(live, entry)]
            row = page_of_row(live.report, self._trace_url)
            offset = live.offset
        for begin in range(0, len(parts), PARTS_AT_A_TIME):
            is_last = begin + PARTS_AT_A_TIME >= len(parts)
            found = parts[begin : begin + PARTS_AT_A_TIME]
            yield "parts", {"anew": anew and begin == 0, "parts": found, **({"offset": offset} if is_last else {})}
        if row != self._row:
            self._row = row
            yield "task", row

    def _changed(self, live: LiveReport) -> tuple[bool, list[tuple[Entry, bool]]]:
        seen, self._seen = self._seen, (live.regrown[0], live.version)
        if seen is None:
            anew = not live.regrown[1] <= self._offset <= live.offset
        else:
            anew = live.regrown[0] != seen[0]
        if anew:
            return True, [(entry, True) for entry in live.order]
        return False, live.changed_after(self._offset) if seen is None else live.changed_since(seen[1])

    def _is_shown(self, live: LiveReport, entry: Entry) -> bool:
        return live.place_of(entry).number < self._most

    def _part(self, live: LiveReport, entry: Entry, wholly: bool) -> dict[str, Any]:
        """The whole of a part, or what it sums up to."""
        if not wholly:
            return {"id": key_of(entry), **figures_as_json(entry)}
        place = live.place_of(entry)
        beside = {"parent": place.parent and key_of(place.parent), "after": place.after and key_of(place.after)}
        return {"id": key_of(entry), **beside, **entry_as_json(entry)}


def key_of(entry: Entry) -> str:
    """What a part is known by within its task, by the page, too."""
    return entry.span_id or f"sub-task {entry.details.get('task_id')}"
