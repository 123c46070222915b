"""A set of OTLP items, by kind and ``event_id``, in little memory and short JSON.

Numbers of a writer are gapless, so one byte a number is less than any set takes, and runs are written as ranges:
``{"span": {"a1f3c2d4": [3, 5, [8, 12]]}}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from otel_agentlog.vocabulary.event_ids import split_event_id

MAX_NUMBER = 1 << 26
"""Numbers beyond this are ignored: no writer gets there, and a damaged file must not cost memory."""

Json = dict[str, dict[str, list[Any]]]


def can_hold(event_id: str | None) -> bool:
    """Whether a set can hold an item of this id; what cannot be noted as sent is better not sent."""
    item = split_event_id(event_id)
    return item is not None and item[1] < MAX_NUMBER


class ItemSet:
    """A set of items. Not for several threads at once."""

    def __init__(self) -> None:
        self._bits: dict[tuple[str, str], bytearray] = {}
        self._runs: list[tuple[str, str, int, int]] | None = None
        """What `ranges` found, until something changes."""

    def add(self, kind: str, event_id: str | None) -> None:
        """Add one item; one with an id of another form is ignored."""
        item = split_event_id(event_id)
        if item is not None:
            self._add(kind, item[0], item[1], item[1])

    def add_all(self, kind: str, event_ids: Iterable[str | None]) -> None:
        """Add many items, nearly always of one writer."""
        before, numbers = "\n", bytearray()
        self._runs = None
        for event_id in event_ids:
            number = -1
            if isinstance(event_id, str) and event_id.startswith(before):
                digits = event_id[len(before) : len(before) + 9]
                if digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(before) + 9 > len(event_id):
                    number = int(digits)
            if 0 < number < MAX_NUMBER:
                if number >= len(numbers):
                    _extend(numbers, number)
                numbers[number] = 1
                continue
            self.add(kind, event_id)
            item = split_event_id(event_id)
            if item is not None and item[1] < MAX_NUMBER:
                before, numbers = f"{item[0]}-", self._bits[kind, item[0]]

    def discard(self, kind: str, event_id: str | None) -> None:
        """Take one item out, if it is there."""
        tag, number = split_event_id(event_id) or ("", 0)
        bits = self._bits.get((kind, tag), bytearray())
        self._runs = None
        if number < len(bits):
            bits[number] = 0

    def has(self, kind: str, event_id: str | None) -> bool:
        """Whether an item is in the set."""
        tag, number = split_event_id(event_id) or ("", MAX_NUMBER)
        bits = self._bits.get((kind, tag), b"")
        return number < len(bits) and bits[number] == 1

    def without(self, others: ItemSet) -> ItemSet:
        """The items that are not in another set."""
        left = ItemSet()
        for key, bits in self._bits.items():
            taken = others._bits.get(key, b"")
            left._bits[key] = bytearray(bit and not (n < len(taken) and taken[n]) for n, bit in enumerate(bits))
        return left

    def __len__(self) -> int:
        return sum(bits.count(1) for bits in self._bits.values())

    def __bool__(self) -> bool:
        return any(1 in bits for bits in self._bits.values())

    def ranges(self) -> Sequence[tuple[str, str, int, int]]:
        """Kind, tag, first and last number of each run, in order."""
        runs = self._runs
        if runs is None:
            runs = self._runs = [(kind, tag, *run) for (kind, tag), bits in self._bits.items() for run in _runs_of(bits)]
        return runs

    def by_writer(self) -> dict[str, list[tuple[int, int]]]:
        """First and last number of each run, by tag; a number is there once for each kind."""
        found: dict[str, list[tuple[int, int]]] = {}
        for _, tag, first, last in self.ranges():
            found.setdefault(tag, []).append((first, last))
        return found

    def as_json(self) -> Json:
        """The set as it is written in a line."""
        found: Json = {}
        for kind, tag, first, last in self.ranges():
            runs = found.setdefault(kind, {}).setdefault(tag, [])
            runs.append(first if first == last else [first, last])
        return found

    def update(self, value: object) -> None:
        """Add what `as_json` gave; what has another shape is passed over."""
        for kind, tags in _items(value):
            for tag, runs in _items(tags):
                for run in runs if isinstance(runs, list) else ():
                    first, last = run if isinstance(run, list) and len(run) == 2 else (run, run)
                    if type(first) is int and type(last) is int and 0 <= first <= last:
                        self._add(kind, tag, first, last)

    def merge(self, others: ItemSet) -> None:
        """Add the items of another set."""
        for key, bits in others._bits.items():
            if key not in self._bits:
                self._bits[key] = bytearray(bits)
                self._runs = None
                continue
            for first, last in _runs_of(bits):
                self._add(*key, first, last)

    def _add(self, kind: str, tag: str, first: int, last: int) -> None:
        if last >= MAX_NUMBER:
            return
        self._runs = None
        bits = self._bits.setdefault((kind, tag), bytearray())
        if last >= len(bits):
            _extend(bits, last)
        bits[first : last + 1] = b"\1" * (last + 1 - first)


def _extend(bits: bytearray, last: int) -> None:
    bits.extend(bytes(max(last + 1 - len(bits), len(bits) // 8, 64)))


def _runs_of(bits: bytearray) -> Iterator[tuple[int, int]]:
    first = bits.find(1)
    while first >= 0:
        end = bits.find(0, first)
        end = len(bits) if end < 0 else end
        yield first, end - 1
        first = bits.find(1, end)


def _items(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []
