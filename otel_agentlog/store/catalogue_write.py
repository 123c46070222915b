"""Hides how cards get into the tables of the catalogue and out of them again. Within the caller's transaction."""

# Statements are put together from our own words; what others wrote is bound.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from otel_agentlog.store.catalogue_card import Card, Part, storable
from otel_agentlog.store.catalogue_lanes import UNKNOWN, NumberOf, pack_card, pack_durations, sums_of

_OF_TASK = (("task", "id"), ("identity", "id"), ("tag", "task"), ("part", "task"), ("failure", "task"), ("folder", "id"))


_PART = f"INSERT INTO part VALUES ({', '.join('?' * 14)})"


class Numbering:
    """Numbers of names, as the catalogue has them. For one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """The number of a name, a new one if need be."""
        if text is None:
            return UNKNOWN
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._numbered(storable(text))
        return found

    def _numbered(self, text: str) -> int:
        row = self._connection.execute("SELECT id FROM name WHERE text = ?", (text,)).fetchone()
        if row is None:
            return int(self._connection.execute("INSERT INTO name (text) VALUES (?)", (text,)).lastrowid or 0)
        return int(row[0])


def insert(connection: sqlite3.Connection, numbering: Numbering, folder: bytes, card: Card, signature: int) -> None:
    """Put one card in; an older one of the same folder goes."""
    remove(connection, [folder])
    execute, number = connection.execute, numbering.number
    task = execute("INSERT INTO folder (name, signature) VALUES (?, ?)", (folder, signature)).lastrowid or 0
    numbers = (_or_unknown(card.duration_us), _or_unknown(card.cost), card.tokens)
    texts = (card.status, card.agent, card.agent_type, card.provider, card.model, card.source, card.user, card.specialist)
    row = (task, card.created_ns, *numbers, *map(number, texts), pack_card(card, number))
    execute(f"INSERT INTO task VALUES ({', '.join('?' * len(row))})", row)
    ids = [None if text is None else storable(text) for text in (card.parent_task_id, card.session_id, card.correlation_id)]
    if any(found is not None for found in ids):
        execute("INSERT INTO identity VALUES (?, ?, ?, ?)", (task, *ids))
    connection.executemany("INSERT INTO tag VALUES (?, ?)", {(number(tag), task) for tag in card.tags})
    connection.executemany(_PART, [_part_row(part, task, number) for part in card.parts])
    _insert_failures(connection, task, card)
    if card.words:
        execute("INSERT INTO word (rowid, words) VALUES (?, ?)", (task, " ".join(sorted(card.words))))


def _part_row(part: Part, task: int, number: NumberOf) -> tuple[object, ...]:
    sums = sums_of(part, part.name)
    counts = (sums.running, sums.completed, sums.failed, sums.other, sums.cost, sums.unpriced)
    spent = (sums.input_tokens, sums.output_tokens, sums.retries, pack_durations(sums.durations_us))
    return (part.kind, number(part.name), task, number(part.variety), *counts, *spent)


def _insert_failures(connection: sqlite3.Connection, task: int, card: Card) -> None:
    rows = []
    for failure in card.failures:
        key = (failure.category or "").upper() or None
        texts = (key, failure.error_id, failure.type, failure.category, failure.message, failure.component)
        rows.append((task, failure.time_ns, *(None if text is None else storable(text) for text in texts)))
    connection.executemany("INSERT INTO failure VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def remove(connection: sqlite3.Connection, folders: Iterable[bytes]) -> int:
    """Take the cards of folders out, and return of how many. Their words stay: nothing refers to them any more."""
    gone = 0
    for folder in folders:
        connection.execute("DELETE FROM live WHERE name = ?", (folder,))
        row = connection.execute("SELECT id FROM folder WHERE name = ?", (folder,)).fetchone()
        if row is not None:
            gone += 1
            for table, key in _OF_TASK:
                connection.execute(f"DELETE FROM {table} WHERE {key} = ?", row)
    return gone


def _or_unknown(value: int | None) -> int:
    return UNKNOWN if value is None else value
