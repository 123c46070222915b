"""Excerpts: the places in a task with the words it was found by."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, INPUT
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index.words import as_text, storable, words_of
from otel_agentlog.vocabulary.chunks import content_text, joined
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import Line, time_of

AROUND = 60
"""Characters shown before the word that was found."""
MAX_TEXT = 240


@dataclass(frozen=True, slots=True)
class Match:
    """A place in a task with a word that was searched for."""

    file: str
    timestamp: str | None
    time_ns: int | None
    type: str
    """The line's type; ``input`` or ``result``."""
    level: str | None
    text: str
    """The text around it, as it is in the folder."""


def marks(shown: str, wanted: str) -> list[tuple[int, int]]:
    """Return where the words that were searched for stand in a text: from which character to before which."""
    sought = set(words_of(storable(wanted)))
    return [match.span() for match in _pattern(sought).finditer(shown)] if sought else []


def matches(folder: Path, wanted: str, *, limit: int) -> list[Match]:
    """Return the first places in a task with any of these words; first those with most of them.

    What several lines say, an error above all, is one place: the first.
    """
    sought = set(words_of(storable(wanted)))
    if not sought or limit < 1:
        return []
    places: dict[str, tuple[int, Match]] = {}
    for place in _places(TaskReader(folder), sought):
        places.setdefault(place[1].text, place)
    found = [(-count, order, match) for order, (count, match) in enumerate(places.values())]
    best = sorted(sorted(found, key=lambda entry: entry[:2])[:limit], key=lambda entry: entry[1])
    return [match for _, _, match in best]


def _pattern(sought: Collection[str]) -> re.Pattern[str]:
    """Finds words that begin so; of two that begin alike the longer."""
    longest = sorted(sought, key=lambda word: (-len(word), word))
    # A character of a language without spaces is a word wherever it stands.
    begins = ("" if len(word) == 1 and not word.isascii() else r"(?<!\w)" for word in longest)
    return re.compile("|".join(map(str.__add__, begins, map(re.escape, longest))), re.IGNORECASE)


def _places(task: TaskReader, sought: Collection[str]) -> Iterator[tuple[int, Match]]:
    pattern = _pattern(sought)
    for name, document, key in ((INPUT, task.input() or {}, "input"), (FINAL_RESULT, task.final_result() or {}, "result")):
        yield from _place(pattern, name, document, key, as_text(document.get(key)))
    for line in joined(task.events()):
        if line.get("phase") != "end" or line.get("exception"):
            for content in _texts(line):
                yield from _place(pattern, AGENT_OUTPUT, line, text(line, "type") or "", content)


def _place(pattern: re.Pattern[str], file: str, line: Line, kind: str, content: str) -> Iterator[tuple[int, Match]]:
    found = {match.group().casefold() for match in pattern.finditer(content)}
    first = pattern.search(content)
    if first is None:
        return
    start = max(0, first.start() - AROUND)
    cut = ("…" if start else "") + content[start : start + MAX_TEXT] + ("…" if len(content) > start + MAX_TEXT else "")
    yield len(found), Match(file, text(line, "timestamp"), time_of(line), kind, text(line, "level"), cut)


def _texts(line: Line) -> Iterator[str]:
    exception = mapping(line, "exception")
    if exception:
        said = ": ".join(found for key in ("type", "message") if (found := text(exception, key)))
        identity = text(exception, "error_id")
        yield f"{said} [{identity}]" if identity else said
    yield from filter(None, (content_text(line, "message"), content_text(line)))
