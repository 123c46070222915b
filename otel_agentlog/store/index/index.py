"""The catalogue: an index of the task folders below a root. Never the truth, and rebuilt from the folders whenever in doubt.

Tasks that ended stand in tables; those that go on stay cards, which are looked at anew each time. `refresh` finds out cheaply
what changed: the root's time tells of new and deleted folders, a signature of each folder of the rest.
"""

# Statements are put together from our own words; what others wrote is bound.
# ruff: noqa: S608

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

from otel_agentlog.store.index import database as catalogue_file
from otel_agentlog.store.index.columns import Columns, Names, PartSums, unpack
from otel_agentlog.store.index.refresh import Describe, Freshen, Progress, Refresh, changed_among
from otel_agentlog.store.index.row import Card
from otel_agentlog.store.index.where import Conditions, source

ORDERS = {
    "newest": ("created_ns DESC", (("created_ns", -1),)),
    "oldest": ("created_ns", (("created_ns", 1),)),
    "slowest": ("duration_us DESC, created_ns DESC", (("duration_us", -1), ("created_ns", -1))),
    "costliest": ("cost DESC, created_ns DESC", (("cost", -1), ("created_ns", -1))),
}
"""What comes first, in SQL and by the fields of a card with 1 or -1 for up or down; among equals the folder's name decides."""


FEW = 8
"""Of less than one in so many tasks the parts, or what they are ordered by, are looked up one by one."""


_SPENT = {
    "ai_call": "sum(part.cost), sum(unpriced), sum(input_tokens), sum(output_tokens)",
    "tool_run": "NULL, 0, 0, 0",  # every sum of 300,000 rows takes a hundredth of a second
}


