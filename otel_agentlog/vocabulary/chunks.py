"""Texts that were recorded in chunks, joined again. The one place that knows which chunks belong together.

    for line in joined(task.events()):
        ...

The chunks of one text have the same type and span and come from one process; they count from 1. A text has ended when its span
has, or when another one of its type begins in the span; one that was cut off by a kill ends with its last chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, Line

CHUNK = "chunk"
"""Key of a line that has a chunk of a text: its number."""

CHUNKS = "chunks"
"""Key of a line that was joined: how many chunks there were."""

TextKey: TypeAlias = tuple[str, str, str]
"""Which text a chunk belongs to: span id, type, writer tag."""


def text_key(line: Mapping[str, Any]) -> TextKey | None:
    """The text that a chunk belongs to; ``None`` for a line that is no chunk."""
    number, kind = line.get(CHUNK), line.get("type")
    if type(number) is not int or kind not in CONTENT_TYPES:
        return None
    writer = split_event_id(line.get("event_id"))
    return text(line, "span_id") or "", str(kind), writer[0] if writer else ""


def begins_text(line: Mapping[str, Any]) -> bool:
    """Whether a chunk is the first one of its text."""
    return line.get(CHUNK) == 1


def content_text(line: Mapping[str, Any], key: str = "content") -> str:
    """The ``content`` of a line, or another text; of what was moved to an artifact the preview."""
    value = line.get(key)
    return value if isinstance(value, str) else text(mapping(mapping(line, key), "$artifact"), "preview") or ""


class _Text:
    """A text to which more may come."""

    def __init__(self, first: Line) -> None:
        self.line: Line = {key: value for key, value in first.items() if key != CHUNK} | {CHUNKS: 1}
        self.line["content"] = content_text(first)
        self._pieces = [self.line["content"]]

    def add(self, chunk: Line) -> None:
        self._pieces.append(content_text(chunk))

    def settle(self) -> Line:
        # Not with every chunk: a text of many would be copied as often.
        self.line["content"], self.line[CHUNKS] = "".join(self._pieces), len(self._pieces)
        return self.line


class Joiner:
    """Joins the chunks in lines that come one by one."""

    def __init__(self) -> None:
        self._open: dict[str, dict[TextKey, _Text]] = {}
        """By span, as they end with it."""
        self._grown: dict[TextKey, _Text] = {}
        self._ended: list[Line] = []

    def add(self, line: Line) -> Line | None:
        """A line to show: the given one, or for the first chunk of a text the line that will hold all of it; else ``None``."""
        key = text_key(line)
        if key is None:
            self._end(line)
            return line
        texts = self._open.setdefault(key[0], {})
        found = texts.get(key)
        if found is not None and not begins_text(line):
            found.add(line)
            self._grown[key] = found
            return None
        if found is not None:
            self._close(texts, key)
        texts[key] = _Text(line)
        return texts[key].line

    def _end(self, line: Line) -> None:
        span_id, is_end = text(line, "span_id") or "", line.get("phase") == "end"
        texts = self._open.get(span_id)
        if texts is None:
            return
        for key in [key for key in texts if is_end or key[1] == line.get("type")]:
            self._close(texts, key)
        if not texts:
            del self._open[span_id]

    def _close(self, texts: dict[TextKey, _Text], key: TextKey) -> None:
        self._ended.append(texts.pop(key).settle())
        self._grown.pop(key, None)

    def settle(self) -> None:
        """Bring the ``content`` of the lines that `add` returned up to date, and forget those that have ended."""
        for found in self._grown.values():
            found.settle()
        self._grown.clear()
        self._ended.clear()

    def growing(self) -> list[Line]:
        """The lines that `add` returned to which more may come."""
        return [each.line for texts in self._open.values() for each in texts.values()]

    def ended(self) -> list[Line]:
        """The texts that have ended since the last call."""
        found, self._ended = self._ended, []
        return found

    def unended(self) -> list[Line]:
        """The texts that have not, as far as they go."""
        return [each.settle() for texts in self._open.values() for each in texts.values()]


def joined(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, with one for each text instead of its chunks: with the keys of the first, when the text has ended."""
    joiner = Joiner()
    for line in lines:
        found = joiner.add(line)
        yield from joiner.ended()
        if found is not None and CHUNKS not in found:
            yield found
    yield from joiner.unended()