class Catalogue:
    """One root's index, open. For any thread, one at a time; not to be carried over a fork.

    Everything raises `sqlite3.Error`, `OSError` or `ValueError` where the index cannot be used.
    """

    def __init__(self, root: Path, describe: Describe, freshen: Freshen) -> None:
        self.root = root
        self.path = catalogue_file.choose(root)
        self.pid = os.getpid()
        self.live: list[Card] = []
        """The tasks that go on, as they stood at the latest `refresh`."""
        self.lock = threading.RLock()
        self._connection = catalogue_file.connect(self.path)
        self._identity = catalogue_file.identity(self.path)
        self._refresh = Refresh(root, self._connection, describe, freshen)
        self._counted: list[tuple[Conditions, int]] = []
        """Since the latest refresh: one question often counts the same twice."""

    @property
    def is_current(self) -> bool:
        """Whether the file that is open is still the one that has the name."""
        return self.pid == os.getpid() and self._identity == catalogue_file.identity(self.path)

    def refresh(self, progress: Progress | None = None) -> None:
        """Bring it up to date; `progress` is told how many folders of how many were read."""
        with self.lock:
            self._counted.clear()
            self.live = self._refresh.run(progress)

    def recheck(self, folders: list[str]) -> bool:
        """Look at these folders again, and return whether anything had changed."""
        with self.lock:
            changed = changed_among(self._connection, self.root, folders)
            if changed:
                self._counted.clear()
                self._refresh.read_again(changed)
                self.live = self._refresh.run(None)
            return bool(changed)

    # -- asking -----------------------------------------------------------------------------------------------------------

    def count(self, conditions: Conditions) -> int:
        """How many of the tasks that ended meet these conditions."""
        with self.lock:
            for asked, counted in self._counted:
                if asked == conditions:
                    return counted
            found, values = source(conditions)
            counted = int(self._one(f"SELECT count(*) FROM {found}", values))
            self._counted.append((conditions, counted))
            return counted

    def folders(
        self, conditions: Conditions, order: str, limit: int | None, offset: int = 0
    ) -> list[tuple[tuple[int, ...], str]]:
        """The first `limit` of them after `offset` in one of `ORDERS`: what they are ordered by, and the folder's name."""
        found, values = source(conditions, common_words=limit is not None and self._are_common(conditions))
        by, keys = ORDERS[order]
        columns = ", ".join(name for name, _ in keys)
        query = (
            f"SELECT (SELECT name FROM folder WHERE folder.id = task.id) AS folder_name, {columns} FROM {found}"
            f" ORDER BY {by}, folder_name LIMIT ? OFFSET ?"
        )
        with self.lock:
            rows = self._connection.execute(query, [*values, -1 if limit is None else limit, offset]).fetchall()
        directions = [direction for _, direction in keys]
        return [
            (tuple(value * sign for value, sign in zip(row[1:], directions, strict=True)), os.fsdecode(row[0])) for row in rows
        ]

    def _are_common(self, conditions: Conditions) -> bool:
        """Whether many tasks meet conditions with words."""
        return bool(conditions.words) and self.count(conditions) * FEW > self.count(Conditions())

    def columns(self, conditions: Conditions) -> Columns:
        """The figures of those that meet these conditions."""
        found, values = source(conditions)
        with self.lock:
            data = self._one(f"SELECT CAST(group_concat(lanes, '') AS BLOB) FROM {found}", values)
            return Columns(data or b"", self._names())

    def parts(self, conditions: Conditions, kind: str, *, by_variety: bool) -> list[PartSums]:
        """Their AI calls (``ai_call``) or tool runs (``tool_run``), by name or by variety."""
        key = "variety" if by_variety else "name"
        tasks = "count(DISTINCT task)" if by_variety else "count(*)"
        rows_from, values = self._parts_of(conditions)
        query = (
            f"SELECT part.{key}, {tasks}, sum(running), sum(completed), sum(failed), sum(other), {_SPENT[kind]}, sum(retries),"
            " CAST(group_concat(durations, '') AS BLOB)"
            f" FROM {rows_from} AND kind = ? GROUP BY part.{key}"
        )
        with self.lock:
            names = self._names()
            rows = self._connection.execute(query, [*values, kind]).fetchall()
        return [PartSums(names.text(key), *[*sums, unpack(durations)]) for key, *sums, durations in rows]

    def _parts_of(self, conditions: Conditions) -> tuple[str, list[Any]]:
        """Where parts come from: of few tasks by their ids, of many by going through all of them, which are in order of names."""
        found, values = source(conditions)
        # Not compared as conditions: what is empty may be a list here and a tuple there.
        if (found, values) == source(Conditions()):
            return "part WHERE 1", []
        if self.count(conditions) * FEW < self.count(Conditions()):
            return (
                f"(SELECT task.id AS wanted FROM {found}) CROSS JOIN part INDEXED BY part_task ON part.task = wanted WHERE 1",
                values,
            )
        return f"part WHERE part.task IN (SELECT task.id FROM {found})", values

    def failures(
        self, conditions: Conditions
    ) -> list[tuple[str, int, str | None, str | None, str | None, str | None, str | None]]:
        """Their errors: folder, Unix nanoseconds, error id, type, category, message, component; the newest first."""
        found, values = source(conditions)
        query = (
            "SELECT folder.name, time_ns, error_id, type, category, message, component FROM failure"
            f" JOIN folder ON folder.id = failure.task WHERE failure.task IN (SELECT task.id FROM {found})"
            " ORDER BY time_ns DESC"
        )
        with self.lock:
            rows = self._connection.execute(query, values).fetchall()
        return [(os.fsdecode(row[0]), *row[1:]) for row in rows]

    def _names(self) -> Names:
        names = Names()
        rows = self._connection.execute("SELECT id, text FROM name ORDER BY id").fetchall()
        # Ids begin at 1 and have no gaps, as names are never deleted.
        for number, text in [(0, "\0"), *rows]:
            if names.number(text) != number:
                raise ValueError("the catalogue's names are not in order")
        return names

    def _one(self, query: str, values: list[Any]) -> Any:
        with self.lock:
            return self._connection.execute(query, values).fetchone()[0]

    def close(self) -> None:
        """Let go of the file."""
        with self.lock:
            self._connection.close()


CATALOGUE_FAILED = (sqlite3.Error, OSError, ValueError, TypeError)
"""What is raised where the index cannot be used."""


def is_busy(error: BaseException) -> bool:
    """Whether the index is whole, and only another process kept it for too long, or sums are beyond 64 bits."""
    return isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "overflow" in str(error))
